// All the ways to leave a task early, and when each of them comes.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { Router, RouterError } from '../index.mjs';
import { tokens, until } from './support/until.mjs';

let router;
let miner;

beforeEach(() => {
  router = new Router();
  miner = { started: 0, aborted: 0, left: 0 };
  router.miner('slow', { capacity: 64 }, async function* (job, { signal }) {
    miner.started += 1;
    signal.addEventListener('abort', () => (miner.aborted += 1));
    try {
      if (job.prompt === 'short') return yield 'short';
      yield 'a';
      yield 'b';
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield 'too late';
    } finally {
      miner.left += 1;
    }
  });
});
afterEach(() => router.close());

const stopped = () => until(() => miner.aborted === miner.started && miner.left === miner.started, 'the miner’s end');
const cancelled = (error) => error instanceof RouterError && error.kind === 'cancelled' && !error.retryable;

test('leaving the loop cancels the miner', async () => {
  const task = await router.submit('x');
  for await (const token of task) if (token === 'b') break;
  await stopped();
  await assert.rejects(task.result(), cancelled);
  assert.equal((await task.record()).outcome, 'cancelled');
});

test('throwing out of the loop cancels the miner', async () => {
  const task = await router.submit('x');
  await assert.rejects(async () => {
    for await (const _ of task) throw new Error(`own ${_}`);
  }, /own a/);
  await stopped();
});

test('leaving the loop of a detached task does not', async () => {
  for (const detach of [(task) => task.detach(), undefined]) {
    const task = await router.submit('x', { detach: detach === undefined });
    detach?.(task);
    for await (const _ of task) break;
    assert.equal((await task.record()).state, 'acked');
    task.cancel();
  }
  await stopped();
});

test('leaving the events does not, leaving the whole of it is `release`', async () => {
  const task = await router.submit('x');
  for await (const event of task.events()) {
    assert.deepEqual(event, { type: 'token', seq: 1, text: 'a' });
    break;
  }
  assert.equal(miner.aborted, 0);
  task.release();
  await stopped();
  await assert.rejects(task.result(), (error) => error.kind === 'closed');
});

test('a signal that was aborted before submits nothing', async () => {
  const reason = new Error('before');
  await assert.rejects(router.submit('x', { signal: AbortSignal.abort(reason) }), reason);
  assert.equal((await router.tasks(0)).count, 0);
});

test('a signal aborted while the task is submitted cancels what comes of it', async () => {
  const controller = new AbortController();
  const reason = new Error('during');
  const submitted = router.submit('x', { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(submitted, reason);
  await until(() => router.status().running_tasks === 0 && router.status().queued_tasks === 0);
  await stopped();
});

test('a signal aborted while it runs ends every reader with its reason', async () => {
  const controller = new AbortController();
  const reason = new Error('meanwhile');
  const task = await router.submit('x', { signal: controller.signal });
  const result = task.result();
  const reader = task[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, 'a');
  assert.equal((await reader.next()).value, 'b');
  const [waiting, events] = [reader.next(), (async () => { for await (const _ of task.events()); })()];
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(result, reason);
  await assert.rejects(events, reason);
  assert.equal((await reader.next()).done, true);
  await assert.rejects(task.result(), reason);
  await stopped();
});

test('a signal aborted after the end changes nothing, and is let go', async () => {
  const controller = new AbortController();
  const task = await router.submit('short', { signal: controller.signal });
  assert.deepEqual(await tokens(task), ['short']);
  controller.abort(new Error('after'));
  assert.equal((await task.result()).text, 'short');
  assert.deepEqual(await tokens(task), ['short']);
});

test('one signal may serve many tasks', async () => {
  const controller = new AbortController();
  const warned = [];
  const onWarning = (warning) => warned.push(warning.message);
  process.on('warning', onWarning);
  const tasks = await Promise.all(Array.from({ length: 50 }, () => router.submit('x', { signal: controller.signal })));
  const results = tasks.map((task) => task.result());
  controller.abort();
  for (const result of results) await assert.rejects(result, { name: 'AbortError' });
  await stopped();
  process.off('warning', onWarning);
  assert.deepEqual(warned, []);
});

test('a completion in one step, and the ways out of it', async () => {
  assert.equal((await router.complete('short')).text, 'short');
  const session = await router.createSession({ name: 'own' });
  const { session_id, text } = await session.complete({ prompt: 'short' });
  assert.deepEqual([session_id, text], [session.id, 'short']);
  const reason = new Error('on purpose');
  await assert.rejects(router.complete('x', { signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(router.complete('x', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
  await assert.rejects(router.complete('x', { sessionId: 9 }), { kind: 'not_found' });
  const controller = new AbortController();
  const before = miner.left;
  const answer = router.complete('x', { signal: controller.signal });
  await until(() => miner.started > before, 'its start');
  controller.abort(reason);
  await assert.rejects(answer, reason);
  await until(() => miner.left > before && miner.left === miner.started, 'the miner’s end');
});

test('a time-out is a signal too', async () => {
  // Whether it comes while the task is submitted or while it runs.
  const read = async () => tokens(await router.submit('x', { signal: AbortSignal.timeout(50) }));
  await assert.rejects(read(), { name: 'TimeoutError' });
  await stopped();
});

test('cancelling a web stream or destroying a Node stream cancels the task', async () => {
  const web = (await router.submit('x')).toReadableStream().getReader();
  assert.equal(Buffer.from((await web.read()).value).toString(), 'a');
  await web.cancel();
  const node = (await router.submit('x')).toReadable();
  for await (const chunk of node) {
    assert.equal(String(chunk), 'a');
    break;
  }
  await stopped();
  assert.equal(miner.started, 2);
});

test('both kinds of stream give the whole text of a task that ends', async () => {
  assert.equal(await new Response((await router.submit('short')).toReadableStream()).text(), 'short');
  assert.equal(Buffer.concat(await (await router.submit('short')).toReadable().toArray()).toString(), 'short');
});

test('closing the router ends every stream with an error', async () => {
  const task = await router.submit('x');
  const reader = task[Symbol.asyncIterator]();
  await reader.next();
  await reader.next();
  const [waiting, result] = [reader.next(), task.result()];
  const closing = router.close();
  await assert.rejects(waiting, RouterError);
  await assert.rejects(result, RouterError);
  await closing;
  await assert.rejects(router.submit('x'), (error) => error.kind === 'closed');
  assert.throws(() => router.status(), (error) => error.kind === 'closed');
  await router.close();
});

test('a job can be read after its end', async () => {
  const seen = [];
  router.miner('reads', { models: ['reads'] }, async (job, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    seen.push(job.prompt, job.taskId, job.model, job.info.gid, job.cancelled);
  });
  const task = await router.submit('hello', { model: 'reads' });
  await until(() => router.status().running_tasks === 1);
  task.cancel();
  await until(() => seen.length > 0);
  assert.deepEqual(seen, ['hello', task.taskId, 'reads', task.gid, true]);
});
