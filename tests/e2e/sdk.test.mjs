// The main job with the real SDKs: both majors, on Node and in workerd, with and without keys, with and without checkpoints.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { values } from "./apps/functions.mjs";
import { sha1, signatureIsValid, until, word } from "./lib/util.mjs";
import { signingKey, summary, World } from "./lib/world.mjs";

const SDKS = [
  { sdk: "inngest 3.54.2", major: 3, checkpointing: "default", isCheckpointing: false },
  { sdk: "inngest 3.54.2 checkpointing", major: 3, checkpointing: "on", isCheckpointing: true },
  { sdk: "inngest 4.24.0", major: 4, checkpointing: "default", isCheckpointing: true },
  { sdk: "inngest 4.24.0 without checkpoints", major: 4, checkpointing: "off", isCheckpointing: false },
];

const wanted = process.env.E2E_ONLY ? new RegExp(process.env.E2E_ONLY) : /./;
const REPORT = ["fetch-data", "generate-report", "notify"];

for (const sdk of SDKS) {
  for (const runtime of ["node", "workerd"]) {
    for (const mode of ["dev", "signed"]) {
      const name = `${sdk.sdk} on ${runtime}, ${mode}`;
      // The app registers by itself on Node; a Worker is registered by the gateway, in band.
      const options = { name, runtime, mode, sync: runtime === "node" ? "app" : "gateway", ...sdk };
      if (wanted.test(name)) describe(name, { concurrency: true }, () => suite(options));
    }
  }
}

function suite({ isCheckpointing, major, mode, ...options }) {
  let world;
  before(async () => {
    world = await World.start({ major, mode, ...options });
  });
  after(() => world?.stop());

  // The counts are those of reference/09 §5.0, and exact.
  test("report pipeline, all fine", async () => {
    const reportId = `r-${word()}`;
    const { run, calls, checkpoints, times } = await world.play("report/requested", { reportId, email: "ann@example.com" });
    assert.equal(run.status, "Completed");
    assert.deepEqual(run.output, { reportId, sum: 42 });
    for (const step of REPORT) assert.equal(times(step), 1, step);
    if (isCheckpointing) {
      assert.deepEqual([calls.length, checkpoints.length], [1, 3]);
      assert.deepEqual(checkpoints.map((c) => c.body.steps.map((s) => s.id)).flat(), REPORT.map(sha1));
      assert.deepEqual(checkpoints.map((c) => c.status), [200, 200, 200]);
    } else {
      assert.equal(checkpoints.length, 0);
      assert.deepEqual(calls.map((c) => summary(c, REPORT)), [
        { attempt: 0, knew: "", answer: "206 StepRun fetch-data" },
        { attempt: 0, knew: "fetch-data", answer: "206 StepRun generate-report" },
        { attempt: 0, knew: "fetch-data generate-report", answer: "206 StepRun notify" },
        { attempt: 0, knew: "fetch-data generate-report notify", answer: `200 ${JSON.stringify({ reportId, sum: 42 })}` },
      ]);
    }
  });

  test("report pipeline, the second step fails once", async () => {
    const reportId = `r-${word()}`;
    const { run, calls, checkpoints, times } = await world.play("report/requested", { reportId, email: "ann@example.com", failOnce: true });
    assert.deepEqual([run.status, run.output], ["Completed", { reportId, sum: 42 }]);
    assert.deepEqual(REPORT.map(times), [1, 2, 1]);
    const expected = !isCheckpointing ? [5, 0] : major === 3 ? [2, 3] : [3, 2];
    assert.deepEqual([calls.length, checkpoints.length], expected);
    assert.deepEqual(calls.map((c) => c.body.ctx.attempt), { "5,0": [0, 0, 1, 0, 0], "2,3": [0, 1], "3,2": [0, 1, 0] }[expected.join()]);
  });

  test("attempt_number_counts_per_step_and_resets", async () => {
    const { run, calls, times } = await world.play("e2e/attempts");
    assert.equal(run.status, "Completed");
    assert.deepEqual([0, 1, 2, 3].map((n) => times(`first/${n}`)), [1, 1, 1, 1]);
    // With checkpoints, SDK 3 goes on to the second step within the last attempt of the first.
    if (major === 3 && isCheckpointing) assert.equal(times("second/3"), 1);
    else assert.deepEqual([0, 1].map((n) => times(`second/${n}`)), [1, 1]);
    for (const call of calls) assert.equal(call.body.ctx.max_attempts, 4);
  });

  test("a failed step is caught by the function", async () => {
    const { run, times } = await world.play("e2e/caught");
    assert.equal(run.status, "Completed");
    assert.deepEqual(run.output.problems.map((p) => p.message), ["plain failure", "final failure"]);
    assert.deepEqual([times("plain"), times("final"), times("after")], [2, 1, 1]);
  });

  test("an uncaught step failure fails the run and calls onFailure once", async () => {
    const { run, times, key } = await world.play("e2e/uncaught");
    assert.equal(run.status, "Failed");
    assert.equal(run.output.message, "out of range");
    assert.deepEqual([times("good"), times("bad")], [1, 2]);
    // SDK 3 does not keep the names of error classes.
    const told = `on-failure: ${major === 3 ? "Error" : "RangeError"}: out of range in apps-uncaught`;
    await world.witness.saw(`${key}/${told}`);
    assert.equal(times(told), 1);
  });

  test("a function that fails is tried as often as it says", async () => {
    const { run, times } = await world.play("e2e/function-fails");
    assert.equal(run.status, "Failed");
    assert.equal(run.output.message, "attempt 2");
    assert.deepEqual([0, 1, 2, 3].map((n) => times(`body/${n}`)), [1, 1, 1, 0]);
  });

  test("an error that says so is not tried again", async () => {
    const { run, times, calls } = await world.play("e2e/function-final");
    assert.deepEqual([run.status, run.output.message, times("body"), calls.length], ["Failed", "never again", 1, 1]);
  });

  test("retry_after_is_honoured_for_step_errors_in_every_mode", async () => {
    const { run, calls, times } = await world.play("e2e/retry-after");
    assert.deepEqual([run.status, run.output, times("wait")], ["Completed", "late", 2]);
    const gap = calls[1].at - calls[0].at;
    // Whole seconds, counted from the beginning of the present one (reference/02 §5.4). SDK 3 does not say when, if it checkpoints: the
    // usual interval counts.
    const least = major === 3 && isCheckpointing ? 900 : 1950;
    assert.ok(gap >= least && gap < 6000, `the second attempt came after ${gap} ms: ${JSON.stringify(calls[0].answerHeaders)} ${calls[0].answerText}`);
  });

  test("sleeps never end early", async () => {
    const { run, times } = await world.play("e2e/sleep");
    assert.equal(run.status, "Completed");
    assert.deepEqual(["before", "between", "after"].map(times), [1, 1, 1]);
    assert.ok(run.output.nap >= 1000, `the nap took ${run.output.nap} ms`);
    assert.ok(run.output.until >= 1500, `it waited for ${run.output.until} ms`);
    assert.ok(run.output.until < 5000, `it waited for ${run.output.until} ms`);
  });

  test("loop_with_repeated_step_id_runs_each_iteration_once", async () => {
    const { run } = await world.play("e2e/loop");
    assert.deepEqual([run.status, run.output], ["Completed", [0, 1, 2].map((i) => ({ i, times: 1 }))]);
  });

  test("values of every JSON kind are kept as they are", async () => {
    const sent = { ...values, long: "kept by the other one" };
    const { run } = await world.play("e2e/values", { sent });
    assert.equal(run.status, "Completed");
    for (const [name, value] of Object.entries(values)) assert.deepEqual(run.output.kept[name], value, name);
    assert.deepEqual(run.output.sent, sent);
    assert.equal(run.output.nothing ?? null, null);
    assert.equal(run.output.date, "1970-01-01T00:00:00.000Z");
  });

  test("html_sensitive_characters_verify_in_every_sdk", async () => {
    const value = { text: "& < > \u2028 \u0000 /", "\ufb33": 1, "\u{1F600}": 2, numbers: [1e21, 0.1, 1, -0, 5e-324] };
    const { run } = await world.play("e2e/echo", { value });
    assert.deepEqual([run.status, run.output], ["Completed", JSON.parse(JSON.stringify(value))]);
  });

  test("unpaired_surrogate_in_event_becomes_replacement_character", async () => {
    const key = word();
    const text = String.raw`"\ud83dé \ud83d\u0041 x\ud83d"`;
    const { ids } = await world.post(`{"name":"e2e/echo","data":{"witness":"${world.witness.url}","key":"${key}","value":${text}}}`);
    const run = await world.end(ids[0]);
    assert.deepEqual([run.status, run.output], ["Completed", "\ufffdé \ufffdA x\ufffd"]);
  });

  test("events that a step sends start other functions", async () => {
    const { run, key } = await world.play("e2e/parent");
    assert.equal(run.status, "Completed");
    assert.equal(run.output.length, 2);
    for (const id of run.output) assert.equal((await world.end(id)).status, "Completed");
    assert.deepEqual([1, 2].map((n) => world.witness.count(`${key}/child/${n}`)), [1, 1]);
  });

  test("a signal that one run sends wakes another", async () => {
    const to = word();
    const id = await world.send("e2e/signalled", { key: to });
    const runId = await until(async () => (await world.runs(id))[0]?.run_id, "the run has begun");
    await until(() => world.calls(runId).some((c) => c.isDone && /"WaitForSignal"/.test(c.answerText)), "the wait is reported");
    const { run: sender, key } = await world.play("e2e/signal", { to });
    assert.deepEqual([sender.status, sender.output], ["Completed", "sent"]);
    const run = await world.end(id);
    assert.deepEqual([run.status, run.output], ["Completed", { signal: `signal-${to}`, data: { from: key } }]);
    const late = await world.end(await world.send("e2e/signalled", { key: word(), timeout: "1s" }));
    assert.deepEqual([late.status, late.output], ["Completed", null]);
  });

  test("streamed answers", async () => {
    const { run, calls, times } = await world.play("e2e/streamed");
    assert.equal(run.status, "Completed");
    assert.equal(run.output.slow, "zażółć");
    assert.deepEqual([times("first"), times("slow")], [1, 1]);
    for (const call of calls) assert.equal(call.status, 201);
    assert.ok(calls.some((c) => /^\s+\{/.test(c.answerText)), "no answer began with a heartbeat");
  });

  test(mode === "signed" ? "every request is signed, and the server says cloud" : "no request is signed, and the server says dev", async () => {
    await world.play("e2e/echo", { value: 1 });
    const asked = world.toApp.exchanges.filter((e) => e.query.fnId || e.headers["x-inngest-sync-kind"]);
    assert.ok(asked.length > 0);
    for (const { method, headers, text } of asked) {
      // Calls do not say it (reference/01 §3).
      if (method === "PUT") assert.equal(headers["x-inngest-server-kind"], mode === "signed" ? "cloud" : "dev");
      if (mode === "signed") assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey), `${method} is not signed`);
      else assert.equal(headers["x-inngest-signature"], undefined);
    }
  });
}
