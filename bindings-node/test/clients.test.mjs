// The official clients against a listener in this same process: the Vercel AI SDK and `openai`.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateText, streamText } from 'ai';
import OpenAI from 'openai';

import { Router, runMiner } from '../index.mjs';
import { until } from './support/until.mjs';

const apiKey = 'default-dev-token';

let router;
let listener;
let aborted;

before(async () => {
  router = new Router();
  router.miner('words', { models: ['tiny'], capacity: 32 }, async function* (job, { signal }) {
    signal.addEventListener('abort', () => (aborted += 1));
    for (const word of job.prompt.split(/(?<= )/)) yield word;
    if (job.prompt.startsWith('hold')) await pause(60_000, undefined, { signal });
    return { usage: { promptTokens: 7, completionTokens: 3 } };
  });
  router.miner('vectors', { models: ['vectors'], embeddings: true }, (job) => ({ embedding: [0.5, job.request.input.length] }));
  listener = await router.listen({ port: 0 });
});
beforeEach(() => {
  aborted = 0;
});
after(() => router.close());

const sdk = () => createOpenAICompatible({ name: 'cortensor', baseURL: `${listener.url}/v1`, apiKey, includeUsage: true });
const openai = () => new OpenAI({ baseURL: `${listener.url}/v1`, apiKey, maxRetries: 0 });
const messages = (content) => [{ role: 'user', content }];

test('AI SDK: generateText', async () => {
  const { text, usage, finishReason } = await generateText({ model: sdk()('tiny'), prompt: 'one two three' });
  assert.equal(text, 'one two three');
  assert.deepEqual([usage.inputTokens, usage.outputTokens, finishReason], [7, 3, 'stop']);
});

test('AI SDK: streamText', async () => {
  const result = streamText({ model: sdk()('tiny'), prompt: 'one two three' });
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  assert.equal(pieces.join(''), 'one two three');
  assert.ok(pieces.length > 1, 'the pieces come one by one');
  assert.equal((await result.usage).outputTokens, 3);
});

test('AI SDK: an abort reaches the miner', async () => {
  const controller = new AbortController();
  const result = streamText({ model: sdk()('tiny'), prompt: 'hold on', abortSignal: controller.signal });
  for await (const piece of result.textStream) if (piece) controller.abort();
  await until(() => aborted === 1);
});

test('AI SDK: embed', async () => {
  const { embedding } = await embed({ model: sdk().embeddingModel('vectors'), value: 'abc' });
  assert.equal(embedding[0], 0.5);
});

test('openai: whole and streamed', async () => {
  const answer = await openai().chat.completions.create({ model: 'tiny', messages: messages('one two') });
  assert.deepEqual([answer.choices[0].message.content, answer.usage.total_tokens], ['one two', 10]);
  const pieces = [];
  for await (const chunk of await openai().chat.completions.create({ model: 'tiny', messages: messages('a b'), stream: true })) {
    pieces.push(chunk.choices[0]?.delta.content ?? '');
  }
  assert.equal(pieces.join(''), 'a b');
});

test('openai: a stream that is left reaches the miner', async () => {
  const stream = await openai().chat.completions.create({ model: 'tiny', messages: messages('hold on'), stream: true });
  for await (const _chunk of stream) break;
  await until(() => aborted === 1);
});

test('openai: through the handler, without a socket', async () => {
  const local = (url, init) => router.fetch(new Request(url, init), { peer: '127.0.0.1' });
  const client = new OpenAI({ baseURL: 'http://in.process/v1', apiKey, maxRetries: 0, fetch: local });
  const answer = await client.chat.completions.create({ model: 'tiny', messages: messages('no socket') });
  assert.equal(answer.choices[0].message.content, 'no socket');
});

test('a miner elsewhere works for the router, and goes when its work is done', async () => {
  const far = await router.listen({ port: 0, token: [{ value: 'miners-only-token', scopes: ['miner'] }] });
  let seen;
  const miner = runMiner(
    { router: far.url.replace('http', 'ws'), name: 'far', models: ['far'], capacity: 2, token: 'miners-only-token' },
    async function* (job) {
      seen = job.model;
      yield* job.prompt.split(/(?<= )/);
    },
  );
  await until(() => miner.stats().connected, 'the connection');
  const task = await router.submit('from far away', { model: 'far' });
  assert.equal((await task.result()).text, 'from far away');
  assert.equal(seen, 'far');
  assert.equal(await miner.drain({ timeoutMs: 30_000 }), true);
  assert.equal(miner.stats().finished, 1);
  await miner.close();
  await miner.close();
  await until(() => !router.miners().miners.some((one) => one.id === 'far'), 'its leaving');
  assert.throws(() => runMiner({ router: 'http://x', name: 'far' }, () => ''), { kind: 'invalid_argument' });
  assert.throws(() => runMiner({ name: 'far' }, () => ''), { kind: 'invalid_argument' });
  await far.stop();
});
