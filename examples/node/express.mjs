// An Express service with a router inside: a page that shows tokens as they come, and the REST and OpenAI APIs beside it.
//
//   npm install express cortensor-router && node express.mjs      then open http://127.0.0.1:3000
import { setTimeout as pause } from 'node:timers/promises';

import { Router } from 'cortensor-router';
import express from 'express';

const router = new Router();
router.miner('clock', { capacity: 100 }, async function* (job, { signal }) {
  for (const word of `You said: ${job.prompt}`.split(/(?<= )/)) {
    yield word;
    await pause(20, undefined, { signal });
  }
});

const PAGE = `<!doctype html><meta charset="utf-8"><title>router</title>
<form><input name="prompt" value="tell me"><button>Ask</button></form><pre></pre>
<script>
  const [form, out] = [document.querySelector('form'), document.querySelector('pre')];
  form.onsubmit = (event) => {
    event.preventDefault();
    out.textContent = '';
    const source = new EventSource('/ask?' + new URLSearchParams(new FormData(form)));
    source.onmessage = ({ data }) => { out.textContent += JSON.parse(data); };
    source.addEventListener('done', () => { source.close(); out.dataset.done = 'yes'; });
  };
</script>`;

const app = express();
app.get('/', (_, response) => response.type('html').send(PAGE));

// Server-sent events; a browser that goes away cancels the task.
app.get('/ask', async (request, response) => {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.set({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).flushHeaders();
  try {
    const task = await router.submit(String(request.query.prompt), { signal: gone.signal });
    for await (const token of task) response.write(`data: ${JSON.stringify(token)}\n\n`);
    response.end('event: done\ndata: {}\n\n');
  } catch (error) {
    if (!gone.signal.aborted) response.end(`event: done\ndata: ${JSON.stringify({ error: error.message })}\n\n`);
  }
});

// The router's own routes: /api/v1/..., /v1/chat/completions and so on.
app.use(router.middleware());

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    server.close();
    await router.close();
  });
}
