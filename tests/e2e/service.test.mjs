// Running it: `stepgate start`, its keys, its signals, its diagnoses (reference/11 §1, §2, §9), under the names given there.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cleanEnvironment, gatewayBinary } from "./lib/processes.mjs";
import { bearer, freePort, signatureIsValid, until, word } from "./lib/util.mjs";
import { eventKey, signingKey, World } from "./lib/world.mjs";

const production = { mode: "signed", sync: "gateway", gateway: { command: "start" } };
const otherKey = `signkey-prod-${"fedcba9876543210".repeat(4)}`;

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

// What `stepgate doctor` finds: [{check, is_ok, text}]. Not spawnSync: the recorders of this process are between the two sides.
async function doctor(world, key) {
  const args = ["doctor", world.gateway.origin, "--json", ...(key ? ["--signing-key", key] : [])];
  const child = spawn(gatewayBinary, args, { env: cleanEnvironment(), stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk) => (text += chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  const findings = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(code === 0, findings.every((f) => f.is_ok), text);
  return findings;
}

const wrong = (findings) => findings.filter((f) => !f.is_ok).map((f) => f.text).join("\n");

inWorld("start_mode_sends_server_kind_and_signature_on_every_call", production, async (world) => {
  const { run } = await world.play("e2e/sleep");
  assert.equal(run.status, "Completed");
  for (const { method, headers, text } of world.toApp.exchanges) {
    // Calls do not carry it (reference/01 §7).
    if (method !== "POST") assert.equal(headers["x-inngest-server-kind"], "cloud", method);
    assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey), method);
  }
  assert.equal(wrong(await doctor(world, signingKey)), "");
});

inWorld("polling_makes_no_signature_noise_in_the_app", { mode: "signed", sync: "gateway", gateway: { args: ["--poll-interval", "1"] } }, async (world) => {
  const polls = () => world.toApp.exchanges.filter((e) => e.method !== "POST");
  const before = polls().length;
  await until(() => polls().length >= before + 4, "four more polls");
  for (const { headers, text } of polls()) assert.ok(signatureIsValid(headers["x-inngest-signature"], text, signingKey));
  assert.doesNotMatch(world.app.logTail(200), /signature/i);
});

test("bad_signing_key_is_refused_with_reason: by the name of the variable", () => {
  for (const [name, value] of [["INNGEST_SIGNING_KEY", "abc"], ["STEPGATE_SIGNING_KEY", "signkey-prod-"]]) {
    const env = { ...cleanEnvironment(), [name]: value };
    const { status, stderr } = spawnSync(gatewayBinary, ["start", "--event-key", "e", "--port", "0"], { cwd: "/tmp", env, timeout: 10_000, encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`${name} has`));
  }
});

inWorld("bad_signing_key_is_refused_with_reason: both fingerprints of two that differ", { ...production, sync: "test" }, async (world) => {
  await world.app.stop();
  await world.startApp({ INNGEST_SIGNING_KEY: otherKey });
  const response = await fetch(world.appUrls[0], { method: "PUT" });
  assert.ok(!response.ok);
  await until(() => /"their_key":"(?!none)[0-9a-f]{6}","our_key":"[0-9a-f]{6}"/.test(world.gateway.logTail()), "the log names both");
  assert.ok(!world.gateway.logTail(100).includes("fedcba98") && !world.gateway.logTail(100).includes("01234567"));
  assert.match(wrong(await doctor(world)), /has a signing key .* --signing-key or INNGEST_SIGNING_KEY/);
  assert.match(wrong(await doctor(world, otherKey)), /another signing key than the one given here \(fingerprint [0-9a-f]{6}\)/);
});

for (const [what, options, settings, key, said] of [
  ["app in production, gateway in dev", { sync: "test" }, { INNGEST_DEV: "0", INNGEST_SIGNING_KEY: otherKey }, undefined, /INNGEST_DEV=1/],
  ["app in dev, gateway in production", { ...production, sync: "test" }, { INNGEST_DEV: "1" }, signingKey, /INNGEST_DEV=0/],
  ["app with another key", { ...production, sync: "test" }, { INNGEST_SIGNING_KEY: otherKey }, signingKey, /key [0-9a-f]{6}.*INNGEST_SIGNING_KEY/],
  ["app without an event key", { ...production, sync: "test" }, { INNGEST_EVENT_KEY: "" }, signingKey, /INNGEST_EVENT_KEY/],
]) {
  inWorld(`mode_mismatch_is_reported_with_cause_and_remedy: doctor, ${what}`, options, async (world) => {
    await world.app.stop();
    await world.startApp(settings);
    await world.gateway.stop();
    await world.startGateway({ sdkUrls: world.appUrls });
    await until(async () => said.test(wrong(await doctor(world, key))), "doctor names cause and remedy");
  });
}

inWorld("mode_mismatch_is_reported_with_cause_and_remedy: doctor, app down", production, async (world) => {
  await world.app.stop();
  world.toApp.target = undefined;
  assert.match(wrong(await doctor(world, signingKey)), /could not be reached/);
});

inWorld("readiness_follows_the_store_and_drain", { ...production, gateway: { command: "start", args: ["--shutdown-timeout", "20"] } }, async (world) => {
  const key = word();
  world.witness.hold(`${key}/held`);
  const id = await world.send("e2e/held", { key });
  await world.witness.saw(`${key}/held`);
  const { origin } = world.gateway;
  assert.equal((await fetch(`${origin}/ready`)).status, 200);
  const ended = world.gateway.stop();
  await until(async () => (await fetch(`${origin}/ready`)).status === 503, "not ready while it drains");
  const ready = await (await fetch(`${origin}/ready`)).json();
  assert.equal(ready.code, "draining");
  assert.equal((await fetch(`${origin}/health`)).status, 200);
  assert.equal((await fetch(`${origin}/e/${eventKey}`, { method: "POST", body: '{"name":"e2e/ping","data":{}}' })).status, 503);
  world.witness.release(`${key}/held`);
  assert.deepEqual(await ended, { code: 0, signal: null });
  await world.startGateway();
  assert.equal((await world.end(id)).status, "Completed");
  assert.equal(world.witness.count(`${key}/held`), 1);
});

inWorld("a drain ends at its deadline and the call is made again", { ...production, gateway: { command: "start", args: ["--shutdown-timeout", "1"] } }, async (world) => {
  const key = word();
  world.witness.hold(`${key}/held`);
  const id = await world.send("e2e/held", { key });
  await world.witness.saw(`${key}/held`);
  const began = Date.now();
  assert.deepEqual(await world.gateway.stop(), { code: 0, signal: null });
  const took = Date.now() - began;
  assert.ok(took >= 900 && took < 8000, `${took} ms`);
  world.witness.release(`${key}/held`);
  await world.startGateway();
  assert.equal((await world.end(id)).status, "Completed");
});

inWorld("ui_and_admin_api_need_login_in_production", production, async (world) => {
  const { origin } = world.gateway;
  const { data } = await (await fetch(`${origin}/v1/nosuch`)).json();
  assert.ok(data.routes.length > 15);
  for (const route of data.routes) {
    const [method, path] = route.split(" ");
    const { status } = await fetch(origin + path.replace(/\{\w+\}/g, "x"), { method, body: method === "POST" ? "{}" : undefined });
    const isOpen = ["/health", "/ready", "/metrics"].includes(path);
    assert.equal(status, isOpen ? 200 : 401, route);
  }
  const good = await fetch(`${origin}/v1/admin/apps`, { headers: { authorization: bearer(signingKey) } });
  assert.equal(good.status, 200);
});

inWorld("unsupported_api_route_says_so_in_json", {}, async (world) => {
  for (const [method, path] of [["GET", "/v1/webhooks"], ["POST", "/v1/webhooks"], ["GET", "/v1/nosuch"], ["POST", "/v2/nosuch"]]) {
    const response = await fetch(world.gateway.origin + path, { method });
    assert.ok([404, 501].includes(response.status), path);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    const body = await response.json();
    assert.ok(body.error.includes(path) && body.data.routes.length > 0);
  }
});

test("open_bind_without_auth_warns_once", async () => {
  for (const [args, warns] of [[[], 1], [["--host", "0.0.0.0"], 1], [["--host", "127.0.0.1"], 0], [["--host", "localhost"], 0], [["--signing-key", "abcd"], 0]]) {
    const port = await freePort();
    const all = ["dev", "--no-discovery", "--port", String(port), "--data-dir", `/tmp/stepgate-open-${process.pid}-${port}`, "--json", ...args];
    const child = spawn(gatewayBinary, all, { cwd: "/tmp", env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
    const ended = new Promise((resolve) => child.on("close", resolve));
    try {
      const isUp = () => fetch(`http://localhost:${port}/health`).then((r) => r.ok, () => false);
      await until(isUp, `an answer with ${args.join(" ") || "the default"}`);
      if (args.length === 0)
        for (const host of ["127.0.0.1", "[::1]"]) assert.ok((await fetch(`http://${host}:${port}/health`)).ok, host);
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
    assert.equal(log.match(/everybody who can reach this port/g)?.length ?? 0, warns, args.join(" "));
  }
});

// Both sides know both keys while they are exchanged, as the SDK's own INNGEST_SIGNING_KEY_FALLBACK asks for; each side changes at another moment.
for (const first of ["gateway", "app"]) {
  inWorld(`key_rotation_in_either_order_loses_no_call: ${first} first`, { mode: "signed", sync: "gateway", app: { settings: { INNGEST_SIGNING_KEY_FALLBACK: otherKey } } }, async (world) => {
    const both = { args: ["--signing-key-fallback", otherKey] };
    const change = {
      gateway: async () => {
        await world.gateway.stop();
        await world.startGateway({ signingKey: otherKey, args: ["--signing-key-fallback", signingKey] });
      },
      app: async () => {
        await world.app.stop();
        await world.startApp({ INNGEST_SIGNING_KEY: otherKey, INNGEST_SIGNING_KEY_FALLBACK: signingKey });
      },
    };
    await world.gateway.stop();
    await world.startGateway(both);
    const check = async () => {
      const { run, calls } = await world.play("e2e/sleep");
      assert.equal(run.status, "Completed");
      assert.deepEqual(calls.map((c) => c.status).filter((s) => s >= 400), []);
    };
    await check();
    await change[first]();
    await check();
    await change[first === "gateway" ? "app" : "gateway"]();
    await check();
  });
}

// The app has only ever known its one key, and the gateway, which knows both, has changed first.
inWorld("key_rotation_in_either_order_loses_no_call: gateway first, app without a fallback", { mode: "signed", sync: "gateway" }, async (world) => {
  await world.gateway.stop();
  await world.startGateway({ signingKey: otherKey, args: ["--signing-key-fallback", signingKey] });
  const { run, calls } = await world.play("e2e/echo", { value: 1 });
  assert.deepEqual([run.status, run.output], ["Completed", 1]);
  assert.ok(calls.some((c) => c.status === 401) && calls.every((c) => c.body.ctx.attempt === 0), "refused, asked again, and no attempt lost");
  await world.app.stop();
  await world.startApp({ INNGEST_SIGNING_KEY: otherKey });
  const after = await world.play("e2e/echo", { value: 2 });
  assert.ok(after.run.status === "Completed" && after.calls.every((c) => c.status !== 401));
});

inWorld("two processes on one directory: the second is told whose it is, the first goes on", {}, async (world) => {
  const args = ["dev", "--port", String(await freePort()), "--no-discovery", "--data-dir", `${world.dir}/.stepgate`];
  const child = spawn(gatewayBinary, args, { cwd: world.dir, env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(code, 1);
  assert.match(said, new RegExp(`used by process ${world.gateway.child.pid}`));
  assert.equal((await world.play("e2e/echo", { value: 1 })).run.status, "Completed");
});

inWorld("a stopped gateway goes on where it was when it is continued", {}, async (world) => {
  const key = word();
  world.witness.hold(`${key}/held`);
  const id = await world.send("e2e/held", { key });
  await world.witness.saw(`${key}/held`);
  world.gateway.child.kill("SIGSTOP");
  world.witness.release(`${key}/held`);
  // Longer than the sleep of the function and than the retry interval.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  world.gateway.child.kill("SIGCONT");
  assert.equal((await world.end(id)).status, "Completed");
  for (const step of ["first", "held", "last"]) assert.equal(world.witness.count(`${key}/${step}`), 1, step);
});

test("open_files_are_allowed_for_clients_that_wait_and_calls_at_the_same_time", async () => {
  const counts = { connections: 100, "waiting-clients": 900, calls: 1000, fetches: 200 };
  const args = Object.entries(counts).flatMap(([name, count]) => [`--max-${name}`, `${count}`]).join(" ");
  const command = `ulimit -Sn 1024; exec "${gatewayBinary}" dev --host 127.0.0.1 --port 0 ${args}`;
  const child = spawn("sh", ["-c", command], { cwd: "/tmp", env: cleanEnvironment(), stdio: "ignore" });
  try {
    const about = (what) => readFileSync(`/proc/${child.pid}/${what}`, "utf8");
    await until(() => about("comm").trim() === "stepgate", "the gateway to take the place of the shell");
    const allowed = () => Number(about("limits").match(/Max open files\s+(\d+)/)[1]);
    const wanted = Object.values(counts).reduce((sum, count) => sum + count);
    await until(() => allowed() >= wanted, `${wanted} open files`);
  } finally {
    child.kill();
    await new Promise((resolve) => child.on("close", resolve));
  }
});
