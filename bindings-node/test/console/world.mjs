// A router with miners whose answers the tests steer.

import { Router } from '../../index.mjs';

/** Texts that must stay texts. */
export const HOSTILE = {
  script: '<script>globalThis.hacked = true</script><img src=x onerror="globalThis.hacked = true">',
  long: `long-${'m'.repeat(900)}`,
  turned: 'abc\u202egnp.exe\u2066 \u05e9\u05dc\u05d5\u05dd',
  nul: 'before\u0000after\u0007',
};

/** Opens a router that listens. */
export async function world({ listen = {}, config = {} } = {}) {
  const router = new Router(config);
  const seen = { jobs: [], aborted: 0 };
  /** Gives the answer that waits its next word. */
  const steps = { next: () => {} };
  router.miner('words', { models: ['tiny', 'other-model'], capacity: 8 }, async function* (job, { signal }) {
    seen.jobs.push(job);
    signal.addEventListener('abort', () => (seen.aborted += 1));
    const prompt = job.prompt;
    if (prompt.includes('hold')) {
      yield 'first ';
      await new Promise((resolve) => {
        steps.next = resolve;
        signal.addEventListener('abort', resolve);
      });
      yield 'second';
    } else if (prompt.includes('fail')) {
      throw new Error(`${HOSTILE.script} it broke`);
    } else {
      yield* prompt.split(/(?<= )/);
    }
  });
  const listener = await router.listen({ port: 0, ...listen });
  return {
    router,
    seen,
    steps,
    url: listener.url,
    /** Makes a key and gives its token. */
    key: async (name, scopes, more = {}) => (await router.createKey({ name, scopes, ...more })).token,
    stop: () => listener.stop(),
    close: () => router.close(),
  };
}
