// One face for the two SDK majors: how to load, build a client, declare a function and serve it.
//
// Scenarios are written once, against the step API that both share; differences are bridged here: v4 takes triggers among the
// options, v3 as second argument.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const silent = { debug() {}, info() {}, warn() {}, error() {}, trace() {} };

// The SDKs are packages of tests/e2e, under one name for each major.
export function loadSdk(major) {
  const require = createRequire(import.meta.url);
  const { version } = JSON.parse(fs.readFileSync(new URL(`../../node_modules/inngest${major}/package.json`, import.meta.url), 'utf8'));
  return new Sdk(Number(major), version, require);
}

// The SDK reads its configuration from the environment, too. Both modes are set through options; what the caller's
// shell happens to define must not leak in. Call before the SDK is loaded.
export function prepareEnvironment({ mode, server, keys }) {
  for (const name of Object.keys(process.env)) if (/^INNGEST_|^NODE_ENV$/.test(name)) delete process.env[name];
  if (mode === 'signed') {
    process.env.INNGEST_SIGNING_KEY = keys.signing;
    process.env.INNGEST_EVENT_KEY = keys.event;
    process.env.INNGEST_DEV = '0';
  }
  process.env.INNGEST_API_BASE_URL = server;
}

class Sdk {
  constructor(major, version, require) {
    console.warn = () => {}; // the SDKs' advice to developers; the harness itself does not use it
    this.major = major;
    this.version = version;
    this.lib = require(`inngest${major}`);
    this.web = require(`inngest${major}/node`);
    this.experimental = major === 4 ? require('inngest4/experimental') : {};
    this.realtime = major === 4 ? require('inngest4/realtime') : {};
    const { NonRetriableError, RetryAfterError, StepError } = this.lib;
    Object.assign(this, { NonRetriableError, RetryAfterError, StepError });
  }

  client({ id, mode, server, keys, fetch, options = {} }) {
    const { Inngest } = this.lib;
    const dev = mode === 'dev';
    const auth = dev ? {} : { eventKey: keys.event, ...(this.major === 4 ? { signingKey: keys.signing } : {}) };
    const loggers = { logger: silent, ...(this.major === 4 ? { internalLogger: silent } : {}) };
    return new Inngest({ id, isDev: dev, baseUrl: server, fetch, ...auth, ...loggers, ...options });
  }

  // A node request listener for the client's functions.
  listener(client, functions, { mode, server, keys, fetch, options = {} }) {
    const signing = mode === 'signed' ? { signingKey: keys.signing } : {};
    const forV3 = this.major === 3 ? { baseUrl: server, fetch, logLevel: 'silent', ...signing } : {};
    return this.web.serve({ client, functions, ...forV3, ...options });
  }

  // `spec`: { id, on, options, handler, onFailure }. `on` is an event name, a trigger object or a list of these.
  createFunction(client, { id, on, options = {}, handler, onFailure }) {
    const triggers = [].concat(on ?? []).map((t) => (typeof t === 'string' ? { event: t } : t));
    const failure = onFailure ? { onFailure } : {};
    if (this.major === 3) return client.createFunction({ id, ...options, ...failure }, triggers, handler);
    return client.createFunction({ id, triggers, ...options, ...failure }, handler);
  }

  // What `step.invoke` takes as `function`.
  reference(appId, functionId) {
    return this.lib.referenceFunction({ appId, functionId });
  }
}

// Serves a Request -> Response handler from a node server. Also used for durable endpoints.
export function webListener(handler) {
  return async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const headers = new Headers();
    for (const [name, value] of Object.entries(req.headers)) {
      for (const v of [].concat(value)) headers.append(name, v);
    }
    const request = new Request(`http://${req.headers.host}${req.url}`, {
      method: req.method,
      headers,
      ...(body.length ? { body } : {}),
    });
    const response = await handler(request);
    res.writeHead(response.status, Object.fromEntries(response.headers));
    if (response.body) for await (const chunk of response.body) res.write(chunk);
    res.end();
  };
}

