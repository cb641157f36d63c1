// The conformance applications of reference/09 §5 in workerd, with the number of calls and checkpoints of its table.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Outside } from "./lib/outside.mjs";
import { sha1, until, word } from "./lib/util.mjs";
import { World } from "./lib/world.mjs";

const SDKS = [
  { sdk: "inngest 3.54.2", major: 3, checkpointing: "default" },
  { sdk: "inngest 3.54.2 checkpointing", major: 3, checkpointing: "on" },
  { sdk: "inngest 4.24.0", major: 4, checkpointing: "default" },
  { sdk: "inngest 4.24.0 without checkpoints", major: 4, checkpointing: "off" },
];

// "calls / checkpoints", in the order of SDKS (reference/09 §5.0).
const COUNTS = {
  "1a report, all fine": ["4 / 0", "1 / 3", "1 / 3", "4 / 0"],
  "1b report, 2nd step fails once": ["5 / 0", "2 / 3", "3 / 2", "5 / 0"],
  "2 tenant sync, 3 pages": ["7 / 0", "2 / 5", "2 / 5", "7 / 0"],
  "3 clean-up, 3 batches": ["6 / 0", "3 / 3", "3 / 3", "6 / 0"],
  "6a AI, all fine": ["4 / 0", "3 / 1", "3 / 1", "4 / 0"],
  "6b AI, last step fails once": ["5 / 0", "4 / 1", "5 / 0", "5 / 0"],
  "6c AI, last step non-retriable": ["4 / 0", "4 / 0", "4 / 0", "4 / 0"],
};

for (const [column, { sdk, ...options }] of SDKS.entries()) {
  const name = `applications, ${sdk} in workerd`;
  describe(name, { concurrency: true }, () => suite({ column, name, ...options }));
}

function suite({ column, major, checkpointing, name }) {
  const isCheckpointing = (major === 4) === (checkpointing === "default");
  let world;
  before(async () => {
    world = await World.start({ name, major, checkpointing, runtime: "workerd", sync: "gateway" });
  });
  after(() => world?.stop());

  const counted = (runId) => `${world.calls(runId).length} / ${world.checkpoints(runId).length}`;
  const hasCount = (what, runId) => assert.equal(counted(runId), COUNTS[what][column], `${what}\n${world.conversation(runId)}`);
  const ops = (calls) => calls.flatMap((c) => (c.status === 206 ? [].concat(c.answer) : []));

  async function play(what, event, data) {
    const played = await world.play(event, data);
    hasCount(what, played.run.run_id);
    return played;
  }

  test("1 report pipeline", async () => {
    const reportId = word();
    const { run, times } = await play("1a report, all fine", "report/requested", { reportId, email: "ann@example.com" });
    assert.deepEqual([run.status, run.output], ["Completed", { reportId, sum: 42 }]);
    assert.deepEqual(["fetch-data", "generate-report", "notify"].map(times), [1, 1, 1]);
  });

  test("1 report pipeline, the second step fails once", async () => {
    const reportId = word();
    const { run, times } = await play("1b report, 2nd step fails once", "report/requested", { reportId, email: "ann@example.com", failOnce: true });
    assert.deepEqual([run.status, run.output], ["Completed", { reportId, sum: 42 }]);
    assert.deepEqual(["fetch-data", "generate-report", "notify"].map(times), [1, 2, 1]);
  });

  test("2 tenant sync", async () => {
    const data = { tenantId: word(), plan: "enterprise", pages: 3, pace: { "cool-down": "1s" } };
    const played = await play("2 tenant sync, 3 pages", "tenant/sync.requested", data);
    assert.deepEqual([played.run.status, played.run.output], ["Completed", { rows: 303 }]);
    const names = ["open-cursor", "sync-page", "sync-page:1", "sync-page:2", "cool-down", "mark-synced"];
    if (!isCheckpointing) assert.deepEqual(ops(played.calls).map((op) => op.id), names.map(sha1));
    assert.deepEqual([0, 1, 2].map((page) => played.times(`sync-page/${page}`)), [1, 1, 1]);
    const [sleep] = ops(played.calls).filter((op) => op.op === "Sleep");
    assert.deepEqual([sleep.id, sleep.name], [sha1("cool-down"), "1s"]);
  });

  test("3 clean-up", async () => {
    const cron = "TZ=Europe/Paris 15 3 * * *";
    const played = await play("3 clean-up, 3 batches", "cleanup/requested", { cron, pace: { pause: "1s" } });
    assert.deepEqual([played.run.status, played.run.output], ["Completed", { deleted: 1120, cron }]);
    assert.deepEqual([0, 1, 2].map((batch) => played.times(`delete-batch/${batch}`)), [1, 1, 1]);
    const sleeps = ops(played.calls).filter((op) => op.op === "Sleep").map((op) => op.id);
    assert.deepEqual(sleeps, [sha1("pause"), sha1("pause:1")]);
  });

  // The gateway asks the model and the customer register; the Worker is told what they said.
  test("6 AI triage", async (t) => {
    const outside = await new Outside().start();
    t.after(() => outside.stop());
    const models = `${outside.origin}/v1/`;
    const crm = `${outside.origin}/crm`;
    const ticket = () => ({ ticketId: word(), customerId: "c1", text: "hi", models, crm });

    const fine = await play("6a AI, all fine", "ticket/created", ticket());
    assert.deepEqual([fine.run.status, fine.run.output.queue], ["Completed", "gold-billing"]);
    const [classify, lookUp] = ops(fine.calls);
    assert.deepEqual([classify.op, classify.id, classify.opts.auth_key], ["AIGateway", sha1("classify"), "sk-x"]);
    assert.deepEqual([lookUp.op, lookUp.id, lookUp.opts.headers], ["Gateway", sha1("step.fetch: 127.0.0.1"), { "x-api": "1" }]);
    const { steps } = fine.calls.at(-1).body;
    assert.deepEqual(steps[sha1("classify")].data.choices[0].message, { role: "assistant", content: "billing" });
    const { headers, ...customer } = steps[sha1("step.fetch: 127.0.0.1")].data;
    assert.deepEqual(customer, { url: `${crm}/customers/c1`, status_code: 200, body: '{"plan":"gold"}' });
    assert.equal(headers["Content-Type"], "application/json");

    const again = await play("6b AI, last step fails once", "ticket/created", { ...ticket(), failOnce: true });
    assert.deepEqual([again.run.status, again.run.output.queue, again.times("route")], ["Completed", "gold-billing", 2]);

    const failed = await play("6c AI, last step non-retriable", "ticket/created", { ...ticket(), alwaysFail: true });
    assert.deepEqual([failed.run.status, failed.times("route")], ["Failed", 1]);
    await until(() => failed.times("page-human: no such queue") === 1, "the failure function has run");
  });

  test("what the Worker registers", () => {
    const { answer } = world.toApp.exchanges.find((e) => e.method === "PUT" && e.path === "/api/inngest" && e.isDone);
    const functions = new Map(answer.functions.map((f) => [f.id, f]));
    const report = functions.get("apps-report-pipeline");
    assert.deepEqual([report.name, report.triggers, report.idempotency, report.steps.step.retries], ["Report pipeline", [{ event: "report/requested" }], "event.data.reportId", { attempts: 3 }]);
    assert.deepEqual(functions.get("apps-expense-approval").cancel, [
      { event: "expense/withdrawn", timeout: "1w", if: "event.data.expenseId == async.data.expenseId" },
    ]);
    const failure = functions.get("apps-ticket-triage-failure");
    assert.deepEqual([failure.name, failure.triggers, failure.steps["ticket-triage-failure"]?.retries ?? failure.steps.step.retries], [
      "ticket-triage (failure)",
      [{ event: "inngest/function.failed", expression: "event.data.function_id == 'apps-ticket-triage'" }],
      { attempts: 1 },
    ]);
  });
}
