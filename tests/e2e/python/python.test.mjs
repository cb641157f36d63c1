// The Python SDK in a Flask app (its synchronous half) and in a FastAPI app (its asynchronous one).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildDir, cleanEnvironment } from "../lib/processes.mjs";
import { commonTests, largeTests, parallelTests, SdkWorld, trace, usualSettings, waitTests } from "../lib/sdks.mjs";
import { bearer } from "../lib/util.mjs";
import { signingKey } from "../lib/world.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const python = path.join(buildDir, "e2e/python/bin/python");

// A virtual environment of our own in the build folder, made anew when the requirements have changed.
function ensureVenv() {
  const wanted = path.join(here, "requirements.txt");
  const stamp = path.join(buildDir, "e2e/python/requirements.txt");
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === fs.readFileSync(wanted, "utf8")) return;
  const run = (program, ...args) => execFileSync(program, args, { env: cleanEnvironment(), stdio: ["ignore", "ignore", "inherit"] });
  fs.rmSync(path.join(buildDir, "e2e/python"), { recursive: true, force: true });
  run("python3", "-m", "venv", path.join(buildDir, "e2e/python"));
  run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted);
  fs.copyFileSync(wanted, stamp);
}

const command = [python, path.join(here, "app.py")];

// `Bearer` and the hash, without the prefix that other SDKs leave in front of it.
const bare = (value) => value.replace(/^Bearer signkey-\w+-/, "Bearer ");

for (const framework of ["flask", "fastapi"]) {
  for (const mode of ["dev", "signed"]) {
    describe(`Python with ${framework}, ${mode}`, { concurrency: true }, () => {
      let world;
      before(async () => {
        ensureVenv();
        const paths = framework === "fastapi" ? ["/api/inngest", "/api/streamed"] : ["/api/inngest"];
        const settings = (of) => ({ ...usualSettings(of), FRAMEWORK: framework, PYTHONUNBUFFERED: "1" });
        // One of the two frameworks is registered by the app, the other by the gateway.
        const sync = framework === "flask" ? "app" : "gateway";
        world = await SdkWorld.start({ name: `python-${framework}-${mode}`, mode, sync, app: { command, paths, settings } });
      });
      after(() => world?.stop());

      commonTests(() => world, {
        mode,
        runOp: "StepRun",
        stepFails: "206 StepError bad",
        stepFailsLast: "206 StepFailed bad",
        failure: { name: "IndexError", message: "out of range" },
        onFailure: { step: "IndexError", body: "RuntimeError" },
      });
      parallelTests(() => world);
      waitTests(() => world);
      largeTests(() => world, { fetches: true, authorization: mode === "signed" ? bare(bearer(signingKey)) : undefined });

      test("a failed step is caught by the function", async () => {
        const { run, calls, times } = await world.play("e2e/caught");
        assert.deepEqual([run.status, run.output], ["Completed", { problem: ["TypeError", "plain failure"], after: 1 }]);
        assert.equal(times("plain"), 2);
        assert.deepEqual(trace(calls), [
          "step 0/0: 206 StepError plain",
          "step#1 0/0: 206 StepFailed plain",
          "step 1/1: 206 StepRun after",
          "step 2/2: 200",
        ]);
      });

      test("an error in a step that says so fails the function at once", async () => {
        const { run, calls, times } = await world.play("e2e/step-final");
        assert.deepEqual([run.status, run.output.message, times("final")], ["Failed", "final failure", 1]);
        assert.deepEqual(trace(calls), ["step 0/0: 500"]);
      });

      test("a time that an error names for the next attempt counts", async () => {
        const { run, calls, times } = await world.play("e2e/retry-after");
        assert.deepEqual([run.status, run.output, times("wait")], ["Completed", "late", 2]);
        const gap = calls[1].at - calls[0].at;
        assert.ok(gap >= 2900 && gap < 6000, `the second attempt came after ${gap} ms`);
      });

      if (mode === "signed" && framework === "flask") {
        test("registers with the bare hash of its key", () => {
          const sent = world.toGateway.exchanges.filter((e) => e.path === "/fn/register");
          assert.ok(sent.length > 0);
          for (const { headers, status } of sent) assert.deepEqual([headers.authorization, status], [bare(bearer(signingKey)), 200]);
        });
      }

      if (framework === "fastapi") {
        test("streamed answers", async () => {
          const { run, calls, times } = await world.play("e2e/streamed");
          assert.deepEqual([run.status, run.output], ["Completed", { first: 1, slow: "zażółć", attempt: 1 }]);
          assert.deepEqual([times("first"), times("slow")], [1, 1]);
          assert.deepEqual(calls.map((c) => [c.status, c.answer.status]), [[201, 206], [201, 206], [201, 500], [201, 200]]);
          assert.ok(calls.some((c) => /^ {2,}\{/.test(c.answerText)), "no answer began with a heartbeat");
        });
      }
    });
  }
}

test("Python: an app whose first key the gateway does not know uses its second", async () => {
  ensureVenv();
  const keys = { INNGEST_SIGNING_KEY: signingKey.replaceAll("0", "1"), INNGEST_SIGNING_KEY_FALLBACK: signingKey };
  const settings = (of) => ({ ...usualSettings(of), ...keys, FRAMEWORK: "flask" });
  const world = await SdkWorld.start({ name: "python-fallback", mode: "signed", app: { command, settings } });
  try {
    const { run, calls } = await world.play("e2e/large", { count: 5, size: 1_000_000 });
    assert.deepEqual([run.status, run.output, calls.length], ["Completed", 5_000_000, 7]);
    const answers = world.toGateway.exchanges.map((e) => e.status);
    assert.ok(answers.includes(401), "the first key was accepted");
    assert.ok(answers.every((status) => [200, 401].includes(status)), `${answers}`);
  } finally {
    await world.stop();
  }
});
