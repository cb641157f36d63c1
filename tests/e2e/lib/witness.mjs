// What really happened. A step of a test function says so with one request before it does anything else; the answer says how
// often it has done so. The witness can hold a step back until the test lets it go, and outlives every process under test.
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { close, listen, readAll } from "./util.mjs";

export class Witness extends EventEmitter {
  #counts = new Map();
  #held = new Map(); // name -> list of functions that let one go

  async start() {
    this.server = http.createServer(async (req, res) => {
      await readAll(req);
      const name = decodeURIComponent(req.url.slice(1));
      const count = this.count(name) + 1;
      this.#counts.set(name, count);
      const answer = () => res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ count }));
      const held = this.#held.get(name);
      if (held) held.push(answer);
      else answer();
      this.emit("seen");
    });
    this.server.setMaxListeners(0);
    this.setMaxListeners(0);
    this.port = await listen(this.server);
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  stop() {
    return close(this.server);
  }

  count(name) {
    return this.#counts.get(name) ?? 0;
  }

  // From now on whoever says `name` gets no answer before `release`.
  hold(name) {
    this.#held.set(name, []);
  }

  release(name) {
    const held = this.#held.get(name) ?? [];
    this.#held.delete(name);
    for (const answer of held) answer();
  }

  async saw(name, times = 1, patienceMs = 20_000) {
    const signal = AbortSignal.timeout(patienceMs);
    try {
      while (this.count(name) < times) await once(this, "seen", { signal });
    } catch (cause) {
      const [key] = name.split("/");
      const others = [...this.#counts].filter(([seen]) => seen.startsWith(`${key}/`)).map(([seen, count]) => `${seen} ${count}x`);
      throw new Error(`${name} was not seen ${times} times within ${patienceMs} ms; seen: ${others.join(", ")}`, { cause });
    }
  }
}
