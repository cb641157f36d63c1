#!/usr/bin/env node
// Turns a raw transcript into one that two servers can agree on byte for byte: whatever differs from run to run (ids,
// times, ports, tokens, stack frames) becomes a stable placeholder; everything else is kept.
//
//   node normalize.mjs FILE.raw.json...    writes FILE.json next to each
//
// Placeholders: <run main#1> (first run of function "main", see `labelRuns`), <step a> (hashed step id), <event 1>
// (n-th event the harness sent), <ulid>, <uuid>, <time>, <ms>, <ns>, <jwt>, <server>, <app>, <target>, NONCE ...
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { canonical, define, isObject, sha1, sha256, sortKeys } from './lib/util.mjs';

const NEAR_MS = 2 * 24 * 3600 * 1000; // times this close to the scenario are "now"; others were chosen by the scenario
const LONG_TEXT = 4096;

// Members of op objects that the v3/v4 SDKs leak from their internals in checkpoint mode.
const OP_JUNK = new Set([
  'mode', 'rawArgs', 'hashedId', 'promise', 'fulfilled', 'hasStepState', 'handled', 'middleware',
  'memoizationDeferred', 'transformedResultPromise', 'handle', 'fn',
]);

// Call request headers that are compared. `literal` ones by value, `present` ones by presence.
const CALL_HEADERS = {
  literal: [
    'content-type', 'user-agent', 'x-inngest-req-version', 'x-inngest-step-id', 'x-run-id', 'x-inngest-server-kind',
    'x-inngest-force-step-plan', 'x-inngest-sync-kind', 'transfer-encoding', 'account-id', 'accept-encoding', 'connection',
  ],
  present: ['content-length', 'x-request-id', 'x-inngest-job-id', 'x-inngest-generation-id', 'traceparent', 'tracestate', 'baggage'],
};
const ANSWER_HEADERS = { literal: ['content-type', 'x-inngest-no-retry', 'x-inngest-req-version', 'retry-after'], present: [] };
const OUTBOUND_HEADERS = {
  literal: ['content-type', 'x-inngest-sdk', 'x-inngest-expected-server-kind', 'x-inngest-env'],
  present: ['x-inngest-event-id-seed', 'traceparent'],
};

export function normalize(raw) {
  const scrub = scrubber(raw);
  const { inOrder, shownInOrder, byName } = raw.hints?.batch ? ANY_BATCH_ORDER : AS_IT_IS;
  const call = (record) => ({
    ...(record.method === 'POST' && record.path === '/api/inngest' ? {} : { method: record.method, path: scrub(record.path) }),
    target: targetOf(record, scrub),
    query: scrub(record.query),
    headers: headers(record.headers, CALL_HEADERS, scrub),
    signature: record.signature,
    canonical: record.canonical,
    body: inOrder(scrub(withoutOpaque(record.body))),
    answer: record.response && {
      status: record.response.status,
      headers: headers(record.response.headers, ANSWER_HEADERS, scrub),
      body: scrub(withoutJunk(record.response.body)),
      ...(record.response.streamed ? { streamed: true } : {}),
      ...(record.response.fromHarness ? { fromHarness: true } : {}),
    },
    at: record.at,
    ms: record.ms,
  });
  const outbound = (record) => ({
    method: record.method,
    path: scrub(record.path),
    query: scrub(record.query),
    headers: {
      ...headers(record.headers, OUTBOUND_HEADERS, scrub),
      ...(record.headers.authorization ? { authorization: bearerForm(record.headers.authorization) } : {}),
    },
    body: scrub(withoutHash(withoutJunk(withoutOpaque(record.body)))),
    status: record.status,
    response: scrub(record.path === '/dev' ? shownDev(record.response) : record.response),
    ...(record.failed ? { failed: record.failed } : {}),
    at: record.at,
  });

  const runs = {};
  for (const run of raw.runs) {
    runs[scrub.label(run.id)] = {
      fn: run.fn,
      calls: run.calls.map(call),
      effects: run.effects.map((e) => scrub(e)),
      lifecycle: run.lifecycle.map(({ at, event }) => ({ at, event: { ...scrub(event), data: inOrder(scrub(event).data) } })).sort(byName),
      outbound: run.outbound.map(outbound),
      ...(run.shown ? { shown: shownInOrder(scrub(shownRun(run.shown))) } : {}),
    };
  }
  return {
    format: 'diff-transcript/1',
    id: raw.id,
    group: raw.group,
    about: raw.about,
    tags: raw.tags,
    hints: raw.hints,
    sdk: raw.sdk,
    mode: raw.mode,
    status: raw.status,
    ...(raw.reason ? { reason: scrub(raw.reason) } : {}),
    outcome: scrub(raw.outcome ?? null),
    runs,
    http: raw.http.map(({ at, path, ...rest }) => ({ at, path: scrub(path.replace(/[?&]nocache=[\d.]+/, '')), ...scrub(rest) })),
    outbound: raw.outbound.map(outbound),
    effects: raw.effects.map((e) => scrub(e)),
    marks: raw.marks,
    durationMs: raw.durationMs ?? null,
  };
}

// Events that arrive together may enter a batch in any order (hint `batch`): there the events of a run are sorted, and
// the first of them is the run's "event".
const AS_IT_IS = {
  inOrder: (value) => value,
  shownInOrder: (value) => value,
  byName: (a, b) => (a.event.name < b.event.name ? -1 : a.event.name > b.event.name ? 1 : 0),
};
const ANY_BATCH_ORDER = {
  inOrder(value) {
    if (!Array.isArray(value?.events)) return value;
    const events = [...value.events].sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
    return { ...value, events, ...(events.length > 1 && value.event ? { event: events[0] } : {}) };
  },
  shownInOrder: (value) => ({ ...value, event_id: value.event_id && '<an event of the run>' }),
  byName: (a, b) => (canonical([a.event.name, a.event.data]) < canonical([b.event.name, b.event.data]) ? -1 : 1),
};

const targetOf = (record, scrub) => {
  const step = record.query.stepId;
  if (record.path !== '/api/inngest') return 'endpoint';
  return step === undefined || step === 'step' ? 'discovery' : scrub(step);
};

function headers(all, { literal, present }, scrub) {
  const out = {};
  for (const name of literal) if (all[name] !== undefined) out[name] = scrub(all[name]);
  for (const name of present) if (all[name] !== undefined) out[name] = '<present>';
  return out;
}

const bearerForm = (value) =>
  value.replace(/^Bearer (signkey-\w+-)?[0-9a-f]{64}$/, (_, prefix = '') => `Bearer ${prefix}<hash>`);

// What is opaque to the SDK is reduced to its presence: in a call's ctx, and where the SDK repeats it in checkpoints.
function withoutOpaque(body) {
  if (!isObject(body)) return body;
  const out = { ...body };
  for (const key of ['job_id', 'qi_id', 'request_id']) if (out[key]) out[key] = '<opaque>';
  if (out.generation_id !== undefined) out.generation_id = '<number>';
  if (isObject(out.ctx)) out.ctx = withoutOpaque(out.ctx);
  return out;
}

function withoutJunk(body) {
  if (Array.isArray(body)) return body.map(withoutJunk);
  if (!isObject(body)) return body;
  if (Array.isArray(body.steps)) return { ...body, steps: body.steps.map(withoutJunk) };
  if (typeof body.op !== 'string' || typeof body.id !== 'string') return body;
  return Object.fromEntries(Object.entries(body).filter(([key]) => !OP_JUNK.has(key)));
}

// The reference server may show the SDK's last op as the output of a run that completed by RunComplete; the value in it
// is what counts (reference/03 §3.3).
function shownRun(shown) {
  const ops = [].concat(shown.output ?? []);
  const complete = ops.find((op) => op?.op === 'RunComplete');
  return complete ? { ...shown, output: complete.data } : shown;
}

// The v2 SDK registers with a hash over its configuration, ports included.
const withoutHash = (body) => (/^[0-9a-f]{64}$/.test(body?.hash) ? { ...body, hash: '<hash>' } : body);

// What the v2 SDK reads before it registers: which members there are; their content is about the whole server.
const shownDev = (info) => (isObject(info) ? { members: Object.keys(info).sort() } : info);

// --- scrubbing --------------------------------------------------------------------------------------------------

// Returns a function that replaces, in any JSON value, what varies; it carries `label(runId)`.
function scrubber(raw) {
  const { word, server, apps, target, dead, appId } = raw.places;
  const start = raw.startedAt ?? NaN;
  const steps = stepNames(raw);
  const labels = new Map();
  const sent = new Map(raw.sentIds.map((id, i) => [id, `<event ${i + 1}>`]));
  const serverPort = new URL(server).port || '80';
  const ports = new Map([[serverPort, 'server'], ...apps.map((p) => [String(p), 'app']), [String(target), 'target'], [String(dead), 'dead']]);
  const near = (ms) => Math.abs(ms - start) < NEAR_MS;

  const text = (given) => {
    const s = given
      .replace(/(\n\s+at [^\n]*)+/g, '\n<frames>')
      .replace(/(?:\\n\s+at (?:(?!\\n|\\?").)*)+/g, '\\n<frames>'); // v2 encodes its errors twice
    if (s.length > LONG_TEXT) return `<${s.length} characters, sha256 ${sha256(s).slice(0, 16)}>`;
    return s
      .replaceAll(appId, '<app-id>')
      .replaceAll(word, 'NONCE')
      .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<jwt>')
      .replace(/((?:https?|ws):\/\/)?(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):(\d+)/g, (all, scheme, _host, port) =>
        ports.has(port) ? `<${ports.get(port)}${scheme ? '' : '-host'}>` : all)
      .replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, (id) => (labels.has(id) ? `<run ${labels.get(id)}>` : (sent.get(id) ?? '<ulid>')))
      .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, (id) =>
        id.startsWith('00000000-0000-4000-') ? id : '<uuid>')
      .replace(/\b[0-9a-f]{40}\b/g, (id) => (steps.has(id) ? `<step ${steps.get(id).replaceAll(word, 'NONCE')}>` : id))
      .replace(/\b00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b/g, '<traceparent>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)/g, (all) => (near(Date.parse(all)) ? '<time>' : all))
      .replace(/\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\b/g, (all) => (near(Date.parse(all)) ? '<time>' : all))
      .replace(/\b\d{13}\b/g, (all) => (near(Number(all)) ? '<ms>' : all))
      .replace(/\b\d{10}\b/g, (all) => (near(Number(all) * 1000) ? '<s>' : all));
  };
  const number = (n) => {
    if (near(n)) return '<ms>';
    if (near(n / 1e6)) return '<ns>';
    return n;
  };
  const scrub = (value, key) => {
    if (typeof value === 'string') return key === 'stack' ? text(value).split('\n')[0] : text(value);
    if (typeof value === 'number') return key === 'at' || key === 'attempt' ? value : number(value);
    if (Array.isArray(value)) return value.map((v) => scrub(v));
    if (!isObject(value)) return value;
    const out = {};
    for (const [k, v] of Object.entries(value)) {
      if (v === undefined) continue;
      // An expiry can lie a year ahead.
      if (k === 'expire' && typeof v === 'number' && v > 0 && !near(v)) {
        define(out, k, `<ms, ${Math.round((v - start) / 86_400_000)} days ahead>`);
        continue;
      }
      const opaque = k === 'timing' && isObject(v) ? '<timing>' : TRACE_KEYS.has(k) && (isObject(v) || k === 'gid') ? '<trace>' : undefined;
      define(out, text(k), opaque ?? scrub(v, k));
    }
    return out;
  };
  for (const [id, label] of labelRuns(raw, scrub)) labels.set(id, label);
  return Object.assign((value) => scrub(value), { label: (id) => labels.get(id) ?? id });
}

const TRACE_KEYS = new Set(['tc', 'isr', 'gid', 'parent_defer_span']);

// Runs are named after their function and numbered by what triggered them, so that the same run gets the same name
// whatever order the server starts runs in. Runs with equal triggers are numbered by order of appearance.
function labelRuns({ runs, hints }, scrub) {
  const byFunction = new Map();
  for (const run of runs) {
    const trigger = (run.events ?? []).map((event) => {
      const { _inngest, ...data } = event?.data ?? {};
      return { name: event?.name, data };
    });
    if (hints?.batch) trigger.sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
    const entry = { id: run.id, at: run.at, key: canonical(scrub(trigger)) };
    byFunction.set(run.fn, [...(byFunction.get(run.fn) ?? []), entry]);
  }
  const labels = [];
  for (const [fn, list] of byFunction) {
    list.sort((a, b) => (a.key === b.key ? a.at - b.at : a.key < b.key ? -1 : 1));
    list.forEach(({ id }, i) => labels.push([id, `${fn}#${i + 1}`]));
  }
  return labels;
}

// Hashed step id -> the user's id, from every op any SDK answer or checkpoint mentioned.
function stepNames({ runs, outbound }) {
  const names = new Map([[sha1('complete'), 'complete']]);
  const learn = (ops) => {
    for (const op of [].concat(ops ?? [])) {
      if (!/^[0-9a-f]{40}$/.test(op?.id ?? '') || names.has(op.id)) continue;
      const { id = op.displayName ?? op.name ?? op.op, index } = op.userland ?? {};
      const taken = new Set(names.values());
      let name = index ? `${id}:${index}` : id;
      while (taken.has(name)) name += "'";
      names.set(op.id, name);
    }
  };
  for (const run of runs) {
    for (const call of run.calls) learn(call.response?.body);
    for (const sent of run.outbound) learn(sent.body?.steps);
  }
  for (const sent of outbound) learn(sent.body?.steps);
  return names;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const files = process.argv.slice(2);
  if (!files.length || files.some((f) => !f.endsWith('.raw.json'))) {
    console.error('usage: node normalize.mjs FILE.raw.json...');
    process.exit(2);
  }
  for (const file of files) {
    const out = sortKeys(normalize(JSON.parse(fs.readFileSync(file, 'utf8'))));
    fs.writeFileSync(file.replace(/\.raw\.json$/, '.json'), `${JSON.stringify(out, null, 1)}\n`);
  }
}
