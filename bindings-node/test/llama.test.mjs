// The ready-made miner around node-llama-cpp, with a real small model.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Router, RouterError, llama } from '../index.mjs';
import { tokens, until } from './support/until.mjs';

const weights = process.env.CORTENSOR_TEST_MODEL;
const library = await import('node-llama-cpp').then(() => true, () => false);
const missing = !(weights && library) && 'no model or no node-llama-cpp: `cargo xtask test node` installs both';
if (missing && process.env.CORTENSOR_REQUIRE_MODEL) throw new Error(missing);

const skip = { skip: missing, timeout: 240_000 };
/** Nothing is built or downloaded, and the machine's own threads are left to the other tests. */
const plain = { threads: 1, getLlama: { gpu: false, build: 'never', logLevel: 'error' } };
const question = [{ role: 'user', content: 'What is the capital of France? Answer with one word.' }];

let router;
let smol;

before(async () => {
  if (missing) return;
  router = new Router({ dispatch: { maxAttempts: 1 } });
  smol = await llama(weights, { model: 'smol', capacity: 2, context: 1024, ...plain });
  router.miner('llama', smol.options, smol);
});
after(async () => {
  await router?.close();
  await smol?.close();
});

const ask = (request, options) => router.submit(request, { model: 'smol', temperature: 0, timeout: 100, ...options });

test('it streams by the model’s template and counts', skip, async () => {
  const task = await ask({ messages: question }, { maxTokens: 16 });
  const pieces = await tokens(task);
  const done = await task.result();
  assert.ok(pieces.length >= 3, `${pieces}`);
  assert.equal(done.text, pieces.join(''));
  assert.match(done.text, /Paris/);
  assert.equal(done.choices[0].finish_reason, 'stop');
  assert.ok(done.usage.prompt_tokens > 15, 'the tokens of the template, too');
  assert.ok(done.usage.completion_tokens >= pieces.length);
  // The tokens that the sequence has read already count as well.
  const again = await (await ask({ messages: question }, { maxTokens: 16 })).result();
  assert.deepEqual(again.usage, done.usage);
});

test('it continues a raw text, and stops where it should', skip, async () => {
  const raw = await (await ask('The capital of France is', { promptType: 1, maxTokens: 4 })).result();
  assert.match(raw.text, /Paris/);
  assert.equal(raw.choices[0].finish_reason, 'length');
  assert.equal(raw.usage.completion_tokens, 4);
  const stopped = await (await ask('1, 2, 3, 4,', { promptType: 1, maxTokens: 40, stop: ['7'] })).result();
  assert.ok(!stopped.text.includes('7') && stopped.text.includes('6'), stopped.text);
  assert.equal(stopped.choices[0].finish_reason, 'stop');
});

test('work that nobody wants stops, and its place serves others', skip, async () => {
  for await (const _ of await ask('Tell me a long story.', { maxTokens: 900 })) break;
  for await (const _ of await ask('Tell me a long story.', { maxTokens: 900 })) break;
  const answers = await Promise.all([1, 2, 3].map(async () => (await ask('Say yes.', { maxTokens: 4 })).result()));
  assert.ok(answers.every((answer) => answer.text));
  await until(() => router.miners().miners[0].in_flight === 0, 'the end of the stories');
});

test('an answer keeps to a schema', skip, async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } } };
  const responseFormat = { type: 'json_schema', json_schema: { name: 'city', schema } };
  const { text } = await (await ask({ messages: question }, { maxTokens: 40, responseFormat })).result();
  assert.deepEqual(Object.keys(JSON.parse(text)), ['city']);
});

test('the history of a chat has calls of tools and their results', skip, async () => {
  const messages = [
    { role: 'system', content: 'You are brief.' },
    { role: 'user', content: [{ type: 'text', text: 'How warm is it in Paris?' }] },
    { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } }] },
    { role: 'tool', tool_call_id: 'a', content: '21 degrees' },
  ];
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  const short = await (await ask({ messages: messages.slice(0, 2) }, { maxTokens: 8, tools })).result();
  const whole = await (await ask({ messages }, { maxTokens: 8, tools })).result();
  assert.ok(whole.usage.prompt_tokens > short.usage.prompt_tokens);
});

test('a mistake of the caller is named', skip, async () => {
  for (const [request, code, message] of [
    ['word '.repeat(5000), 'context_length_exceeded', /room for 1024/],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }, undefined, /image_url/],
    [{ messages: [{ role: 'tool', tool_call_id: 'x', content: '' }] }, undefined, /no call of a tool has the id "x"/],
  ]) {
    const failed = (await ask(request, { maxTokens: 4 })).result();
    await assert.rejects(failed, (error) => {
      assert.ok(error instanceof RouterError, error.stack);
      assert.equal(error.kind, 'invalid_argument', error.message);
      if (code) assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
});

test('it makes vectors', skip, async () => {
  const made = await llama(weights, { embeddings: true, context: 256, ...plain });
  router.miner('vectors', { ...made.options, models: ['vectors'] }, made);
  const { vectors, usage } = await router.embed(['a cat', 'a dog'], { model: 'vectors' });
  assert.equal(vectors.length, 2);
  for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-3);
  assert.ok(usage.prompt_tokens >= 4);
  router.removeMiner('vectors');
  await made.close();
});

test('a mistake of the program is named', async () => {
  await assert.rejects(llama('/no/such.gguf'), /there is no model file \/no\/such.gguf/);
  await assert.rejects(llama('x', { capcity: 4 }), /llama has no option capcity/);
});
