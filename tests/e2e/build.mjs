// Bundles the test Worker once for each SDK, into the build folder.
import { build } from "esbuild";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildDir } from "./lib/processes.mjs";

await build({
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  entryPoints: ["apps/worker3.mjs", "apps/worker4.mjs"],
  outdir: path.join(buildDir, "e2e"),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  conditions: ["workerd", "worker"],
  mainFields: ["module", "main"],
  banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire("file:///worker.mjs");' },
  logLevel: "warning",
});
