// An app that answers what no SDK would. Each answer costs one bounded attempt, and the gateway goes on serving others.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { buildDir, Gateway } from "./lib/processes.mjs";
import { close, freePort, listen, readAll, until } from "./lib/util.mjs";

const sdkHeaders = { "content-type": "application/json", "x-inngest-sdk": "inngest-js:v4.24.0", "x-inngest-req-version": "2" };
const op = (n) => ({ op: "StepRun", id: n.toString(16).padStart(40, "0"), name: `s${n}`, displayName: `s${n}`, data: n });

// name -> what is done with the response; `cut` lists whose connections the gateway must have closed itself
const answers = {
  "an endless body": (res) => {
    res.writeHead(200, sdkHeaders);
    const chunk = Buffer.alloc(1 << 16, " ");
    const more = () => {
      while (!res.destroyed && res.write(chunk));
    };
    res.on("drain", more);
    more();
  },
  "fewer bytes than announced": (res) => {
    res.writeHead(200, { ...sdkHeaders, "content-length": "1000" });
    res.write("{");
    setImmediate(() => res.destroy());
  },
  "a result a million levels deep": (res) => res.writeHead(200, sdkHeaders).end("[".repeat(1_000_000) + "]".repeat(1_000_000)),
  "operations a million levels deep": (res) => res.writeHead(206, sdkHeaders).end("[".repeat(1_000_000) + "]".repeat(1_000_000)),
  "operations without end": (res) => res.writeHead(206, sdkHeaders).end("[".repeat(1_000_000)),
  "more steps than a run may have": (res) => res.writeHead(206, sdkHeaders).end(JSON.stringify(Array.from({ length: 1001 }, (_, n) => op(n)))),
  "operations that are none": (res) => res.writeHead(206, sdkHeaders).end('[1,null,{"op":7},{"id":"x"}]'),
  "a code nobody knows": (res) => res.writeHead(206, sdkHeaders).end('[{"op":"Dance","id":"0000000000000000000000000000000000000001"}]'),
  garbage: (res) => res.writeHead(206, sdkHeaders).end(Buffer.from([0xff, 0xfe, 0x00, 0x5b])),
  "no SDK's answer": (res) => res.writeHead(200, { "content-type": "text/html" }).end("<html>hello</html>"),
  "a redirect to itself": (res, req) => res.writeHead(307, { location: req.url }).end(),
  "half a status line": (res) => res.socket.end("HTTP/1.1 2"),
  "headers without end": (res) => {
    const { socket } = res;
    socket.write("HTTP/1.1 200 OK\r\n");
    const more = () => {
      while (!socket.destroyed && socket.write(`x-${"y".repeat(1000)}: 1\r\n`));
    };
    socket.on("drain", more);
    more();
  },
};

describe("hostile answers", { concurrency: true }, () => {
  let gateway;
  let app;
  const calls = new Map();
  const slug = (name) => `hostile-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;

  before(async () => {
    const dir = path.join(buildDir, "e2e", "hostile");
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
    app = http.createServer(async (req, res) => {
      await readAll(req);
      res.on("error", () => {});
      res.socket.on("error", () => {});
      const id = new URL(req.url, "http://app").searchParams.get("fnId");
      calls.set(id, (calls.get(id) ?? 0) + 1);
      const [, answer] = Object.entries(answers).find(([name]) => slug(name) === id) ?? [];
      if (answer) return answer(res, req);
      return res.writeHead(200, sdkHeaders).end('"well"');
    });
    const url = `http://127.0.0.1:${await listen(app)}/api/inngest`;
    gateway = await Gateway.start({ dir, port: await freePort() });
    const names = [...Object.keys(answers), "good"];
    const functions = names.map((name) => ({
      id: slug(name),
      name,
      triggers: [{ event: `hostile/${slug(name)}` }],
      steps: { step: { id: "step", name: "step", runtime: { type: "http", url: `${url}?fnId=${slug(name)}&stepId=step` }, retries: { attempts: 1 } } },
    }));
    const response = await fetch(`${gateway.origin}/fn/register`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-inngest-sdk": "inngest-js:v4.24.0" },
      body: JSON.stringify({ url, deployType: "ping", framework: "none", appName: "hostile", sdk: "js:v4.24.0", v: "0.1", functions }),
    });
    assert.equal(response.status, 200, await response.text());
  });
  after(async () => {
    await gateway?.stop();
    if (app) await close(app);
  });

  async function play(name) {
    const response = await fetch(`${gateway.origin}/e/dev`, { method: "POST", body: JSON.stringify({ name: `hostile/${slug(name)}`, data: {} }) });
    const { ids } = await response.json();
    return until(async () => {
      const { data } = await (await fetch(`${gateway.origin}/v1/events/${ids[0]}/runs`)).json();
      return data.find((run) => ["Completed", "Failed"].includes(run.status));
    }, `the run of ${name} has ended`, 60_000);
  }

  for (const name of Object.keys(answers)) {
    test(`${name} costs one attempt`, async () => {
      const run = await play(name);
      assert.equal(run.status, "Failed", JSON.stringify(run));
      assert.ok(JSON.stringify(run.output).length < 10_000, "the error repeats what the app sent");
      if (name !== "a redirect to itself") assert.ok(calls.get(slug(name)) <= 2, `${calls.get(slug(name))} calls`);
      assert.equal((await play("good")).output, "well");
      assert.ok(gateway.isRunning, gateway.logTail());
    });
  }
});
