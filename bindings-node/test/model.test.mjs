// A miner of the program's around a real small model, and the same model as an upstream.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';

import { Router } from '../index.mjs';
import { tokens, until } from './support/until.mjs';

const { CORTENSOR_TEST_LLAMA_SERVER: server, CORTENSOR_TEST_MODEL: weights } = process.env;
const missing = !(server && weights) && 'no model: CORTENSOR_TEST_LLAMA_SERVER and CORTENSOR_TEST_MODEL are not set';
if (missing && process.env.CORTENSOR_REQUIRE_MODEL) throw new Error(missing);

let llama;
let url;

before(async () => {
  if (missing) return;
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  url = `http://127.0.0.1:${port}`;
  const options = ['-m', weights, '--host', '127.0.0.1', '--port', port, '-c', '512', '--parallel', '1', '--threads', '1'];
  llama = spawn(server, options, { env: { ...process.env, LD_LIBRARY_PATH: dirname(server) }, stdio: 'ignore' });
  const healthy = () => fetch(`${url}/health`).then((response) => response.ok, () => false);
  await until(healthy, 'the model', 90_000);
});
after(async () => {
  if (!llama) return;
  llama.kill('SIGKILL');
  await once(llama, 'exit');
});

/** Tokens of llama.cpp's own API. */
async function* model(prompt, { signal, most }) {
  const body = JSON.stringify({ prompt, n_predict: most, stream: true, temperature: 0, seed: 1 });
  const response = await fetch(`${url}/completion`, { method: 'POST', body, signal });
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.startsWith('data: ')) yield JSON.parse(line.slice(6)).content;
  }
}

test('a miner around a real model', { skip: missing, timeout: 240_000 }, async () => {
  const router = new Router();
  let left = 0;
  router.miner('smollm', { models: ['smollm'], capacity: 1 }, async function* (job, { signal }) {
    try {
      yield* model(job.prompt, { signal, most: job.request.max_tokens });
    } finally {
      left += 1;
    }
  });
  const ask = () => router.submit('Once upon a time', { model: 'smollm', maxTokens: 12, timeout: 100 });
  const pieces = await tokens(await ask());
  assert.ok(pieces.length > 5, `${pieces.length} pieces`);
  assert.equal((await (await ask()).result()).text, pieces.join(''));
  const long = await router.submit('Once upon a time', { model: 'smollm', maxTokens: 256, timeout: 100 });
  for await (const _ of long) break;
  await until(() => left === 3, 'the model’s stop');
  await router.close();
});

test('a real model as an upstream', { skip: missing, timeout: 240_000 }, async () => {
  const router = new Router();
  router.addUpstream({ url: `${url}/v1`, name: 'llama' });
  await until(() => router.models().count > 0, 'its models');
  const task = await router.submit({ messages: [{ role: 'user', content: 'Say hello.' }] }, { maxTokens: 12, timeout: 100 });
  const pieces = await tokens(task);
  assert.ok(pieces.length > 3, `${pieces.length} pieces`);
  assert.ok((await task.result()).usage.completion_tokens > 0);
  await router.close();
});
