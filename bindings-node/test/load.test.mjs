// Many tasks at a time, many tokens one after the other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Router } from '../index.mjs';
import { run } from './support/child.mjs';

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

/** Tokens of a task. */
const TOKENS = 1_000;
/** The number of measured parts of a run, after a first one that is not measured. */
const PARTS = 8;

/**
 * Bytes that the process and JavaScript's heap have grown by for each token, in three of four parts at least. Leaked memory
 * shows in every part; memory that an allocator or a compiler takes once shows in one or two.
 */
async function growth(tokens, then = '') {
  const tasks = tokens / TOKENS / PARTS;
  const { code, stdout, stderr } = await run(
    `
    // Ended tasks that are kept to be read again would hide what is kept by mistake.
    const router = new Router({ limits: { recentTasks: 16 }, retention: { maxMemoryBytes: 100_000 } });
    router.miner('many', function* () { for (let n = 0; n < ${TOKENS}; n++) yield 'token '; });
    const kept = [];
    let seen = 0;
    async function part() {
      for (let n = 0; n < ${tasks}; n++) {
        const task = await router.submit('x');
        if (n % 2) for await (const token of task) { seen += 1; ${then} }
        else for await (const { type, text: token } of task.events()) if (type === 'token') { seen += 1; ${then} }
      }
      // Memory that is freed in one turn of the event loop releases more in the next.
      for (let round = 0; round < 3; round++) { gc(); await new Promise(setImmediate); }
      const { rss, heapUsed, external } = process.memoryUsage();
      return { rss, heap: heapUsed + external };
    }
    const parts = [];
    for (let n = 0; n <= ${PARTS}; n++) parts.push(await part());
    say(JSON.stringify({ seen, parts }));
    await router.close();
    `,
    { flags: ['--expose-gc'], timeoutMs: 290_000 },
  );
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const { seen, parts } = JSON.parse(stdout);
  assert.equal(seen, (tokens / PARTS) * (PARTS + 1));
  const usual = (name) => {
    const grown = parts.slice(1).map((part, index) => part[name] - parts[index][name]);
    return grown.sort((a, b) => a - b)[PARTS / 4] / (tokens / PARTS);
  };
  return { rss: usual('rss'), heap: usual('heap') };
}

const isFlat = ({ rss, heap }) => rss < 8 && heap < 0.5;

test('memory stays flat over 1 000 000 tokens', { timeout: 300_000 }, async () => {
  const grown = await growth(1_000_000);
  console.log(`flat memory: ${JSON.stringify(grown)} bytes for each token`);
  assert.ok(isFlat(grown), `bytes for each token: ${JSON.stringify(grown)}`);
});

test('memory that does not stay flat is found', { timeout: 300_000 }, async () => {
  const grown = await growth(80_000, 'kept.push([token]);');
  assert.ok(!isFlat(grown), `bytes for each token: ${JSON.stringify(grown)}`);
});
