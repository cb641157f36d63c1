// The functions under test, written once for both SDKs and both runtimes.
//
// A step says to the witness that it runs (say.mjs), and one that must fail at first asks it how often it has run.
import { makeApplications } from "./applications.mjs";
import { say } from "./say.mjs";

// What JSON can say, and what JavaScript has besides and must lose on the way.
export const values = {
  null: null,
  true: true,
  false: false,
  zero: 0,
  negative: -1.5,
  big: 1e21,
  small: 1e-7,
  integer: 9007199254740991,
  empty: "",
  text: "zażółć <&> \u2028 \u0000 \" \\ / \u{1F600}",
  long: "0123456789".repeat(20_000),
  list: [1, [2, [3, []]], {}],
  object: { b: 1, a: { "": null, "\u{1F600}": 1, "\ufb33": 2 } },
  lookalike: { data: { error: "no", input: [1] }, type: "data" },
};

// A step that does nothing but say its name.
const member = (event, step, name) => step.run(name, async () => {
  await say(event, name);
  return name;
});

export function makeFunctions(tools) {
  const { major, client, NonRetriableError, RetryAfterError, stepFetch } = tools;
  const on = (event, options, handler) =>
    major === 3 ? client.createFunction(options, { event }, handler) : client.createFunction({ ...options, triggers: [{ event }] }, handler);

  return [
    // reference/09 §5.1
    on("report/requested", { id: "report-pipeline", name: "Report pipeline", retries: 3, idempotency: "event.data.reportId" }, async ({ event, step }) => {
      const days = await step.run("fetch-data", async () => {
        await say(event, "fetch-data");
        return [12, 9, 21];
      });
      const report = await step.run("generate-report", async () => {
        const times = await say(event, "generate-report");
        if (event.data.failOnce && times === 1) throw new Error("render timeout");
        return { key: `reports/${event.data.reportId}.pdf`, sum: days.reduce((sum, day) => sum + day, 0) };
      });
      await step.run("notify", async () => {
        await say(event, "notify");
        return { sentTo: event.data.email };
      });
      return { reportId: event.data.reportId, sum: report.sum };
    }),

    // Requests that the gateway makes: `place` answers them, at `dead` nobody does (reference/02 §10).
    on("e2e/offload", { id: "offload", retries: 1 }, async ({ event, step }) => {
      const { place, dead } = event.data;
      const fetchInStep = step.fetch ?? stepFetch;
      const told = (promise) =>
        promise.then(
          async (response) => ({ status: response.status, type: response.headers.get("content-type"), body: await response.text() }),
          ({ name, message }) => ({ name, message }),
        );
      const empty = await told(fetchInStep(`${place}/empty`, { method: "DELETE" }));
      const missing = await told(fetchInStep(`${place}/missing`));
      const form = await told(fetchInStep(`${place}/form`, { method: "POST", body: "a=1&b=\u00fc" }));
      const refused = await told(fetchInStep(`${dead}/`));
      const inferred = await step.ai
        .infer("ask", { model: step.ai.models.openai({ model: "m", apiKey: "sk-e2e-s3cret", baseUrl: `${place}/v1/` }), body: { messages: [] } })
        .then(({ choices }) => choices[0].message.content, ({ name, message }) => ({ name, message }));
      return { empty, missing, form, refused, inferred };
    }),

    on("e2e/attempts", { id: "attempts", retries: 3 }, async ({ event, step, attempt: outer }) => {
      const first = await step.run("first", async () => {
        const times = await say(event, `first/${outer}`);
        if (outer < 3) throw new Error(`first, attempt ${outer}`);
        return times;
      });
      const second = await step.run("second", async () => {
        await say(event, `second/${outer}`);
        if (outer < 1) throw new Error(`second, attempt ${outer}`);
        return outer;
      });
      return { first, second, outer };
    }),

    on("e2e/caught", { id: "caught", retries: 1 }, async ({ event, step }) => {
      const problems = [];
      for (const [id, error] of [["plain", new TypeError("plain failure")], ["final", new NonRetriableError("final failure")]]) {
        try {
          await step.run(id, async () => {
            await say(event, id);
            throw error;
          });
        } catch (caught) {
          problems.push({ name: caught.name, message: caught.message });
        }
      }
      const after = await step.run("after", async () => say(event, "after"));
      return { problems, after };
    }),

    on("e2e/uncaught", {
      id: "uncaught",
      retries: 1,
      onFailure: async ({ event, error, step }) => {
        const { error: told, event: original, function_id: id } = event.data;
        await step.run("report", () => say(original, `on-failure: ${told.name}: ${error.message} in ${id}`));
      },
    }, async ({ event, step }) => {
      await step.run("good", () => say(event, "good"));
      await step.run("bad", async () => {
        await say(event, "bad");
        throw new RangeError("out of range");
      });
      return "not reached";
    }),

    on("e2e/function-fails", { id: "function-fails", retries: 2 }, async ({ event, attempt }) => {
      await say(event, `body/${attempt}`);
      throw new Error(`attempt ${attempt}`);
    }),

    on("e2e/function-final", { id: "function-final", retries: 3 }, async ({ event }) => {
      await say(event, "body");
      throw new NonRetriableError("never again");
    }),

    on("e2e/retry-after", { id: "retry-after", retries: 1 }, async ({ event, step }) => {
      return step.run("wait", async () => {
        if ((await say(event, "wait")) === 1) throw new RetryAfterError("later", "3s");
        return "late";
      });
    }),

    on("e2e/sleep", { id: "sleep" }, async ({ event, step }) => {
      const before = await step.run("before", async () => {
        await say(event, "before");
        return Date.now();
      });
      await step.sleep("nap", "1s");
      const between = await step.run("between", async () => {
        await say(event, "between");
        return Date.now();
      });
      await step.sleepUntil("until", new Date(between + 1500));
      const after = await step.run("after", async () => {
        await say(event, "after");
        return Date.now();
      });
      return { nap: between - before, until: after - between };
    }),

    on("e2e/loop", { id: "loop" }, async ({ event, step }) => {
      const seen = [];
      for (let i = 0; i < 3; i++) {
        await step.sleep("wait", 10);
        seen.push(await step.run("plop", async () => ({ i, times: await say(event, `plop/${i}`) })));
      }
      return seen;
    }),

    on("e2e/values", { id: "values" }, async ({ event, step }) => {
      const kept = {};
      for (const [name, value] of Object.entries(values)) kept[name] = await step.run(name, () => value);
      const nothing = await step.run("undefined", () => undefined);
      const date = await step.run("date", () => new Date(0));
      return { kept, nothing, date, sent: event.data.sent };
    }),

    on("e2e/held", { id: "held", retries: 3 }, async ({ event, step }) => {
      const first = await step.run("first", () => say(event, "first"));
      const held = await step.run("held", () => say(event, "held"));
      await step.sleep("nap", event.data.nap ?? "1s");
      const last = await step.run("last", () => say(event, "last"));
      return { first, held, last };
    }),

    // The functions of reference/02 §16.2.
    on("e2e/parallel", { id: "parallel", retries: 3 }, async ({ event, step }) => {
      const group = await Promise.all(["a", "b", "c"].map((name) => member(event, step, name)));
      return [...group, await member(event, step, "d")];
    }),
    on("e2e/chains", { id: "chains", retries: 3 }, async ({ event, step }) => {
      const chain = async (first, second) => (await member(event, step, first)) + (await member(event, step, second));
      return Promise.all([chain("a1", "a2"), chain("b1", "b2")]);
    }),
    on("e2e/race", { id: "race", retries: 3 }, async ({ event, step }) => {
      const winner = await Promise.race(["a", "b"].map((name) => member(event, step, name)));
      return [winner, await member(event, step, "after")];
    }),

    on("e2e/signalled", { id: "signalled" }, async ({ event, step }) =>
      step.waitForSignal("wait", { signal: `signal-${event.data.key}`, timeout: event.data.timeout ?? "20s", onConflict: "fail" })),
    on("e2e/signal", { id: "signal", retries: 0 }, async ({ event, step }) => {
      await step.sendSignal("send", { signal: `signal-${event.data.to}`, data: { from: event.data.key } });
      return "sent";
    }),

    on("e2e/two-steps", { id: "two-steps" }, async ({ event, step }) => {
      const a = await step.run("a", () => say(event, "a"));
      const b = await step.run("b", () => say(event, "b"));
      return [a, b];
    }),

    on("e2e/slow-step", { id: "slow-step" }, async ({ event, step }) => {
      await step.run("slow", async () => {
        await say(event, "slow");
        await new Promise((resolve) => setTimeout(resolve, event.data.slow_ms));
      });
      return step.run("next", () => say(event, "next"));
    }),

    on("e2e/parent", { id: "parent" }, async ({ event, step }) => {
      const { witness, key } = event.data;
      const sent = await step.sendEvent("tell", [1, 2].map((n) => ({ name: "e2e/child", data: { witness, key, n } })));
      return sent.ids;
    }),
    on("e2e/child", { id: "child" }, async ({ event, step }) => step.run("work", () => say(event, `child/${event.data.n}`))),

    on("e2e/ping", { id: "ping" }, async () => "pong"),
    on("e2e/echo", { id: "echo" }, async ({ event, step }) => step.run("echo", () => event.data.value)),

    ...makeApplications(tools),
  ];
}

// Served under a path of their own with streaming answers: 201 at once, then spaces, then an envelope.
export function makeStreamedFunctions({ major, client }) {
  const on = (event, options, handler) =>
    major === 3 ? client.createFunction(options, { event }, handler) : client.createFunction({ ...options, triggers: [{ event }] }, handler);
  return [
    on("e2e/streamed", { id: "streamed", retries: 2 }, async ({ event, step, attempt }) => {
      const first = await step.run("first", () => say(event, "first"));
      // Longer than the three seconds between two heartbeats.
      const slow = await step.run("slow", async () => {
        await say(event, "slow");
        await new Promise((resolve) => setTimeout(resolve, event.data.slow_ms ?? 3500));
        return "zażółć";
      });
      if (attempt === 0) throw new Error("once more");
      return { first, slow, attempt };
    }),
  ];
}

// What `checkpointing` the SDK is given: nothing by default, so that its own default counts.
export const clientOptions = ({ CHECKPOINTING }) => (CHECKPOINTING === "on" || CHECKPOINTING === "off" ? { checkpointing: CHECKPOINTING === "on" } : {});
export const appId = "apps";
export const streamedAppId = "apps-streamed";
