// Tests which handles keep a process alive, and that every end of a process is clean.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { rounds, run } from './support/child.mjs';

/** A process that ended by itself, having said just that. */
function ended({ code, signal, stdout, stderr }, said, status = 0) {
  assert.deepEqual({ code, signal, stdout: stdout.trim(), stderr }, { code: status, signal: null, stdout: said, stderr: '' });
}

test('an open router does not keep the process alive', async () => {
  ended(
    await run(`
      const router = new Router();
      router.miner('stuck', async (job) => { await job.emit('token '); await never(); });
      const task = await router.submit('x', { detach: true });
      for await (const event of task.events()) { say(event.text); break; }
    `),
    'token',
  );
});

test('a pending await does, until it is answered', async () => {
  ended(
    await run(`
      const router = new Router();
      router.miner('stuck', never);
      router.submit('x', { timeout: 1 }).then((task) => task.result()).catch((error) => say(error.kind));
    `),
    'timeout',
  );
});

test('a pending await does not after unref, and does again after ref', async () => {
  const source = (calls, timeout) => `
    const router = new Router();
    router.miner('stuck', never);
    const task = await router.submit('x', { timeout: ${timeout} });
    task.result().catch((error) => say(error.kind));
    router${calls};
  `;
  ended(await run(source('.unref()', 50)), '');
  ended(await run(source('.unref().ref()', 1)), 'timeout');
});

test('a listener keeps the process alive until it is stopped', async () => {
  ended(
    await run(`
      const router = new Router();
      const listener = await router.listen({ port: 0 });
      setTimeout(() => { say('serving'); void listener.stop(); }, 100).unref();
    `),
    'serving',
  );
});

test('a listener does not after unref', async () => {
  ended(
    await run(`
      const router = new Router();
      const listener = await router.listen({ port: 0 });
      setTimeout(() => say('serving'), 50_000).unref();
      listener.unref();
    `),
    '',
  );
});

test('closing the router ends its listener and frees the process', async () => {
  ended(
    await run(`
      const router = new Router();
      const listener = await router.listen({ port: 0 });
      setTimeout(() => void router.close(), 50).unref();
      await listener.ended;
      say('ended');
    `),
    'ended',
  );
});

test('await using closes what it opened', { skip: !('asyncDispose' in Symbol) && 'no Symbol.asyncDispose' }, async () => {
  ended(
    await run(`
      const router = new Router();
      router.miner('echo', (job) => job.prompt);
      const session = await router.createSession({ name: 'a' });
      await session[Symbol.asyncDispose]();
      say(router.session(session.id).record.active);
      await router[Symbol.asyncDispose]();
      try { router.info(); } catch (error) { say(error instanceof RouterError, error.kind); }
    `),
    'false\ntrue closed',
  );
});

test('process.exit in the middle of streams and requests is clean', async () => {
  for (let round = 0; round < rounds(10, 60); round++) {
    ended(
      await run(`
        const router = new Router();
        router.miner('slow', { capacity: 8 }, slow);
        const listener = await router.listen({ port: 0 });
        const headers = { authorization: 'Bearer default-dev-token', 'content-type': 'application/json' };
        const body = JSON.stringify({ prompt: 'x', stream: true });
        const response = await fetch(listener.url + '/api/v1/completions', { method: 'POST', headers, body });
        await response.body.getReader().read();
        const tasks = await Promise.all(Array.from({ length: 4 }, () => router.submit('x')));
        let seen = 0;
        await Promise.all(tasks.map(async (task) => {
          for await (const _ of task) if (++seen > ${10 + round}) process.exit(7);
        }));
      `),
      '',
      7,
    );
  }
});

test('an error that nobody catches ends the process in its own way', async () => {
  const { code, signal, stderr } = await run(`
    const router = new Router();
    router.miner('slow', slow);
    for await (const _ of await router.submit('x')) throw new Error('on purpose');
  `);
  assert.deepEqual({ code, signal }, { code: 1, signal: null });
  assert.match(stderr, /on purpose/);
});

test('answers that come when nobody waits any more are no rejections', async () => {
  ended(
    await run(`
      process.on('unhandledRejection', (error) => { say('unhandled', error); process.exit(1); });
      const router = new Router();
      router.miner('slow', { capacity: 16 }, slow);
      const controller = new AbortController();
      const tasks = await Promise.all(Array.from({ length: 8 }, () => router.submit('x', { signal: controller.signal })));
      const readers = tasks.map((task) => task[Symbol.asyncIterator]());
      await Promise.all(readers.map((reader) => reader.next()));
      tasks.forEach((task) => task.toReadableStream());
      const others = await Promise.all(Array.from({ length: 8 }, () => router.submit('x')));
      others.forEach((task) => task.toReadableStream());
      controller.abort();
      await router.close();
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      say('done');
    `),
    'done',
  );
});
