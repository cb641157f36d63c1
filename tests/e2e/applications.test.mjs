// The six conformance applications of reference/09 §5 in workerd, with the number of calls and checkpoints of its table.
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
  "4 fan-out parent": ["8 / 0", "6 / 2", "5 / 2", "7 / 0"],
  "4 each digest-user": ["2 / 0", "1 / 1", "1 / 1", "2 / 0"],
  "4 render-pdf": ["2 / 0", "1 / 1", "1 / 1", "2 / 0"],
  "5a approved": ["4 / 0", "2 / 2", "2 / 2", "4 / 0"],
  "5b timed out": ["4 / 0", "2 / 2", "2 / 2", "4 / 0"],
  "5c withdrawn": ["2 / 0", "1 / 1", "1 / 1", "2 / 0"],
  "6a AI, all fine": ["4 / 0", "3 / 1", "3 / 1", "4 / 0"],
  "6b AI, last step fails once": ["5 / 0", "4 / 1", "5 / 0", "5 / 0"],
  "6c AI, last step non-retriable": ["4 / 0", "4 / 0", "4 / 0", "4 / 0"],
  "6c failure function": ["2 / 0", "1 / 1", "1 / 1", "2 / 0"],
};

for (const [column, { sdk, ...options }] of SDKS.entries()) {
  const name = `applications, ${sdk} in workerd`;
  describe(name, { concurrency: true }, () => suite({ column, name, ...options }));
}

function suite({ column, major, checkpointing, name }) {
  const isCheckpointing = (major === 4) === (checkpointing === "default");
  let world;
  let outside;
  before(async () => {
    outside = await new Outside().start();
    world = await World.start({ name, major, checkpointing, runtime: "workerd", sync: "gateway" });
  });
  after(async () => {
    await world?.stop();
    await outside.stop();
  });

  const counted = (runId) => `${world.calls(runId).length} / ${world.checkpoints(runId).length}`;
  const hasCount = (what, runId) => assert.equal(counted(runId), COUNTS[what][column], `${what}\n${world.conversation(runId)}`);
  const ops = (calls) => calls.flatMap((c) => (c.status === 206 ? [].concat(c.answer) : []));
  const firstCallOf = (slug, test) => world.toApp.exchanges.find((e) => e.query.fnId === slug && e.body?.event && test(e.body.event));

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

  test("4 fan-out with events, parallel steps and invoke", async () => {
    const { run, key, calls, times } = await play("4 fan-out parent", "digest/requested", {});
    assert.deepEqual([run.status, run.output.users, run.output.pdf], ["Completed", 3, "digests/7-3.pdf"]);
    assert.deepEqual(["load-users", "count-opens", "count-clicks", "render"].map(times), [1, 1, 1, 1]);

    assert.equal(run.output.sent.length, 3);
    for (const id of run.output.sent) {
      const user = await world.end(id);
      assert.equal(user.status, "Completed");
      hasCount("4 each digest-user", user.run_id);
    }
    const sent = world.toGateway.exchanges.filter((e) => e.path.startsWith("/e/") && e.text.includes(key));
    assert.deepEqual(sent.map((e) => e.body.length), [3]);
    assert.match(sent[0].headers["x-inngest-event-id-seed"], /^\d+,[\w+/]+=*$/);

    const invoke = ops(calls).find((op) => op.op === "InvokeFunction");
    assert.deepEqual([invoke.id, invoke.opts.function_id, invoke.opts.timeout], [sha1("render-pdf"), "apps-render-pdf", "10m"]);
    const child = firstCallOf("apps-render-pdf", (event) => event.data.key === key);
    assert.equal(child.body.event.name, "inngest/function.invoked");
    hasCount("4 render-pdf", child.body.ctx.run_id);
    const runs = new Set(world.toApp.exchanges.filter((e) => e.query.fnId === "apps-render-pdf" && e.text.includes(key)).map((e) => e.body.ctx.run_id));
    assert.equal(runs.size, 1, "exactly one child run may start");
    assert.deepEqual(calls.at(-1).body.steps[sha1("render-pdf")], { data: "digests/7-3.pdf" });
  });

  // Starts an approval and resolves once its wait has been reported.
  async function submit(data = {}) {
    const [key, expenseId] = [word(), word()];
    const id = await world.send("expense/submitted", { key, expenseId, amount: 12, ...data });
    const runId = await until(async () => (await world.runs(id))[0]?.run_id, "the approval has begun");
    await until(() => ops(world.calls(runId)).some((op) => op.op === "WaitForEvent"), "the wait is reported");
    return { key, expenseId, id, runId, times: (step) => world.witness.count(`${key}/${step}`) };
  }

  test("5 human approval: approved", async () => {
    const { expenseId, id, runId, times } = await submit();
    await world.send("expense/decided", { expenseId: word(), approved: false });
    await world.send("expense/decided", { expenseId, approved: true });
    const run = await world.end(id);
    assert.deepEqual([run.status, run.output], ["Completed", { status: "approved" }]);
    assert.deepEqual(["ask-approver", "pay", "escalate"].map(times), [1, 1, 0]);
    hasCount("5a approved", runId);
    const [wait] = ops(world.calls(runId)).filter((op) => op.op === "WaitForEvent");
    assert.deepEqual([wait.id, wait.name, wait.opts.timeout], [sha1("wait-decision"), "expense/decided", "3d"]);
    const memo = world.calls(runId).at(-1).body.steps[sha1("wait-decision")];
    assert.deepEqual([memo.name, memo.data.approved], ["expense/decided", true]);
  });

  test("5 human approval: timed out", async () => {
    const { id, runId, times } = await submit({ pace: { decision: "1s" } });
    const run = await world.end(id);
    assert.deepEqual([run.status, run.output], ["Completed", { status: "timed-out" }]);
    assert.deepEqual(["ask-approver", "pay", "escalate"].map(times), [1, 0, 1]);
    hasCount("5b timed out", runId);
    assert.equal(world.calls(runId).at(-1).body.steps[sha1("wait-decision")], null);
  });

  test("5 human approval: withdrawn while it waits", async () => {
    const { expenseId, id, runId, times } = await submit();
    await world.send("expense/withdrawn", { expenseId: word() });
    await world.send("expense/withdrawn", { expenseId });
    const run = await world.end(id);
    assert.equal(run.status, "Cancelled");
    await world.send("expense/decided", { expenseId, approved: true });
    await world.play("e2e/echo", { value: "whatever the decision led to is there by now" });
    assert.deepEqual(["ask-approver", "pay", "escalate"].map(times), [1, 0, 0]);
    hasCount("5c withdrawn", runId);
  });

  test("5 human approval: withdrawn during a call, whose answer is discarded", async () => {
    const [key, expenseId] = [word(), word()];
    world.witness.hold(`${key}/ask-approver`);
    const id = await world.send("expense/submitted", { key, expenseId, amount: 12 });
    await world.witness.saw(`${key}/ask-approver`);
    await world.send("expense/withdrawn", { expenseId });
    const run = await world.end(id);
    assert.equal(run.status, "Cancelled");
    world.witness.release(`${key}/ask-approver`);
    await until(() => world.calls(run.run_id).every((c) => c.isDone), "the call in flight has been answered");
    await world.play("e2e/echo", { value: "whatever the answer led to is there by now" });
    assert.equal(world.calls(run.run_id).length, 1);
    assert.equal((await world.end(id)).status, "Cancelled");
  });

  const ticket = (more) => ({ ticketId: word(), customerId: word(), text: "hi", models: `${outside.origin}/v1/`, crm: `${outside.origin}/crm`, ...more });

  test("6 AI triage", async () => {
    const data = ticket();
    const { run, calls } = await play("6a AI, all fine", "ticket/created", data);
    assert.deepEqual([run.status, run.output], ["Completed", { ticketId: data.ticketId, queue: "gold-billing" }]);
    const [infer] = ops(calls).filter((op) => op.op === "AIGateway");
    assert.deepEqual([infer.id, infer.displayName, infer.opts.auth_key, infer.opts.format], [sha1("classify"), "classify", "sk-x", "openai-chat"]);
    const [fetched] = ops(calls).filter((op) => op.op === "Gateway");
    assert.deepEqual([fetched.id, fetched.opts.method], [sha1("step.fetch: 127.0.0.1"), "GET"]);
    const { steps } = calls.at(-1).body;
    assert.equal(steps[infer.id].data.choices[0].message.content, "billing");
    assert.deepEqual([steps[fetched.id].data.status_code, steps[fetched.id].data.body], [200, '{"plan":"gold"}']);
    const asked = outside.requests.find((r) => r.path === `/crm/customers/${data.customerId}`);
    assert.deepEqual([asked.method, asked.headers["x-api"]], ["GET", "1"]);
    const inferred = outside.requests.find((r) => r.path === "/v1/chat/completions");
    assert.deepEqual([inferred.method, inferred.headers.authorization, JSON.parse(inferred.body).model], ["POST", "Bearer sk-x", "gpt-4o-mini"]);
  });

  test("6 AI triage, the last step fails once", async () => {
    const data = ticket({ failOnce: true });
    const { run, times } = await play("6b AI, last step fails once", "ticket/created", data);
    assert.deepEqual([run.status, run.output], ["Completed", { ticketId: data.ticketId, queue: "gold-billing" }]);
    assert.equal(times("route"), 2);
    assert.equal(outside.requests.filter((r) => r.path === `/crm/customers/${data.customerId}`).length, 1);
  });

  test("6 AI triage, the last step can never succeed", async () => {
    const { run, key, times, calls } = await play("6c AI, last step non-retriable", "ticket/created", ticket({ alwaysFail: true }));
    assert.deepEqual([run.status, run.output.message, times("route")], ["Failed", "no such queue", 1]);
    assert.equal(run.output.name, major === 3 ? "Error" : "NonRetriableError");
    assert.deepEqual(calls.slice(-2).map((c) => [c.status, c.answerHeaders["x-inngest-no-retry"]]), [[206, "true"], [400, "true"]]);
    await world.witness.saw(`${key}/page-human: no such queue`);
    const failure = firstCallOf("apps-ticket-triage-failure", (event) => event.data.event.data.key === key);
    assert.equal(failure.body.event.name, "inngest/function.failed");
    const { run_id: runId } = failure.body.ctx;
    await until(() => counted(runId) === COUNTS["6c failure function"][column] && world.calls(runId).every((c) => c.isDone), "the failure function has ended");
    assert.equal(times("page-human: no such queue"), 1);
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
