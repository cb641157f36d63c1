// The functions in a Worker. worker3.mjs and worker4.mjs bring the SDK.
import { appId, clientOptions, makeFunctions, makeStreamedFunctions, streamedAppId } from "./functions.mjs";

export function makeWorker({ major, Inngest, NonRetriableError, RetryAfterError, stepFetch, serve }) {
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
  return {
    async fetch(request, env, ctx) {
      const { origin, pathname, search } = new URL(request.url);
      if (process.env.BROKEN === "missing") return new Response("no such route\n", { status: 404 });
      if (process.env.BROKEN === "throws") throw new Error("broken Worker");
      if (process.env.BROKEN === "hangs") return new Promise(() => {});
      if (pathname.startsWith("/moved/")) return Response.redirect(`${origin}/api/${pathname.slice(7)}${search}`, 307);
      if (pathname === "/api/inngest") return served(request, env, ctx);
      if (pathname === "/api/streamed") return streamed(request, env, ctx);
      return new Response("not found\n", { status: 404 });
    },
  };
}
