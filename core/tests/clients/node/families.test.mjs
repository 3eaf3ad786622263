// Anthropic's own package and Vercel's AI SDK with its defaults (the Responses and the Messages API), unmodified: only
// `baseURL` and the key are ours.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";
import { startRouter, TOKEN } from "./support/router.mjs";
import { MODEL, startUpstream } from "./support/upstream.mjs";

let upstream;
let router;
let anthropic;
let openai;
const families = {};
const messages = [{ role: "user", content: "hello there" }];
const add = tool({ description: "Adds one.", inputSchema: z.object({ a: z.number() }), execute: ({ a }) => a + 1 });

before(async () => {
  upstream = await startUpstream();
  router = await startRouter(["--upstream", upstream.url], MODEL);
  const options = { apiKey: TOKEN, maxRetries: 0, timeout: 20_000 };
  anthropic = new Anthropic({ baseURL: router.url, ...options });
  openai = new OpenAI({ baseURL: `${router.url}/v1`, ...options });
  families.responses = createOpenAI({ baseURL: `${router.url}/v1`, apiKey: TOKEN })(MODEL);
  families.messages = createAnthropic({ baseURL: `${router.url}/v1`, apiKey: TOKEN })(MODEL);
});
after(async () => {
  await router?.close();
  await upstream?.close();
});
beforeEach(() => upstream.forget());

test("a message", async () => {
  const answer = await anthropic.messages.create({ model: MODEL, max_tokens: 50, messages });
  assert.match(answer.id, /^msg_/);
  assert.deepEqual(answer.content, [{ type: "text", text: "You said: hello there" }]);
  assert.equal(answer.stop_reason, "end_turn");
  assert.equal(answer.usage.output_tokens, 4);
});

test("a message streamed", async () => {
  const stream = anthropic.messages.stream({ model: MODEL, max_tokens: 50, messages });
  const texts = [];
  stream.on("text", (text) => texts.push(text));
  const final = await stream.finalMessage();
  assert.deepEqual(texts, ["You", " said:", " hello", " there"]);
  assert.equal(final.content[0].text, "You said: hello there");
});

test("an abort reaches the upstream", async () => {
  const slow = [{ role: "user", content: "slow" }];
  const stream = anthropic.messages.stream({ model: MODEL, max_tokens: 50, messages: slow });
  stream.once("text", () => stream.abort());
  await assert.rejects(stream.finalMessage());
  await upstream.hungUp();
});

test("tools and structured answers of both families", async () => {
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  const asked = [{ role: "user", content: "tools" }];
  const tools = [{ name: "add", input_schema: schema }];
  const message = await anthropic.messages.create({ model: MODEL, max_tokens: 50, messages: asked, tools });
  assert.deepEqual([message.stop_reason, message.content[0].input], ["tool_use", { a: 1 }]);
  const called = await openai.responses.create({
    model: MODEL,
    input: "tools",
    tools: [{ type: "function", name: "add", parameters: schema, strict: false }],
  });
  assert.equal(called.output[0].arguments, '{"a":1}');
  const format = { type: "json_schema", name: "sum", schema, strict: true };
  const parsed = await openai.responses.parse({ model: MODEL, input: '{"a": 2}', text: { format } });
  assert.deepEqual(JSON.parse(parsed.output_text), { a: 2 });
  assert.equal(upstream.received.at(-1).body.response_format.type, "json_schema");
  const output_config = { format: { type: "json_schema", schema } };
  const object = [{ role: "user", content: '{"a": 2}' }];
  const said = await anthropic.messages.create({ model: MODEL, max_tokens: 50, messages: object, output_config });
  assert.deepEqual(JSON.parse(said.content[0].text), { a: 2 });
});

test("an abort of a response reaches the upstream", async () => {
  const stream = await openai.responses.create({ model: MODEL, input: "slow", stream: true });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  await upstream.hungUp();
});

test("errors of both families are their own", async () => {
  const refused = [{ role: "user", content: "status 400" }];
  const message = anthropic.messages.create({ model: MODEL, max_tokens: 50, messages: refused });
  await assert.rejects(message, Anthropic.BadRequestError);
  await assert.rejects(openai.responses.create({ model: MODEL, input: "status 400" }), OpenAI.BadRequestError);
});

test("a response, whole and streamed", async () => {
  const answer = await openai.responses.create({ model: MODEL, input: "hello there" });
  assert.equal(answer.output_text, "You said: hello there");
  const final = await openai.responses.stream({ model: MODEL, input: "hello there" }).finalResponse();
  assert.equal(final.output_text, answer.output_text);
  const again = await openai.responses.retrieve(answer.id);
  assert.equal(again.output_text, answer.output_text);
});

for (const family of ["responses", "messages"]) {
  test(`the AI SDK by ${family}`, async () => {
    const model = families[family];
    const whole = await generateText({ model, prompt: "hello there", maxRetries: 0 });
    assert.equal(whole.text, "You said: hello there");
    const pieces = [];
    for await (const piece of streamText({ model, prompt: "hello there", maxRetries: 0 }).textStream) pieces.push(piece);
    assert.deepEqual(pieces, ["You", " said:", " hello", " there"]);
  });

  test(`the AI SDK calls tools by ${family}`, async () => {
    const model = families[family];
    const options = { model, prompt: "tools", tools: { add }, stopWhen: stepCountIs(2), maxRetries: 0 };
    const whole = await generateText(options);
    assert.deepEqual(
      whole.steps[0].toolResults.map((one) => one.output),
      [2],
    );
    assert.equal(whole.text, "You said: 2");
    const streamed = streamText(options);
    await streamed.consumeStream();
    assert.equal(await streamed.text, "You said: 2");
  });

  test(`the AI SDK by ${family}: an object, a refusal and an abort`, async () => {
    const model = families[family];
    const schema = z.object({ total: z.number() });
    const made = await generateObject({ model, schema, prompt: '{"total": 2}', maxRetries: 0 });
    assert.deepEqual(made.object, { total: 2 });
    await assert.rejects(generateText({ model, prompt: "status 400", maxRetries: 0 }), (error) => {
      assert.ok(APICallError.isInstance(error), error);
      return error.statusCode === 400;
    });
    const leaving = new AbortController();
    const slow = streamText({ model, prompt: "slow", maxRetries: 0, abortSignal: leaving.signal, onError() {} });
    const texts = slow.textStream[Symbol.asyncIterator]();
    while (!(await texts.next()).done) leaving.abort();
    await upstream.hungUp();
  });
}
