// The functions under test with `inngest` 2.7.2, the counterpart of ../apps/functions.mjs: this major names functions and steps
// otherwise, knows no errors of steps, and has no adapter for plain Node, so that its edge adapter is bridged here.
import { createServer } from "node:http";
import { Inngest, NonRetriableError } from "inngest2";
import { serve } from "inngest2/edge";

const { INNGEST_API_BASE_URL: base, PORT } = process.env;
// No logger of our own: this major would delay every answer by a second to let it flush.
const client = new Inngest({ name: "apps", eventKey: process.env.INNGEST_EVENT_KEY ?? "dev", inngestBaseUrl: `${base}/` });

async function say(event, name) {
  const { witness, key } = event.data;
  const response = await fetch(`${witness}/${encodeURIComponent(`${key}/${name}`)}`, { method: "POST", body: "" });
  return (await response.json()).count;
}

const functions = [];
const on = (event, name, options, handler) => functions.push(client.createFunction({ name, ...options }, { event }, handler));

// A step that does nothing but say its name.
const saying = (step, event, name) => step.run(name, async () => {
  await say(event, name);
  return name;
});

on("report/requested", "Report pipeline", { retries: 3 }, async ({ event, step }) => {
  const days = await step.run("fetch-data", async () => {
    await say(event, "fetch-data");
    return [12, 9, 21];
  });
  const report = await step.run("generate-report", async () => {
    const times = await say(event, "generate-report");
    if (event.data.failOnce && times === 1) throw new Error("render timeout");
    return { key: `reports/${event.data.reportId}.pdf`, sum: days.reduce((sum, day) => sum + day, 0) };
  });
  await saying(step, event, "notify");
  return { reportId: event.data.reportId, sum: report.sum };
});

on("e2e/parallel", "Parallel", { retries: 3 }, async ({ event, step }) => {
  const group = await Promise.all(["a", "b", "c"].map((name) => saying(step, event, name)));
  return [...group, await saying(step, event, "d")];
});

on("e2e/groups", "Groups", { retries: 3 }, async ({ event, step }) => {
  const first = await Promise.all(["a", "b"].map((name) => saying(step, event, name)));
  return [...first, ...(await Promise.all(["c", "d"].map((name) => saying(step, event, name))))];
});

on("e2e/chains", "Chains", { retries: 3 }, ({ event, step }) => {
  const chain = async (...names) => {
    let joined = "";
    for (const name of names) joined += await saying(step, event, name);
    return joined;
  };
  return Promise.all([chain("a1", "a2"), chain("b1", "b2")]);
});

on("e2e/mixed", "Mixed", { retries: 3 }, async ({ event, step }) => {
  await Promise.all([saying(step, event, "a"), step.sleep("1s")]);
  return saying(step, event, "d");
});

on("e2e/race", "Race", { retries: 3 }, async ({ event, step }) => {
  const first = await Promise.race([saying(step, event, "a"), saying(step, event, "b")]);
  return [first, await saying(step, event, "after")];
});

on("e2e/parallel-fails", "Parallel fails", { retries: 1 }, async ({ event, step }) => {
  await Promise.all([saying(step, event, "good"), step.run("bad", async () => {
    await say(event, "bad");
    throw new Error("bad member");
  })]);
  return "not reached";
});

on("e2e/attempts", "Attempts", { retries: 3 }, async ({ event, step, attempt }) => {
  const failing = (name, limit) => step.run(name, async () => {
    await say(event, `${name}/${attempt}`);
    if (attempt < limit) throw new Error(`${name}, attempt ${attempt}`);
    return attempt;
  });
  await failing("first", 3);
  await failing("second", 1);
  return "done";
});

async function onFailure({ event, error, step }) {
  const { error: told, event: original, function_id: id } = event.data;
  await step.run("report", () => say(original, `on-failure: ${told.name}: ${error.message} in ${id}`));
}

on("e2e/uncaught", "Uncaught", { retries: 1, onFailure }, async ({ event, step }) => {
  await saying(step, event, "good");
  await step.run("bad", async () => {
    await say(event, "bad");
    throw new RangeError("out of range");
  });
  return "not reached";
});

on("e2e/step-final", "Step final", { retries: 3 }, ({ event, step }) => step.run("final", async () => {
  await say(event, "final");
  throw new NonRetriableError("final failure");
}));

on("e2e/function-fails", "Function fails", { retries: 2, onFailure }, async ({ event, attempt }) => {
  await say(event, `body/${attempt}`);
  throw new Error(`attempt ${attempt}`);
});

on("e2e/function-final", "Function final", { retries: 3 }, async ({ event }) => {
  await say(event, "body");
  throw new NonRetriableError("never again");
});

on("e2e/sleep", "Sleep", {}, async ({ event, step }) => {
  const stamp = (name) => step.run(name, async () => {
    await say(event, name);
    return Date.now();
  });
  const before = await stamp("before");
  await step.sleep("1s");
  const between = await stamp("between");
  await step.sleepUntil(new Date(between + 1500));
  const after = await stamp("after");
  return { nap: between - before, until: after - between };
});

on("e2e/loop", "Loop", {}, async ({ event, step }) => {
  const seen = [];
  for (let i = 0; i < 3; i++) {
    await step.sleep("1s");
    seen.push(await step.run("plop", async () => ({ i, times: await say(event, `plop/${i}`) })));
  }
  return seen;
});

// Keeps `count` texts of `size` bytes and counts them in a step of its own.
on("e2e/large", "Large", {}, async ({ event, step }) => {
  const texts = [];
  for (let i = 0; i < event.data.count; i++) {
    texts.push(await step.run(`text-${i}`, async () => {
      await say(event, `text-${i}`);
      return String(i % 10).repeat(event.data.size);
    }));
  }
  return step.run("count", async () => {
    await say(event, "count");
    return texts.join("").length;
  });
});

on("e2e/parent", "Parent", {}, ({ event, step }) => {
  const { witness, key } = event.data;
  return step.sendEvent([1, 2].map((n) => ({ name: "e2e/child", data: { witness, key, n } })));
});
on("e2e/child", "Child", {}, ({ event, step }) => saying(step, event, `child/${event.data.n}`));

on("e2e/ping", "Ping", {}, () => "pong");
on("e2e/nothing", "Nothing", {}, () => undefined);
on("e2e/echo", "Echo", {}, ({ event, step }) => step.run("echo", () => event.data.value));

const served = serve(client, functions, { inngestRegisterUrl: `${base}/fn/register`, logLevel: "error" });

const server = createServer(async (req, res) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {};
  const response = await served(new Request(`http://${req.headers.host}${req.url}`, { method: req.method, headers: req.headers, ...body }));
  res.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
});
server.listen(Number(PORT ?? 0), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
