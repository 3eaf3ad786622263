// The official SDK of the Model Context Protocol, unmodified: over HTTP, and over standard input and output in front of
// a router of its own and of one that runs already.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { binary, startRouter, TOKEN } from "./support/router.mjs";
import { MODEL, startUpstream } from "./support/upstream.mjs";

const ANSWER = "You said: hello there";
let upstream;
let router;
let home;

before(async () => {
  upstream = await startUpstream();
  router = await startRouter(["--upstream", upstream.url], MODEL);
  home = await mkdtemp(join(tmpdir(), "cortensor-mcp-"));
});
after(async () => {
  await router?.close();
  await upstream?.close();
  await rm(home, { recursive: true });
});
beforeEach(() => upstream.forget());

const overHttp = (token = TOKEN) =>
  new StreamableHTTPClientTransport(new URL(`${router.url}/mcp`), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
const overStdio = (...options) =>
  new StdioClientTransport({ command: binary, args: ["mcp", ...options], env: { HOME: home } });
const doors = {
  http: overHttp,
  stdio: () => overStdio("--upstream", upstream.url, "--durability", "memory"),
  bridge: () => overStdio("--url", router.url),
};

async function connected(transport) {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  return client;
}

const complete = (prompt, more = {}) => ({ name: "cortensor_completions", arguments: { prompt, ...more } });

for (const [name, door] of Object.entries(doors)) {
  test(`${name}: tools are listed and answer as their schemas say`, async (t) => {
    const client = await connected(door());
    t.after(() => client.close());
    assert.equal(client.getServerVersion().name, "cortensor-router");
    // The client compares each result with the schema of a tool that it has listed.
    const { tools } = await client.listTools();
    assert.equal(tools[0].name, "cortensor_completions");
    const made = await client.callTool({ name: "cortensor_create_session", arguments: { name: "mcp" } });
    const id = made.structuredContent.session_id;
    const done = await client.callTool(complete("hello there", { session_id: id }));
    assert.equal(done.structuredContent.choices[0].text, ANSWER);
    assert.deepEqual(JSON.parse(done.content[0].text), done.structuredContent);
    for (const [tool, given] of [
      ["tasks", { session_id: id }],
      ["tasks", { session_id: id, task_id: 1 }],
      ["sessions", {}],
      ["sessions", { id }],
      ["miners", {}],
      ["status", {}],
      ["about", {}],
      ["ping", {}],
      ["info", {}],
    ]) {
      const result = await client.callTool({ name: `cortensor_${tool}`, arguments: given });
      assert.ok(!result.isError, JSON.stringify(result));
    }
    const listed = await client.listResources();
    assert.ok(listed.resources.some(({ uri }) => uri === `cortensor://sessions/${id}`));
    const read = await client.readResource({ uri: `cortensor://sessions/${id}/tasks/1` });
    assert.equal(JSON.parse(read.contents[0].text).id, 1);
  });

  test(`${name}: progress has the pieces`, async (t) => {
    const client = await connected(door());
    t.after(() => client.close());
    const told = [];
    const onprogress = ({ progress, message }) => told.push([progress, message]);
    const done = await client.callTool(complete("hello there"), undefined, { onprogress });
    assert.equal(done.structuredContent.choices[0].text, ANSWER);
    const text = told.map(([, message]) => message).join("");
    // This SDK drops progress that it reads from a pipe together with the result.
    if (name === "http") assert.equal(text, ANSWER);
    else assert.ok(ANSWER.startsWith(text), text);
  });

  test(`${name}: errors are results or the protocol's own`, async (t) => {
    const client = await connected(door());
    t.after(() => client.close());
    await client.listTools();
    const result = await client.callTool({ name: "cortensor_completions", arguments: {} });
    assert.ok(result.isError);
    assert.equal(JSON.parse(result.content[0].text).param, "prompt");
    await assert.rejects(client.callTool({ name: "nothing", arguments: {} }), /no tool/);
    await assert.rejects(client.readResource({ uri: "cortensor://sessions/999999" }), /999999/);
  });

  test(`${name}: a call that is given up stops the miner`, async (t) => {
    const client = await connected(door());
    t.after(() => client.close());
    const giveUp = new AbortController();
    const onprogress = () => giveUp.abort();
    const call = client.callTool(complete("slow"), undefined, { signal: giveUp.signal, onprogress });
    await assert.rejects(call);
    await upstream.hungUp();
    const pong = await client.callTool({ name: "cortensor_ping", arguments: {} });
    assert.ok(!pong.isError);
  });
}

test("a session is none for another token", async (t) => {
  const transport = overHttp();
  const client = await connected(transport);
  t.after(() => client.close());
  const { body } = await router.call("POST", "/api/v1/keys", { name: "other" });
  const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
  for (const [token, status] of [
    [body.token, 404],
    [TOKEN, 200],
  ]) {
    const response = await fetch(`${router.url}/mcp`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Mcp-Session-Id": transport.sessionId },
      body: JSON.stringify(ping),
    });
    assert.equal(response.status, status);
  }
  const other = await connected(overHttp(body.token));
  t.after(() => other.close());
  await other.listTools();
});
