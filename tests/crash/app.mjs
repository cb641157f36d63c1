// The SDK side: two apps in this process with the real SDK, one that reports every step in an answer of its own and one that
// checkpoints. It outlives the gateway and is the judge of what ran when.
//
// What the gateway has promised about a run is what it has shown: a memo in the body of a call, or the 200 to a checkpoint. A step
// that starts after its memo has been shown ran again, and a memo that is shown with another value has changed.
import fs from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { close, listen, parseJson, readAll, sha1 } from "../e2e/lib/util.mjs";

const require = createRequire(new URL("../e2e/package.json", import.meta.url));
const silent = { debug() {}, info() {}, warn() {}, error() {}, trace() {} };
const CALLS_AT_ONCE = 64;
const STEPS = ["load", "work", "flaky", "left", "right", "last"];
const nameOf = new Map(STEPS.map((name) => [sha1(name), name]));

export class Judge {
  executions = new Map(); // "run step" -> how often it started
  shown = new Map(); // "run step" -> the memo's text
  lifecycles = new Map(); // run -> set of the runs that its end has started
  complaints = [];
  calls = 0;
  #lines = [];
  #syncing;
  #last = Promise.resolve();

  async open(file) {
    this.log = await fs.open(file, "a");
    return this;
  }

  // Resolves once the line is on disk. Many lines share one sync, as they come in while the last one is under way.
  #write(line) {
    this.#lines.push(`${line}\n`);
    this.#syncing ??= this.#sync();
    return this.#syncing;
  }

  async #sync() {
    await new Promise((resolve) => setImmediate(resolve));
    const lines = this.#lines.splice(0);
    this.#syncing = undefined;
    this.#last = this.#last.then(async () => {
      await this.log.write(lines.join(""));
      await this.log.datasync();
    });
    return this.#last;
  }

  // To be waited for: what runs is on disk before it runs, so that the order of things survives this process, too.
  starts(runId, step) {
    const key = `${runId} ${step}`;
    this.executions.set(key, (this.executions.get(key) ?? 0) + 1);
    if (this.shown.has(key)) this.complaints.push(`${key} ran again after its memo had been shown`);
    return this.#write(`start ${key}`);
  }

  shows(runId, step, memo) {
    const key = `${runId} ${step}`;
    const text = JSON.stringify(memo);
    const before = this.shown.get(key);
    if (before === undefined) {
      this.#write(`shown ${key}`);
      this.shown.set(key, text);
    } else if (before !== text) {
      this.complaints.push(`the memo of ${key} was ${before} and is ${text}`);
    }
  }

  // Only memos with data: an error is not shown the same way everywhere.
  sawCall({ ctx, steps }) {
    this.calls += 1;
    for (const [id, memo] of Object.entries(steps ?? {})) {
      if (nameOf.has(id) && memo && "data" in memo) this.shows(ctx.run_id, nameOf.get(id), memo.data);
    }
  }

  sawCheckpoint(runId, steps) {
    for (const { id, op, data } of steps ?? []) if (op === "StepRun" && nameOf.has(id)) this.shows(runId, nameOf.get(id), data);
  }

  ended(runId, byRun) {
    if (!this.lifecycles.has(runId)) this.lifecycles.set(runId, new Set());
    this.lifecycles.get(runId).add(byRun);
  }
}

function makeFunctions({ major, client, judge }) {
  const on = (event, options, handler) =>
    major === 3 ? client.createFunction(options, { event }, handler) : client.createFunction({ ...options, triggers: [{ event }] }, handler);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  return [
    on("crash/go", { id: "work", retries: 4 }, async ({ event, step, runId, attempt }) => {
      const does = (name, ms, value) => step.run(name, async () => {
        await judge.starts(runId, name);
        await pause(ms);
        return value();
      });
      const { n } = event.data;
      const start = await does("load", n % 7, () => ({ n, once: Math.random() }));
      await does("work", n % 40, () => start.n * 2);
      await does("flaky", 1, () => {
        if (n % 5 === 0 && attempt === 0) throw new Error("not yet");
        return Math.random();
      });
      await step.sleep("nap", 50 + (n % 400));
      const sides = await Promise.all([does("left", n % 11, () => "l"), does("right", n % 13, () => "r")]);
      await does("last", 1, () => Math.random());
      return { n, sides: sides.join("") };
    }),
    on("inngest/function.finished", { id: "ends", retries: 4 }, async ({ event, runId }) => {
      if (event.data.function_id === `${client.id}-work`) judge.ended(event.data.run_id, runId);
      return "noted";
    }),
  ];
}

// Starts both apps on a free port; `gateway` is its address. Only one major, since both share a global and do not get on in one process.
export async function startApps({ gateway, judge, major }) {
  const { Inngest } = require(`inngest${major}`);
  const { serve } = require(`inngest${major}/node`);
  const routes = new Map();
  for (const checkpointing of [false, true]) {
    const observed = async (input, init) => {
      const response = await fetch(input, init);
      const [, runId] = /\/v1\/checkpoint\/(\w+)\/async/.exec(String(input?.url ?? input)) ?? [];
      if (runId && response.ok) judge.sawCheckpoint(runId, parseJson(String(init?.body))?.steps);
      return response;
    };
    const loggers = major === 4 ? { internalLogger: silent } : {};
    const name = checkpointing ? "checkpointing" : "classic";
    const client = new Inngest({ id: `crash-${name}`, checkpointing, isDev: true, baseUrl: gateway, fetch: observed, logger: silent, ...loggers });
    const forV3 = major === 3 ? { baseUrl: gateway, logLevel: "silent" } : {};
    routes.set(`/${name}`, serve({ client, functions: makeFunctions({ major, client, judge }), servePath: `/${name}`, ...forV3 }));
  }
  // Few at a time, and none whose caller has died while it waited: after a kill every call in flight is made again at once, and an app
  // that worked off all that dead gateways ever asked would be busy with nothing else.
  let free = CALLS_AT_ONCE;
  const waiting = [];
  const enter = () => (free > 0 ? ((free -= 1), undefined) : new Promise((resolve) => waiting.push(resolve)));
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };

  const server = http.createServer(async (req, res) => {
    const body = await readAll(req).catch(() => undefined);
    await enter();
    if (req.socket.destroyed || res.closed) return leave();
    res.once("close", leave);
    const listener = routes.get(new URL(req.url, "http://app").pathname);
    if (!body || !listener) return res.writeHead(404).end();
    const call = req.method === "POST" ? parseJson(body.toString()) : undefined;
    if (call?.ctx) judge.sawCall(call);
    const { method, url, headers, rawHeaders, httpVersion, socket } = req;
    res.on("error", () => {}); // the gateway that asked may be gone
    return listener(Object.assign(Readable.from(body.length ? [body] : [], { objectMode: false }), { method, url, headers, rawHeaders, httpVersion, socket }), res);
  });
  const port = await listen(server);
  return {
    urls: [...routes.keys()].map((route) => `http://127.0.0.1:${port}${route}`),
    stop: () => close(server),
  };
}
