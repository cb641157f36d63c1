// What the SDKs see must be what they see of the reference server: scenario by scenario, down to bodies and headers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildDir, cleanEnvironment, Gateway } from "./lib/processes.mjs";
import { freePort } from "./lib/util.mjs";

const here = fileURLToPath(new URL("diff/", import.meta.url));
const keys = { signingKey: "0123456789abcdef".repeat(4), eventKey: "diff-events" };
const groups = process.env.DIFF_GROUPS ?? "basics,data,errors,steps,time,lifecycle,checkpoint,waits,invoke,offload,cancel,events,api";
// These need flow control, which does not exist yet.
const waitForFlowControl = ["cancel-start-timeout", "invoke-batch", "invoke-rate-limited"];

async function run(program, args) {
  const child = spawn(process.execPath, [path.join(here, program), ...args], { env: cleanEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  const [code] = await once(child, "close");
  return { code, text };
}

for (const major of [2, 3, 4]) {
  for (const mode of ["dev", "signed"]) {
    const name = `v${major}${mode === "signed" ? "-signed" : ""}`;
    test(`scenarios as in transcripts/${name}`, async (t) => {
      const dir = path.join(buildDir, "e2e", `diff-${name}`);
      const out = path.join(dir, "out");
      fs.rmSync(dir, { recursive: true, force: true });
      fs.mkdirSync(out, { recursive: true });
      const gateway = await Gateway.start({ dir, port: await freePort(), ...(mode === "signed" ? keys : {}) });
      const only = mode === "signed" ? "basics,signed" : groups;
      const ran = await run("run.mjs", ["--server", gateway.origin, "--sdk", String(major), "--mode", mode, "--only", only, "--out", out, "--raw"]);
      await gateway.stop();
      assert.ok(ran.code <= 1, ran.text);

      const verdict = path.join(dir, "verdict.json");
      const timing = mode === "signed" ? ["--no-timing"] : [];
      const compared = await run("compare.mjs", [path.join(here, "transcripts", name), out, "--ran", "--accept", path.join(here, "accept.json"), "--json", verdict, "--max", "20", ...timing]);
      fs.writeFileSync(path.join(dir, "report.txt"), compared.text);
      assert.ok(fs.existsSync(verdict), compared.text);
      const { same, different, bothFail } = JSON.parse(fs.readFileSync(verdict, "utf8"));
      const known = new Set(fs.readdirSync(path.join(here, "transcripts", name)));
      for (const id of [...same, ...different, ...bothFail].sort()) {
        // Nothing was kept of scenarios in which the reference server did not do the same thing twice.
        if (!known.has(`${id}.json`) || waitForFlowControl.includes(id)) continue;
        await t.test(id, () => assert.ok(!different.includes(id), details(compared.text, id)));
      }
    });
  }
}

// The lines of the report about one scenario.
function details(report, id) {
  const from = report.indexOf(`\n${id}\n`);
  return from < 0 ? `${id} differs` : report.slice(from + 1, report.indexOf("\n\n", from + 1));
}
