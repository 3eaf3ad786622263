// Makes the pictures of docs/images: node bindings-node/pictures.mjs
// The router is a real one with made-up miners; only the history behind the curves is made up, so that it is full.

import { createServer } from 'node:http';
import { mkdir, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Router } from './index.mjs';
import { DESK, PHONE, launch } from './test/console/browser.mjs';

const out = fileURLToPath(new URL('../docs/images/', import.meta.url));
/** The most bytes of a picture. */
const MOST = 150_000;

const ANSWER = `A router looks at three things, in this order:

1. **the model** that was asked for
2. **the load** of each miner that serves it
3. **a warm cache** from the same conversation

Set \`dispatch.affinity\` to weigh the last one. A program asks by:

\`\`\`python
answer = await router.complete("Which miner is free?")
\`\`\`
`;

const router = new Router();
for (const [name, models, capacity, owner] of [
  ['gpu-a', ['llama-3.1-8b', 'qwen2.5-7b'], 6, undefined],
  ['gpu-b', ['llama-3.1-8b'], 4, 'Lab 3'],
  ['edge-7', ['tiny'], 2, undefined],
]) {
  router.miner(
    name,
    { models, capacity, ...(owner && { owner }), maxContextTokens: 8_192 },
    async function* (job, { signal }) {
      await pause(120);
      for (const word of ANSWER.split(/(?<= )/)) {
        if (signal.aborted) return;
        yield word;
        await pause(12);
      }
      if (job.prompt.includes('stays')) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  );
}
router.addUpstream({ url: 'http://127.0.0.1:9/v1', name: 'model-server' });
const { token } = await router.createKey({ name: 'ops', scopes: ['admin'] });
const desk = await router.createSession({ name: 'support desk', model: 'llama-3.1-8b' });
const night = await router.createSession({ name: 'nightly summaries', model: 'qwen2.5-7b' });
for (const [session, prompt] of [
  [desk, 'Translate this answer into Portuguese and keep the names.'],
  [night, 'Summarise the incident report of last night in three sentences.'],
  [desk, 'Which invoices are older than 30 days?'],
  [night, 'Name the three slowest queries of the week.'],
])
  await (await session.submit(prompt)).result();
const held = await Promise.all(
  [
    'Draft a reply; it stays friendly.',
    'Explain what stays in the cache.',
    'Say which jobs stay for tomorrow, and what stays.',
  ].map((prompt) => desk.submit(prompt)),
);

/** The counts of a router that has been busy for five minutes. */
function event(status, second) {
  const wave = (period, phase = 0) => Math.sin((second / period) * 2 * Math.PI + phase);
  const sum = (rate) =>
    Math.round(Array.from({ length: second }, (_, at) => rate(at)).reduce((all, one) => all + one, 0));
  const ended = sum((at) => 42 + 14 * Math.sin(at / 29) + 6 * Math.sin(at / 7));
  const within = [64, 128, 256, 512, 1_024];
  const counts = within.map((_, nth) =>
    sum((at) => (42 + 14 * Math.sin(at / 29)) * [0.2, 0.55 + 0.1 * Math.sin(at / 41), 0.9, 0.985, 1][nth]),
  );
  return {
    time_ms: Date.now() - (300 - second) * 1_000,
    status: {
      ...status,
      running_tasks: Math.round(8 + 3 * wave(90) + wave(13)),
      queued_tasks: Math.max(0, Math.round(3 * wave(120, 2) + 1.5 * wave(17))),
      uptime: 1_036_800 + second,
      store: 'sqlite',
      durability: 'full',
      memory_usage: 61,
      connected_miners: 4,
      active_miners: 3,
    },
    totals: {
      submitted: ended + 8,
      retries: 3,
      ok: 1_204_331 + ended,
      disputed: 0,
      failed: 12,
      cancelled: 208,
      expired: 1,
      prompt_tokens: ended * 90,
      answer_tokens: 96_000_000 + ended * 74,
      first_tokens: [
        ...within.map((ms, nth) => ({ within_ms: ms, count: counts[nth] })),
        { within_ms: null, count: counts.at(-1) },
      ],
    },
  };
}

const api = router.middleware();
const server = createServer(async (request, response) => {
  if (!request.url.startsWith('/api/v1/events')) return api(request, response);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let second = 1; second <= 300; second += 1)
    response.write(`data: ${JSON.stringify(event(router.status(), second))}\n\n`);
});
server.listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const url = `http://127.0.0.1:${server.address().port}`;
const browser = await launch();
await mkdir(out, { recursive: true });
try {
  for (const [name, view, scheme, size, ready] of [
    ['overview', 'overview', 'light', DESK, '.chart path.curve'],
    ['overview-dark', 'overview', 'dark', DESK, '.chart path.curve'],
    ['miners', 'miners', 'light', DESK, 'article'],
    ['tasks', 'tasks', 'light', DESK, 'tbody tr'],
    ['chat', 'chat', 'dark', DESK, 'option:nth-child(2)'],
    ['phone', 'overview', 'light', PHONE, '.chart path.curve'],
  ]) {
    const page = await browser.open(url, { token, scheme, size, place: `#/${view}` });
    await page.waitForSelector(ready, { state: 'attached' });
    if (view === 'chat') {
      await page.fill('[aria-label=Message]', 'How does a router choose a miner?');
      await page.keyboard.press('Enter');
      await page.shows('tokens/s', '[data-role=assistant] > .small');
    }
    if (view === 'miners') await page.shows('model-server', 'main');
    await page.waitForFunction(() => globalThis.document.querySelector('.side-foot .state').textContent === 'live');
    await pause(300);
    const path = `${out}console-${name}.png`;
    await page.screenshot({ path });
    const { size: bytes } = await stat(path);
    if (bytes > MOST) throw new Error(`${path} has ${bytes} bytes, more than ${MOST}`);
    page.sound();
    await page.close();
  }
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
  for (const task of held) await task.cancel();
  await router.close();
}
