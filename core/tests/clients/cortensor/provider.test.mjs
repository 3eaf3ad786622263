// The unmodified `cortensor-openai-provider` of the AI SDK. It reads its address and key once, when it is imported.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { generateText } from "ai";
import { startRouter, TOKEN } from "../node/support/router.mjs";
import { MODEL, startUpstream } from "../node/support/upstream.mjs";

let upstream;
let router;
let provider;
// There from the start: the package's users write this number.
const sessionId = 1;

before(async () => {
  upstream = await startUpstream();
  router = await startRouter(["--upstream", upstream.url], MODEL);
  process.env.CORTENSOR_BASE_URL = router.url;
  process.env.CORTENSOR_API_KEY = TOKEN;
  provider = await import("cortensor-openai-provider");
});
after(async () => {
  await router?.close();
  await upstream?.close();
});
beforeEach(() => upstream.forget());

const lastTask = async () => (await router.get(`/api/v1/tasks/${sessionId}`)).tasks.at(-1);

test("generateText", async () => {
  const answer = await generateText({
    model: provider.cortensorModel({ sessionId: 1 }),
    prompt: "hello",
    maxRetries: 0,
  });
  assert.match(answer.text, /^You said: .*hello/s);
  assert.equal(answer.finishReason, "stop");
  assert.ok(answer.usage.totalTokens > 0);
  const task = await lastTask();
  assert.equal(task.results[0], answer.text);
  assert.match(task.client_reference, /^user-request-\d+$/);
  assert.match(answer.response.id, /^cmpl-/);
});

test("its options reach the miner, and what it asks too much of is capped", async () => {
  const model = provider.cortensorModel({ sessionId: 1, temperature: 0.25, topP: 0.5, maxTokens: 64000, timeout: 900 });
  await generateText({ model, system: "be brief", prompt: "hello", maxRetries: 0 });
  const { path, body } = upstream.received[0];
  assert.equal(path, "/v1/completions", "prompt_type 1 is a raw prompt");
  assert.equal(body.temperature, 0.25);
  assert.equal(body.top_p, 0.5);
  assert.equal(body.top_k, 40);
  assert.ok(body.max_tokens >= 1024 && body.max_tokens < 64000);
  assert.match(body.prompt, /be brief/);
});

test("prompt type 0 has the template applied", async () => {
  const model = provider.cortensorModel({ sessionId: 1, promptType: 0 });
  await generateText({ model, prompt: "hello", maxRetries: 0 });
  assert.equal(upstream.received[0].path, "/v1/chat/completions");
});

test("a conversation", async () => {
  const messages = [
    { role: "user", content: "first" },
    { role: "assistant", content: "second" },
    { role: "user", content: [{ type: "text", text: "third" }] },
  ];
  const answer = await generateText({ model: provider.cortensorModel({ sessionId: 1 }), messages, maxRetries: 0 });
  assert.match(answer.text, /first.*second.*third/s);
});

test("an unknown session is an error that says 404", async () => {
  const model = provider.cortensorModel({ sessionId: 999999 });
  await assert.rejects(generateText({ model, prompt: "hello", maxRetries: 0 }), /404/);
});
