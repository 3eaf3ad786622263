// The console of an operator in a real browser: upstreams, model servers, webhooks, and the configuration.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DESK, PHONE, launch } from './console/browser.mjs';
import { TOKEN, endAll, modelServer, serve } from './console/served.mjs';
import { skip } from './support/chromium.mjs';

const pictures = fileURLToPath(new URL('../../target/console/', import.meta.url));
const REFUSED = /status of (400|403|409)/;
const MANAGED = ['--set', 'listen.manage_upstreams=true', '--set', 'listen.upstream_networks=127.0.0.0/8'];
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

let browser;

before(async () => {
  if (skip) return;
  browser = await launch();
  await mkdir(pictures, { recursive: true });
});
after(async () => {
  endAll();
  await browser?.close();
});

const rule = (name, run) => test(name, { skip, timeout: 120_000 }, run);

/** A server on this machine. `answer` gives the status and the body. */
async function receiver(answer) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const [status, body] = answer(request);
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => server.close() && server.closeAllConnections(),
  };
}

const models = () => receiver(() => [200, JSON.stringify({ object: 'list', data: [{ id: 'tiny' }] })]);
const article = (page, name) => page.locator('article', { hasText: name });
const stateOf = (page, name, word) =>
  page.waitForFunction(
    ([wanted, text]) =>
      [...globalThis.document.querySelectorAll('article')].some(
        (one) => one.querySelector('h2').textContent === wanted && one.querySelector('.state').textContent === text,
      ),
    [name, word],
  );

/** Looks at a view in both sizes: it fits, and breaks no rule of accessibility. */
async function shown(page, name) {
  await page.setViewportSize(DESK);
  await page.accessible();
  await page.screenshot({ path: `${pictures}${name}.png`, fullPage: true });
  await page.setViewportSize(PHONE);
  await page.fits();
  await page.accessible();
  await page.screenshot({ path: `${pictures}${name}-phone.png`, fullPage: true });
  await page.setViewportSize(DESK);
}

rule('an upstream is added, drained, resumed and removed', async () => {
  const [router, there] = await Promise.all([serve('', MANAGED), models()]);
  const page = await browser.open(router.url, { token: TOKEN, place: '#/upstreams' });
  await page.shows('No upstream is here');
  await shown(page, 'upstreams-none');
  // The keyboard is enough for all of it.
  await page.focus('text=Add an upstream');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.type('gpu-2');
  await page.keyboard.press('Tab');
  await page.keyboard.type('http://10.0.0.1/v1');
  await page.keyboard.press('Enter');
  // The router's words stand at the field that is wrong, which has the focus.
  await page.shows('listen.upstream_networks', 'dialog .field .wrong');
  assert.equal(await page.evaluate(() => globalThis.document.activeElement.value), 'http://10.0.0.1/v1');
  assert.equal(await page.getAttribute('dialog input >> nth=1', 'aria-invalid'), 'true');
  await shown(page, 'upstreams-refused');
  await page.fill('dialog input >> nth=1', `${there.url}/v1`);
  await page.locator('dialog').getByLabel('Weight').fill('much');
  await page.click('text=Add it');
  await page.shows('weight', 'dialog .field .wrong');
  assert.equal(await page.locator('dialog .wrong').count(), 1, 'the first refusal is taken back');
  await page.locator('dialog').getByLabel('Weight').fill('3');
  await page.fill('dialog input[type=password]', 'the key of that server');
  await page.click('text=Add it');
  await page.waitForSelector('dialog', { state: 'detached' });
  await stateOf(page, 'gpu-2', 'up');
  await page.shows('tiny', 'article .tags');
  const text = await article(page, 'gpu-2').textContent();
  assert.match(text, /added over HTTP.*127\.0\.0\.1.*just now.*good|ago, good/s);
  assert.match(text, /Weight3.*it has one, which is never shown/s);
  assert.ok(!(await page.content()).includes('the key of that server'));
  // A change is sent for the fields that differ, and a refusal stands at its field here too.
  await page.click('[aria-label="Change gpu-2"]');
  await page.waitForSelector('dialog[open]');
  assert.equal(await page.locator('dialog').getByLabel('Address').inputValue(), `${there.url}/v1`);
  assert.equal(await page.locator('dialog').getByLabel('Models').inputValue(), 'tiny');
  assert.equal(await page.locator('dialog').getByLabel('Name').getAttribute('readonly'), '');
  await shown(page, 'upstreams-change');
  await page.locator('dialog').getByLabel('Weight').fill('0');
  await page.click('text=Change it');
  await page.shows('weight', 'dialog .field .wrong');
  await page.locator('dialog').getByLabel('Weight').fill('');
  await page.locator('dialog').getByLabel('Models').fill('tiny, other');
  await page.locator('dialog').getByLabel('Tasks at a time').fill('5');
  await page.click('text=Change it');
  await page.waitForSelector('dialog', { state: 'detached' });
  await stateOf(page, 'gpu-2', 'up');
  await page.shows('other', 'article .tags');
  const [changed] = (await router.call('api/v1/upstreams')).upstreams;
  assert.deepEqual(
    [changed.models, changed.max_concurrency, changed.weight, changed.has_api_key, changed.api],
    [['tiny', 'other'], 5, 1, true, 'openai'],
  );
  await page.click('[aria-label="Change gpu-2"]');
  await page.locator('dialog').getByLabel('Models').fill('');
  await page.locator('dialog').getByLabel('Forget the key').check();
  await page.click('text=Change it');
  await page.waitForSelector('dialog', { state: 'detached' });
  await stateOf(page, 'gpu-2', 'up');
  await page.waitForFunction(() => !globalThis.document.querySelector('article').textContent.includes('it has one'));
  assert.deepEqual((await router.call('api/v1/upstreams')).upstreams[0].models, ['tiny'], 'those that it lists again');
  // A drain is asked about. The focus stays at the button while the card changes.
  await page.focus('[aria-label="Drain gpu-2"]');
  await page.keyboard.press('Enter');
  await page.click('dialog button.danger');
  await stateOf(page, 'gpu-2', 'drained');
  assert.equal(
    await page.evaluate(() => globalThis.document.activeElement.getAttribute('aria-label')),
    'Resume gpu-2',
  );
  await shown(page, 'upstreams-drained');
  await page.keyboard.press('Enter');
  await stateOf(page, 'gpu-2', 'up');
  await page.click('[aria-label="Remove gpu-2"]');
  await page.click('dialog >> text=Keep it');
  await page.click('[aria-label="Remove gpu-2"]');
  await page.click('dialog button.danger');
  await page.shows('No upstream is here');
  assert.equal((await router.call('api/v1/upstreams')).count, 0);
  page.sound(REFUSED);
  await page.close();
  there.close();
  await router.close();
});

rule('model servers show their state, their failures and their last lines', async () => {
  const config = [
    modelServer('works', 'works', 'idle_stop_ms = 600000\ngroup = "gpu"'),
    modelServer('dies', 'dies'),
    modelServer('sleeps', 'works', 'group = "gpu"'),
    modelServer('ill', 'ill', 'start_timeout_ms = 300'),
    '[[upstream]]\nname = "absent"\nmodels = ["absent"]\ncommand = ["/no/such/program", "{port}"]',
  ].join('\n');
  const router = await serve(`[dispatch]\nno_miner_grace_ms = 1\n${config}`);
  const page = await browser.open(router.url, { token: TOKEN, place: '#/upstreams' });
  await stateOf(page, 'sleeps', 'stopped');
  assert.match(await article(page, 'sleeps').textContent(), /with the next task for its models/);
  await stateOf(page, 'dies', 'failed');
  await stateOf(page, 'ill', 'failed');
  await stateOf(page, 'absent', 'failed');
  const words = (name) => article(page, name).textContent();
  assert.match(await words('dies'), /it ended by itself: exit status: 3.*it has no weights.*Failures\d+ in a row/s);
  assert.match(await words('ill'), /was not ready within start_timeout_ms = 300/);
  assert.match(await words('absent'), /cannot be started: \/no\/such\/program/);
  assert.match(await words('absent'), /Next start/);
  // A task starts the server, and it stays up.
  const asked = { model: 'works', messages: [{ role: 'user', content: 'hi' }] };
  assert.equal((await router.call('v1/chat/completions', 'POST', asked)).choices[0].message.content, 'from the server');
  await stateOf(page, 'works', 'up');
  assert.match(await words('works'), /Groupgpu.*Idle.*is stopped after 10 min.*Starts1, the last one took/s);
  // The output of a server stays text, and its control characters are seen.
  await article(page, 'works').locator('summary').click();
  await page.shows('works says hello', 'article details[open] pre');
  assert.match(await article(page, 'works').locator('pre').textContent(), /<img src=x.*␛\[2J of the output/s);
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal(await page.locator('article button:visible').count(), 0, 'the configuration owns them');
  await page.shows('listen.manage_upstreams = true', '.note');
  await shown(page, 'upstreams-servers');
  page.sound();
  await page.close();
  await router.close();
});

rule('the configuration is read again, and a broken file is named with its line', async () => {
  const router = await serve('');
  const page = await browser.open(router.url, { token: TOKEN, place: '#/configuration' });
  await page.click('text=Read it again');
  await page.shows('Nothing has changed.', 'main [role=status]');
  await router.write('[limits]\nmax_sessions = 5\n[storage]\nreader_threads = 3\n[[upstream]]\nname = "late"\nurl = "http://127.0.0.1:9"\n');
  await page.click('text=Read it again');
  await page.shows('limits.max_sessions', '.card .facts');
  const facts = await page.locator('.card .facts').textContent();
  assert.match(facts, /In force now.*limits\.max_sessions.*Needs a restart.*storage\.reader_threads.*Upstreams added.*late/s);
  await page.shows('late', '.table');
  await shown(page, 'configuration');
  for (const [text, words] of [
    ['[limits]\nmax_sesions = 5\n', 'router.toml:6: unknown key "limits.max_sesions"'],
    ['quota = { tokens_per_day = 0 }\n', 'router.toml:5: listen.token[0].quota.tokens_per_day'],
    ['[[prices.model]]\nname = "m"\ninput = -1\noutput = 1\n', 'prices.model[0].input'],
    ['quota\n', 'router.toml:5: this is no TOML'],
  ]) {
    await router.write(text);
    await page.click('text=Read it again');
    await page.shows(words, '[role=alert]');
    await page.shows('The old configuration stays in force.');
  }
  await shown(page, 'configuration-broken');
  await page.see('upstreams');
  await page.shows('late', 'article');
  page.sound(REFUSED);
  await page.close();
  await router.close();
});

rule('a task shows what became of its webhook', async () => {
  let takes = false;
  const there = await receiver(() => (takes ? [204, ''] : [503, '']));
  const hooks = '[webhooks]\nnetworks = ["127.0.0.1"]\nretry_base_ms = 2000\nretry_max_ms = 4000\n';
  const router = await serve(hooks, ['--set', 'echo=true']);
  const send = (more) => {
    const webhook = { url: `${there.url}/a-secret-path?and=more`, secret: SECRET };
    return router.call('api/v1/completions/0', 'POST', { prompt: 'hello', async: true, webhook, ...more });
  };
  const { task_id: first } = await send();
  const page = await browser.open(router.url, { token: TOKEN, place: `#/tasks/0/${first}` });
  await page.shows('is sent again', '[aria-labelledby=task-webhook]');
  const card = page.locator('[aria-labelledby=task-webhook]');
  assert.match(await card.textContent(), /Receiver127\.0\.0\.1:\d+Tries\d+Last answerit answered 503.*Next try(in |now)/s);
  assert.ok(!(await page.content()).includes('a-secret-path'));
  await shown(page, 'webhook');
  // The list of tasks tells of all messages that wait, and leads to the task of each.
  await page.see('tasks');
  await page.shows('Messages that wait for their webhooks', '[aria-label=Webhooks]');
  const waits = page.locator('[aria-label=Webhooks]');
  assert.match(await waits.locator('tbody').textContent(), /0 \/ \d+.*127\.0\.0\.1:\d+.*it answered 503/s);
  assert.ok(!(await page.content()).includes('a-secret-path'));
  await shown(page, 'webhooks');
  await waits.locator('a').click();
  // The view follows the message although its task changes no more.
  await page.shows('is sent again', '[aria-labelledby=task-webhook]');
  takes = true;
  await page.shows('delivered', '[aria-labelledby=task-webhook]');
  assert.match(await card.textContent(), /Tries\d+Last answerstatus 204$/);
  await page.see('tasks');
  await page.waitForFunction(() => globalThis.document.querySelector('[aria-label=Webhooks]')?.childElementCount === 0);
  const refused = await send({ webhook: 'http://10.0.0.1/x' });
  assert.match(refused.error, /webhooks\.networks/);
  page.sound();
  await page.close();
  there.close();
  await router.close();
});

rule('a token that reads sees upstreams, and is told what it lacks', async () => {
  const router = await serve('[[upstream]]\nname = "far"\nurl = "http://127.0.0.1:9/v1"\n', MANAGED);
  const { token } = await router.call('api/v1/keys', 'POST', { name: 'board', scopes: ['read'] });
  const page = await browser.open(router.url, { token, place: '#/upstreams' });
  await stateOf(page, 'far', 'down');
  await page.shows('need the scope admin', '.note');
  assert.equal(await page.locator('main button:visible').count(), 0);
  assert.ok(!(await page.locator('main').textContent()).includes('http://'));
  await shown(page, 'upstreams-reader');
  await page.see('configuration');
  await page.shows('This needs the scope admin');
  const other = await router.call('api/v1/keys', 'POST', { name: 'app', scopes: ['submit'] });
  const theirs = await browser.open(router.url, { token: other.token, place: '#/upstreams' });
  await theirs.shows('This needs the scope read');
  for (const one of [page, theirs]) {
    one.sound();
    await one.close();
  }
  await router.close();
});
