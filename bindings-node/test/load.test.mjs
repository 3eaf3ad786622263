// Many tasks at a time, many tokens one after the other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Router } from '../index.mjs';
import { rounds, run } from './support/child.mjs';

test('10 000 tasks at a time', async () => {
  const router = new Router();
  router.miner('echo', { capacity: 10_000 }, async function* (job) {
    await new Promise(setImmediate);
    yield job.prompt;
  });
  const answers = await Promise.all(
    Array.from({ length: 10_000 }, async (_, index) => {
      const task = await router.submit(`task ${index}`);
      let text = '';
      for await (const token of task) text += token;
      return text;
    }),
  );
  assert.ok(answers.every((text, index) => text === `task ${index}`));
  assert.equal(router.status().running_tasks, 0);
  await router.close();
});

test('memory stays flat over many tokens', { timeout: 300_000 }, async () => {
  const tasks = rounds(200, 1_000);
  const { code, stdout, stderr } = await run(
    `
    const router = new Router({ retention: { maxMemoryBytes: 1_000_000, intervalSecs: 1 } });
    router.miner('many', function* () { for (let n = 0; n < 1_000; n++) yield 'token '; });
    const memory = async () => {
      for (let round = 0; round < 3; round++) { gc(); await pause(10); }
      const { rss, heapUsed, external } = process.memoryUsage();
      return { rss, heap: heapUsed + external };
    };
    let tokens = 0;
    let before;
    for (let n = 0; n < ${tasks}; n++) {
      if (n === ${tasks / 2}) { await pause(2_500); before = await memory(); }
      const task = await router.submit('x');
      if (n % 2) for await (const _ of task) tokens += 1;
      else for await (const event of task.events()) if (event.type === 'token') tokens += 1;
    }
    await pause(2_500);
    const after = await memory();
    say(JSON.stringify({ tokens, rss: after.rss - before.rss, heap: after.heap - before.heap }));
    await router.close();
    `,
    { flags: ['--expose-gc'], timeoutMs: 290_000 },
  );
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const grown = JSON.parse(stdout);
  console.log(`flat memory: ${stdout.trim()}`);
  assert.equal(grown.tokens, tasks * 1_000);
  assert.ok(grown.heap < 2 * 2 ** 20, `JavaScript’s heap grew by ${grown.heap} bytes`);
  assert.ok(grown.rss < 24 * 2 ** 20, `the process grew by ${grown.rss} bytes`);
});
