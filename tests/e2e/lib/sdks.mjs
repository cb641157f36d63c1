// A world with an app of any kind of SDK, and what its tests share: whatever is written once for the SDKs of other languages and
// of the older major. What differs between them is said by each test file, in one place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Process } from "./processes.mjs";
import { signatureIsValid, until, word } from "./util.mjs";
import { eventKey, signingKey, World } from "./world.mjs";

class AppProcess extends Process {
  // `command`: the program and its arguments. It says on which port it listens, as the others do.
  static async start({ dir, command: [program, ...args], settings, port = 0 }) {
    const app = new AppProcess(program, args, { dir, log: "app.log", stdout: "pipe", env: { ...settings, PORT: String(port) } });
    app.port = await app.firstLine((line) => Number(/^listening on (\d+)$/.exec(line)?.[1]), "the app");
    return app;
  }
}

export class SdkWorld extends World {
  // app: { command, paths, settings(world) }
  get appUrls() {
    return (this.appOptions.paths ?? ["/api/inngest"]).map((path) => `${this.toApp.origin}${path}`);
  }

  async startApp(more = {}) {
    const { command, settings } = this.appOptions;
    this.app = await AppProcess.start({ dir: this.dir, command, port: this.app?.port, settings: { ...settings(this), ...more } });
    this.toApp.target = { host: "127.0.0.1", port: this.app.port };
  }

  fetchesOf(runId) {
    return this.toGateway.exchanges.filter((e) => e.method === "GET" && e.path.startsWith(`/v0/runs/${runId}/`));
  }
}

// The environment variables that SDKs since TypeScript 3 have in common.
export const usualSettings = ({ mode, toGateway }) =>
  mode === "signed"
    ? { INNGEST_BASE_URL: toGateway.origin, INNGEST_SIGNING_KEY: signingKey, INNGEST_EVENT_KEY: eventKey }
    : { INNGEST_BASE_URL: toGateway.origin, INNGEST_DEV: "1" };

// A conversation in words, one line a call: what was asked for, how many of how many memos it should replay, and what came back.
//
//   "step 0/0: 206 StepPlanned a, StepPlanned b"   "a 0/0: 206 StepRun a"   "step 2/2 plan: 206 StepPlanned c"   "c#1 2/2: 500"
//
// "plan" stands for disable_immediate_execution, "#1" for attempt 1. Ids differ between SDKs; the names come from the ops.
export function trace(calls) {
  const nameOf = (op) => op.displayName ?? op.userland?.id ?? op.name;
  const ops = calls.flatMap((call) => (call.status === 206 ? [].concat(call.answer) : []));
  const names = new Map(ops.filter((op) => op.id).map((op) => [op.id, nameOf(op)]));
  return calls.map(({ query, body, status, answer }) => {
    const { attempt, stack, disable_immediate_execution: plans } = body.ctx;
    const target = query.stepId === "step" ? "step" : names.get(query.stepId) ?? query.stepId;
    const said = status === 206 ? [].concat(answer).map((op) => ` ${op.op} ${names.get(op.id)}`).join(",") : "";
    return `${target}${attempt ? `#${attempt}` : ""} ${stack.current}/${stack.stack.length}${plans ? " plan" : ""}: ${status}${said}`;
  });
}

// Plays an event while the witness holds some steps back. `names` are let go one by one, in this order, each as soon as the
// consequences of the one before are there: `settled` counts the answered calls to wait for, before the first and after each.
export async function playHeld(world, name, names, settled, data = {}) {
  const key = word();
  for (const step of names) world.witness.hold(`${key}/${step}`);
  const id = await world.send(name, { key, ...data });
  const runId = await until(async () => (await world.runs(id))[0]?.run_id, "the run has begun");
  for (const [i, step] of names.entries()) {
    await until(() => world.calls(runId).filter((c) => c.isDone).length >= settled[i], `${settled[i]} answers before ${step} is let go`);
    await world.witness.saw(`${key}/${step}`);
    world.witness.release(`${key}/${step}`);
  }
  const run = await world.end(id);
  return { run, key, lines: trace(world.calls(runId)), times: (step) => world.witness.count(`${key}/${step}`) };
}

const REPORT = ["fetch-data", "generate-report", "notify"];

// The tests that every SDK must pass in the same way when it does not checkpoint. `world()` is the started one.
//
//   runOp            what this SDK calls a step that has run
//   stepFails        how the answer to a step's failed attempt looks: "206 StepError bad" or "500"
//   stepFailsLast    the same on the last attempt
//   failure          { name, message } that the run of e2e/uncaught ends with
//   onFailure        { step, body }: the names of the errors its handler is told of; absent if the SDK knows no such handler
export function commonTests(world, { mode, runOp, stepFails, stepFailsLast, failure, onFailure }) {
  // The handler has been told of the failure, once.
  const isTold = async (key, name, message, id) => {
    if (!onFailure) return;
    const told = `${key}/on-failure: ${name}: ${message} in apps-${id}`;
    await world().witness.saw(told);
    assert.equal(world().witness.count(told), 1);
  };
  const reports = (lines) => REPORT.map((name, i) => `step ${i}/${i}: 206 ${runOp} ${name}`).concat(lines);

  test("steps one after the other: one call each, and one for the result", async () => {
    const reportId = `r-${word()}`;
    const { run, calls, times } = await world().play("report/requested", { reportId, email: "ann@example.com" });
    assert.deepEqual([run.status, run.output], ["Completed", { reportId, sum: 42 }]);
    assert.deepEqual(REPORT.map(times), [1, 1, 1]);
    assert.deepEqual(trace(calls), reports(["step 3/3: 200"]));
  });

  test("a step that fails once is called once more", async () => {
    const { run, calls, times } = await world().play("report/requested", { reportId: "r", email: "ann@example.com", failOnce: true });
    assert.equal(run.status, "Completed");
    assert.deepEqual(REPORT.map(times), [1, 2, 1]);
    const [fetched, , notified] = reports([]);
    assert.deepEqual(trace(calls), [
      fetched,
      `step 1/1: ${stepFails.replace("bad", "generate-report")}`,
      `step#1 1/1: 206 ${runOp} generate-report`,
      notified,
      "step 3/3: 200",
    ]);
  });

  test("attempt_number_counts_per_step_and_resets", async () => {
    const { run, calls, times } = await world().play("e2e/attempts");
    assert.equal(run.status, "Completed");
    assert.deepEqual([0, 1, 2, 3].map((n) => times(`first/${n}`)), [1, 1, 1, 1]);
    assert.deepEqual([0, 1, 2].map((n) => times(`second/${n}`)), [1, 1, 0]);
    for (const call of calls) assert.equal(call.body.ctx.max_attempts, 4);
  });

  test("a failed step that nobody catches fails the run", async () => {
    const { run, calls, times, key } = await world().play("e2e/uncaught");
    assert.equal(run.status, "Failed");
    for (const [field, value] of Object.entries(failure)) assert.equal(run.output[field], value, field);
    assert.deepEqual([times("good"), times("bad")], [1, 2]);
    // If the step's failure is kept, one more call tells the function of it.
    const thrown = stepFailsLast.startsWith("206") ? ["step 2/2: 500"] : [];
    assert.deepEqual(trace(calls), [`step 0/0: 206 ${runOp} good`, `step 1/1: ${stepFails}`, `step#1 1/1: ${stepFailsLast}`, ...thrown]);
    await isTold(key, onFailure?.step, "out of range", "uncaught");
  });

  test("a function that fails is tried as often as it says", async () => {
    const { run, calls, times, key } = await world().play("e2e/function-fails");
    assert.deepEqual([run.status, run.output.message], ["Failed", "attempt 2"]);
    assert.deepEqual([0, 1, 2, 3].map((n) => times(`body/${n}`)), [1, 1, 1, 0]);
    assert.deepEqual(trace(calls), ["step 0/0: 500", "step#1 0/0: 500", "step#2 0/0: 500"]);
    await isTold(key, onFailure?.body, "attempt 2", "function-fails");
  });

  test("an error that says so is not tried again", async () => {
    const { run, calls, times } = await world().play("e2e/function-final");
    assert.deepEqual([run.status, run.output.message, times("body"), calls.length], ["Failed", "never again", 1, 1]);
  });

  test("sleeps never end early", async () => {
    const { run, times } = await world().play("e2e/sleep");
    assert.equal(run.status, "Completed");
    assert.deepEqual(["before", "between", "after"].map(times), [1, 1, 1]);
    assert.ok(run.output.nap >= 1000, `the nap took ${run.output.nap} ms`);
    assert.ok(run.output.until >= 1500, `it waited for ${run.output.until} ms`);
    assert.ok(run.output.until < 5000, `it waited for ${run.output.until} ms`);
  });

  test("a loop with one step id runs each turn once", async () => {
    const { run } = await world().play("e2e/loop");
    assert.deepEqual([run.status, run.output], ["Completed", [0, 1, 2].map((i) => ({ i, times: 1 }))]);
  });

  test("characters and numbers of every kind survive", async () => {
    const numbers = [1e21, 0.1, 1, 5e-324, -1.5];
    const value = { text: "& < > \u2028 \u0000 / zażółć", "\ufb33": 1, "\u{1F600}": 2, numbers, null: null, deep: [[[{}]]] };
    const { run } = await world().play("e2e/echo", { value });
    assert.deepEqual([run.status, run.output], ["Completed", value]);
  });

  test("events that a step sends start other functions", async () => {
    const { run, key } = await world().play("e2e/parent");
    assert.equal(run.status, "Completed");
    const ids = run.output?.ids ?? run.output;
    // This major of the TypeScript SDK hands back nothing.
    if (Array.isArray(ids)) for (const id of ids) assert.equal((await world().end(id)).status, "Completed");
    await Promise.all([1, 2].map((n) => world().witness.saw(`${key}/child/${n}`)));
    assert.deepEqual([1, 2].map((n) => world().witness.count(`${key}/child/${n}`)), [1, 1]);
  });

  test(mode === "signed" ? "every call is signed, and the server says cloud" : "no call is signed, and the server says dev", async () => {
    await world().play("e2e/echo", { value: 1 });
    const calls = world().toApp.exchanges.filter((e) => e.method === "POST" && e.query.fnId);
    assert.ok(calls.length > 0);
    for (const { headers, text } of calls) {
      if (mode === "signed") assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey));
      else assert.equal(headers["x-inngest-signature"], undefined);
    }
    const { headers } = await fetch(`${world().gateway.origin}/ready`);
    assert.equal(headers.get("x-inngest-server-kind"), mode === "signed" ? "cloud" : "dev");
  });
}

// Three steps at once, then one more, for SDKs that speak request version 2 (reference/02 §16.2): the group costs one call to plan
// it, one for each member, and then one discovery.
export function parallelTests(world) {
  test("parallel steps: one call each, and one discovery when all have ended", async () => {
    const { run, lines, times } = await playHeld(world(), "e2e/parallel", ["c", "a", "b"], [1, 2, 3]);
    assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
    assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
    assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b, StepPlanned c");
    assert.deepEqual(lines.slice(1, 4).sort(), ["a", "b", "c"].map((name) => `${name} 0/0 plan: 206 StepRun ${name}`));
    assert.deepEqual(lines.slice(4), ["step 3/3: 206 StepRun d", "step 4/4: 200"]);
  });

  test("parallel chains: the second members wait for all of the first", async () => {
    const { run, lines, times } = await playHeld(world(), "e2e/chains", ["b1", "a1"], [1, 2]);
    assert.deepEqual([run.status, run.output], ["Completed", ["a1a2", "b1b2"]]);
    assert.deepEqual(["a1", "a2", "b1", "b2"].map(times), [1, 1, 1, 1]);
    assert.equal(lines.length, 7, lines.join("\n"));
    assert.deepEqual(lines[3], "step 2/2: 206 StepPlanned a2, StepPlanned b2");
    assert.deepEqual(lines[6], "step 4/4: 200");
  });

  test("one group after the other", async () => {
    const { run, lines, times } = await playHeld(world(), "e2e/groups", ["b", "a", "d", "c"], [1, 2, 4, 5]);
    assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
    assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
    assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b");
    assert.deepEqual(lines.slice(1, 3).sort(), ["a", "b"].map((name) => `${name} 0/0 plan: 206 StepRun ${name}`));
    assert.equal(lines[3], "step 2/2: 206 StepPlanned c, StepPlanned d");
    assert.deepEqual(lines.slice(4, 6).sort(), ["c", "d"].map((name) => `${name} 2/2 plan: 206 StepRun ${name}`));
    assert.deepEqual(lines.slice(6), ["step 4/4: 200"]);
  });

  test("a step beside a sleep: the discovery after the sleep still plans", async () => {
    const { run, calls } = await world().play("e2e/mixed");
    assert.deepEqual([run.status, run.output], ["Completed", "d"]);
    assert.deepEqual(trace(calls), [
      "step 0/0: 206 StepPlanned a, Sleep nap",
      "a 0/0 plan: 206 StepRun a",
      "step 2/2 plan: 206 StepPlanned d",
      "d 2/2: 206 StepRun d",
      "step 3/3: 200",
    ]);
  });

  test("a member of a group that fails for good is caught once all have ended", async () => {
    const { run, lines, times } = await playHeld(world(), "e2e/parallel-fails", ["good"], [3]);
    assert.deepEqual([run.status, run.output], ["Completed", { problem: "bad member", after: 1 }]);
    assert.deepEqual([times("good"), times("bad"), times("after")], [1, 2, 1]);
    assert.deepEqual(lines.slice(-2), ["step 2/2: 206 StepRun after", "step 3/3: 200"]);
    assert.equal(lines.length, 6, lines.join("\n"));
  });
}

// Waits and invocations.
export function waitTests(world) {
  const begun = async (event, op, data = {}) => {
    const key = word();
    const id = await world().send(event, { key, ...data });
    const runId = await until(async () => (await world().runs(id))[0]?.run_id, "the run has begun");
    await until(() => world().calls(runId).some((c) => c.isDone && c.answerText.includes(`"${op}"`)), `${op} is reported`);
    return { key, id, runId, lines: () => trace(world().calls(runId)) };
  };

  test("a wait ends with the event that fits", async () => {
    const { key, id, lines } = await begun("e2e/wait", "WaitForEvent");
    await world().send("e2e/answer", { key: "another", value: "wrong" });
    await world().send("e2e/answer", { key, value: "right" });
    const run = await world().end(id);
    assert.deepEqual([run.status, run.output], ["Completed", "right"]);
    assert.deepEqual(lines(), ["step 0/0: 206 WaitForEvent answer", "step 1/1: 200"]);
  });

  test("a wait ends without an event when its time is over", async () => {
    const { id, lines } = await begun("e2e/wait", "WaitForEvent", { timeout: 1000 });
    const run = await world().end(id);
    assert.deepEqual([run.status, run.output], ["Completed", null]);
    assert.deepEqual(lines(), ["step 0/0: 206 WaitForEvent answer", "step 1/1: 200"]);
  });

  test("an invoked function's result is the step's", async () => {
    const { run, calls, times } = await world().play("e2e/caller", { value: [1, { a: "ü" }] });
    assert.deepEqual([run.status, run.output], ["Completed", { value: [1, { a: "ü" }], event: "inngest/function.invoked" }]);
    assert.equal(times("callee"), 1);
    assert.deepEqual(trace(calls), ["step 0/0: 206 InvokeFunction call", "step 1/1: 200"]);
  });

  test("an invoked function's failure is the step's, and so is that there is no such function", async () => {
    const failed = await world().play("e2e/caller", { fail: true });
    assert.equal(failed.run.status, "Completed");
    assert.match(failed.run.output.problem, /no such value/);
    const missing = await world().play("e2e/caller", { function: "nobody" });
    assert.equal(missing.run.status, "Completed");
    assert.match(missing.run.output.problem, /function/);
  });
}

// What does not fit into a call (reference/01 §7.6, §9). `authorization`: what the SDK identifies itself with when it fetches. Not
// every SDK fetches: what the Go SDK does not get with the call is lost to it.
export function largeTests(world, { fetches, authorization }) {
  const checkFetches = (runId, calls) => {
    const seen = world().fetchesOf(runId);
    const wanted = calls.flatMap(() => [`actions 200`, `batch 200`]).sort();
    assert.deepEqual(seen.map((f) => `${f.path.split("/").at(-1)} ${f.status}`).sort(), wanted);
    if (authorization) for (const { headers } of seen) assert.equal(headers.authorization, authorization);
  };

  test(`a state too large for a call is ${fetches ? "fetched" : "sent with it all the same"}`, async () => {
    const size = fetches ? 1_000_000 : 3_000_000;
    const { run, calls, times } = await world().play("e2e/large", { count: 5, size });
    assert.deepEqual([run.status, run.output], ["Completed", 5 * size]);
    assert.deepEqual([0, 1, 2, 3, 4].map((n) => times(`text-${n}`)), [1, 1, 1, 1, 1]);
    // Five texts and the count cost a call each, the result one. Four texts of a million bytes fit into one, five do not.
    const withFetch = fetches ? [0, 0, 0, 0, 0, 1, 1] : [0, 0, 0, 0, 0, 0, 0];
    assert.deepEqual(calls.map(({ body }) => Number(body.use_api)), withFetch);
    for (const [i, { body }] of calls.entries()) {
      assert.equal(body.ctx.use_api, body.use_api);
      assert.deepEqual([body.events.length, Object.keys(body.steps).length], [1, body.use_api ? 0 : i]);
      assert.equal(body.ctx.stack.stack.length, i);
    }
    checkFetches(run.run_id, calls.filter((c) => c.body.use_api));
  });

  test(`an event too large to be sent twice in a call is ${fetches ? "fetched" : "sent all the same"}`, async () => {
    const pad = "x".repeat(2_200_000);
    const { run, calls } = await world().play("report/requested", { reportId: "r", email: "ann@example.com", pad });
    assert.deepEqual([run.status, run.output], ["Completed", { reportId: "r", sum: 42 }]);
    assert.equal(calls.length, 4);
    for (const [i, { body }] of calls.entries()) {
      assert.deepEqual([body.use_api, body.ctx.use_api, body.event.data.pad.length], [fetches, fetches, pad.length]);
      assert.deepEqual([body.events.length, Object.keys(body.steps).length], fetches ? [0, 0] : [1, i]);
    }
    checkFetches(run.run_id, fetches ? calls : []);
  });
}
