// A proxy that passes requests on unchanged and keeps what was asked and answered: one stands in front of the app, one in
// front of the gateway, so that a test sees the whole conversation from outside of both. A test may have some requests answered here
// instead: `meddle` is given the exchange and returns { status, text } for those.
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { close, listen, parseJson, readAll } from "./util.mjs";

export class Recorder extends EventEmitter {
  exchanges = []; // { method, path, query, headers, text, body, status, answerHeaders, answerText, answer, isDone, isCut }
  #agent = new http.Agent({ keepAlive: true });

  // `target` may be set later and may change: { host, port }.
  async start(target) {
    this.target = target;
    this.server = http.createServer((req, res) => {
      this.#pass(req, res).catch(() => req.socket.destroy());
    });
    this.port = await listen(this.server);
    this.origin = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    this.#agent.destroy();
    await close(this.server);
  }

  // The first exchange, present or future, for which `test` is true once it has ended.
  async find(test, signal = AbortSignal.timeout(20_000)) {
    for (;;) {
      const found = this.exchanges.find((e) => e.isDone && test(e));
      if (found) return found;
      await once(this, "done", { signal });
    }
  }

  async #pass(req, res) {
    const url = new URL(req.url, this.origin);
    const data = await readAll(req);
    const text = data.toString("utf8");
    const exchange = {
      at: performance.now(),
      method: req.method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: req.headers,
      text,
      body: parseJson(text),
      isDone: false,
    };
    this.exchanges.push(exchange);
    this.emit("request", exchange);

    // A connection that was kept alive and has just been closed by a dying server is an error like any other: the caller
    // sees its own connection cut, as it would without a proxy.
    const cut = () => {
      exchange.isCut = true;
      res.destroy();
      this.emit("done", exchange);
    };
    const meddled = this.meddle?.(exchange);
    if (meddled) {
      const { status, text: answerText } = meddled;
      res.writeHead(status, { "content-type": "application/json" }).end(answerText);
      Object.assign(exchange, { status, answerHeaders: {}, answerText, answer: parseJson(answerText), isDone: true });
      return this.emit("done", exchange);
    }
    if (!this.target) return cut();
    const { method, headers } = req;
    const out = http.request({ ...this.target, method, path: req.url, headers, agent: this.#agent });
    out.on("error", cut);
    res.on("close", () => out.destroy());
    out.on("response", (answer) => {
      const chunks = [];
      res.writeHead(answer.statusCode, answer.headers);
      answer.on("data", (chunk) => {
        chunks.push(chunk);
        res.write(chunk);
      });
      answer.on("error", cut);
      answer.on("aborted", cut);
      answer.on("end", () => {
        const answerText = Buffer.concat(chunks).toString("utf8");
        Object.assign(exchange, {
          status: answer.statusCode,
          answerHeaders: answer.headers,
          answerText,
          answer: parseJson(answerText),
          isDone: true,
        });
        res.end();
        this.emit("done", exchange);
      });
    });
    out.end(data);
  }
}
