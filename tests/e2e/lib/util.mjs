// Small helpers without state.
import crypto from "node:crypto";
import http from "node:http";

export const sha1 = (text) => crypto.createHash("sha1").update(text).digest("hex");
export const word = () => crypto.randomBytes(4).toString("hex");

export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Looks until `test` finds something. Only for what nobody announces; `what` names it when it does not come.
export async function until(test, what, patienceMs = 20_000) {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await test();
    if (found) return found;
    if (performance.now() > end) throw new Error(`did not happen within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function within(patienceMs, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen within ${patienceMs} ms: ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function listen(server, port = 0, host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server.address().port));
  });
}

export function close(server) {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}

// A port on which nothing listens at the moment, for servers that must come back on the same one.
export async function freePort() {
  const server = http.createServer();
  const port = await listen(server);
  await close(server);
  return port;
}

export async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Keys and signatures as the protocol wants them (reference/01 §3).
const stripped = (key) => key.replace(/^signkey-\w+-/, "");

export function signatureIsValid(header, body, key) {
  const parts = new URLSearchParams(header ?? "");
  const mac = crypto.createHmac("sha256", stripped(key)).update(body).update(parts.get("t") ?? "").digest("hex");
  return parts.get("s") === mac && Math.abs(Date.now() / 1000 - Number(parts.get("t"))) < 300;
}

export function bearer(key) {
  const prefix = key.match(/^signkey-\w+-/)?.[0] ?? "";
  return `Bearer ${prefix}${crypto.createHash("sha256").update(Buffer.from(stripped(key), "hex")).digest("hex")}`;
}
