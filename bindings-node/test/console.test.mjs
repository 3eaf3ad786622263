// The console in a real browser: every view, what a token allows, streams, hostile texts, and rules of accessibility.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DESK, PHONE, launch } from './console/browser.mjs';
import { HOSTILE, world } from './console/world.mjs';
import { skip } from './support/chromium.mjs';
import { until } from './support/until.mjs';

const REFUSED = /status of 401/;
const pictures = fileURLToPath(new URL('../../target/console/', import.meta.url));

let browser;
let here;
let admin;

before(async () => {
  if (skip) return;
  [browser, here] = await Promise.all([launch(), world()]);
  admin = await here.key('ops', ['admin']);
});
after(async () => {
  await browser?.close();
  await here?.close();
});

const rule = (name, run) => test(name, { skip, timeout: 60_000 }, run);

rule('a newcomer is let in and sees what to do first', async () => {
  const fresh = await world();
  const page = await browser.open(fresh.url);
  await page.waitForSelector('.frame');
  await page.shows('Signed in as dev');
  await page.shows('This router is ready');
  await page.shows(`curl -sN ${fresh.url}/v1/chat/completions`);
  assert.deepEqual(
    await page.evaluate(() => [
      globalThis.location.search,
      Object.keys(globalThis.sessionStorage),
      Object.keys(globalThis.localStorage),
      globalThis.document.cookie,
    ]),
    ['', [], [], ''],
  );
  // The token that everybody knows gives a page no right to make keys.
  await page.see('keys');
  await page.shows('This needs the scope admin');
  assert.equal(await page.locator('text=Make a key').count(), 0);
  await page.see('logs');
  await page.shows('cortensor-router key create --name me --scope admin');
  page.sound();
  // The first administrator ends that token, and the page says why in the router's words.
  await fresh.key('first', ['admin']);
  await page.see('tasks');
  await page.shows('it ended with the first token of the configuration or key with the scope admin');
  assert.equal(await page.locator('input[type=password]').count(), 1);
  page.sound(REFUSED);
  await page.close();
  await fresh.close();
});

rule('nobody comes in without a token that counts', async () => {
  const page = await browser.open(here.url);
  await page.fill('input[type=password]', 'ctr_wrong_token');
  await page.keyboard.press('Enter');
  await page.shows('Unauthorized', '[role=alert]');
  assert.equal(await page.locator('.frame').count(), 0);
  page.sound(REFUSED);
  await page.fill('input[type=password]', admin);
  await page.keyboard.press('Enter');
  await page.shows('Signed in as ops');
  // A reload forgets the token.
  await page.reload();
  await page.waitForSelector('input[type=password]');
  await page.close();
});

rule('a router without tokens for local callers needs none', async () => {
  const open = await world({ listen: { anonymous: 'loopback' } });
  const page = await browser.open(open.url);
  await page.shows('Signed in as anonymous');
  page.sound();
  await page.close();
  await open.close();
});

rule('the overview is live', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/overview' });
  await page.shows('taking tasks');
  const held = await here.router.submit('hold');
  await page.waitForFunction(
    () =>
      [...globalThis.document.querySelectorAll('dt')].find((one) => one.textContent === 'Running')?.nextSibling
        .textContent === '1',
  );
  await page.waitForFunction(() => globalThis.document.querySelectorAll('.chart path.curve').length === 6);
  await page.shows('1', 'nav [href="#/tasks"] .number');
  await until(() => here.seen.jobs.length > 0, 'the job');
  here.steps.next();
  assert.equal((await held.result()).text, 'first second');
  await page.waitForFunction(() =>
    /[1-9]/.test(globalThis.document.querySelector('.chart [role=img]').getAttribute('aria-label')),
  );
  page.sound();
  await page.close();
});

rule('the miners show why they are down', async () => {
  here.router.addUpstream({ url: 'http://127.0.0.1:9/v1', name: 'far away' });
  const page = await browser.open(here.url, { token: admin, place: '#/miners' });
  await page.shows('far away');
  await page.waitForFunction(() => globalThis.document.querySelector('article .note')?.textContent.length > 10);
  assert.match(await page.locator('article', { hasText: 'far away' }).textContent(), /down.*an upstream/s);
  assert.match(
    await page.locator('article', { hasText: 'words' }).textContent(),
    /in this process.*tiny.*other-model/s,
  );
  await page.see('overview');
  await page.shows('far away: ', '.note');
  page.sound();
  await page.close();
});

rule('a session is made and closed', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/sessions' });
  await page.click('text=Create a session');
  await page.fill('dialog input', HOSTILE.script);
  await page.selectOption('dialog select >> nth=0', 'tiny');
  await page.click('text=Create it');
  await page.shows(HOSTILE.script, '.table');
  const row = page.locator('tr', { hasText: 'onerror' });
  await row.locator('button').click();
  await page.click('dialog button.danger');
  await page.waitForFunction(() => globalThis.document.querySelector('tbody').textContent.includes('closed'));
  const sessions = await here.router.sessions();
  assert.deepEqual(sessions.sessions.map(({ name, model, active }) => [name, model, active]).at(-1), [
    HOSTILE.script,
    'tiny',
    false,
  ]);
  page.sound();
  await page.close();
});

rule('tasks are found, watched and cancelled', async () => {
  const session = await here.router.createSession({ name: 'of tasks', model: 'tiny' });
  await (await session.submit('one two three')).result();
  const failing = await session.submit('fail', { model: 'other-model' });
  await assert.rejects(failing.result());
  const held = await session.submit('hold this');
  const page = await browser.open(here.url, { token: admin, place: `#/tasks/${session.id}` });
  await page.waitForFunction(() => globalThis.document.querySelectorAll('tbody tr').length === 3);
  await page.selectOption('select >> nth=1', 'ended');
  await page.waitForFunction(() => globalThis.document.querySelectorAll('tbody tr').length === 2);
  await page.fill('input[type=search]', 'OTHER');
  await page.waitForFunction(() => globalThis.document.querySelectorAll('tbody tr').length === 1);
  assert.match(await page.locator('tbody').textContent(), /failed.*fail.*other-model/s);
  // The tokens of a task come while it runs.
  await page.see(`tasks/${session.id}/${held.taskId}`);
  await page.waitForFunction(
    () => globalThis.document.querySelector('[aria-label="Answer so far"]')?.textContent === 'first ',
  );
  here.steps.next();
  await page.waitForFunction(
    () => globalThis.document.querySelector('[aria-label="Answer"]')?.textContent === 'first second',
  );
  await page.shows('ok', 'main .state');
  assert.match(await page.locator('.facts').textContent(), /Miners1\. wordsAttempts1/);
  // A task is cancelled after a question.
  const other = await session.submit('hold that');
  await page.see(`tasks/${session.id}/${other.taskId}`);
  await page.click('text=Cancel the task');
  await page.click('dialog >> text=Keep it');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.click('text=Cancel the task');
  const before = here.seen.aborted;
  await page.click('dialog button.danger');
  await page.waitForFunction(
    () => globalThis.document.querySelector('main .state[data-tone=quiet]')?.textContent === 'cancelled',
  );
  await until(() => here.seen.aborted > before, 'the cancellation at the miner');
  await assert.rejects(other.result(), { kind: 'cancelled' });
  page.sound();
  await page.close();
});

rule('a key is made, shown once and revoked', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/keys' });
  await page.click('text=Make a key');
  await page.fill('dialog input >> nth=0', 'from the page');
  await page.click('text=Make it');
  await page.shows('Keep the token now', 'dialog');
  const token = await page.locator('dialog pre').textContent();
  assert.match(token, /^ctr_[^_]+_.+$/);
  await page.click('text=I have kept it');
  await page.shows('from the page', '.table');
  assert.ok(!(await page.content()).includes(token));
  const answer = await fetch(`${here.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual((await answer.json()).scopes, ['submit', 'read']);
  // The page of that key is thrown out when an administrator revokes it.
  const theirs = await browser.open(here.url, { token });
  await theirs.shows('Signed in as from the page');
  await page.locator('tr', { hasText: 'from the page' }).locator('button').click();
  await page.click('dialog button.danger');
  await page.waitForFunction(() => !globalThis.document.querySelector('.table').textContent.includes('from the page'));
  await theirs.see('sessions');
  await theirs.waitForSelector('input[type=password]');
  theirs.sound(REFUSED);
  page.sound();
  await Promise.all([page.close(), theirs.close()]);
});

rule('usage is shown by day, model and key', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/usage' });
  await page.shows(new Date().toISOString().slice(0, 10), 'tbody');
  await page.selectOption('select', 'model');
  await page.shows('tiny', 'tbody');
  assert.ok((await page.locator('tbody .bar').count()) > 0);
  await page.fill('input[type=date] >> nth=0', '2020-01-01');
  await page.fill('input[type=date] >> nth=1', '2020-01-02');
  await page.shows('Nothing was used in these days');
  page.sound();
  await page.close();
});

rule('the log is followed', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/logs' });
  await page.shows('a key is made', '.log');
  await here.key(HOSTILE.script, ['read']);
  await page.shows(`name="${HOSTILE.script.replaceAll('"', '\\"')}"`, '.log');
  await page.click('text=Hold');
  await here.key('while it is held', ['read']);
  await page.shows('1 more since you hold it');
  assert.ok(!(await page.locator('.log').textContent()).includes('while it is held'));
  await page.click('text=Hold');
  await page.shows('while it is held', '.log');
  await page.fill('input[type=search]', 'is held');
  await page.waitForFunction(
    () => [...globalThis.document.querySelectorAll('.log li')].filter((one) => !one.hidden).length === 1,
  );
  await page.selectOption('select', 'error');
  await page.shows('No line is like that yet');
  page.sound();
  await page.close();
});

rule('a chat streams, remembers, and stops', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/chat' });
  await page.waitForFunction(() => globalThis.document.querySelectorAll('select option').length === 3);
  await page.selectOption('select', 'tiny');
  await page.click('text=System prompt');
  await page.fill('details textarea', 'You hold your tongue.');
  await page.fill('[aria-label=Message]', 'hello');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() =>
    globalThis.document.querySelector('[data-role=assistant] .said')?.textContent.startsWith('first'),
  );
  assert.equal(await page.locator('text=Stop').isVisible(), true);
  here.steps.next();
  await page.shows('first second', '[data-role=assistant] .said');
  await page.shows('first token after', '[data-role=assistant] > .small');
  const job = here.seen.jobs.at(-1);
  assert.match(job.prompt, /You hold your tongue\..*hello/s);
  assert.equal(job.model, 'tiny');
  // The next message has the conversation before it, and a stop reaches the miner.
  await page.fill('[aria-label=Message]', 'hold on');
  const before = here.seen.aborted;
  await page.click('text=Send');
  await page.waitForFunction(() => globalThis.document.querySelectorAll('[data-role=assistant] .said').length === 2);
  await page.waitForFunction(() =>
    globalThis.document.querySelectorAll('[data-role=assistant] .said')[1].textContent.startsWith('first'),
  );
  assert.match(here.seen.jobs.at(-1).prompt, /hello.*first second.*hold on/s);
  await page.click('text=Stop');
  await until(() => here.seen.aborted > before, 'the stop at the miner');
  await page.shows('stopped', '[data-role=assistant]:last-child');
  // The conversation is there when the user comes back, and gone when the user says so.
  await page.see('overview');
  await page.see('chat');
  assert.equal(await page.locator('.turn').count(), 4);
  await page.click('text=New conversation');
  assert.equal(await page.locator('.turn').count(), 0);
  // An error of a miner is shown in the router's words.
  await page.fill('details textarea', '');
  await page.fill('[aria-label=Message]', 'fail');
  await page.keyboard.press('Enter');
  await page.shows('it broke', '[role=alert]');
  page.sound(/status of 50\d/);
  await page.close();
});

rule('an answer in Markdown is shown as nodes', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/chat' });
  const text = [
    '**bold** and `code`',
    '',
    '1. one',
    '2. two',
    '',
    '```',
    '<b>x</b>',
    '```',
    '',
    `[good](https://a.example/) [bad](javascript:alert(1)) ${HOSTILE.script} ${HOSTILE.nul}`,
  ].join('\n');
  await page.fill('[aria-label=Message]', text);
  await page.keyboard.press('Enter');
  await page.shows('first token after', '[data-role=assistant] > .small');
  const said = page.locator('[data-role=assistant] .said');
  assert.equal(await said.locator('strong').textContent(), 'bold');
  assert.deepEqual(await said.locator('ol li').allTextContents(), ['one', 'two']);
  assert.equal(await said.locator('pre').textContent(), '<b>x</b>');
  assert.deepEqual(await said.locator('a').evaluateAll((all) => all.map((one) => [one.href, one.rel])), [
    ['https://a.example/', 'noopener noreferrer'],
  ]);
  assert.match(await said.textContent(), /javascript:alert.*<script>.*before␀after␇/s);
  await page.check('text=Show answers as plain text');
  assert.match(await said.textContent(), /\*\*bold\*\* and `code`/);
  assert.equal(await said.evaluate((one) => one.childElementCount), 0);
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  page.sound();
  await page.close();
});

rule('a token that reads sees no way to change anything', async () => {
  const session = await here.router.createSession({ name: 'of a reader' });
  const held = await session.submit('hold for a reader');
  const page = await browser.open(here.url, {
    token: await here.key('reader', ['read']),
    place: `#/tasks/${session.id}/${held.taskId}`,
  });
  await page.shows('first ', '[aria-label="Answer so far"]');
  assert.equal(await page.locator('text=Cancel the task').count(), 0);
  await page.see('sessions');
  await page.shows('of a reader', '.table');
  assert.equal(await page.locator('main button').count(), 0);
  await page.see('chat');
  await page.shows('This needs the scope submit');
  await page.see('keys');
  await page.shows('This needs the scope admin');
  page.sound();
  // A token that only submits has the chat, and nothing that is read.
  const other = await browser.open(here.url, { token: await here.key('submitter', ['submit']) });
  await other.shows('Ask something');
  await other.see('tasks');
  await other.shows('This needs the scope read');
  other.sound();
  await held.cancel();
  await Promise.all([page.close(), other.close()]);
});

rule('texts of strangers stay texts and break nothing', async () => {
  const { router } = here;
  const miner = router.miner('hostile', { models: [HOSTILE.script, HOSTILE.long], capacity: 2 }, async function* () {
    yield `${HOSTILE.turned} ${HOSTILE.nul} ${HOSTILE.script}`;
  });
  const session = await router.createSession({ name: HOSTILE.long.slice(0, 250), model: HOSTILE.script });
  const task = await session.submit(`${HOSTILE.script} ${HOSTILE.turned} ${HOSTILE.nul} ${HOSTILE.long}`);
  await task.result();
  for (const size of [DESK, PHONE]) {
    const page = await browser.open(here.url, { token: admin, size });
    for (const [view, text] of [
      [`tasks/${session.id}`, HOSTILE.script],
      [`tasks/${session.id}/${task.taskId}`, 'abc\\u202egnp.exe\\u2066 שלום before␀after␇ <script>'],
      ['miners', HOSTILE.long],
      ['sessions', HOSTILE.long.slice(0, 250)],
      ['usage', ''],
      ['chat', ''],
    ]) {
      await page.see(view);
      await page.shows(text, 'main');
      if (view === 'usage') {
        await page.selectOption('select', 'model');
        await page.shows(HOSTILE.script, 'tbody');
      }
      if (view === 'chat')
        await page.waitForFunction(
          (name) => [...globalThis.document.querySelectorAll('option')].some((one) => one.textContent === name),
          HOSTILE.script,
        );
      await page.fits();
      assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
      assert.equal(await page.locator('main img, main script, main [onerror]').count(), 0);
    }
    page.sound();
    await page.close();
  }
  miner.remove?.();
});

rule('every view is accessible in both themes and fits a phone', async () => {
  await mkdir(pictures, { recursive: true });
  const done = await (await here.router.submit('an answer for the views', { model: 'tiny' })).result();
  assert.ok(done.text);
  for (const scheme of ['light', 'dark']) {
    const page = await browser.open(here.url, { scheme });
    await page.accessible();
    await page.fill('input[type=password]', admin);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.frame');
    for (const [view, ready] of [
      ['overview', '.chart path.curve'],
      ['chat', 'option:nth-child(2)'],
      ['tasks', 'tbody tr'],
      ['tasks/0/1', '.facts dd'],
      ['miners', 'article'],
      ['upstreams', 'article'],
      ['sessions', 'tbody tr'],
      ['usage', 'tbody tr'],
      ['keys', 'tbody tr'],
      ['configuration', '.card'],
      ['logs', '.log li'],
    ]) {
      await page.setViewportSize(DESK);
      await page.see(view);
      await page.waitForSelector(ready, { state: 'attached' });
      await page.accessible();
      await page.screenshot({ path: `${pictures}${view.replaceAll('/', '-')}-${scheme}.png` });
      await page.setViewportSize(PHONE);
      await page.fits();
      await page.screenshot({ path: `${pictures}${view.replaceAll('/', '-')}-${scheme}-phone.png` });
    }
    await page.setViewportSize(DESK);
    await page.see('keys');
    await page.click('text=Make a key');
    await page.accessible();
    page.sound();
    await page.close();
  }
});

rule('the keyboard is enough', async () => {
  const page = await browser.open(here.url, { token: admin, place: '#/overview', size: PHONE });
  await page.shows('taking tasks');
  const focused = () => page.evaluate(() => globalThis.document.activeElement.textContent);
  await page.evaluate(() => globalThis.document.activeElement.blur());
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => globalThis.document.activeElement.id), 'main');
  assert.equal(new URL(page.url()).hash, '#/overview');
  // The menu of a phone opens and leads on.
  await page.focus('text=Menu');
  assert.equal(await page.locator('nav').isVisible(), false);
  await page.keyboard.press('Enter');
  assert.equal(await page.getAttribute('text=Menu', 'aria-expanded'), 'true');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Chat');
  const outline = await page.evaluate(
    () => globalThis.getComputedStyle(globalThis.document.activeElement).outlineStyle,
  );
  assert.equal(outline, 'solid');
  await page.keyboard.press('Enter');
  await page.waitForSelector('[aria-label=Message]');
  assert.equal(await page.locator('nav').isVisible(), false);
  // A dialog takes the focus, and Escape closes it.
  await page.see('keys');
  await page.focus('text=Make a key');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  assert.equal(await page.evaluate(() => globalThis.document.activeElement.closest('dialog') !== null), true);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  assert.equal(await focused(), 'Make a key');
  page.sound();
  await page.close();
});

rule('the theme follows the system until it is chosen', async () => {
  const page = await browser.open(here.url, { token: admin, scheme: 'dark' });
  const ground = () => page.evaluate(() => globalThis.getComputedStyle(globalThis.document.body).color);
  const dark = await ground();
  await page.click('text=Theme: auto');
  assert.notEqual(await ground(), dark);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.click('text=Theme: light');
  assert.equal(await ground(), dark);
  await page.click('text=Theme: dark');
  assert.notEqual(await ground(), dark);
  page.sound();
  await page.close();
});

rule('a page says when its router is gone', async () => {
  const short = await world();
  const page = await browser.open(short.url);
  await page.shows('live', '.side-foot');
  await short.stop();
  await page.shows('no connection', '.side-foot');
  page.sound(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
  await page.close();
  await short.close();
});

rule('the console can be switched off', async () => {
  const off = await world({ listen: { console: false } });
  const html = { headers: { accept: 'text/html' } };
  const root = await fetch(`${off.url}/`, html);
  assert.equal(root.status, 200);
  assert.equal((await root.json()).name, 'cortensor-router');
  assert.equal((await fetch(`${off.url}/console/x/main.js`, html)).status, 404);
  await off.close();
});
