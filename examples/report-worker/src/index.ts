// A report is fetched, rendered and announced. Each step runs once: what it returned is kept by the gateway, and when a later
// step fails, or the Worker or the gateway goes away, the run continues behind the last step that is known to have ended.
import { Inngest } from "inngest";
import { serve } from "inngest/cloudflare";

interface Env {
  INNGEST_DEV?: string;
  INNGEST_BASE_URL?: string;
  INNGEST_EVENT_KEY?: string;
  INNGEST_SIGNING_KEY?: string;
}

interface ReportRequest {
  reportId: string;
  email: string;
  failOnce?: boolean;
}

const client = new Inngest({ id: "apps" });

// Which reports have failed already. Memory of an isolate, good enough for a demonstration of a retry and for nothing else.
const failedOnce = new Set<string>();

// Stands for work that takes a moment.
const work = () => new Promise((resolve) => setTimeout(resolve, 300));

const reportPipeline = client.createFunction(
  {
    id: "report-pipeline",
    name: "Report pipeline",
    retries: 3,
    idempotency: "event.data.reportId",
    triggers: [{ event: "report/requested" }],
  },
  async ({ event, step }) => {
    const { reportId, email, failOnce } = event.data as ReportRequest;

    const days = await step.run("fetch-data", async () => {
      await work();
      return [12, 9, 21];
    });

    const report = await step.run("generate-report", async () => {
      await work();
      if (failOnce && !failedOnce.has(reportId)) {
        failedOnce.add(reportId);
        throw new Error("render timeout");
      }
      return { key: `reports/${reportId}.pdf`, sum: days.reduce((sum: number, day: number) => sum + day, 0) };
    });

    await step.run("notify", async () => {
      await work();
      return { sentTo: email };
    });

    return { reportId, sum: report.sum };
  },
);

const handleInngest = serve({ client, functions: [reportPipeline] });

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/inngest") {
      return handleInngest(request, env as Record<string, string | undefined>);
    }
    if (pathname === "/reports" && request.method === "POST") {
      client.setEnvVars(env as Record<string, string | undefined>); // a Worker learns its settings from each request
      const data = (await request.json()) as ReportRequest;
      const { ids } = await client.send({ name: "report/requested", data });
      return Response.json({ accepted: ids }, { status: 202 });
    }
    return new Response("not found\n", { status: 404 });
  },
};
