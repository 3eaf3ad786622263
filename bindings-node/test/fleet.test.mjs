// Programs that are given the same database are one fleet.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Router } from '../index.mjs';
import { run } from './support/child.mjs';
import { bin, withPostgres } from './support/postgres.mjs';
import { until } from './support/until.mjs';

const missing = bin ? false : 'PostgreSQL is not installed (apt-get install postgresql)';
assert.ok(bin || !process.env.CORTENSOR_REQUIRE_POSTGRES, missing || undefined);

test('a callback of another program serves a prompt', { skip: missing, timeout: 60_000 }, async () => {
  await withPostgres(async (url) => {
    const config = (name) => ({ name, storage: { url, leaseMs: 2000 } });
    const source = `
      const router = await Router.open(${JSON.stringify(config('serves'))});
      router.miner('shout', async (job) => job.prompt.toUpperCase());
      process.on('SIGTERM', async () => { await router.close(); say('closed'); process.exit(0); });
      router.ref();
      setInterval(() => {}, 1000);
      say('ready');
    `;
    let other;
    const ended = run(source, { onLine: (_, child) => (other = child) });
    await until(() => other, 'the other program');
    const router = await Router.open(config('asks'));
    try {
      await until(() => router.miners().count === 1, "the other program's miner");
      assert.equal(router.miners().miners[0].router, 'serves');
      assert.equal((await router.complete('hello there')).text, 'HELLO THERE');
    } finally {
      await router.close();
      other.kill('SIGTERM');
    }
    assert.deepEqual(await ended, { code: 0, signal: null, stdout: 'ready\nclosed\n', stderr: '' });
  });
});
