// The functions on Node, with the SDK that SDK_MAJOR names; everything else the SDK finds in its environment by itself.
import { createServer } from "node:http";
import { appId, clientOptions, makeFunctions, makeStreamedFunctions, streamedAppId } from "./functions.mjs";

const major = Number(process.env.SDK_MAJOR);
const { fetch: stepFetch, Inngest, NonRetriableError, RetryAfterError } = await import(`inngest${major}`);
const { serve } = await import(`inngest${major}/node`);

const options = clientOptions(process.env);
const client = new Inngest({ id: appId, ...options });
const streamedClient = new Inngest({ id: streamedAppId, ...options });
const served = serve({ client, functions: makeFunctions({ major, client, NonRetriableError, RetryAfterError, stepFetch }) });
const streamed = serve({
  client: streamedClient,
  functions: makeStreamedFunctions({ major, client: streamedClient }),
  servePath: "/api/streamed",
  streaming: major === 3 ? "force" : true,
});

const server = createServer((req, res) => {
  const { pathname } = new URL(req.url, "http://app");
  if (pathname === "/api/inngest") return served(req, res);
  if (pathname === "/api/streamed") return streamed(req, res);
  return res.writeHead(404).end("not found\n");
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
