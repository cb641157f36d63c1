// Requests that the gateway makes for steps: step.fetch and step.ai.infer (reference/02 §10), and where they may not go.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Outside } from "./lib/outside.mjs";
import { freePort } from "./lib/util.mjs";
import { World } from "./lib/world.mjs";

const kinds = (calls) => calls.map((c) => (c.status === 206 ? [].concat(c.answer).map((op) => op.op).join(" ") : c.status));

// No secret may be anywhere in the gateway's files: neither in its store nor in its log.
function filesWith(dir, text) {
  const found = [];
  for (const entry of fs.readdirSync(dir, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && !/app\.log|worker|workerd/.test(entry.name) && fs.readFileSync(file).includes(text)) found.push(file);
  }
  return found;
}

for (const major of [3, 4]) {
  describe(`step.fetch and step.ai.infer, SDK ${major} in workerd`, () => {
    let world;
    let outside;
    before(async () => {
      outside = await new Outside().start();
      world = await World.start({ name: `fetch-${major}`, major, runtime: "workerd", sync: "gateway" });
    });
    after(async () => {
      await world?.stop();
      await outside?.stop();
    });

    test("204, 404, text, refused; a provider that fails once", async () => {
      const dead = `http://127.0.0.1:${await freePort()}`;
      const { run, calls } = await world.play("e2e/offload", { place: outside.origin, dead });
      const { empty, missing, form, refused, inferred } = run.output;
      assert.deepEqual(empty, { status: 204, type: null, body: "" });
      assert.deepEqual(missing, { status: 404, type: "text/plain", body: "no such thing" });
      assert.deepEqual([form.status, JSON.parse(form.body).got], [201, "a=1&b=\u00fc"]);
      assert.equal(refused.name, "GatewayError");
      assert.match(refused.message, /^Error making gateway request: 127\.0\.0\.1:\d+ cannot be reached \(Connection refused\)$/);
      assert.equal(inferred, "billing");

      const asked = outside.requests.map(({ method, path: place }) => `${method} ${place}`);
      assert.deepEqual(asked, ["DELETE /empty", "GET /missing", "POST /form", "POST /v1/chat/completions", "POST /v1/chat/completions"]);
      const { headers, body } = outside.requests.at(-1);
      assert.deepEqual([headers.authorization, headers["content-type"], headers["user-agent"]], ["Bearer sk-e2e-s3cret", "application/json", "Inngest"]);
      assert.deepEqual(JSON.parse(body), { messages: [], model: "m" });

      // The refused one and the failing provider cost one more call each.
      const gateways = ["Gateway", "Gateway", "Gateway", "Gateway", "Gateway", "AIGateway", "AIGateway"];
      assert.deepEqual(kinds(calls).slice(0, 7), gateways, world.conversation(run.run_id));
      assert.deepEqual(calls.slice(0, 7).map((c) => c.body.ctx.attempt), [0, 0, 0, 0, 1, 0, 1]);
      assert.equal(calls.length, 8);
      assert.deepEqual(filesWith(world.dir, "sk-e2e-s3cret"), []);
    });

    test("figures", async () => {
      const metrics = await (await fetch(`${world.gateway.origin}/metrics`)).text();
      const figure = (name) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(metrics)[1]);
      assert.equal(figure("stepgate_fetches_in_flight"), 0);
      assert.equal(figure("stepgate_fetches_waiting"), 0);
      assert.equal(figure("stepgate_fetches_total"), 7);
      assert.equal(figure("stepgate_fetches_failed_total"), 3);
      assert.equal(figure("stepgate_fetches_refused_total"), 0);
    });
  });
}

describe("where requests of steps may go in production", () => {
  let outside;
  before(async () => {
    outside = await new Outside().start();
  });
  after(() => outside?.stop());

  const play = async (t, name, args) => {
    const world = await World.start({ name, mode: "signed", gateway: { command: "start", args } });
    t.after(() => world.stop());
    const port = new URL(outside.origin).port;
    const places = { place: outside.origin, dead: `http://localhost:${port}` };
    return { world, ...(await world.play("e2e/offload", places)) };
  };

  test("start refuses loopback addresses, whatever their names, and does not try again", async (t) => {
    const { run, calls, world } = await play(t, "fetch-start", []);
    assert.equal(outside.requests.length, 0);
    for (const [what, { name, message }] of Object.entries(run.output)) {
      assert.equal(name, what === "inferred" ? "AIGatewayError" : "GatewayError", what);
      assert.match(message, /is refused: (127\.0\.0\.1|::1) is a loopback address, .*--allow-private-fetch/, what);
    }
    assert.deepEqual(calls.map((c) => c.body.ctx.attempt), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(filesWith(world.dir, "sk-e2e-s3cret"), []);
  });

  test("metadata services of clouds are refused", async (t) => {
    const world = await World.start({ name: "fetch-metadata", mode: "signed", gateway: { command: "start" } });
    t.after(() => world.stop());
    const { run } = await world.play("e2e/offload", { place: "http://169.254.169.254", dead: "http://[fd00:ec2::254]" });
    assert.match(run.output.missing.message, /169\.254\.169\.254 is a link-local \(metadata\) address/);
    assert.match(run.output.refused.message, /fd00:ec2::254 is a unique-local address/);
  });

  test("--allow-private-fetch lets them through", async (t) => {
    const { run } = await play(t, "fetch-allowed", ["--allow-private-fetch"]);
    assert.deepEqual([run.output.empty.status, run.output.missing.status, run.output.refused.status, run.output.inferred], [204, 404, 404, "billing"]);
  });
});
