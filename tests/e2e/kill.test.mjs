// Either side is killed with SIGKILL in the middle of a run, and the run still ends right.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until, word } from "./lib/util.mjs";
import { World } from "./lib/world.mjs";

const CASES = [
  { name: "kill, inngest 3.54.2 on node, dev", major: 3, runtime: "node", mode: "dev" },
  { name: "kill, inngest 4.24.0 on node, signed", major: 4, runtime: "node", mode: "signed" },
  { name: "kill, inngest 4.24.0 in workerd, dev", major: 4, runtime: "workerd", mode: "dev" },
  { name: "kill, inngest 4.24.0 in workerd without checkpoints, signed", major: 4, runtime: "workerd", mode: "signed", checkpointing: "off" },
];

for (const options of CASES) {
  describe(options.name, () => {
    let world;
    before(async () => {
      world = await World.start(options);
    });
    after(() => world?.stop());

    const restartGateway = async () => {
      await world.gateway.kill();
      await world.startGateway();
    };
    const isRight = (run) => assert.deepEqual([run.status, run.output.first, run.output.last], ["Completed", 1, 1]);

    test("the gateway dies while a step runs", async () => {
      const key = word();
      world.witness.hold(`${key}/held`);
      const id = await world.send("e2e/held", { key });
      await world.witness.saw(`${key}/held`);
      await world.gateway.kill();
      world.witness.release(`${key}/held`);
      await world.startGateway();
      isRight(await world.end(id));
      // The answer of the call in flight was lost with the connection, so its step is repeated; the one before is not.
      assert.equal(world.witness.count(`${key}/first`), 1);
      assert.ok(world.witness.count(`${key}/held`) <= 2);
      assert.equal(world.witness.count(`${key}/last`), 1);
    });

    test("the gateway dies while a run sleeps", async () => {
      const key = word();
      const id = await world.send("e2e/held", { key, nap: "2s" });
      await world.witness.saw(`${key}/held`);
      const { run_id: runId } = (await world.runs(id))[0];
      await until(() => world.calls(runId).some((c) => c.isDone && /"Sleep"/.test(c.answerText)), "the sleep is reported");
      await restartGateway();
      isRight(await world.end(id));
      assert.deepEqual(["first", "held", "last"].map((step) => world.witness.count(`${key}/${step}`)), [1, 1, 1]);
    });

    test("the gateway dies between two attempts, and the attempts are not forgotten", async () => {
      const key = word();
      const id = await world.send("e2e/function-fails", { key });
      await world.witness.saw(`${key}/body/0`);
      await restartGateway();
      const run = await world.end(id);
      assert.deepEqual([run.status, run.output.message], ["Failed", "attempt 2"]);
      // The call that was in flight may have been made twice.
      assert.ok(world.witness.count(`${key}/body/0`) <= 2);
      assert.deepEqual([1, 2, 3].map((n) => world.witness.count(`${key}/body/${n}`)), [1, 1, 0]);
    });

    test("every_live_run_moves_again_after_kill", async () => {
      const keys = Array.from({ length: 30 }, word);
      const { ids } = await world.post(keys.map((key) => ({ name: "e2e/held", data: { witness: world.witness.url, key } })));
      await world.witness.saw(`${keys[0]}/first`);
      await restartGateway();
      await world.witness.saw(`${keys[1]}/held`);
      await restartGateway();
      for (const id of ids) assert.equal((await world.end(id)).status, "Completed");
      for (const key of keys) assert.ok(world.witness.count(`${key}/last`) >= 1);
    });

    test("every_live_run_moves_again_after_kill: those that execute, sleep, wait, invoke and retry", async () => {
      const ten = () => Array.from({ length: 10 }, word);
      const groups = { held: ten(), nap: ten(), wait: ten(), invoke: ten(), retry: ten() };
      const data = (key) => ({ witness: world.witness.url, key });
      const { ids } = await world.post([
        ...groups.held.map((key) => ({ name: "e2e/held", data: data(key) })),
        ...groups.nap.map((key) => ({ name: "e2e/held", data: { ...data(key), nap: "3s" } })),
        ...groups.wait.map((key) => ({ name: "expense/submitted", data: { ...data(key), expenseId: key } })),
        ...groups.invoke.map((key) => ({ name: "digest/requested", data: data(key) })),
        ...groups.retry.map((key) => ({ name: "e2e/function-fails", data: data(key) })),
      ].map((event) => {
        const held = { "e2e/held": "held", "digest/requested": "render" }[event.name];
        if (held && !groups.nap.includes(event.data.key)) world.witness.hold(`${event.data.key}/${held}`);
        return event;
      }));
      const reported = (op) => world.toApp.exchanges.filter((e) => e.isDone && e.answerText?.includes(`"${op}"`) && e.body?.event).map((e) => e.body.event.data.key);
      for (const key of groups.held) await world.witness.saw(`${key}/held`);
      for (const key of groups.invoke) await world.witness.saw(`${key}/render`);
      for (const key of groups.retry) await world.witness.saw(`${key}/body/0`);
      await until(() => groups.wait.every((key) => reported("WaitForEvent").includes(key)), "all waits are reported");
      await until(() => groups.nap.every((key) => reported("Sleep").includes(key)), "all sleeps are reported");
      await restartGateway();
      for (const key of groups.held) world.witness.release(`${key}/held`);
      for (const key of groups.invoke) world.witness.release(`${key}/render`);
      for (const key of groups.wait) await world.send("expense/decided", { expenseId: key, approved: true });
      const runs = await Promise.all(ids.map((id) => world.end(id)));
      assert.deepEqual(runs.map((run) => run.status), [...Array(40).fill("Completed"), ...Array(10).fill("Failed")]);
      for (const key of groups.wait) assert.equal(world.witness.count(`${key}/pay`), 1);
      for (const key of groups.invoke) assert.ok(world.witness.count(`${key}/render`) <= 2);
    });

    test("same_event_id_runs_each_function_once_across_restart", async () => {
      const [key, id] = [word(), word()];
      const first = await world.send("e2e/echo", { key, value: 1 }, { id });
      await world.end(first);
      await restartGateway();
      const second = await world.send("e2e/echo", { key, value: 1 }, { id });
      // The runs of a later event show that this one has been looked at.
      await world.play("e2e/echo", { value: 2 });
      const all = [...(await world.runs(first)), ...(second === first ? [] : await world.runs(second))];
      assert.equal(all.length, 1);
    });

    test("the app dies while a step runs", async () => {
      const key = word();
      world.witness.hold(`${key}/held`);
      const id = await world.send("e2e/held", { key });
      await world.witness.saw(`${key}/held`);
      await world.app.kill();
      world.witness.release(`${key}/held`);
      await world.startApp();
      isRight(await world.end(id));
      assert.deepEqual(["first", "held", "last"].map((step) => world.witness.count(`${key}/${step}`)), [1, 2, 1]);
    });

    test("SIGTERM lets the call in flight end and exits with 0", async () => {
      const key = word();
      world.witness.hold(`${key}/held`);
      const id = await world.send("e2e/held", { key });
      await world.witness.saw(`${key}/held`);
      const stopped = world.gateway.stop();
      world.witness.release(`${key}/held`);
      assert.deepEqual(await stopped, { code: 0, signal: null });
      await world.startGateway();
      isRight(await world.end(id));
      assert.equal(world.witness.count(`${key}/held`), 1);
    });
  });
}
