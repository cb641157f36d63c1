import { fetch as stepFetch, Inngest, NonRetriableError, RetryAfterError } from "inngest4";
import { serve } from "inngest4/cloudflare";
import { makeWorker } from "./worker.mjs";

export default makeWorker({ major: 4, Inngest, NonRetriableError, RetryAfterError, stepFetch, serve });
