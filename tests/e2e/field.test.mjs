// What users of such servers have stumbled over (reference/11), under the names given there.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";
import { cleanEnvironment, gatewayBinary, NodeApp } from "./lib/processes.mjs";
import { close, freePort, listen, readAll, signatureIsValid, until, word } from "./lib/util.mjs";
import { signingKey, World } from "./lib/world.mjs";

// A world for one test.
function inWorld(name, options, body) {
  test(name, async () => {
    const world = await World.start({ name, ...options });
    try {
      await body(world);
    } finally {
      await world.stop();
    }
  });
}

for (const mode of ["dev", "signed"]) {
  const what = mode === "signed" ? "with a key it signs and says cloud" : "without a key it does neither";
  inWorld(`dev_signs_if_and_only_if_it_has_a_key: ${what}`, { mode, sync: "gateway" }, async (world) => {
    const { calls } = await world.play("e2e/echo", { value: 1 });
    const put = world.toApp.exchanges.find((e) => e.method === "PUT");
    assert.equal(put.headers["x-inngest-server-kind"], mode === "signed" ? "cloud" : "dev");
    for (const { headers, text } of [put, ...calls]) {
      if (mode === "signed") assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey));
      else assert.equal(headers["x-inngest-signature"], undefined);
    }
  });
}

for (const [what, gatewayKey, appKey] of [
  ["only the app's key has one", signingKey.replace(/^signkey-prod-/, ""), signingKey],
  ["only the gateway's key has one", signingKey, signingKey.replace(/^signkey-prod-/, "")],
  ["they differ", signingKey.replace("prod", "test"), signingKey],
]) {
  const options = { mode: "signed", gateway: { signingKey: gatewayKey }, app: { settings: { INNGEST_SIGNING_KEY: appKey } } };
  inWorld(`key_prefix_does_not_matter: ${what}`, options, async (world) => {
    const { run } = await world.play("report/requested", { reportId: word(), email: "ann@example.com" });
    assert.equal(run.status, "Completed");
  });
}

test("bad_signing_key_is_refused_with_reason", () => {
  for (const key of ["abc", "signkey-prod-", "not hex at all!!"]) {
    const { status, stderr, stdout } = spawnSync(gatewayBinary, ["dev", "--port", "0", "--signing-key", key], {
      cwd: "/tmp", env: cleanEnvironment(), timeout: 10_000, encoding: "utf8",
    });
    assert.ok(status > 0, `exit status ${status} with the key "${key}"`);
    assert.match(stderr + stdout, /signing[ -]key/i);
  }
});

inWorld("signed_in_band_sync_is_tried_first", { mode: "signed", sync: "gateway" }, async (world) => {
  const first = world.toApp.exchanges[0];
  assert.deepEqual([first.method, first.headers["x-inngest-sync-kind"]], ["PUT", "in_band"]);
  assert.ok(signatureIsValid(first.headers["x-inngest-signature"], first.text, signingKey));
  assert.ok(!world.toGateway.exchanges.some((e) => e.path === "/fn/register"));
});

const isolated = { runtime: "workerd", mode: "signed", sync: "gateway", checkpointing: "off", app: { allow: [] } };
inWorld("worker_with_bindings_only_syncs_without_outbound_fetch", isolated, async (world) => {
  const { run } = await world.play("e2e/echo", { value: "seen" });
  assert.deepEqual([run.status, run.output], ["Completed", "seen"]);
  assert.equal(world.toGateway.exchanges.length, 0);
});

test("no_discovery_flag_opens_no_unasked_connection", async (t) => {
  let connections = 0;
  const bystander = http.createServer();
  bystander.on("connection", () => (connections += 1));
  try {
    await listen(bystander, 3000);
  } catch {
    // Skipped: discovery looks at this port only, and whoever has it does not tell us of connections.
    return t.skip("port 3000 is taken on this machine");
  }
  const world = await World.start({ name: "no-discovery", gateway: { args: ["--poll-interval", "1"] } });
  try {
    // That nothing happens can only be waited for; discovery would begin at once and repeat with every poll.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(connections, 0);
  } finally {
    await world.stop();
    await close(bystander);
  }
});

inWorld("same_app_id_at_new_url_replaces_not_duplicates", {}, async (world) => {
  const settings = { INNGEST_DEV: "1", INNGEST_BASE_URL: world.toGateway.origin };
  const second = await NodeApp.start({ dir: world.dir, major: 4, settings });
  try {
    const response = await fetch(`http://127.0.0.1:${second.port}/api/inngest`, { method: "PUT" });
    assert.equal(response.status, 200);
    const before = world.toApp.exchanges.length;
    const id = await world.send("e2e/echo", { key: word(), value: 1 });
    await world.end(id);
    assert.equal((await world.runs(id)).length, 1);
    assert.equal(world.toApp.exchanges.slice(before).filter((e) => e.method === "POST").length, 0, "the old address was called");
  } finally {
    await second.stop();
  }
});

inWorld("unreachable_app_is_retried_with_the_cause_shown", {}, async (world) => {
  const { port } = world.app;
  await world.app.kill();
  world.toApp.target = undefined;
  const key = word();
  const id = await world.send("e2e/held", { key });
  await until(() => world.toApp.exchanges.some((e) => e.isCut && e.body?.event?.data?.key === key), "the first attempt");
  await world.startApp();
  assert.equal(world.app.port, port);
  assert.equal((await world.end(id)).status, "Completed");
});

for (const TZ of ["America/Los_Angeles", "Asia/Kathmandu"]) {
  inWorld(`process_time_zone_changes_nothing: ${TZ}`, { gateway: { env: { TZ } } }, async (world) => {
    const { run } = await world.play("e2e/sleep");
    assert.equal(run.status, "Completed");
    assert.ok(run.output.nap >= 1000 && run.output.until >= 1500 && run.output.until < 5000, JSON.stringify(run.output));
  });
}

test("failed_poll_does_not_unsync_a_self_registered_app", async () => {
  const dead = await freePort();
  const gateway = { args: ["--poll-interval", "1", "--sdk-url", `http://127.0.0.1:${dead}/api/inngest`] };
  const world = await World.start({ name: "failed-poll", gateway });
  try {
    // Three polls of the dead address.
    await new Promise((resolve) => setTimeout(resolve, 3500));
    assert.equal((await world.play("e2e/echo", { value: 1 })).run.status, "Completed");
  } finally {
    await world.stop();
  }
});

// The app is in production mode, the gateway is not, and the gateway has been told where the app is.
const mismatched = { sync: "test", app: { settings: { INNGEST_DEV: "0", INNGEST_SIGNING_KEY: signingKey, INNGEST_EVENT_KEY: "any" } } };
inWorld("mode_mismatch_is_reported_with_cause_and_remedy", mismatched, async (world) => {
  await world.gateway.stop();
  await world.startGateway({ sdkUrls: world.appUrls });
  const { data } = await until(async () => {
    const apps = await world.api("/v1/admin/apps");
    return JSON.stringify(apps ?? "").includes("INNGEST_DEV") && apps;
  }, "the failed sync is shown with its remedy");
  const text = JSON.stringify(data);
  assert.match(text, /production mode|cloud/);
  assert.match(world.gateway.logTail(), /INNGEST_DEV/);
});

inWorld("refused_signature_is_explained_in_the_run_error", { mode: "signed" }, async (world) => {
  await world.app.stop();
  await world.startApp({ INNGEST_SIGNING_KEY: `signkey-prod-${"fedcba9876543210".repeat(4)}` });
  const { run } = await world.play("e2e/echo", { value: 1 });
  assert.equal(run.status, "Failed");
  assert.match(run.output.message, /sign/i);
});

// Another process has the database to itself, as a backup might: nothing can be committed meanwhile.
async function lockStore(world) {
  const text = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()\n";
  const child = spawn("python3", ["-c", text, path.join(world.dir, ".stepgate/main.db")], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return async () => {
    child.stdin.end();
    await once(child, "exit");
  };
}

inWorld("checkpoint_2xx_means_on_disk", {}, async (world) => {
  const key = word();
  world.witness.hold(`${key}/a`);
  const id = await world.send("e2e/two-steps", { key });
  await world.witness.saw(`${key}/a`);
  const unlock = await lockStore(world);
  world.witness.release(`${key}/a`);
  const posts = () => world.toGateway.exchanges.filter((e) => e.path.startsWith("/v1/checkpoint/"));
  await until(() => posts().length > 0, "the checkpoint is posted");
  // That nothing is acknowledged can only be waited for.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.deepEqual(posts().filter((e) => e.status < 300), []);
  await unlock();
  const run = await world.end(id);
  assert.deepEqual([run.status, run.output], ["Completed", [1, 1]]);
  assert.deepEqual(posts().filter((e) => e.status < 300).map((e) => e.body.steps.length), [1, 1]);
});

// A request that is repeated, also while the first one is still being answered.
inWorld("same_id_seed_gives_same_ids_and_one_run", {}, async (world) => {
  const seed = `${Date.now()},${Buffer.from(word() + "xx").toString("base64")}`;
  const body = JSON.stringify([1, 2].map((value) => ({ name: "e2e/echo", data: { witness: world.witness.url, key: word(), value } })));
  const post = async () => {
    const headers = { "content-type": "application/json", "x-inngest-event-id-seed": seed };
    return (await fetch(`${world.gateway.origin}/e/dev`, { method: "POST", headers, body })).text();
  };
  const answers = [...(await Promise.all([post(), post(), post()])), await post(), await post()];
  assert.deepEqual(new Set(answers), new Set([answers[0]]));
  const { ids } = JSON.parse(answers[0]);
  for (const id of ids) await world.end(id);
  // The runs of a later event show that all of these have been looked at.
  await world.play("e2e/echo", { value: 3 });
  for (const id of ids) assert.equal((await world.runs(id)).length, 1);
});

// A world whose app is a few lines here instead of an SDK: `answer` is given the call's target and body, and the response, and returns the ops
// (206) or, if they are no list, the result (200).
async function withRawApp(name, answer, body) {
  const world = await World.start({ name, sync: "test" });
  let calls = 0;
  const app = http.createServer(async (req, res) => {
    const text = (await readAll(req)).toString();
    if (req.method !== "POST") return res.writeHead(404).end();
    calls += 1;
    const answered = await answer(new URL(req.url, "http://app").searchParams.get("stepId"), JSON.parse(text), res);
    const headers = { "content-type": "application/json", "x-inngest-sdk": "inngest-js:v4.24.0", "x-inngest-req-version": "2" };
    return res.writeHead(Array.isArray(answered) ? 206 : 200, headers).end(JSON.stringify(answered));
  });
  try {
    const url = `http://127.0.0.1:${await listen(app)}/api/inngest`;
    const steps = { step: { id: "step", name: "step", runtime: { type: "http", url: `${url}?fnId=field-fn&stepId=step` } } };
    const functions = [{ id: "field-fn", name: "fn", triggers: [{ event: "field/go" }], steps }];
    const registration = { url, deployType: "ping", framework: "none", appName: "field", sdk: "js:v4.24.0", v: "0.1", functions };
    const response = await fetch(`${world.gateway.origin}/fn/register`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(registration),
    });
    assert.equal(response.status, 200, await response.text());
    await body(world, () => calls);
  } finally {
    await world.stop();
    await close(app);
  }
}

test("wide_parallel_steps_cost_linear_calls", () => {
  const answer = async (target, { event, steps }) => {
    const { width } = event.data;
    if (target !== "step") {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return [{ op: "StepRun", id: target, name: target, data: target }];
    }
    if (Object.keys(steps).length === width) return width;
    return Array.from({ length: width }, (_, i) => ({ op: "StepPlanned", id: `part-${i}`, name: `part-${i}` })).filter((op) => !(op.id in steps));
  };
  return withRawApp("wide-parallel-steps", answer, async (world, calls) => {
    for (const width of [10, 100, 500]) {
      const [before, begin] = [calls(), performance.now()];
      const run = await world.end(await world.send("field/go", { width }));
      const took = performance.now() - begin;
      assert.deepEqual([run.status, run.output], ["Completed", width]);
      assert.ok(calls() - before <= 2 * width + 3, `${calls() - before} calls for ${width} steps`);
      assert.ok(took < 5000, `${width} steps took ${took} ms`);
    }
  });
});

test("event_accepted_after_the_wait_answer_always_matches", () => {
  let world;
  const lost = [];
  const answer = (_target, { event: { data: { n } }, steps }, res) => {
    if (steps.w !== undefined) return { n: steps.w?.data?.n ?? null };
    // The very event that is waited for, a moment after the answer has been written: long enough for a busy machine to have let the gateway
    // receive it, and far too short for anything that would ask again. That events in the very commit of a wait are seen is a unit test.
    res.on("finish", () => setTimeout(() => world.post({ name: "field/answer", data: { n } }).catch((error) => lost.push(error)), 40));
    return [{ op: "WaitForEvent", id: "w", name: "field/answer", opts: { timeout: "5s", if: "event.data.n == async.data.n" } }];
  };
  return withRawApp("event-after-wait", answer, async (started) => {
    world = started;
    for (let n = 0; n < 1000; n += 25) {
      const numbers = Array.from({ length: 25 }, (_, i) => n + i);
      const { ids } = await world.post(numbers.map((i) => ({ name: "field/go", data: { n: i } })));
      const runs = await Promise.all(ids.map((id) => world.end(id)));
      assert.deepEqual(runs.map((run) => run.output), numbers.map((i) => ({ n: i })));
    }
    assert.deepEqual(lost, []);
  });
});
