// What steps make the gateway request: a model's provider (/v1), a register of customers (/crm), and answers of all kinds.
import http from "node:http";
import { close, listen, readAll } from "./util.mjs";

export class Outside {
  requests = [];

  async start() {
    let failures = 1; // of /v1 of whoever brings this key
    this.server = http.createServer(async (req, res) => {
      const body = (await readAll(req)).toString();
      this.requests.push({ method: req.method, path: req.url, headers: req.headers, body });
      const json = (status, value) => res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
      if (req.url.startsWith("/v1/")) {
        if (req.headers.authorization === "Bearer sk-e2e-s3cret" && failures-- > 0) return json(500, { error: { message: "overloaded" } });
        return json(200, { choices: [{ index: 0, message: { role: "assistant", content: "billing" } }] });
      }
      if (req.url.startsWith("/crm/")) return json(200, { plan: "gold" });
      if (req.url === "/empty") return res.writeHead(204).end();
      if (req.url === "/form") return json(201, { got: body, type: req.headers["content-type"] ?? null });
      return res.writeHead(404, { "content-type": "text/plain" }).end("no such thing");
    });
    this.origin = `http://127.0.0.1:${await listen(this.server)}`;
    return this;
  }

  stop() {
    return close(this.server);
  }
}
