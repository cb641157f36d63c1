// One face for the three SDK majors: how to load, build a client, declare a function and serve it.
//
// Scenarios are written once, against the step API of v3 and v4 (an id first, then options); differences are bridged here:
//   - createFunction: v4 takes triggers among the options, v3 as second argument, v2 one trigger and a `name`;
//   - v2 steps have no ids for sleep, sleepUntil, waitForEvent and sendEvent;
//   - v2 has no node adapter: its edge adapter is bridged to a node request listener.
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
export function prepareEnvironment({ major, mode, server, keys }) {
  for (const name of Object.keys(process.env)) if (/^INNGEST_|^NODE_ENV$/.test(name)) delete process.env[name];
  if (mode === 'signed') {
    process.env.INNGEST_SIGNING_KEY = keys.signing;
    process.env.INNGEST_EVENT_KEY = keys.event;
    process.env.INNGEST_DEV = '0';
    if (Number(major) === 2) process.env.NODE_ENV = 'production'; // v2 verifies signatures only in "production"
  } else if (Number(major) === 2) {
    process.env.INNGEST_DEVSERVER_URL = server;
  }
  process.env.INNGEST_API_BASE_URL = server; // v2 has no option for it; equal to the `baseUrl` given to v3 and v4
}

class Sdk {
  constructor(major, version, require) {
    console.warn = () => {}; // the SDKs' advice to developers; the harness itself does not use it
    this.major = major;
    this.version = version;
    this.lib = require(`inngest${major}`);
    this.web = require(`inngest${major}/${major === 2 ? 'edge' : 'node'}`);
    this.experimental = major === 4 ? require('inngest4/experimental') : {};
    this.realtime = major === 4 ? require('inngest4/realtime') : {};
    const { NonRetriableError, RetryAfterError, StepError } = this.lib;
    Object.assign(this, { NonRetriableError, RetryAfterError, StepError });
  }

  client({ id, mode, server, keys, fetch, options = {} }) {
    const { Inngest } = this.lib;
    if (this.major === 2) {
      // no logger: v2 delays every answer by a second to let a custom logger flush
      return new Inngest({ name: id, eventKey: keys.event, inngestBaseUrl: `${server}/`, fetch, ...options });
    }
    const dev = mode === 'dev';
    const auth = dev ? {} : { eventKey: keys.event, ...(this.major === 4 ? { signingKey: keys.signing } : {}) };
    const loggers = { logger: silent, ...(this.major === 4 ? { internalLogger: silent } : {}) };
    return new Inngest({ id, isDev: dev, baseUrl: server, fetch, ...auth, ...loggers, ...options });
  }

  // A node request listener for the client's functions.
  listener(client, functions, { mode, server, keys, fetch, options = {} }) {
    const signing = mode === 'signed' ? { signingKey: keys.signing } : {};
    if (this.major === 2) {
      const registerUrl = { inngestRegisterUrl: `${server}/fn/register` };
      return webListener(this.web.serve(client, functions, { ...registerUrl, logLevel: 'silent', fetch, ...signing, ...options }));
    }
    const forV3 = this.major === 3 ? { baseUrl: server, fetch, logLevel: 'silent', ...signing } : {};
    return this.web.serve({ client, functions, ...forV3, ...options });
  }

  // `spec`: { id, slug, on, options, handler, onFailure }. `on` is an event name, a trigger object or a list of these.
  createFunction(client, { id, slug, on, options = {}, handler, onFailure }) {
    const triggers = [].concat(on ?? []).map((t) => (typeof t === 'string' ? { event: t } : t));
    const failure = onFailure ? { onFailure: this.#adapt(onFailure) } : {};
    const body = this.#adapt(handler);
    switch (this.major) {
      case 2: // an explicit id is used as the whole slug, hence the app prefix is ours to add
        return client.createFunction({ id: slug, name: id, ...options, ...failure }, triggers[0], body);
      case 3:
        return client.createFunction({ id, ...options, ...failure }, triggers, body);
      default:
        return client.createFunction({ id, triggers, ...options, ...failure }, body);
    }
  }

  // What `step.invoke` takes as `function`.
  reference(appId, functionId) {
    return this.lib.referenceFunction({ appId, functionId });
  }

  #adapt(handler) {
    if (this.major !== 2) return handler;
    return (args) => handler({ ...args, step: stepsOfV2(args.step) });
  }
}

const stepsOfV2 = (step) => ({
  run: (id, fn) => step.run(id, fn),
  sleep: (_id, time) => step.sleep(time),
  sleepUntil: (_id, time) => step.sleepUntil(time),
  waitForEvent: (_id, { event, ...options }) => step.waitForEvent(event, options),
  sendEvent: (_id, payload) => step.sendEvent(payload),
});

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

