// The router itself: configuration, records, sessions, errors, the log.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import api, { Router, RouterError, Session, Task, version } from '../index.mjs';
import { tokens, until } from './support/until.mjs';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');

test('one version everywhere', () => {
  const [, workspace] = /\[workspace\.package\]\nversion = "([^"]+)"/.exec(read('../../Cargo.toml'));
  assert.equal(version, workspace);
  assert.equal(JSON.parse(read('../package.json')).version, version);
  assert.equal(JSON.parse(read('../package-lock.json')).version, version);
});

test('require and import give the same module', () => {
  const required = createRequire(import.meta.url)('../index.cjs');
  assert.equal(required.Router, Router);
  assert.equal(api, required);
  assert.deepEqual(Object.keys(required).sort(), Object.keys({ ...api }).sort());
});

test('settings are written in camelCase or as in the file, and come back as in the file', async () => {
  const router = new Router({
    name: 'mine',
    limits: { maxQueuedTasks: 7, max_sessions: 8 },
    upstream: [{ url: 'http://127.0.0.1:9/v1', maxConcurrency: 2, aliases: { 'gptFour': 'gpt-4' } }],
  });
  const config = router.config();
  assert.deepEqual([config.name, config.limits.max_queued_tasks, config.limits.max_sessions], ['mine', 7, 8]);
  assert.deepEqual([config.upstream[0].max_concurrency, config.upstream[0].aliases], [2, { gptFour: 'gpt-4' }]);
  await router.close();
});

test('a setting that there is not is named, and opens nothing', async () => {
  const wrong = (error) => {
    assert.ok(error instanceof RouterError && error instanceof Error);
    assert.deepEqual([error.name, error.kind, error.retryable], ['RouterError', 'invalid_argument', false]);
    assert.equal(error.details.param, 'limits.max_sesions');
    assert.match(error.message, /did you mean/);
    return true;
  };
  assert.throws(() => new Router({ limits: { maxSesions: 1 } }), wrong);
  await assert.rejects(Router.open({ limits: { maxSesions: 1 } }), wrong);
  for (const config of ['text', 7, [], true]) assert.throws(() => new Router(config), RouterError);
  const circular = {};
  circular.limits = circular;
  assert.throws(() => new Router(circular), { kind: 'invalid_argument' });
  assert.throws(() => new Router({}, { log: 'file' }), { kind: 'invalid_argument' });
});

test('a router on disk keeps its tasks, and belongs to one process', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'cortensor-router-'));
  const router = await Router.open({ storage: { dataDir } });
  router.miner('echo', (job) => job.prompt);
  const session = await router.createSession({ name: 'kept' });
  await (await session.submit('hello')).result();
  await assert.rejects(Router.open({ storage: { dataDir } }), { kind: 'conflict' });
  await router.close();
  const again = new Router({ storage: { dataDir } });
  assert.equal((await again.session(session.id).task(1)).text, 'hello');
  assert.deepEqual(await tokens(await again.attach(session.id, 1)), ['hello']);
  await again.close();
  await rm(dataDir, { recursive: true });
});

test('sessions', async () => {
  const router = new Router();
  router.miner('echo', (job) => job.prompt);
  const session = await router.createSession({ name: 'chat', priority: 5 });
  assert.ok(session instanceof Session);
  assert.deepEqual([session.name, session.record.priority], ['chat', 5]);
  const task = await session.submit('hello', { maxTokens: 9 });
  assert.ok(task instanceof Task);
  assert.deepEqual([task.sessionId, task.taskId, task.joined], [session.id, 1, false]);
  assert.equal((await task.result()).text, 'hello');
  assert.equal((await session.tasks({ state: 'ended' })).count, 1);
  assert.equal((await session.task(1)).prompt, 'hello');
  assert.equal((await (await session.attach(1)).result()).text, 'hello');
  assert.equal((await session.update({ name: 'talk' })).name, 'talk');
  assert.equal(router.session(session.id).name, 'talk');
  assert.equal((await session.close()).active, false);
  await assert.rejects(session.submit('more'), { kind: 'conflict' });
  assert.throws(() => router.session(99), (error) => error.kind === 'not_found' && error.code === 'session_not_found');
  assert.equal(router.sessions({ limit: 1 }).sessions.length, 1);
  await router.close();
});

test('usage is told by the key that the program names', async () => {
  const router = new Router({ prices: { model: [{ name: 'tiny', input: 1, output: 1 }] } });
  router.miner('echo', { models: ['tiny'] }, (job) => job.prompt);
  for (const keyId of ['shop', 'shop', 'cafe']) await router.complete('a b', { model: 'tiny', keyId });
  assert.equal((await router.task(0, 1)).key_id, 'shop');
  assert.equal((await router.tasks(0, { key: 'shop' })).count, 2);
  const { currency, usage } = await router.usage({ by: 'key' });
  assert.deepEqual(usage.map(({ name, requests }) => [name, requests]), [['cafe', 1], ['shop', 2]]);
  assert.deepEqual([currency, usage[1].unpriced_tokens], ['USD', 0]);
  assert.ok(Number(usage[1].cost) > 0);
  assert.equal((await router.usage({ key: 'shop', limit: 1 })).usage[0].requests, 2);
  assert.equal((await router.usage()).by, 'day');
  await assert.rejects(router.usage({ by: 'year' }), (error) => error.details.param === 'by');
  await router.close();
});

test('arguments of the wrong kind are refused by name', async () => {
  const router = new Router();
  const refused = async (call, param) => {
    await assert.rejects(async () => call(), (error) => {
      assert.deepEqual([error.kind, error.details.param], ['invalid_argument', param]);
      return true;
    });
  };
  await refused(() => router.submit(7), 'prompt');
  await refused(() => router.submit(undefined), 'prompt');
  await refused(() => router.submit('x', { sessionId: '0' }), 'sessionId');
  await refused(() => router.submit('x', { sessionId: -1 }), 'sessionId');
  await refused(() => router.session(1.5), 'session');
  await refused(() => router.task(0, 'one'), 'task');
  await refused(() => router.createSession('chat'), 'session');
  await refused(() => router.createSession({}), 'name');
  await refused(() => router.miner('m', {}, 'work'), 'miner');
  await refused(() => router.miner(undefined, () => ''), 'name');
  await refused(() => router.miner('m', { colour: 'red' }, () => ''), 'colour');
  await refused(() => router.addUpstream({ ulr: 'x' }), 'ulr');
  await refused(() => router.drain({ timeoutMs: 'long' }), 'timeoutMs');
  await refused(() => router.close({ timeoutMs: -1 }), 'timeoutMs');
  await router.close();
});

test('the idempotency key joins the task that is there', async () => {
  const router = new Router();
  let jobs = 0;
  router.miner('m', () => `${++jobs}`);
  const [one, two] = [
    await router.submit('x', { idempotencyKey: 'k' }),
    await router.submit('x', { idempotencyKey: 'k' }),
  ];
  assert.deepEqual([one.joined, two.joined, two.taskId], [false, true, one.taskId]);
  assert.equal((await two.result()).text, '1');
  await router.close();
});

test('the log goes to the program', async () => {
  const records = [];
  const router = new Router({ runtime: { logLevel: 'debug' } }, { log: (record) => records.push(record) });
  router.addUpstream('http://127.0.0.1:9/v1');
  await until(() => records.length > 0, 'a record');
  const [{ time, level, target, message }] = records;
  assert.ok(time instanceof Date && ['debug', 'info', 'warn'].includes(level));
  assert.ok(target !== '' && message !== '');
  await router.close();
});

test('a log sink that throws is a warning, and harms nobody', async () => {
  const warned = [];
  const onWarning = ({ message }) => warned.push(message);
  process.on('warning', onWarning);
  const log = () => { throw new Error('disk full'); };
  const router = new Router({ runtime: { logLevel: 'debug' } }, { log });
  router.addUpstream('http://127.0.0.1:9/v1');
  await until(() => warned.length > 0, 'the warning');
  process.off('warning', onWarning);
  assert.equal(warned[0], 'a log sink of cortensor-router threw: disk full');
  await router.close();
});

test('a listener', async () => {
  const router = new Router();
  const listener = await router.listen({ port: 0 });
  assert.equal(listener.url, `http://${listener.address}`);
  assert.ok(listener.port > 0 && listener.posture.length > 0);
  assert.equal((await fetch(`${listener.url}/healthz`)).status, 200);
  await assert.rejects(router.listen({ port: listener.port }), RouterError);
  await listener.stop();
  await listener.ended;
  await assert.rejects(fetch(`${listener.url}/healthz`));
  await router.close();
  await listener.stop();
});

test('draining lets tasks end', async () => {
  const router = new Router();
  router.miner('echo', (job) => job.prompt);
  const task = await router.submit('x');
  assert.equal(await router.drain({ timeoutMs: 30_000 }), true);
  assert.equal((await task.result()).text, 'x');
  await assert.rejects(router.submit('y'), { kind: 'closed' });
  await router.close();
});

test('keys are made, listed and revoked', async () => {
  const router = new Router();
  const made = await router.createKey({ name: 'ci', scopes: ['read'], limits: { requestsPerMinute: 5 }, ttlSecs: 60 });
  assert.match(made.token, new RegExp(`^ctr_${made.id}_`));
  assert.deepEqual(made.limits, { requests_per_minute: 5 });
  const { count, keys } = await router.keys();
  assert.deepEqual([count, keys[0].id, keys[0].name, 'token' in keys[0]], [1, made.id, 'ci', false]);
  await router.deleteKey(made.id);
  assert.equal((await router.keys()).count, 0);
  await assert.rejects(router.deleteKey(made.id), (error) => error.kind === 'not_found');
  await assert.rejects(router.createKey({ name: 'ci', scope: 'read' }), (error) => error.details.param === 'scope');
  await router.close();
});
