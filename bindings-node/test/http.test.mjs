// The REST API in a server of the program's own: fetch, Node's http, Express.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';

import express from 'express';

import { Router } from '../index.mjs';
import { until } from './support/until.mjs';

const TOKEN = 'default-dev-token';
const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
const LOOPBACK = { peer: '127.0.0.1' };

let router;
let aborted;

before(() => {
  router = new Router({ limits: { maxRequestBytes: 4_096 } });
  router.miner('m', { models: ['tiny'], capacity: 64 }, async function* (job, { signal }) {
    signal.addEventListener('abort', () => (aborted += 1));
    yield* job.prompt.split(/(?<= )/);
    if (job.prompt.startsWith('hold')) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  });
});
beforeEach(() => {
  aborted = 0;
});
after(() => router.close());

const post = (prompt, more = {}) => ({ method: 'POST', headers, body: JSON.stringify({ prompt, stream: true, ...more }) });
const request = (path, options = {}) => new Request(`http://host${path}`, { headers, ...options });

async function served(listener, use) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${server.address().port}`, server);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('fetch answers as the listener does', async () => {
  const info = await router.fetch(request('/api/v1/info'), LOOPBACK);
  assert.equal(info.status, 200);
  assert.match(info.headers.get('content-type'), /json/);
  assert.equal((await info.json()).name, 'cortensor-router');
  const listener = await router.listen({ port: 0 });
  const same = await fetch(`${listener.url}/api/v1/sessions`, { headers });
  const mine = await router.fetch(request('/api/v1/sessions'), LOOPBACK);
  assert.deepEqual(await mine.json(), await same.json());
  await listener.stop();
});

test('fetch streams, and takes a URL or a path below a mount', async () => {
  const response = await router.fetch(request('/ai/api/v1/completions', post('a b')), { ...LOOPBACK, basePath: '/ai' });
  assert.match(response.headers.get('content-type'), /event-stream/);
  const text = await response.text();
  assert.match(text, /"text":"a "/);
  assert.ok(text.endsWith('data: [DONE]\n\n'));
  assert.equal((await router.fetch('http://host/healthz')).status, 200);
});

test('who is far away needs a token of its own', async () => {
  assert.equal((await router.fetch(request('/api/v1/info'))).status, 401);
  const handler = router.handler({ token: [{ value: 'secret-secret-secret', scopes: ['read'] }] });
  const own = { headers: { authorization: 'Bearer secret-secret-secret' } };
  assert.equal((await handler.fetch(request('/api/v1/info', own))).status, 200);
});

test('wrong settings are an error that names them', async () => {
  await assert.rejects(router.handler({ prt: 1 }).fetch('http://host/healthz'), (error) => {
    assert.deepEqual([error.kind, error.details.param], ['invalid_argument', 'listen.prt']);
    return true;
  });
});

test('a body that is too large is refused and not read to its end', async () => {
  const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1_024).fill(32)) });
  const response = await router.fetch(request('/api/v1/completions', { method: 'POST', body, duplex: 'half' }), LOOPBACK);
  assert.equal(response.status, 413);
});

test('aborting a fetch cancels the work, before the head, and in the body', async () => {
  const early = new AbortController();
  const call = router.fetch(request('/api/v1/completions', { ...post('hold', { stream: false }), signal: early.signal }), LOOPBACK);
  await until(() => router.status().running_tasks === 1);
  early.abort();
  await assert.rejects(call, { name: 'AbortError' });
  await until(() => aborted === 1);
  const late = new AbortController();
  const response = await router.fetch(request('/api/v1/completions', { ...post('hold'), signal: late.signal }), LOOPBACK);
  const reader = response.body.getReader();
  await reader.read();
  late.abort();
  await assert.rejects(async () => { while (!(await reader.read()).done); }, { name: 'AbortError' });
  await until(() => aborted === 2);
  const left = await router.fetch(request('/api/v1/completions', post('hold')), LOOPBACK);
  await left.body.cancel();
  await until(() => aborted === 3);
});

test('a server of Node’s own', async () => {
  await served(router.middleware(), async (url) => {
    assert.equal((await (await fetch(`${url}/v1/models`, { headers })).json()).data[0].id, 'tiny');
    const streamed = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'x y' }] }),
    });
    assert.match(await streamed.text(), /"content":"x "/);
    assert.equal((await fetch(`${url}/nothing`, { headers })).status, 404);
    assert.equal((await fetch(`${url}/api/v1/completions`, { ...post('x'.repeat(5_000)) })).status, 413);
  });
});

test('a client of such a server that hangs up cancels the work, before the head, and in the body', async () => {
  await served(router.middleware(), async (url) => {
    const early = new AbortController();
    const call = fetch(`${url}/api/v1/completions`, { ...post('hold', { stream: false }), signal: early.signal });
    await until(() => router.status().running_tasks === 1);
    early.abort();
    await assert.rejects(call, { name: 'AbortError' });
    await until(() => aborted === 1);
    const response = await fetch(`${url}/api/v1/completions`, post('hold'));
    const reader = response.body.getReader();
    await reader.read();
    await reader.cancel();
    await until(() => aborted === 2);
  });
});

test('Express: the API beside routes of the program’s own, with a body that was parsed before', async () => {
  const app = express();
  app.use(express.json());
  app.use(router.middleware());
  app.get('/api/users', (_, response) => response.json(['ann']));
  app.use('/ai', router.middleware());
  await served(app, async (url) => {
    assert.deepEqual(await (await fetch(`${url}/api/users`)).json(), ['ann']);
    assert.equal((await fetch(`${url}/nothing`)).status, 404);
    for (const base of ['', '/ai']) {
      const answer = await fetch(`${url}${base}/api/v1/completions/0`, post('a b', { stream: false }));
      assert.equal((await answer.json()).text, 'a b');
    }
    assert.equal((await fetch(`${url}/api/v1/tasks/0/1`, { headers })).status, 200);
  });
});

test('the API beside other routes needs no public description of itself', async () => {
  const open = new Router();
  const app = express();
  app.use(open.middleware());
  app.get('/', (_, response) => response.send('mine'));
  const secret = new Router({ listen: { publicOpenapi: false } });
  app.use('/secret', secret.middleware());
  app.get('/secret/own', (_, response) => response.send('own'));
  try {
    await served(app, async (url) => {
      assert.equal(await (await fetch(`${url}/`)).text(), 'mine');
      assert.equal(await (await fetch(`${url}/secret/own`)).text(), 'own');
      assert.equal((await fetch(`${url}/secret/healthz`)).status, 200);
      assert.equal((await fetch(`${url}/secret/openapi.json`)).status, 401);
    });
  } finally {
    await Promise.all([open.close(), secret.close()]);
  }
});

test('a router that is closed answers 503 and hangs nobody up', async () => {
  const closed = new Router();
  const middleware = closed.middleware();
  await served(middleware, async (url) => {
    // A body that is not read leaves its connection in doubt.
    const healthy = async () => {
      const response = await fetch(`${url}/healthz`);
      await response.text();
      return response.status;
    };
    assert.equal(await healthy(), 200);
    await closed.close();
    assert.equal(await healthy(), 503);
  });
  await assert.rejects(closed.fetch('http://host/healthz'), (error) => error.kind === 'closed');
});
