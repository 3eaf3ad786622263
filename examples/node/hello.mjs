// The shortest program: a router, a miner, a task.
import { Router } from 'cortensor-router';

const router = new Router();
router.miner('shout', (job) => job.prompt.toUpperCase());

const task = await router.submit('hello from Node');
console.log((await task.result()).text);

await router.close();
