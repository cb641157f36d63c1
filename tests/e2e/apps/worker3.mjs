import { fetch as stepFetch, Inngest, NonRetriableError, RetryAfterError } from "inngest3";
import { serve } from "inngest3/cloudflare";
import { makeWorker } from "./worker.mjs";

export default makeWorker({ major: 3, Inngest, NonRetriableError, RetryAfterError, stepFetch, serve });
