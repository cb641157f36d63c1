// What users of such servers have stumbled over (reference/11), under the names given there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import http from "node:http";
import { test } from "node:test";
import { cleanEnvironment, gatewayBinary, NodeApp } from "./lib/processes.mjs";
import { close, freePort, listen, signatureIsValid, until, word } from "./lib/util.mjs";
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
