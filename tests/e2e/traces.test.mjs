// The conversations of reference/02 §16.2 with SDK 3 (request version 1) and 4 (version 2): how many calls parallel steps cost, in whatever
// order they end. Those with SDK 2 are in v2/v2.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { playHeld } from "./lib/sdks.mjs";
import { World } from "./lib/world.mjs";

const permutations = (list) => (list.length < 2 ? [list] : list.flatMap((item, i) => permutations(list.toSpliced(i, 1)).map((rest) => [item, ...rest])));

for (const major of [3, 4]) {
  describe(`traces, SDK ${major}`, { concurrency: true }, () => {
    let world;
    before(async () => {
      world = await World.start({ name: `traces-${major}`, major, checkpointing: "off" });
    });
    after(() => world?.stop());

    for (const order of permutations(["a", "b", "c"])) {
      test(`three steps at once, then one more: they end as ${order.join(", ")}`, async () => {
        const { run, lines, times } = await playHeld(world, "e2e/parallel", order, major === 3 ? [1, 3, 5] : [1, 2, 3]);
        assert.deepEqual([run.status, run.output], ["Completed", ["a", "b", "c", "d"]]);
        assert.deepEqual(["a", "b", "c", "d"].map(times), [1, 1, 1, 1]);
        assert.equal(lines[0], "step 0/0: 206 StepPlanned a, StepPlanned b, StepPlanned c");
        assert.deepEqual(lines.slice(1, 4).sort(), ["a", "b", "c"].map((name) => `${name} 0/0 plan: 206 StepRun ${name}`));
        // Version 1 asks after each what follows, and is told of what has not ended; version 2 asks once.
        const left = (ended) => ["a", "b", "c"].filter((name) => !order.slice(0, ended).includes(name)).map((name) => `StepPlanned ${name}`).join(", ");
        const version1 = [`step 1/1 plan: 206 ${left(1)}`, `step 2/2 plan: 206 ${left(2)}`, "step 3/3 plan: 206 StepPlanned d", "d 3/3 plan: 206 StepRun d", "step 4/4 plan: 200"];
        assert.deepEqual(lines.slice(4), major === 3 ? version1 : ["step 3/3: 206 StepRun d", "step 4/4: 200"]);
      });
    }

    test("two chains, the second is faster", async () => {
      const { run, lines, times } = await playHeld(world, "e2e/chains", ["b1", "a1"], major === 3 ? [1, 4] : [1, 2]);
      assert.deepEqual([run.status, run.output], ["Completed", ["a1a2", "b1b2"]]);
      assert.deepEqual(["a1", "a2", "b1", "b2"].map(times), [1, 1, 1, 1]);
      // Version 1 lets b2 run before a1 has ended; version 2 waits for both and then plans in the order in which they ended.
      assert.deepEqual(lines.slice(3), major === 3
        ? [
          "step 1/1 plan: 206 StepPlanned a1, StepPlanned b2", "b2 1/1 plan: 206 StepRun b2", "step 2/2 plan: 206 StepPlanned a1",
          "step 3/3 plan: 206 StepPlanned a2", "a2 3/3 plan: 206 StepRun a2", "step 4/4 plan: 200",
        ]
        : ["step 2/2: 206 StepPlanned b2, StepPlanned a2", ...lines.slice(4, 6), "step 4/4: 200"]);
      if (major === 4) assert.deepEqual(lines.slice(4, 6).sort(), ["a2 2/2 plan: 206 StepRun a2", "b2 2/2 plan: 206 StepRun b2"]);
    });

    test("a race that the second wins", async () => {
      const [order, settled] = major === 3 ? [["b", "after", "a"], [1, 3, 5]] : [["b", "a"], [1, 2]];
      const { run, lines, times } = await playHeld(world, "e2e/race", order, settled);
      assert.deepEqual([run.status, run.output], ["Completed", ["b", "after"]]);
      assert.deepEqual(["a", "b", "after"].map(times), [1, 1, 1]);
      // Version 1 goes on with the first, whatever the other does; version 2 runs both and then goes on with the one that won.
      assert.deepEqual(lines.slice(3), major === 3
        ? ["step 1/1 plan: 206 StepPlanned a, StepPlanned after", "after 1/1 plan: 206 StepRun after", "step 2/2 plan: 200"]
        : ["step 2/2: 206 StepRun after", "step 3/3: 200"]);
    });
  });
}
