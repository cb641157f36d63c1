// The conformance applications of reference/09 §5.2 to §5.6; that of §5.1 is in functions.mjs. What takes hours or days in them may be
// shortened by the event (`pace`), and the schedule of §5.3 can be played by an event as well: neither changes what is called.
import { say } from "./say.mjs";

export function makeApplications({ major, client, NonRetriableError, stepFetch }) {
  const on = (triggers, options, handler) =>
    major === 3 ? client.createFunction(options, triggers, handler) : client.createFunction({ ...options, triggers: [].concat(triggers) }, handler);
  const pace = (event, name, usual) => event.data.pace?.[name] ?? usual;

  const render = on({ event: "digest/render" }, { id: "render-pdf" }, async ({ event, step }) =>
    step.run("render", async () => {
      await say(event, "render");
      return `digests/${event.data.opens}-${event.data.clicks}.pdf`;
    }));

  return [
    on({ event: "tenant/sync.requested" }, {
      id: "tenant-sync",
      retries: 5,
      concurrency: [{ key: "event.data.tenantId", limit: 1 }, { limit: 10 }],
      priority: { run: "event.data.plan == 'enterprise' ? 120 : 0" },
    }, async ({ event, step }) => {
      await step.run("open-cursor", () => say(event, "open-cursor"));
      let rows = 0;
      for (let page = 0; page < event.data.pages; page++) {
        rows += await step.run("sync-page", async () => {
          await say(event, `sync-page/${page}`);
          return 100 + page;
        });
      }
      await step.sleep("cool-down", pace(event, "cool-down", "30s"));
      await step.run("mark-synced", () => say(event, "mark-synced"));
      return { rows };
    }),

    on([{ cron: "TZ=Europe/Paris 15 3 * * *" }, { event: "cleanup/requested" }], {
      id: "nightly-cleanup",
      retries: 1,
      concurrency: { limit: 1 },
    }, async ({ event, step }) => {
      const batches = [500, 500, 120];
      let deleted = 0;
      for (let i = 0; ; i++) {
        const count = await step.run("delete-batch", async () => {
          await say(event, `delete-batch/${i}`);
          return batches[i];
        });
        deleted += count;
        if (count < 500) return { deleted, cron: event.data.cron };
        await step.sleep("pause", pace(event, "pause", "5s"));
      }
    }),

    on({ event: "digest/requested" }, { id: "digest-fanout", retries: 2 }, async ({ event, step }) => {
      const { witness, key } = event.data;
      const users = await step.run("load-users", async () => {
        await say(event, "load-users");
        return ["u1", "u2", "u3"];
      });
      const sent = await step.sendEvent("fan-out", users.map((userId) => ({ name: "digest/user", data: { witness, key, userId } })));
      const [opens, clicks] = await Promise.all([
        step.run("count-opens", async () => {
          await say(event, "count-opens");
          return 7;
        }),
        step.run("count-clicks", async () => {
          await say(event, "count-clicks");
          return 3;
        }),
      ]);
      const pdf = await step.invoke("render-pdf", { function: render, data: { opens, clicks, witness, key }, timeout: "10m" });
      return { users: users.length, pdf, sent: sent.ids };
    }),
    on({ event: "digest/user" }, { id: "digest-user", retries: 2, throttle: { limit: 50, period: "60s" } }, async ({ event, step }) =>
      step.run("send", () => say(event, `send/${event.data.userId}`))),
    render,

    on({ event: "expense/submitted" }, {
      id: "expense-approval",
      retries: 3,
      cancelOn: [{ event: "expense/withdrawn", match: "data.expenseId", timeout: "7d" }],
      timeouts: { finish: "10d" },
    }, async ({ event, step }) => {
      await step.run("ask-approver", () => say(event, "ask-approver"));
      const decision = await step.waitForEvent("wait-decision", {
        event: "expense/decided",
        timeout: pace(event, "decision", "3d"),
        if: "event.data.expenseId == async.data.expenseId",
      });
      if (!decision) {
        await step.run("escalate", () => say(event, "escalate"));
        return { status: "timed-out" };
      }
      if (!decision.data.approved) return { status: "rejected" };
      await step.run("pay", () => say(event, "pay"));
      return { status: "approved" };
    }),

    on({ event: "ticket/created" }, {
      id: "ticket-triage",
      retries: 2,
      onFailure: async ({ event, error, step }) => {
        await step.run("page-human", () => say(event.data.event, `page-human: ${error.message}`));
      },
    }, async ({ event, step }) => {
      const { ticketId, customerId, text, models, crm } = event.data;
      const answer = await step.ai.infer("classify", {
        model: step.ai.models.openai({ model: "gpt-4o-mini", apiKey: "sk-x", baseUrl: models }),
        body: { messages: [{ role: "user", content: text }] },
      });
      const fetchInStep = step.fetch ?? stepFetch;
      const customer = await (await fetchInStep(`${crm}/customers/${customerId}`, { headers: { "x-api": "1" } })).json();
      const queue = await step.run("route", async () => {
        const times = await say(event, "route");
        if (event.data.failOnce && times === 1) throw new Error("router busy");
        if (event.data.alwaysFail) throw new NonRetriableError("no such queue");
        return `${customer.plan}-${answer.choices[0].message.content}`;
      });
      return { ticketId, queue };
    }),
  ];
}
