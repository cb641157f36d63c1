// The older major of the TypeScript SDK, 2.7.2: request version 0, no errors of steps, no checkpoints.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bearer } from "../lib/util.mjs";
import { eventKey, signingKey } from "../lib/world.mjs";
import { commonTests, largeTests, playHeld, SdkWorld, trace } from "../lib/sdks.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

// This major knows none of the usual variables, and checks signatures only if it believes to be in production.
const settings = ({ mode, toGateway: { origin } }) => ({
  INNGEST_API_BASE_URL: origin,
  ...(mode === "signed" ? { NODE_ENV: "production", INNGEST_SIGNING_KEY: signingKey, INNGEST_EVENT_KEY: eventKey } : { INNGEST_DEVSERVER_URL: origin }),
});

for (const mode of ["dev", "signed"]) {
  describe(`inngest 2.7.2, ${mode}`, { concurrency: true }, () => {
    let world;
    before(async () => {
      const command = [process.execPath, "--no-warnings", path.join(here, "app.mjs")];
      world = await SdkWorld.start({ name: `v2-${mode}`, mode, app: { command, settings } });
    });
    after(() => world?.stop());

    commonTests(() => world, {
      mode,
      runOp: "Step",
      stepFails: "500",
      stepFailsLast: "500",
      failure: { name: "RangeError", message: "out of range" },
      onFailure: { step: "RangeError", body: "Error" },
    });
    largeTests(() => world, { fetches: true, authorization: mode === "signed" ? bearer(signingKey) : undefined });

    test("parallel steps: one call each, and one discovery after each (reference/02 §16.2)", async () => {
      // Each is let go when the discovery after the one before has been answered.
      const { run, lines, times } = await playHeld(world, "e2e/parallel", ["a", "b", "c"], [1, 3, 5]);
      assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
      assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
      assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b, StepPlanned c");
      assert.deepEqual(lines.slice(1, 4).sort(), ["a 0/0 plan: 206 Step a", "b 0/0 plan: 206 Step b", "c 0/0 plan: 206 Step c"]);
      assert.deepEqual(lines.slice(4), [
        "step 1/1 plan: 206",
        "step 2/2 plan: 206",
        "step 3/3 plan: 206 Step d",
        "step 4/4 plan: 200",
      ]);
    });

    test("parallel chains: a second member begins when its first has ended", async () => {
      const { run, lines, times } = await playHeld(world, "e2e/chains", ["b1", "b2", "a1", "a2"], [1, 2, 4, 5]);
      assert.deepEqual([run.status, run.output], ["Completed", ["a1a2", "b1b2"]]);
      assert.deepEqual(["a1", "a2", "b1", "b2"].map(times), [1, 1, 1, 1]);
      assert.equal(lines[0], "step 0/0: 206 StepPlanned a1, StepPlanned b1");
      assert.deepEqual(lines.slice(1, 3).sort(), ["a1 0/0 plan: 206 Step a1", "b1 0/0 plan: 206 Step b1"]);
      // What is the only new step is run at once, whatever the server says.
      assert.deepEqual(lines.slice(3), ["step 1/1 plan: 206 Step b2", "step 2/2 plan: 206", "step 3/3 plan: 206 Step a2", "step 4/4 plan: 200"]);
    });

    test("one group after the other", async () => {
      const { run, lines, times } = await playHeld(world, "e2e/groups", ["b", "a", "d", "c"], [1, 3, 5, 7]);
      assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
      assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
      assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b");
      assert.deepEqual(lines.slice(3, 5), ["step 1/1 plan: 206", "step 2/2 plan: 206 StepPlanned c, StepPlanned d"]);
      assert.deepEqual(lines.slice(5, 7).sort(), ["c 2/2 plan: 206 Step c", "d 2/2 plan: 206 Step d"]);
      assert.deepEqual(lines.slice(7), ["step 3/3 plan: 206", "step 4/4 plan: 200"]);
    });

    test("a race goes on with the first", async () => {
      const { run, lines } = await playHeld(world, "e2e/race", ["b", "after", "a"], [1, 2, 4]);
      assert.deepEqual([run.status, run.output], ["Completed", ["b", "after"]]);
      assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b");
      assert.deepEqual(lines.slice(1, 3).sort(), ["a 0/0 plan: 206 Step a", "b 0/0 plan: 206 Step b"]);
      // This major says that it has ended only when the other has, too.
      assert.deepEqual(lines.slice(3), ["step 1/1 plan: 206 Step after", "step 2/2 plan: 206", "step 3/3 plan: 200"]);
    });

    test("a step beside a sleep", async () => {
      const { run, calls } = await world.play("e2e/mixed");
      assert.deepEqual([run.status, run.output], ["Completed", "d"]);
      assert.deepEqual(trace(calls), [
        "step 0/0: 206 StepPlanned a, Sleep 1s",
        "a 0/0 plan: 206 Step a",
        "step 1/1 plan: 206",
        "step 2/2 plan: 206 Step d",
        "step 3/3 plan: 200",
      ]);
    });

    test("a member of a group that fails for good fails the run", async () => {
      const { run, calls, times } = await world.play("e2e/parallel-fails");
      assert.deepEqual([run.status, run.output.message], ["Failed", "bad member"]);
      assert.deepEqual([times("good"), times("bad")], [1, 2]);
      const lines = trace(calls);
      assert.equal(lines[0], "step 0/0: 206 StepPlanned good, StepPlanned bad");
      assert.deepEqual(lines.filter((line) => line.startsWith("bad")), ["bad 0/0 plan: 500", "bad#1 0/1 plan: 500"]);
    });

    test("an error in a step that says so is not tried again", async () => {
      const { run, calls, times } = await world.play("e2e/step-final");
      assert.deepEqual([run.status, run.output.message, times("final")], ["Failed", "final failure", 1]);
      assert.deepEqual(trace(calls), ["step 0/0: 400"]);
    });

    test("a function without a result has none", async () => {
      const { run, calls } = await world.play("e2e/nothing");
      assert.deepEqual([run.status, run.output ?? null, calls.length], ["Completed", null, 1]);
    });
  });
}
