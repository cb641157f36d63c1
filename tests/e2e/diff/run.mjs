#!/usr/bin/env node
// Runs the scenarios with a real SDK against one server and writes a transcript per scenario. See README.md.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { App } from './lib/app.mjs';
import { Recorder } from './lib/recorder.mjs';
import { loadScenarios } from './lib/scenarios.mjs';
import { loadSdk, prepareEnvironment } from './lib/sdk.mjs';
import { deadPort, startTarget } from './lib/target.mjs';
import { fetchRun, Toolbox } from './lib/toolbox.mjs';
import { bearer, describeError, nonce, sleep, sortKeys, within } from './lib/util.mjs';
import { normalize } from './normalize.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const QUIET_MS = 300; // a scenario's transcript is closed after this long without a call in flight
const TERMINAL = new Set(['Completed', 'Failed', 'Cancelled', 'Skipped']);

const USAGE = `usage: node run.mjs [options]
  --server URL     server under test (default http://127.0.0.1:8288)
  --sdk 2|3|4      SDK major (default 4)
  --only A,B       scenario ids, id prefixes ending in "*", group names or tags
  --parallel N     scenarios at once (default 6)
  --out DIR        where transcripts go (required)
  --mode dev|signed
  --signing-key K  --event-key K   for --mode signed; the server must be started with the same keys
  --scenarios DIR  scenario files (default: the folder next to this program)
  --raw            also write the unnormalized transcripts
  --list           print the scenarios and exit`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      server: { type: 'string', default: 'http://127.0.0.1:8288' },
      sdk: { type: 'string', default: '4' },
      only: { type: 'string' },
      parallel: { type: 'string', default: '6' },
      out: { type: 'string' },
      mode: { type: 'string', default: 'dev' },
      'signing-key': { type: 'string', default: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' },
      'event-key': { type: 'string', default: 'diff-events' },
      scenarios: { type: 'string', default: path.join(HERE, 'scenarios') },
      raw: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (!['dev', 'signed'].includes(values.mode)) throw new Error(`--mode must be dev or signed\n${USAGE}`);
  if (!values.out && !values.list) throw new Error(`--out is missing\n${USAGE}`);
  const parallel = Number(values.parallel);
  if (!Number.isInteger(parallel) || parallel < 1) throw new Error(`--parallel must be a positive integer\n${USAGE}`);
  return {
    ...values,
    parallel,
    major: Number(values.sdk),
    server: new URL(values.server).origin,
    out: values.out && path.resolve(values.out),
    keys: { event: values['event-key'], signing: values.mode === 'signed' ? values['signing-key'] : undefined },
  };
}

function select(groups, { only, major, mode }) {
  const words = only?.split(',').filter(Boolean);
  const wanted = (s) => {
    if (!s.sdk.includes(major) || !s.modes.includes(mode)) return false;
    if (!words) return !s.tags.includes('slow');
    return words.some((w) =>
      w.endsWith('*') ? s.id.startsWith(w.slice(0, -1)) : w === s.id || w === s.group || s.tags.includes(w),
    );
  };
  const chosen = groups.map((g) => ({ ...g, scenarios: g.scenarios.filter(wanted) })).filter((g) => g.scenarios.length);
  if (!chosen.length) throw new Error(`no scenario fits --only ${only ?? '(all)'} with --sdk ${major}`);
  return chosen;
}

// Everything one invocation needs, and the only owner of what must be stopped again.
class Harness {
  apps = [];
  slots = []; // { scenario, state, app, toolbox, abort, problem }
  registrations = [];

  constructor(options) {
    this.options = options;
    this.word = nonce();
    this.settings = { mode: options.mode, server: options.server, keys: options.keys };
    this.recorder = new Recorder({ server: options.server, signingKey: options.keys.signing });
  }

  async start(groups) {
    const { options } = this;
    this.sdk = loadSdk(options.major);
    this.target = await startTarget();
    this.target.dead = await deadPort();
    await this.#startSpy();
    for (const { name, scenarios } of groups) {
      const shared = scenarios.filter((s) => !s.app);
      if (shared.length) await this.#startApp(name, shared);
      for (const s of scenarios.filter((s) => s.app)) await this.#startApp(s.id, [s]);
    }
  }

  // One app for some scenarios. A server that refuses the lot gets them one by one, so that a function it does not
  // understand spoils only its own scenario.
  async #startApp(name, scenarios) {
    const [only] = scenarios;
    const app = this.#newApp(name, only.app);
    const slots = scenarios.map((scenario) => this.#prepare(scenario, app));
    await app.start();
    const state = this.recorder.open(`_register-${name}`);
    state.start();
    const outcome = app.functions.length ? await app.register(state).catch((err) => ({ failed: describeError(err) })) : {};
    if (!app.functions.length || (outcome.status >= 200 && outcome.status < 300)) {
      this.registrations.push({ name, state, outcome, app });
      this.slots.push(...slots);
      return;
    }
    if (scenarios.length > 1) {
      await app.stop();
      this.apps.splice(this.apps.indexOf(app), 1);
      console.error(`registration of group ${name} failed (${JSON.stringify(outcome)}); registering its scenarios one by one`);
      for (const scenario of scenarios) await this.#startApp(scenario.id, [scenario]);
      return;
    }
    this.registrations.push({ name, state, outcome, app });
    for (const slot of slots) slot.problem ??= `registration failed: ${JSON.stringify(outcome)}`;
    this.slots.push(...slots);
  }

  #newApp(name, { client, serve } = {}) {
    const { sdk, recorder, settings } = this;
    const given = (options) => (typeof options === 'function' ? options(sdk) : options);
    const id = `diff-${this.word}-${name}`;
    const app = new App({ id, sdk, recorder, settings, clientOptions: given(client), serveOptions: given(serve) });
    this.apps.push(app);
    return app;
  }

  #prepare(scenario, app) {
    const abort = new AbortController();
    const state = this.recorder.open(scenario.id);
    const { settings, target, word } = this;
    const makeApp = (name, functions) => this.#extraApp(`${scenario.id}-${name}`, functions);
    const toolbox = new Toolbox({ scenario, state, app, settings, target, word, abort: abort.signal, makeApp });
    const slot = { scenario, state, app, toolbox, abort };
    try {
      app.functions.push(...scenario.functions(toolbox));
    } catch (err) {
      slot.problem = `functions(t) threw: ${err?.message ?? err}`;
    }
    return slot;
  }

  // A further app that a scenario starts itself (registration scenarios).
  async #extraApp(id, functions) {
    const app = this.#newApp(id);
    app.functions.push(...functions(app));
    await app.start();
    return app;
  }

  // Lifecycle events are captured for all scenarios by one app that subscribes to them.
  async #startSpy() {
    const app = this.#newApp('spy');
    const names = ['finished', 'failed', 'cancelled'];
    const spy = (id, on) =>
      this.sdk.createFunction(app.client, {
        id,
        slug: `${app.id}-${id}`,
        on: on.map((n) => ({ event: `inngest/function.${n}` })),
        options: { retries: 0 },
        handler: ({ event }) => this.recorder.lifecycle(event),
      });
    // v2 knows only one trigger a function.
    app.functions.push(...(this.sdk.major === 2 ? names.map((n) => spy(`spy-${n}`, [n])) : [spy('spy', names)]));
    await app.start();
    const answer = await app.register(this.recorder.open('_register-spy')).catch((err) => ({ failed: describeError(err) }));
    if (answer.status !== 200) {
      console.error(`the spy app could not be registered (${JSON.stringify(answer)}); lifecycle events will be missing`);
    }
  }

  async run(slot) {
    const { scenario, state, toolbox, abort } = slot;
    const result = { status: 'ok' };
    state.start();
    if (slot.problem) return { status: 'error', reason: slot.problem };
    try {
      const driving = this.recorder.scope.run({ state }, async () => scenario.drive(toolbox));
      driving.catch(() => {});
      result.outcome = await within(scenario.timeoutMs, driving, () =>
        Object.assign(new Error(`not done after ${scenario.timeoutMs} ms`), { timedOut: true, waitingFor: toolbox.waitingFor }),
      );
    } catch (err) {
      result.status = err.timedOut ? 'timeout' : 'error';
      result.reason = err.timedOut ? `${err.message}; waiting for ${err.waitingFor?.join(', ') || 'nothing known'}` : describeError(err);
    }
    result.durationMs = state.now();
    abort.abort(new Error('the scenario is over'));
    await this.#quiet(state);
    await this.#showRuns(state);
    slot.app.intercepts.delete(state);
    return result;
  }

  // Late calls belong to the transcript: an SDK called once too often is a finding.
  async #quiet(state) {
    const end = performance.now() + 3000;
    let since = performance.now();
    const stir = () => (since = performance.now());
    state.on('change', stir);
    while (performance.now() < end && (state.inFlight > 0 || performance.now() - since < QUIET_MS)) await sleep(50);
    state.off('change', stir);
  }

  // What the server's REST API says about each run, after the fact.
  async #showRuns(state) {
    const end = performance.now() + 2500;
    for (const run of state.runs.values()) {
      const over = run.end ?? run.lifecycle.length;
      do {
        run.shown = await fetchRun(this.settings, run.id).catch(() => undefined);
      } while (over && !TERMINAL.has(run.shown?.status) && performance.now() < end && (await sleep(200), true));
    }
  }

  // Runs a failed scenario left behind would keep the server and our dead apps busy.
  async cancelLeftovers() {
    const left = this.slots.flatMap(({ state }) => [...state.runs.values()].filter((run) => !run.end && !run.lifecycle.length));
    const authorization = bearer(this.settings.keys.signing);
    const cancel = ({ id }) =>
      fetch(new URL(`/v1/runs/${id}`, this.settings.server), {
        method: 'DELETE',
        headers: authorization ? { authorization } : {},
        signal: AbortSignal.timeout(3000),
      }).catch(() => {});
    await within(6000, Promise.all(left.map(cancel)), () => new Error('late')).catch(() => {});
  }

  async stop() {
    await Promise.all(this.apps.map((app) => app.stop()));
    await this.target?.stop();
  }

  raw({ scenario, state, app, result }) {
    const { id, group, about, tags, hints } = scenario;
    return {
      format: 'diff-raw/1',
      id,
      group,
      about,
      tags,
      hints,
      sdk: this.sdk.version,
      mode: this.options.mode,
      ...result,
      startedAt: state.startedAt,
      places: {
        word: this.word,
        server: this.settings.server,
        apps: this.apps.map((a) => a.port).filter(Boolean),
        target: this.target.port,
        dead: this.target.dead,
        appId: app.id,
      },
      runs: [...state.runs.values()],
      outbound: state.outbound,
      http: state.http,
      effects: state.effects,
      marks: state.marks,
      sentIds: state.sentIds,
    };
  }
}

function write(dir, raw, alsoRaw) {
  const save = (name, value) => fs.writeFileSync(path.join(dir, name), `${JSON.stringify(value, null, 1)}\n`);
  save(`${raw.id}.json`, sortKeys(normalize(raw)));
  if (alsoRaw) save(`${raw.id}.raw.json`, raw);
}

async function main() {
  const options = readOptions();
  const groups = await loadScenarios(path.resolve(options.scenarios));
  const chosen = select(groups, options);
  const scenarios = chosen.flatMap((g) => g.scenarios);
  if (options.list) {
    for (const s of scenarios) console.log(`${s.id.padEnd(34)} v${s.sdk.join(',')}  ${s.tags.join(',').padEnd(12)} ${s.about}`);
    return 0;
  }
  prepareEnvironment({ ...options });
  const harness = new Harness(options);
  process.on('uncaughtException', (err) => harness.recorder.incidents.push(`uncaught: ${err?.stack ?? err}`));
  process.on('unhandledRejection', (err) => harness.recorder.incidents.push(`unhandled rejection: ${err?.stack ?? err}`));
  const interrupted = () => harness.stop().finally(() => process.exit(130));
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);

  await reachable(options.server);
  fs.mkdirSync(options.out, { recursive: true });
  console.log(`${scenarios.length} scenarios, inngest ${options.major}, ${options.mode} mode, server ${options.server}, out ${options.out}`);
  await harness.start(chosen);
  for (const { name, state, outcome, app } of harness.registrations) {
    const scenario = { id: `_register-${name}`, group: name, about: `registration of the ${name} app`, tags: [], hints: {} };
    write(options.out, harness.raw({ scenario, state, app, result: { status: 'ok', outcome } }), options.raw);
  }

  const queue = [...harness.slots];
  const failed = [];
  let done = 0;
  const worker = async () => {
    for (let slot = queue.shift(); slot; slot = queue.shift()) {
      slot.result = await harness.run(slot);
      write(options.out, harness.raw(slot), options.raw);
      done += 1;
      const { status, reason, durationMs = 0 } = slot.result;
      const why = reason ? `  ${typeof reason === 'string' ? reason : `${reason.name}: ${reason.message}`}` : '';
      const count = `[${String(done).padStart(String(harness.slots.length).length)}/${harness.slots.length}]`;
      console.log(`${count} ${status.padEnd(7)} ${slot.scenario.id.padEnd(34)} ${(durationMs / 1000).toFixed(2)}s${why}`);
      if (status !== 'ok') failed.push(slot);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: options.parallel }, worker));
  await harness.cancelLeftovers();
  await harness.stop();

  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { incidents } = harness.recorder;
  console.log(`\n${done - failed.length} of ${done} scenarios finished in ${seconds} s`);
  if (failed.length) console.log(`not finished: ${failed.map((s) => s.scenario.id).join(', ')}`);
  for (const incident of incidents) console.log(`incident: ${incident.split('\n').slice(0, 3).join(' | ')}`);
  return failed.length ? 1 : 0;
}

async function reachable(server) {
  try {
    await fetch(new URL('/health', server), { signal: AbortSignal.timeout(5000) });
  } catch (err) {
    throw new Error(`no server answers at ${server}: ${err?.cause?.code ?? err.message}`);
  }
}

// The v4 SDK's realtime client needs a global WebSocket, which Node 20 has only behind a flag.
if (typeof WebSocket === 'undefined' && !process.env.DIFF_RESPAWNED) {
  const child = spawn(process.execPath, ['--experimental-websocket', '--no-warnings', ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, DIFF_RESPAWNED: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
} else {
  main().then(
    (code) => process.exit(code),
    (err) => {
      console.error(err?.message ?? err);
      process.exit(2);
    },
  );
}
