// The real `cortensor-router`, started for the tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const TOKEN = "default-dev-token";
const built = fileURLToPath(new URL("../../../../../target/debug/cortensor-router", import.meta.url));
export const binary = process.env.CORTENSOR_ROUTER_BIN ?? built;
const ours = /^(API|ROUTER|LLM|CORTENSOR)_/;

/** Starts a router on a free port, and waits until it is ready and, where one is named, offers the model. */
export async function startRouter(options = [], model = undefined) {
  const data = await mkdtemp(join(tmpdir(), "cortensor-router-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
  const child = spawn(binary, ["serve", "--port", "0", "--data-dir", data, ...options], {
    env,
    cwd: data,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const log = [];
  const url = await new Promise((resolve, reject) => {
    child.on("error", reject);
    setTimeout(() => reject(new Error(`the router did not listen: ${log.join("\n")}`)), 20_000).unref();
    child.on("exit", (code) => reject(new Error(`the router ended with ${code}: ${log.join("\n")}`)));
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on("line", (line) => {
        log.push(line);
        const address = /listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(line);
        if (address) resolve(address[1]);
      });
    }
  });
  const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
  const router = {
    url,
    log,
    async call(method, path, body) {
      const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
      return { status: response.status, body: await response.json() };
    },
    async get(path) {
      const { status, body } = await router.call("GET", path);
      assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
      return body;
    },
    /** Asks until `holds` of the answer is true. */
    async eventually(path, holds) {
      const deadline = performance.now() + 10_000;
      for (;;) {
        const body = await router.get(path);
        if (holds(body)) return body;
        assert.ok(performance.now() < deadline, `${path} is still ${JSON.stringify(body)}`);
        await pause(10);
      }
    },
    /** Ends it as an operator would. */
    async close() {
      child.kill("SIGTERM");
      const [code] = await exited;
      await rm(data, { recursive: true });
      assert.equal(code, 0, log.join("\n"));
    },
  };
  if (model) await router.eventually("/api/v1/info", (info) => info.models.includes(model));
  return router;
}
