// The SDK side: two apps in this process with the real SDK, one that reports every step in an answer of its own and one that
// checkpoints. It outlives the gateway and is the judge of what ran when.
//
// What the gateway has promised about a run is what it has shown: a memo in the body of a call, or the 200 to a checkpoint. A step
// that starts after its memo has been shown ran again, and a memo that is shown with another value has changed.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { close, listen, parseJson, readAll, sha1 } from "../e2e/lib/util.mjs";

const require = createRequire(new URL("../e2e/package.json", import.meta.url));
const silent = { debug() {}, info() {}, warn() {}, error() {}, trace() {} };
const STEPS = ["load", "work", "flaky", "left", "right", "last"];
const nameOf = new Map(STEPS.map((name) => [sha1(name), name]));

export class Judge {
  executions = new Map(); // "run step" -> how often it started
  shown = new Map(); // "run step" -> the memo's text
  lifecycles = new Map(); // run -> set of the runs that its end has started
  complaints = [];
  calls = 0;

  constructor(file) {
    this.log = fs.openSync(file, "a");
  }

  // On disk before the step goes on, so that the order of things survives this process, too.
  #write(line) {
    fs.writeSync(this.log, `${line}\n`);
    fs.fdatasyncSync(this.log);
  }

  starts(runId, step) {
    const key = `${runId} ${step}`;
    this.#write(`start ${key}`);
    this.executions.set(key, (this.executions.get(key) ?? 0) + 1);
    if (this.shown.has(key)) this.complaints.push(`${key} ran again after its memo had been shown`);
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
        judge.starts(runId, name);
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
  const server = http.createServer(async (req, res) => {
    const body = await readAll(req).catch(() => undefined);
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
