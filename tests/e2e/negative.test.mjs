// What goes wrong around a Worker (reference/09 §5.8): each time the run still ends as it should, or says why it cannot. A Worker that is
// killed during a step is in kill.test.mjs.
import assert from "node:assert/strict";
import http from "node:http";
import { describe, test } from "node:test";
import zlib from "node:zlib";
import { close, listen, readAll, signatureIsValid, until, word } from "./lib/util.mjs";
import { signingKey, World } from "./lib/world.mjs";

// A world for one test; `Kind` may bring its own.
function inWorld(name, { Kind = World, ...options }, body) {
  test(name, async () => {
    const world = await Kind.start({ name, runtime: "workerd", sync: "gateway", ...options });
    try {
      await body(world);
    } finally {
      await world.stop();
    }
  });
}

const isCheckpoint = ({ path }) => path.startsWith("/v1/checkpoint/");
const otherKey = `signkey-prod-${"fedcba9876543210".repeat(4)}`;

describe("around a Worker", { concurrency: 4 }, () => {
  for (const status of [404, 500]) {
    inWorld(`a checkpoint that is answered with ${status} is tried five times, and then the step comes with the answer`, {}, async (world) => {
      world.toGateway.meddle = (exchange) => isCheckpoint(exchange) && { status, text: '{"error":"not today"}' };
      const { run, calls, checkpoints, times } = await world.play("e2e/two-steps");
      assert.deepEqual([run.status, run.output, times("a"), times("b")], ["Completed", [1, 1], 1, 1]);
      // Two steps, each told in vain and then reported; then the result.
      assert.deepEqual(calls.map((c) => `${c.body.ctx.attempt} ${c.status} ${c.answer.map((op) => op.op)}`), ["0 206 StepRun", "0 206 StepRun", "0 206 RunComplete"]);
      assert.equal(checkpoints.length, 10);
    });
  }

  inWorld("a checkpoint that is answered with 409 ends the call, and the run goes on", {}, async (world) => {
    let count = 0;
    world.toGateway.meddle = (exchange) => isCheckpoint(exchange) && count++ === 0 && { status: 409, text: '{"error":"stale"}' };
    const { run, calls, times } = await world.play("e2e/two-steps");
    assert.deepEqual([run.status, run.output[1], times("a"), times("b")], ["Completed", 1, 2, 1]);
    assert.deepEqual([calls[0].status, calls[0].answer.name, calls[0].answerHeaders["x-inngest-no-retry"]], [400, "StaleDispatchError", "true"]);
  });

  inWorld("a call that was made again after a crash owns its run: checkpoints of the first one are refused", {}, async (world) => {
    const key = word();
    world.witness.hold(`${key}/held`);
    const id = await world.send("e2e/held", { key });
    await world.witness.saw(`${key}/held`);
    await world.gateway.kill();
    await world.startGateway();
    await world.witness.saw(`${key}/held`, 2);
    world.witness.release(`${key}/held`);
    const run = await world.end(id);
    assert.deepEqual([run.status, run.output.first, run.output.last], ["Completed", 1, 1]);
    const told = world.checkpoints(run.run_id).map((c) => c.status);
    assert.ok(told.includes(409) || world.calls(run.run_id)[0].isCut, JSON.stringify(told));
  });

  inWorld("a step longer than a call may checkpoint for: the next one is planned", {}, async (world) => {
    const { run, calls, checkpoints, times } = await world.play("e2e/slow-step", { slow_ms: 10_600 });
    assert.deepEqual([run.status, run.output, times("slow"), times("next")], ["Completed", 1, 1, 1]);
    assert.equal(checkpoints[0].body.steps.length, 1);
    assert.deepEqual([calls[0].status, calls[0].answer.map((op) => op.op)], [206, ["StepPlanned"]]);
  });

  inWorld("a streamed answer with two heartbeats", {}, async (world) => {
    const { run, calls, times } = await world.play("e2e/streamed", { slow_ms: 6500 });
    assert.deepEqual([run.status, times("slow")], ["Completed", 1]);
    const [first] = calls;
    assert.equal(first.status, 201);
    assert.match(first.answerText, /^ {2}\{/);
  });

  inWorld("a wrong signature is refused, plainly and in a stream", { mode: "signed" }, async (world) => {
    await world.app.stop();
    await world.startApp({ INNGEST_SIGNING_KEY: otherKey });
    for (const [event, status, data] of [["e2e/echo", 401, { value: 1 }], ["e2e/streamed", 201, {}]]) {
      const { run, calls } = await world.play(event, data);
      assert.equal(run.status, "Failed");
      assert.match(JSON.stringify(run.output), /sign/i, JSON.stringify([run.output, calls[0].answerText]));
      for (const call of calls) assert.equal(call.status, status);
      if (status === 201) assert.equal(JSON.parse(calls[0].answerText).status, 401);
    }
  });

  for (const [broken, status] of [["missing", 404], ["throws", 500], ["hangs", 500]]) {
    inWorld(`a Worker whose route ${broken === "missing" ? "is missing" : broken} is asked again`, {}, async (world) => {
      await world.app.stop();
      await world.startApp({ BROKEN: broken });
      const key = word();
      const id = await world.send("e2e/echo", { key, value: 1 });
      const mine = () => world.toApp.exchanges.filter((e) => e.body?.event?.data?.key === key && e.isDone);
      await until(() => mine().length > 0, "the first attempt");
      await world.app.stop();
      await world.startApp();
      assert.equal((await world.end(id)).status, "Completed");
      const [first, ...more] = mine();
      assert.deepEqual([first.status, first.answerHeaders["x-inngest-sdk"]], [status, undefined]);
      assert.ok(more.some((call) => call.body.ctx.attempt > 0 && call.status === 206));
    });
  }

  class MovedWorld extends World {
    get appUrls() {
      return ["inngest", "streamed"].map((name) => `${this.toApp.origin}/moved/${name}`);
    }
  }
  inWorld("a path that redirects with 307", { Kind: MovedWorld, mode: "signed" }, async (world) => {
    const { run, calls } = await world.play("e2e/two-steps");
    assert.deepEqual([run.status, run.output], ["Completed", [1, 1]]);
    assert.deepEqual(calls.map((c) => `${c.path} ${c.status}`), ["/moved/inngest 307", "/api/inngest 206"]);
    for (const { headers, text } of calls) assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey));
  });

  const bare = { major: 3, mode: "signed", gateway: { command: "start" }, app: { settings: { INNGEST_DEV: undefined } } };
  inWorld("a Worker with SDK 3 that takes itself for a dev app, though it has a key", bare, async (world) => {
    const { run, calls } = await world.play("report/requested", { reportId: word(), email: "ann@example.com" });
    assert.deepEqual([run.status, run.output.sum], ["Completed", 42]);
    for (const { headers, text, answerHeaders } of calls) {
      assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey));
      assert.equal(answerHeaders["x-inngest-signature"], undefined);
    }
  });

  inWorld("an answer in gzip", {}, async (world) => {
    const { target } = world.toApp;
    const server = http.createServer(async (req, res) => {
      const body = await readAll(req);
      const { method, headers: { connection, ...headers } } = req;
      const answer = await fetch(`http://${target.host}:${target.port}${req.url}`, { method, headers, body: method === "GET" ? undefined : body });
      const text = zlib.gzipSync(Buffer.from(await answer.arrayBuffer()));
      res.writeHead(answer.status, { ...Object.fromEntries(answer.headers), "content-encoding": "gzip", "content-length": text.length }).end(text);
    });
    world.toApp.target = { host: "127.0.0.1", port: await listen(server) };
    try {
      const { run, calls } = await world.play("e2e/two-steps");
      assert.deepEqual([run.status, run.output], ["Completed", [1, 1]]);
      for (const call of calls) assert.equal(call.answerHeaders["content-encoding"], "gzip");
    } finally {
      await close(server);
    }
  });
});
