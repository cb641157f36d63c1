// Small helpers shared by the runner, the normalizer and the comparer. No state in here.
import crypto from 'node:crypto';

export const sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal?.addEventListener('abort', stop, { once: true });
  });

export const sha1 = (text) => crypto.createHash('sha1').update(text).digest('hex');
export const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');

export const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);

// JSON with sorted keys and no spaces. For plain data this equals RFC 8785 (JCS): JavaScript sorts strings by UTF-16
// units and prints numbers the way JCS wants them.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map((v) => canonical(v === undefined ? null : v)).join(',')}]`;
  if (isObject(value)) {
    const keys = Object.keys(value).filter((k) => value[k] !== undefined).sort();
    return `{${keys.map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

// The same value with all object keys in sorted order, for readable, diffable files.
export function sortKeys(value) {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  const out = {};
  for (const key of Object.keys(value).sort()) define(out, key, sortKeys(value[key]));
  return out;
}

// Plain assignment would turn a key named "__proto__" into a prototype change; some scenarios send such keys.
export function define(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// A short random word, used to keep everything one harness run creates apart from earlier runs on the same server.
// It starts with letters that no placeholder or scenario text contains, so that it can be replaced again safely.
export const nonce = () => `zq${crypto.randomBytes(5).toString('hex')}`;

const BASE32 = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export function ulid(ms = Date.now(), entropy = crypto.randomBytes(10)) {
  let bits = (BigInt(ms) << 80n) | BigInt(`0x${entropy.toString('hex')}`);
  let text = '';
  for (let i = 0; i < 26; i++, bits >>= 5n) text = BASE32[Number(bits & 31n)] + text;
  return text;
}

// The internal id of the n-th event (from 1) of a request with an `x-inngest-event-id-seed` header; undefined if the
// header is malformed (reference/03 §1.1.5).
export function seededUlid(header, n) {
  const [ms, base64] = (header ?? '').split(',');
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (!(Number(ms) > 0) || bytes.length !== 10) return undefined;
  bytes.writeUInt32BE((bytes.readUInt32BE(6) + n) >>> 0, 6);
  return ulid(Number(ms), bytes);
}

// A promise with its own timeout. The timer never keeps the process alive longer than the promise does.
export async function within(ms, promise, onTimeout) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const describeError = (err) => ({
  name: err?.name ?? 'Error',
  message: String(err?.message ?? err),
  ...(err?.waitingFor ? { waitingFor: err.waitingFor } : {}),
});

// Signing (reference/01 §3): HMAC-SHA256 over body text followed by the unix time.
const stripKeyPrefix = (key) => key.replace(/^signkey-\w+-/, '');

export function signatureState(header, body, key) {
  if (header === undefined) return 'absent';
  if (!key) return 'present';
  const parts = new URLSearchParams(header);
  const t = parts.get('t');
  const expected = crypto.createHmac('sha256', stripKeyPrefix(key)).update(body).update(t ?? '').digest('hex');
  if (parts.get('s') !== expected) return 'invalid';
  return Math.abs(Date.now() / 1000 - Number(t)) < 300 ? 'valid' : 'stale';
}

export function bearer(key) {
  if (!key) return undefined;
  const prefix = key.match(/^signkey-\w+-/)?.[0] ?? '';
  const hash = crypto.createHash('sha256').update(Buffer.from(stripKeyPrefix(key), 'hex')).digest('hex');
  return `Bearer ${prefix}${hash}`;
}
