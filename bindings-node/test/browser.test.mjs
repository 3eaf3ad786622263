// The Express example in a real browser: a page shows tokens as they come, and a page that is closed cancels its task.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import express from 'express';
import { chromium } from 'playwright-core';

import { Router } from '../index.mjs';
import { FLAGS, executablePath, skip } from './support/chromium.mjs';
import { until } from './support/until.mjs';

const PAGE = `<!doctype html><meta charset="utf-8"><title>router</title><pre></pre><script>
  const out = document.querySelector('pre');
  const source = new EventSource('/ask?prompt=one+two+three');
  source.onmessage = ({ data }) => { out.append(JSON.parse(data)); };
  source.addEventListener('done', () => { source.close(); out.className = 'done'; });
</script>`;

/** A page that calls the REST API itself. */
const API_PAGE = `<!doctype html><meta charset="utf-8"><title>api</title><pre></pre><script type="module">
  const out = document.querySelector('pre');
  const response = await fetch('/api/v1/completions', {
    method: 'POST',
    headers: { authorization: 'Bearer default-dev-token', 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'hold', stream: true }),
  });
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) out.append(chunk);
</script>`;

test('a page shows tokens as they come; closing one cancels its task', { skip, timeout: 120_000 }, async () => {
  const router = new Router();
  let [aborted, release] = [0, () => {}];
  router.miner('words', { capacity: 8 }, async function* (job, { signal }) {
    signal.addEventListener('abort', () => (aborted += 1));
    const [first, ...rest] = job.prompt.split(/(?<= )/);
    yield first;
    await new Promise((resolve) => {
      release = resolve;
      signal.addEventListener('abort', resolve);
    });
    yield* rest;
  });

  const app = express();
  app.get('/', (_, response) => response.type('html').send(PAGE));
  app.get('/api', (_, response) => response.type('html').send(API_PAGE));
  app.get('/ask', async (request, response) => {
    response.set('content-type', 'text/event-stream').flushHeaders();
    for await (const token of await router.submit(request.query.prompt)) response.write(`data: ${JSON.stringify(token)}\n\n`);
    response.end('event: done\ndata: {}\n\n');
  });
  app.use(router.middleware());
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;

  const profile = await mkdtemp(join(tmpdir(), 'cortensor-router-browser-'));
  const browser = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, timeout: 60_000 });
  try {
    browser.setDefaultTimeout(60_000);
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction(() => globalThis.document.querySelector('pre').textContent === 'one ');
    release();
    await page.waitForSelector('pre.done');
    assert.equal(await page.textContent('pre'), 'one two three');
    assert.equal(aborted, 0);

    await page.goto(`${url}/api`);
    await page.waitForFunction(() => globalThis.document.querySelector('pre').textContent.includes('"text":"hold"'));
    assert.equal(router.status().running_tasks, 1);
    await page.close();
    await until(() => aborted === 1, 'the cancellation');
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
    await router.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});
