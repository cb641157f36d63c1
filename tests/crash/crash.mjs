// The crash test: runs under load, the gateway killed with SIGKILL at random moments, and nothing that it acknowledged is lost.
//
// Events are sent at a steady rate, each under an id of its own and again under the same id until it is acknowledged. Two functions
// (with and without checkpoints) run for each event; see app.mjs for what is watched. After the last kill the sender stops and everything
// must come to its end.
import fs from "node:fs";
import path from "node:path";
import { buildDir, Gateway } from "../e2e/lib/processes.mjs";
import { freePort, until } from "../e2e/lib/util.mjs";
import { Judge, startApps } from "./app.mjs";

const kills = Number(process.env.CRASH_KILLS ?? 50);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000_000);
const major = Number(process.env.CRASH_SDK ?? 4);
const eventsPerSecond = Number(process.env.CRASH_RATE ?? 12);
const patienceMs = 180_000;

// mulberry32: the moments of the kills, from a seed that is printed.
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const started = performance.now();
const say = (text) => console.log(`[${((performance.now() - started) / 1000).toFixed(0).padStart(3)} s] ${text}`);

class Sender {
  acknowledged = []; // { n, id }: `id` is the gateway's
  refused = 0;
  #isStopped = false;
  #open = new Set();

  constructor(origin) {
    this.origin = origin;
    this.done = this.#run();
  }

  async #run() {
    for (let n = 0; !this.#isStopped; n++) {
      const one = this.#send(n).finally(() => this.#open.delete(one));
      this.#open.add(one);
      await pause(1000 / eventsPerSecond);
    }
    await Promise.all(this.#open);
  }

  // Until it is acknowledged: no answer, and any answer but a 200, leaves open whether the event is known.
  async #send(n) {
    for (;;) {
      try {
        const response = await fetch(`${this.origin}/e/dev`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ id: `crash-${seed}-${n}`, name: "crash/go", data: { n } }),
          signal: AbortSignal.timeout(10_000),
        });
        const body = await response.json();
        if (response.ok) return this.acknowledged.push({ n, id: body.ids[0] });
        this.refused += 1;
      } catch {
        // connection refused or cut: the gateway is dead at the moment
      }
      await pause(50);
    }
  }

  stop() {
    this.#isStopped = true;
    return this.done;
  }
}

const refusals = new Map(); // answers other than 200 to questions -> how often

// Asks until there is an answer; the gateway may be busy.
async function get(url) {
  for (const end = performance.now() + 30_000; ; await pause(100)) {
    const response = await fetch(url).catch((error) => ({ status: error.cause?.code ?? error.message }));
    if (response.ok) return (await response.json()).data;
    refusals.set(response.status, (refusals.get(response.status) ?? 0) + 1);
    if (performance.now() > end) throw new Error(`${url} answers ${response.status}`);
  }
}

// What the gateway has kept: the sender's event id -> its own ids.
async function eventIds(origin) {
  const ids = new Map();
  const query = "limit=50&name=crash/go&received_after=2000-01-01T00:00:00Z";
  for (let page = await get(`${origin}/v1/events?${query}`); page.length; page = await get(`${origin}/v1/events?${query}&cursor=${page.at(-1).internal_id}`)) {
    for (const { id, internal_id: own } of page) ids.set(id, [...(ids.get(id) ?? []), own]);
  }
  return ids;
}

async function main() {
  const dir = path.join(buildDir, "crash");
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const judge = await new Judge().open(path.join(dir, "executions.log"));
  const apps = await startApps({ gateway: origin, judge, major });
  const start = () => Gateway.start({ dir, port });
  const checks = new Map(); // what must hold -> complaints
  const complain = (what, text) => checks.get(what).push(text);
  const ENDED = "every acknowledged event has one run of each function, and it has ended right";
  const ONCE = "no step ran again after its memo had been shown, and no memo changed";
  const LIFECYCLE = "every run's end was announced exactly once";
  const ALIVE = "the gateway died of nothing but SIGKILL, and ends on SIGTERM with 0";
  for (const what of [ENDED, ONCE, LIFECYCLE, ALIVE]) checks.set(what, []);

  say(`seed ${seed}, inngest ${major}, ${kills} kills, ${eventsPerSecond} events a second, two runs each`);
  let gateway = await start();
  for (const url of apps.urls) {
    const response = await fetch(url, { method: "PUT" });
    if (!response.ok) throw new Error(`PUT ${url} answered ${response.status}: ${await response.text()}\n${gateway.logTail()}`);
  }
  const sender = new Sender(origin);
  let slowestStartMs = 0;
  for (let i = 1; i <= kills; i++) {
    await pause(50 + random() * 1500);
    if (!gateway.isRunning) complain(ALIVE, `it was gone before kill ${i}:\n${gateway.logTail()}`);
    await gateway.kill();
    const at = performance.now();
    gateway = await start();
    slowestStartMs = Math.max(slowestStartMs, performance.now() - at);
    if (i % 10 === 0) say(`killed ${i} times; ${sender.acknowledged.length} events acknowledged, ${judge.calls} calls, ${judge.executions.size} steps`);
  }
  await sender.stop();
  say(`${sender.acknowledged.length} events acknowledged, ${sender.refused} refused at first; the slowest start took ${slowestStartMs.toFixed(0)} ms; waiting for the ends`);

  // An event whose acknowledgement was lost was sent, and kept, twice; its runs belong to the first of the two.
  const known = await eventIds(origin);
  const end = performance.now() + patienceMs;
  const finished = new Map(); // run -> n
  for (const { n, id } of sender.acknowledged) {
    let runs = [];
    const look = async () => {
      runs = [];
      for (const one of known.get(`crash-${seed}-${n}`) ?? []) runs.push(...(await get(`${origin}/v1/events/${one}/runs`)));
      return runs.length >= 2 && runs.every((run) => ["Completed", "Failed", "Cancelled"].includes(run.status));
    };
    await until(look, "", Math.max(0, end - performance.now())).catch(() => {});
    const right = (run) => run.status === "Completed" && run.output?.n === n && run.output?.sides === "lr";
    if (!known.get(`crash-${seed}-${n}`)?.includes(id)) complain(ENDED, `event ${n} (${id}) is not known any more`);
    if (runs.length !== 2 || !runs.every(right)) {
      complain(ENDED, `event ${n} (${id}): ${JSON.stringify(runs.map(({ run_id: run, status, output }) => ({ run, status, output })))}`);
    }
    for (const run of runs) finished.set(run.run_id, n);
  }
  await until(() => [...finished.keys()].every((run) => judge.lifecycles.has(run)), "", 30_000).catch(() => {});
  for (const [run, n] of finished) {
    const times = judge.lifecycles.get(run)?.size ?? 0;
    if (times !== 1) complain(LIFECYCLE, `the end of run ${run} of event ${n} was announced ${times} times`);
  }
  checks.get(ONCE).push(...judge.complaints);
  const { code, signal } = await gateway.stop();
  if (code !== 0) complain(ALIVE, `SIGTERM ended it with ${signal ?? code}:\n${gateway.logTail()}`);
  await apps.stop();

  const repeated = [...judge.executions.values()].filter((times) => times > 1).length;
  say(`${finished.size} runs, ${judge.executions.size} steps, of which ${repeated} ran more than once because their answer was lost`);
  let failed = 0;
  for (const [what, complaints] of checks) {
    console.log(`${complaints.length ? "FAIL" : "ok  "} ${what}`);
    for (const text of complaints.slice(0, 10)) console.log(`       ${text}`);
    if (complaints.length > 10) console.log(`       and ${complaints.length - 10} more`);
    failed += complaints.length ? 1 : 0;
  }
  for (const [status, times] of refusals) say(`questions were answered with ${status} ${times} times`);
  if (failed) console.log(`the seed was ${seed}; data and logs are in ${dir}`);
  console.log(`${checks.size - failed} passed, ${failed} failed`);
  return failed ? 1 : 0;
}

main().then((code) => process.exit(code), (error) => {
  console.error(error);
  console.log("0 passed, 1 failed");
  process.exit(1);
});
