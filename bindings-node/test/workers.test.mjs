// worker_threads: the addon loads in many at a time, works in each, and is left in the middle of its work.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { run } from './support/child.mjs';

const WORKERS = 16;
const TIMES = 20;

test(`${WORKERS} workers load, work and are terminated, ${TIMES} times`, { timeout: 300_000 }, async () => {
  const { code, signal, stdout, stderr } = await run(
    `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const source = \`
      const { parentPort } = require('node:worker_threads');
      const { Router } = require(${JSON.stringify(new URL("../index.cjs", import.meta.url).pathname)});
      const router = new Router();
      router.miner('count', { capacity: 8 }, async function* () {
        for (let n = 0; ; n++) { yield n + ' '; await new Promise(setImmediate); }
      });
      router.listen({ port: 0 }).then(async () => {
        const tasks = await Promise.all([0, 1, 2].map(() => router.submit('x')));
        let seen = 0;
        await Promise.all(tasks.map(async (task) => { for await (const _ of task) if (++seen === 30) parentPort.postMessage('working'); }));
      });
    \`;
    let worked = 0;
    for (let round = 0; round < ${TIMES}; round++) {
      await Promise.all(Array.from({ length: ${WORKERS} }, async () => {
        const worker = new Worker(source, { eval: true, execArgv: [] });
        const [message] = await once(worker, 'message');
        await worker.terminate();
        if (message === 'working') worked += 1;
      }));
    }
    say(worked);
    `,
    { timeoutMs: 290_000 },
  );
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  assert.equal(Number(stdout), WORKERS * TIMES);
});

test('a worker ends by itself when its work is done', async () => {
  const { code, stdout } = await run(`
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(\`
      const { parentPort } = require('node:worker_threads');
      const { Router } = require(${JSON.stringify(new URL('../index.cjs', import.meta.url).pathname)});
      const router = new Router();
      router.miner('echo', (job) => job.prompt);
      router.submit('hello').then((task) => task.result()).then((completion) => parentPort.postMessage(completion.text));
    \`, { eval: true, execArgv: [] });
    const [text] = await once(worker, 'message');
    const [status] = await once(worker, 'exit');
    say(text, status);
  `);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'hello 0\n' });
});
