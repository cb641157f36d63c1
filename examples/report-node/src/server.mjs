// A plain Node server: one function of three steps and a sleep, and a route that asks for a report.
import { createServer } from "node:http";
import { Inngest } from "inngest";
import { serve } from "inngest/node";

const client = new Inngest({ id: "report-node" });

const weeklyReport = client.createFunction(
  {
    id: "weekly-report",
    retries: 3,
    triggers: [{ event: "report/weekly" }],
    // Called once, as a function of its own, when all retries are used up.
    onFailure: ({ error }) => console.error(`no report this week: ${error.message}`),
  },
  async ({ event, step }) => {
    const { team } = event.data;
    const days = await step.run("fetch-data", () => [12, 9, 21]);
    const report = await step.run("generate-report", () => ({ team, sum: days.reduce((sum, day) => sum + day, 0) }));

    // Nothing of this process waits: the gateway calls again when the time has come, also after a restart of either side.
    await step.sleep("wait-for-office-hours", event.data.delay ?? "5s");

    await step.run("announce", () => console.log(`${report.team}: ${report.sum}`));
    return report;
  },
);

const handleInngest = serve({ client, functions: [weeklyReport] });

const server = createServer(async (req, res) => {
  const { pathname } = new URL(req.url, "http://localhost");
  if (pathname === "/api/inngest") {
    return handleInngest(req, res);
  }
  const answer = (status, value) => res.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
  if (pathname === "/reports" && req.method === "POST") {
    try {
      const chunks = [];
      for await (const chunk of req) chunks.push(chunk);
      const { ids } = await client.send({ name: "report/weekly", data: JSON.parse(Buffer.concat(chunks).toString()) });
      return answer(202, { accepted: ids });
    } catch (error) {
      return answer(error instanceof SyntaxError ? 400 : 502, { error: error.message });
    }
  }
  return answer(404, { error: "not found" });
});

const port = Number(process.env.PORT ?? 3000);
server.listen(port, () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
