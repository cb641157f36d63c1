// The Go SDK: the last release that registers itself without a signature, and the first that refuses that; with and without
// checkpoints, for which it must be configured.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildDir, cleanEnvironment } from "../lib/processes.mjs";
import { commonTests, largeTests, parallelTests, SdkWorld, trace, usualSettings, waitTests } from "../lib/sdks.mjs";
import { bearer, sha1, until, word } from "../lib/util.mjs";
import { signingKey } from "../lib/world.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const REPORT = ["fetch-data", "generate-report", "notify"];

const built = spawnSync(path.join(here, "build"), { env: { ...cleanEnvironment(), SG_BUILDDIR: buildDir }, encoding: "utf8" });
// Only a machine that has no Go and cannot get one may go without these tests.
const skip = built.status === 69 ? `the Go SDK is not tested: ${built.stderr.trim()}` : false;
if (skip) console.log(skip);

async function start({ name, version, mode, checkpointing = "off", sync, more }) {
  assert.equal(built.status, 0, built.stderr);
  return SdkWorld.start({
    name, mode, sync,
    app: {
      command: [path.join(buildDir, `e2e/go/app-${version}`)],
      paths: ["/api/inngest", "/api/streamed"],
      settings: (of) => ({ ...usualSettings(of), CHECKPOINTING: checkpointing, ...more }),
    },
  });
}

for (const version of ["0.15.1", "0.16.0"]) {
  for (const mode of ["dev", "signed"]) {
    describe(`Go ${version}, ${mode}`, { concurrency: true, skip }, () => {
      let world;
      before(async () => {
        // 0.16 takes no unsigned request to register: with keys, only the gateway can have it done.
        const sync = mode === "signed" && version === "0.16.0" ? "gateway" : "app";
        world = await start({ name: `go-${version}-${mode}`, version, mode, sync });
      });
      after(() => world?.stop());

      commonTests(() => world, {
        mode,
        runOp: "StepRun",
        stepFails: "206 StepError bad",
        stepFailsLast: "206 StepFailed bad",
        failure: { message: "unhandled step error: out of range" },
      });
      parallelTests(() => world);
      waitTests(() => world);

      test("a wait for a signal ends with what the signal brings", async () => {
        const key = word();
        const id = await world.send("e2e/signalled", { key });
        const send = async () => {
          const headers = mode === "signed" ? { authorization: bearer(signingKey) } : {};
          const body = JSON.stringify({ signal: `signal-${key}`, data: { by: "ann" } });
          return (await fetch(`${world.gateway.origin}/v1/signals`, { method: "POST", headers, body })).status === 200;
        };
        await until(send, "somebody waits for the signal");
        const run = await world.end(id);
        assert.deepEqual([run.status, run.output], ["Completed", { signal: `signal-${key}`, data: { by: "ann" } }]);
      });
      largeTests(() => world, { fetches: false });

      test("a failed step is caught by the function, and its value is kept", async () => {
        const { run, calls, times } = await world.play("e2e/caught");
        assert.equal(run.status, "Completed");
        assert.deepEqual(run.output, { problems: ["plain failure", "kept by plain", "final failure", "kept by final"], after: 1 });
        assert.deepEqual([times("plain"), times("final")], [2, 1]);
        assert.deepEqual(trace(calls), [
          "step 0/0: 206 StepError plain",
          "step#1 0/0: 206 StepFailed plain",
          "step 1/1: 206 StepFailed final",
          "step 2/2: 206 StepRun after",
          "step 3/3: 200",
        ]);
      });

      test("a time that an error names for the next attempt counts", async () => {
        const { run, calls, times } = await world.play("e2e/retry-after");
        assert.deepEqual([run.status, run.output, times("wait")], ["Completed", "late", 2]);
        const gap = calls[1].at - calls[0].at;
        assert.ok(gap >= 2900 && gap < 7000, `the second attempt came after ${gap} ms`);
      });

      test("streamed answers", async () => {
        const { run, calls, times } = await world.play("e2e/streamed");
        assert.deepEqual([run.status, run.output], ["Completed", { first: 1, slow: "zażółć", attempt: 1 }]);
        assert.deepEqual([times("first"), times("slow")], [1, 1]);
        assert.deepEqual(calls.map((c) => [c.status, c.answer.status]), [[201, 206], [201, 206], [201, 500], [201, 200]]);
        assert.ok(calls.some((c) => /^ +\{/.test(c.answerText)), "no answer began with a heartbeat");
      });
    });
  }
}

for (const version of ["0.15.1", "0.16.0"]) {
  for (const [checkpointing, mode] of [["on", "dev"], ["on", "signed"], ["buffered", "dev"]]) {
    describe(`Go ${version}, checkpointing ${checkpointing}, ${mode}`, { concurrency: true, skip }, () => {
      let world;
      before(async () => {
        const sync = mode === "signed" && version === "0.16.0" ? "gateway" : "app";
        world = await start({ name: `go-${version}-${checkpointing}-${mode}`, version, mode, checkpointing, sync });
      });
      after(() => world?.stop());

      const report = (more) => world.play("report/requested", { reportId: `r-${word()}`, email: "ann@example.com", ...more });
      const kept = (checkpoints) => checkpoints.map((c) => c.body.steps.map((s) => s.id));
      const ids = (...groups) => groups.map((names) => names.map(sha1));

      test("report pipeline", async () => {
        const { run, calls, checkpoints, times } = await report();
        assert.deepEqual([run.status, run.output.sum], ["Completed", 42]);
        assert.deepEqual(REPORT.map(times), [1, 1, 1]);
        for (const { status } of checkpoints) assert.equal(status, 200);
        if (checkpointing === "on") {
          assert.deepEqual(trace(calls), ["step 0/0: 200"]);
          assert.deepEqual(kept(checkpoints), ids(["fetch-data"], ["generate-report"], ["notify"]));
        } else {
          // What is left over goes with the answer, which then says nothing of the result.
          assert.deepEqual(trace(calls), ["step 0/0: 206 StepRun notify", "step 3/3: 200"]);
          assert.deepEqual(kept(checkpoints), ids(["fetch-data", "generate-report"]));
        }
      });

      test("a step that fails once is called once more", async () => {
        const { run, calls, checkpoints, times } = await report({ failOnce: true });
        assert.deepEqual([run.status, run.output.sum], ["Completed", 42]);
        if (checkpointing === "on") {
          assert.deepEqual(REPORT.map(times), [1, 2, 1]);
          assert.deepEqual(trace(calls), ["step 0/0: 206 StepError generate-report", "step#1 0/1: 200"]);
          assert.deepEqual(kept(checkpoints), ids(["fetch-data"], ["generate-report"], ["notify"]));
        } else {
          // A step that fails while others wait in the buffer takes them with it: this SDK then answers as if the function had failed.
          assert.deepEqual(REPORT.map(times), [2, 2, 1]);
          assert.deepEqual(trace(calls), ["step 0/0: 500", "step#1 0/0: 206 StepRun notify", "step 3/3: 200"]);
          assert.deepEqual(kept(checkpoints), ids(["fetch-data", "generate-report"]));
        }
      });

      test("the checkpoint carries the raw key", async () => {
        const { checkpoints } = await report();
        const expected = mode === "signed" ? `Bearer ${signingKey}` : "Bearer";
        for (const { headers, status } of checkpoints) assert.deepEqual([headers.authorization.trim(), status], [expected, 200]);
      });

      test("a failed step is caught by the function", async () => {
        const { run } = await world.play("e2e/caught");
        assert.equal(run.status, "Completed");
        assert.deepEqual(run.output, { problems: ["plain failure", "kept by plain", "final failure", "kept by final"], after: 1 });
      });

      test("sleeps end the call, and it goes on with checkpoints after them", async () => {
        const { run, calls, checkpoints, times } = await world.play("e2e/sleep");
        assert.equal(run.status, "Completed");
        assert.deepEqual(["before", "between", "after"].map(times), [1, 1, 1]);
        if (checkpointing === "on") {
          assert.deepEqual(trace(calls), ["step 0/0: 206 Sleep nap", "step 2/2: 206 Sleep until", "step 4/4: 200"]);
          assert.equal(checkpoints.length, 3);
        }
      });

      test("a group is planned and called one by one, without checkpoints; what follows it has them", async () => {
        const { run, calls, checkpoints, times } = await world.play("e2e/parallel");
        assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
        assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
        const lines = trace(calls);
        assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b, StepPlanned c");
        assert.deepEqual(lines.slice(4), checkpointing === "on" ? ["step 3/3: 200"] : ["step 3/3: 206 StepRun d", "step 4/4: 200"]);
        assert.equal(checkpoints.length, checkpointing === "on" ? 1 : 0);
      });

      test("large checkpoints", async () => {
        const { run, calls, checkpoints, times } = await world.play("e2e/large", { count: 5, size: 1_000_000 });
        assert.deepEqual([run.status, run.output], ["Completed", 5_000_000]);
        assert.deepEqual([0, 1, 2, 3, 4].map((n) => times(`text-${n}`)), [1, 1, 1, 1, 1]);
        assert.deepEqual([calls.length, checkpoints.length], checkpointing === "on" ? [1, 6] : [1, 3]);
      });
    });
  }
}

test("Go: checkpoints of an app whose first key the gateway does not know come with its second", { skip }, async () => {
  const more = { INNGEST_SIGNING_KEY: signingKey.replaceAll("0", "1"), INNGEST_SIGNING_KEY_FALLBACK: signingKey };
  const world = await start({ name: "go-fallback", version: "0.15.1", mode: "signed", checkpointing: "on", more });
  try {
    const { run, calls, checkpoints } = await world.play("report/requested", { reportId: "r", email: "ann@example.com" });
    assert.equal(run.status, "Completed");
    assert.deepEqual(trace(calls), ["step 0/0: 200"]);
    assert.deepEqual(checkpoints.map((c) => c.status), [401, 200, 200, 200]);
    assert.equal(checkpoints[1].headers.authorization, `Bearer ${signingKey}`);
  } finally {
    await world.stop();
  }
});
