#!/usr/bin/env node
// Asks for one report and shows what becomes of it, with nothing but the gateway's public HTTP API.
//
//   node follow.mjs [http://127.0.0.1:8288] [failOnce]
import { createHash, randomBytes } from "node:crypto";

const gateway = process.argv[2] ?? "http://127.0.0.1:8288";
const failOnce = process.argv[3] === "failOnce";
const patienceMs = 90_000;
const started = performance.now();

const show = (text) => console.log(`${((performance.now() - started) / 1000).toFixed(2).padStart(7)} s  ${text}`);

async function get(path) {
  const response = await fetch(new URL(path, gateway));
  return response.ok ? response.json() : undefined;
}

// Asks again until there is something to see. The API has no way to wait; the sample's Worker is not asked at all.
async function until(look, what) {
  while (performance.now() - started < patienceMs) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not happen within ${patienceMs / 1000} s`);
}

// The gateway knows a step by the hash of its id.
const stepNames = new Map(["fetch-data", "generate-report", "notify"].map((id) => [createHash("sha1").update(id).digest("hex"), id]));
const seen = new Set();
function showSteps(memos = {}) {
  for (const [hash, memo] of Object.entries(memos)) {
    if (seen.has(hash)) continue;
    seen.add(hash);
    show(`  step ${(stepNames.get(hash) ?? hash).padEnd(16)} ${JSON.stringify(memo?.data ?? memo)}`);
  }
}

// The app may still be registering when the gateway says that it is ready.
await until(async () => {
  const about = await get("/dev");
  return !about || about.functions.some((f) => f.slug === "apps-report-pipeline");
}, "the registration of the sample");

const event = {
  name: "report/requested",
  data: { reportId: `r-${randomBytes(3).toString("hex")}`, email: "ann@example.com", ...(failOnce ? { failOnce } : {}) },
};
const response = await fetch(new URL("/e/dev", gateway), {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(event),
});
if (!response.ok) throw new Error(`the event was refused with ${response.status}: ${await response.text()}`);
const [eventId] = (await response.json()).ids;
show(`event ${event.name} ${JSON.stringify(event.data)}`);

const [{ run_id: runId }] = await until(async () => {
  const runs = (await get(`/v1/events/${eventId}/runs`))?.data;
  return runs?.length ? runs : undefined;
}, "a run");
show(`run   ${runId}`);

const run = await until(async () => {
  showSteps(await get(`/v0/runs/${runId}/actions`));
  const { data } = (await get(`/v1/runs/${runId}`)) ?? {};
  return data?.ended_at ? data : undefined;
}, "the end of the run");
// A run that has ended shows its result and no longer its steps; those that ended since the last look are known by it all the same.
if (run.status === "Completed") {
  for (const [hash, name] of stepNames) if (!seen.has(hash)) show(`  step ${name}`);
}
show(`${run.status}: ${JSON.stringify(run.output)}`);
process.exitCode = run.status === "Completed" ? 0 : 1;
