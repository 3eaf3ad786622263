// The unmodified `openai` package, as its users write it: only `baseURL` and the key are ours.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import OpenAI, { toFile } from "openai";
import { startRouter, TOKEN } from "./support/router.mjs";
import { MODEL, SMALL, startUpstream } from "./support/upstream.mjs";

let upstream;
let router;
let client;
const messages = [{ role: "user", content: "hello there" }];
const saying = (content) => [{ role: "user", content }];

before(async () => {
  upstream = await startUpstream();
  router = await startRouter(["--upstream", upstream.url], MODEL);
  client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: TOKEN, maxRetries: 0, timeout: 20_000 });
});
after(async () => {
  await router?.close();
  await upstream?.close();
});
beforeEach(() => upstream.forget());

test("chat", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages });
  assert.equal(answer.object, "chat.completion");
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].message.content, "You said: hello there");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, 6);
});

test("chat streamed", async () => {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, stream: true })) {
    chunks.push(chunk);
  }
  const pieces = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
  assert.deepEqual(pieces, ["You", " said:", " hello", " there"]);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.ok(chunks.every((chunk) => !chunk.usage));
});

test("usage in the stream when asked for", async () => {
  const options = { model: MODEL, messages, stream: true, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(options)) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, 4);
});

test("the package's own stream helper adds it up", async () => {
  const runner = client.chat.completions.stream({ model: MODEL, messages });
  assert.equal(await runner.finalContent(), "You said: hello there");
});

test("completion, unary and streamed", async () => {
  const answer = await client.completions.create({ model: MODEL, prompt: "hello there" });
  assert.equal(answer.object, "text_completion");
  assert.match(answer.id, /^cmpl-/);
  assert.equal(answer.choices[0].text, "You said: hello there");
  let text = "";
  for await (const chunk of await client.completions.create({ model: MODEL, prompt: "hello there", stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, "You said: hello there");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: MODEL, input: ["a", "b"] });
  assert.deepEqual(
    answer.data.map((one) => Array.from(one.embedding)),
    [
      [0.5, -0.25],
      [0.5, -0.25],
    ],
  );
});

test("a wrong key is AuthenticationError", async () => {
  const stranger = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.status, 401);
    assert.equal(typeof error.error.message, "string");
    return true;
  });
});

test("an unknown model is NotFoundError", async () => {
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages }), OpenAI.NotFoundError);
});

test("a wrong field is BadRequestError and is named", async () => {
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages, max_tokens: "many" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "max_tokens");
    return true;
  });
  await assert.rejects(client.chat.completions.create({ model: MODEL }), OpenAI.BadRequestError);
});

test("the upstream's refusal reaches the caller", async () => {
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: saying("status 400") }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /refused on purpose/);
    return true;
  });
});

test("an aborted stream cancels the work", async () => {
  const stream = await client.chat.completions.create({ model: MODEL, messages: saying("slow"), stream: true });
  let seen = 0;
    // eslint-disable-next-line no-unused-vars -- the chunks themselves do not matter here
  for await (const _ of stream) {
    seen += 1;
    if (seen === 3) stream.controller.abort();
  }
  const left = performance.now();
  assert.ok((await upstream.hungUp()) - left < 1000);
  await router.eventually("/api/v1/status", (status) => status.running_tasks === 0);
});

test("an aborted call cancels the work", async () => {
  const controller = new AbortController();
  const call = client.chat.completions.create(
    { model: MODEL, messages: saying("hold") },
    { signal: controller.signal },
  );
  await router.eventually("/api/v1/status", (status) => status.running_tasks === 1 && upstream.received.length === 1);
  const left = performance.now();
  controller.abort();
  await assert.rejects(call, OpenAI.APIUserAbortError);
  assert.ok((await upstream.hungUp()) - left < 1000);
  await router.eventually("/api/v1/status", (status) => status.running_tasks === 0);
});

test("many at a time", async () => {
  const calls = Array.from({ length: 40 }, (_, index) =>
    client.chat.completions.create({ model: MODEL, messages: saying(`call ${index}`) }),
  );
  const answers = await Promise.all(calls);
  assert.deepEqual(
    answers.map((answer) => answer.choices[0].message.content),
    calls.map((_, index) => `You said: call ${index}`),
  );
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 40);
});

test("a transcription", async () => {
  const sound = Buffer.from([0, 255, 13, 10, 13, 10, 45, 45]);
  const file = await toFile(sound, "speech.wav", { type: "audio/wav" });
  const answer = await client.audio.transcriptions.create({ model: MODEL, file });
  assert.equal(answer.text, "Hello there.");
  const { raw } = upstream.received.at(-1);
  assert.ok(raw.includes(`name="model"\r\n\r\n${MODEL}\r\n`));
  assert.ok(raw.includes('name="file"; filename="speech.wav"'));
  assert.ok(raw.includes(Buffer.concat([Buffer.from("\r\n\r\n"), sound, Buffer.from("\r\n--")])));
});

test("speech", async () => {
  const answer = await client.audio.speech.create({ model: MODEL, voice: "alloy", input: "Hello there." });
  assert.equal(answer.headers.get("content-type"), "audio/mpeg");
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), SMALL["/v1/audio/speech"][1]);
});

test("images and moderation", async () => {
  const drawn = await client.images.generate({ model: MODEL, prompt: "a cat" });
  assert.equal(drawn.data[0].b64_json, "iVBORw0KGgo=");
  const judged = await client.moderations.create({ input: "a" });
  assert.equal(judged.results[0].flagged, true);
});
