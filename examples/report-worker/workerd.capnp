# The Worker in plain workerd, the runtime that Cloudflare itself uses: no account, no network, no Wrangler.
#
#   npm ci && npm run build
#   INNGEST_DEV=1 INNGEST_BASE_URL=http://127.0.0.1:8288 node_modules/.bin/workerd serve workerd.capnp
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .reportWorker ),
    # Without "private" and "local" the Worker could not reach a gateway on this machine.
    ( name = "internet", network = ( allow = ["public", "private", "local"] ) ),
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:8787", http = (), service = "main" ) ],
);

const reportWorker :Workerd.Worker = (
  modules = [ ( name = "worker.mjs", esModule = embed "dist/worker.mjs" ) ],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [
    # Both must be set: an unset variable would reach the SDK as the text "null".
    ( name = "INNGEST_DEV", fromEnvironment = "INNGEST_DEV" ),
    ( name = "INNGEST_BASE_URL", fromEnvironment = "INNGEST_BASE_URL" ),
  ],
);
