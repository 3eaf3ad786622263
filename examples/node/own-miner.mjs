// A miner of your own, working for a router somewhere else. Here that router is in this same program.
import { Router, runMiner } from 'cortensor-router';

const router = new Router();
const listener = await router.listen({
  port: 0,
  token: [{ value: 'a-token-for-the-miner', scopes: ['miner'] }],
});

const miner = runMiner(
  { router: listener.url, name: 'desk', models: ['tiny'], capacity: 2, token: 'a-token-for-the-miner' },
  async function* (job) {
    for (const word of job.prompt.split(/(?<= )/)) yield word;
    return { usage: { promptTokens: 3, completionTokens: 3 } };
  },
);
while (!miner.stats().connected) await new Promise((resolve) => setTimeout(resolve, 10));

const task = await router.submit('one two three', { model: 'tiny' });
const { text, usage } = await task.result();
console.log(text, usage);

await miner.close();
await router.close();
