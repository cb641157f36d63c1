// One gateway, one app, a recorder in front of each, a witness: everything a test needs, started and stopped together.
import fs from "node:fs";
import path from "node:path";
import { buildDir, Gateway, NodeApp, WorkerApp } from "./processes.mjs";
import { Recorder } from "./recorder.mjs";
import { bearer, freePort, sha1, until, word } from "./util.mjs";
import { Witness } from "./witness.mjs";

export const signingKey = `signkey-prod-${"0123456789abcdef".repeat(4)}`;
export const eventKey = "e2e-event-key";

const ended = new Set(["Completed", "Failed", "Cancelled"]);

export class World {
  // runtime: "node" | "workerd"; mode: "dev" | "signed"; checkpointing: "default" | "on" | "off"; sync: who registers the app,
  // "app" | "gateway" | "test" (nobody before the test does). `gateway` holds more options of Gateway.start, `app` of the app.
  static async start({ name, major = 4, runtime = "node", mode = "dev", checkpointing = "default", sync = "app", gateway = {}, app = {} }) {
    const world = new this();
    Object.assign(world, { major, runtime, mode, checkpointing, sync, gatewayOptions: gateway, appOptions: app });
    world.dir = path.join(buildDir, "e2e", name.replace(/[^\w.-]+/g, "-"));
    fs.rmSync(world.dir, { recursive: true, force: true });
    fs.mkdirSync(world.dir, { recursive: true });
    try {
      await world.#start();
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  get keys() {
    return this.mode === "signed" ? { signingKey, eventKey } : {};
  }

  get appUrls() {
    return ["/api/inngest", "/api/streamed"].map((p) => `${this.toApp.origin}${p}`);
  }

  async #start() {
    this.witness = await new Witness().start();
    this.toApp = await new Recorder().start();
    this.toGateway = await new Recorder().start();
    this.gatewayPort = await freePort();
    this.toGateway.target = { host: "127.0.0.1", port: this.gatewayPort };
    await this.startApp();
    await this.startGateway();
    if (this.sync === "app") await this.register();
    if (this.sync !== "test") await this.isRegistered();
  }

  // Registered means: an event starts a run. Nothing says so for certain but a run.
  async isRegistered() {
    await until(async () => (await this.runs(await this.send("e2e/ping"))).length > 0, "the app is registered").catch((error) => {
      throw new Error(`${error.message}\n${this.gateway.logTail()}`);
    });
  }

  async startApp(more = {}) {
    const settings =
      this.mode === "signed"
        ? { INNGEST_DEV: "0", INNGEST_BASE_URL: this.toGateway.origin, INNGEST_SIGNING_KEY: signingKey, INNGEST_EVENT_KEY: eventKey }
        : { INNGEST_DEV: "1", INNGEST_BASE_URL: this.toGateway.origin };
    const kind = this.runtime === "workerd" ? WorkerApp : NodeApp;
    this.app = await kind.start({
      dir: this.dir,
      major: this.major,
      port: this.app?.port, // the same one when it is started again
      ...this.appOptions,
      settings: { ...settings, CHECKPOINTING: this.checkpointing, ...this.appOptions.settings, ...more },
    });
    this.toApp.target = { host: "127.0.0.1", port: this.app.port };
  }

  async startGateway(more = {}) {
    const sdkUrls = this.sync === "gateway" ? this.appUrls : [];
    this.gateway = await Gateway.start({ dir: this.dir, port: this.gatewayPort, sdkUrls, ...this.keys, ...this.gatewayOptions, ...more });
  }

  // Has the SDK register its apps by itself, as `curl -X PUT` would.
  async register() {
    for (const url of this.appUrls) {
      const response = await fetch(url, { method: "PUT" });
      const text = await response.text();
      if (!response.ok) throw new Error(`PUT ${url} answered ${response.status}: ${text}\n${this.gateway.logTail()}`);
    }
  }

  async stop() {
    await this.gateway?.stop().catch(() => this.gateway.kill());
    await this.app?.stop().catch(() => this.app.kill());
    await Promise.all([this.toApp, this.toGateway, this.witness].map((server) => server?.server && server.stop()));
  }

  // Sends one event straight to the gateway and returns its id. `key` keeps the executions of tests apart.
  async send(name, data = {}, more = {}) {
    const { ids } = await this.post({ name, data: { witness: this.witness.url, ...data }, ...more });
    return ids[0];
  }

  async post(events) {
    const response = await fetch(`${this.gateway.origin}/e/${this.mode === "signed" ? eventKey : "dev"}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof events === "string" ? events : JSON.stringify(events),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the event was refused with ${response.status}: ${text}`);
    return JSON.parse(text);
  }

  async api(route) {
    const response = await fetch(`${this.gateway.origin}${route}`, {
      headers: this.mode === "signed" ? { authorization: bearer(signingKey) } : {},
    });
    return response.ok ? response.json() : undefined;
  }

  // The runs that an event has started so far.
  async runs(eventId) {
    return (await this.api(`/v1/events/${eventId}/runs`).catch(() => undefined))?.data ?? [];
  }

  // The runs of an event, once there are `count` and all of them have ended.
  async ends(eventId, { count = 1, patienceMs = 40_000 } = {}) {
    let last = [];
    const look = async () => {
      last = await this.runs(eventId);
      return last.length >= count && last.every((run) => ended.has(run.status)) && last;
    };
    return until(look, `${count} run(s) of event ${eventId} have ended`, patienceMs).catch((error) => {
      throw new Error(`${error.message}; seen: ${JSON.stringify(last)}\n${this.conversation(last[0]?.run_id)}`);
    });
  }

  async end(eventId, options) {
    return (await this.ends(eventId, options))[0];
  }

  // Sends an event, waits for the end of its run, and brings what was said about it.
  async play(name, data = {}, options) {
    const key = word();
    const run = await this.end(await this.send(name, { key, ...data }), options);
    return { key, run, calls: this.calls(run.run_id), checkpoints: this.checkpoints(run.run_id), times: (step) => this.witness.count(`${key}/${step}`) };
  }

  // The gateway's calls for a run, in order.
  calls(runId) {
    return this.toApp.exchanges.filter((e) => e.method === "POST" && e.body?.ctx?.run_id === runId);
  }

  checkpoints(runId) {
    return this.toGateway.exchanges.filter((e) => e.method === "POST" && e.path === `/v1/checkpoint/${runId}/async`);
  }

  // For the message of a failed test.
  conversation(runId) {
    if (!runId) return this.gateway.logTail(15);
    return this.calls(runId).map((c) => `  call attempt ${c.body.ctx.attempt} ${c.query.stepId}: ${c.status ?? "cut"} ${c.answerText?.slice(0, 300)}`).join("\n");
  }
}

// What a call knew and what came back, in the words of reference/09 §5.1: "206 StepRun notify".
const stepName = (names) => new Map(names.map((name) => [sha1(name), name]));
export function summary(call, names) {
  const known = stepName(names);
  const memos = Object.keys(call.body.steps).map((id) => known.get(id) ?? id);
  const ops = Array.isArray(call.answer) ? call.answer.map((op) => `${op.op}${known.has(op.id) ? ` ${known.get(op.id)}` : ""}`).join(", ") : undefined;
  return { attempt: call.body.ctx.attempt, knew: memos.sort().join(" "), answer: `${call.status} ${ops ?? call.answerText}` };
}
