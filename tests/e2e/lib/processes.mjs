// The processes under test: the gateway, an app on Node, a Worker in workerd. Each is started, waited for, stopped or killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { until, within } from "./util.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const e2e = path.dirname(here);
export const buildDir = path.resolve(process.env.SG_BUILDDIR ?? path.join(e2e, "../../build"));
export const gatewayBinary = path.join(buildDir, "stepgate");
const workerd = path.join(e2e, "node_modules/.bin/workerd");

// Whatever ends the tests, nothing they started is left behind.
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

// The shell of whoever runs the tests may define settings of its own; none of them may reach what is under test.
export const cleanEnvironment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(INNGEST_|STEPGATE_|NODE_ENV$|CF_PAGES|NODE_TEST)/.test(name)));

export class Process {
  constructor(command, args, { dir, log, env, stdout }) {
    this.log = path.join(dir, log);
    const file = fs.openSync(this.log, "a");
    this.child = spawn(command, args, { cwd: dir, env: { ...cleanEnvironment(), ...env }, stdio: ["ignore", stdout ?? file, file] });
    fs.closeSync(file);
    running.add(this.child);
    this.exited = once(this.child, "exit").then(([code, signal]) => {
      running.delete(this.child);
      return { code, signal };
    });
    this.exited.catch(() => {}); // a command that does not exist; whoever waits for it sees the error
  }

  get isRunning() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  logTail(lines = 30) {
    return fs.readFileSync(this.log, "utf8").split("\n").slice(-lines).join("\n");
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  // SIGTERM; resolves to how it ended.
  async stop(patienceMs = 15_000) {
    if (this.isRunning) this.child.kill("SIGTERM");
    return within(patienceMs, this.exited, `the end of ${path.basename(this.log)} after SIGTERM`);
  }

  // The first line on stdout that `test` accepts, or the process's early end.
  async firstLine(test, what) {
    const lines = createInterface({ input: this.child.stdout });
    const found = new Promise((resolve) => lines.on("line", (line) => {
      const value = test(line);
      if (value) resolve(value);
    }));
    const dead = this.exited.then(({ code, signal }) => {
      throw new Error(`${what} ended early (${signal ?? code}):\n${this.logTail()}`);
    });
    return within(30_000, Promise.race([found, dead]), `${what} says where it listens`);
  }
}

export class Gateway extends Process {
  // `dir` holds its data and log. Resolves once /ready says yes.
  static async start({ command = "dev", dir, port, signingKey, eventKey, sdkUrls = [], args = [], env }) {
    const ofCommand = command === "dev" ? ["--no-discovery"] : ["--data-dir", `${dir}/.stepgate`];
    const all = [command, "--host", "127.0.0.1", "--port", String(port), ...ofCommand, "--persist", "--retry-interval", "1",
      ...sdkUrls.flatMap((url) => ["--sdk-url", url]),
      ...(signingKey ? ["--signing-key", signingKey] : []),
      ...(eventKey ? ["--event-key", eventKey] : []),
      ...args];
    const gateway = new Gateway(gatewayBinary, all, { dir, log: "gateway.log", env });
    gateway.port = port;
    gateway.origin = `http://127.0.0.1:${port}`;
    const isReady = async () => {
      if (!gateway.isRunning) throw new Error(`the gateway ended early:\n${gateway.logTail()}`);
      return fetch(`${gateway.origin}/ready`).then((r) => r.ok, () => false);
    };
    await until(isReady, "the gateway is ready").catch((error) => {
      gateway.child.kill("SIGKILL");
      throw new Error(`${error.message}\n${gateway.logTail()}`);
    });
    return gateway;
  }
}

// `settings` are the variables an app gets; `bindings` in a Worker are the same thing.
export class NodeApp extends Process {
  static async start({ dir, major, settings, port = 0 }) {
    const app = new NodeApp(process.execPath, ["--no-warnings", path.join(e2e, "apps/node.mjs")], {
      dir, log: "app.log", stdout: "pipe", env: { ...settings, SDK_MAJOR: String(major), PORT: String(port) },
    });
    app.port = await app.firstLine((line) => Number(/^listening on (\d+)$/.exec(line)?.[1]), "the Node app");
    return app;
  }
}

export class WorkerApp extends Process {
  // `allow` is where the Worker's own requests may go.
  static async start({ dir, major, settings, port = 0, allow = ["public", "private", "local"] }) {
    const config = path.join(dir, "workerd.capnp");
    const text = (value) => JSON.stringify(String(value));
    const given = Object.entries(settings).filter(([, value]) => value !== undefined);
    const bindings = given.map(([name, value]) => `    ( name = ${text(name)}, text = ${text(value)} ),`);
    fs.copyFileSync(path.join(buildDir, "e2e", `worker${major}.mjs`), path.join(dir, "worker.mjs"));
    fs.writeFileSync(config, `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .worker ),
    ( name = "internet", network = ( allow = [${allow.map(text).join(", ")}] ) ),
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:0", http = (), service = "main" ) ],
);
const worker :Workerd.Worker = (
  modules = [ ( name = "worker.mjs", esModule = embed "worker.mjs" ) ],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [
${bindings.join("\n")}
  ],
);
`);
    const app = new WorkerApp(workerd, ["serve", config, `--socket-addr=http=127.0.0.1:${port}`, "--control-fd=1"], {
      dir, log: "app.log", stdout: "pipe", env: {},
    });
    app.port = await app.firstLine((line) => {
      const { event, port: at } = line.startsWith("{") ? JSON.parse(line) : {};
      return event === "listen" && at;
    }, "workerd");
    return app;
  }
}
