// Tokens as they come, with a time limit; leaving the loop cancels the work.
import { setTimeout as pause } from 'node:timers/promises';

import { Router } from 'cortensor-router';

const router = new Router();

router.miner('counter', { models: ['tiny'], capacity: 4 }, async function* (job, { signal }) {
  try {
    for (let number = 1; ; number++) {
      yield `${number} `;
      await pause(5, undefined, { signal });
    }
  } finally {
    console.log('\nthe miner was told to stop');
  }
});

const session = await router.createSession({ name: 'chat', model: 'tiny' });
const task = await session.submit('count', { signal: AbortSignal.timeout(5_000) });
for await (const token of task) {
  process.stdout.write(token);
  if (token === '10 ') break;
}

await router.close();
