// Bundles the Worker for plain workerd. Wrangler does the same by itself, so this is not needed for `wrangler dev` or `deploy`.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

await build({
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  entryPoints: ["src/index.ts"],
  outfile: "dist/worker.mjs",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  conditions: ["workerd", "worker"],
  mainFields: ["module", "main"],
  // Some dependencies of the SDK still call require(), which an ES module does not have.
  banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire("file:///worker.mjs");' },
  logLevel: "warning",
});
