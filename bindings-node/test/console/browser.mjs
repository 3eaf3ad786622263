// A browser for the tests of the console. Everything that the browser complains of is a fault of the page.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { FLAGS, executablePath } from '../support/chromium.mjs';

/** With this variable the page comes from the working tree, so that a change of it needs no build. */
const fresh = process.env.CORTENSOR_TEST_CONSOLE_FRESH;
const assets = fileURLToPath(new URL('../../../core/src/listener/console/assets/', import.meta.url));
const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const DESK = { width: 1280, height: 860 };
export const PHONE = { width: 360, height: 740 };

/** Starts a browser with an empty profile. */
export async function launch() {
  const profile = await mkdtemp(join(tmpdir(), 'cortensor-router-console-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
    viewport: DESK,
    timeout: 60_000,
  });
  browser.setDefaultTimeout(20_000);
  return {
    open: (url, options) => openPage(browser, url, options),
    async close() {
      await browser.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Answers with the files of the working tree, under the policy and the way in that the router gives. */
async function freshen(page, url) {
  await page.route(/\/console\/[^/]+\/[^/]+$/, (route) =>
    route.fulfill({ path: join(assets, new URL(route.request().url()).pathname.split('/').at(-1)) }),
  );
  await page.route(`${url}/`, async (route) => {
    const response = await route.fetch();
    const [, way] = /data-sign-in="(\w+)"/.exec(await response.text());
    const text = await readFile(join(assets, 'index.html'), 'utf8');
    await route.fulfill({ response, body: text.replaceAll('{version}', 'fresh').replace('{sign_in}', way) });
  });
}

/** Opens the console of a router. With a token, it signs in with it. */
async function openPage(browser, url, { scheme = 'light', size = DESK, token, place = '', motion = 'reduce' } = {}) {
  const page = await browser.newPage();
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: motion });
  const [problems, foreign] = [[], []];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error.stack)));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${url}/`)) foreign.push(request.url());
    if (token && request.url().includes(token)) problems.push(`a token in ${request.url()}`);
  });
  if (fresh) await freshen(page, url);
  await page.goto(`${url}/${place}`);
  if (token) {
    await page.fill('input[type=password]', token);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.frame');
  }

  return Object.assign(page, {
    /** Goes to a view as the address names it. */
    async see(view) {
      await page.evaluate((to) => {
        globalThis.location.hash = `#/${to}`;
      }, view);
      await page.waitForFunction(
        (to) => globalThis.location.hash === `#/${to}` && globalThis.document.querySelector('main h1'),
        view,
      );
    },
    /** Waits until the page shows a text. */
    shows: (text, within = 'body') =>
      page.waitForFunction(
        ([selector, wanted]) => globalThis.document.querySelector(selector)?.textContent.includes(wanted),
        [within, text],
      ),
    /** Fails if the browser had to complain, but for these complaints. */
    sound(...allowed) {
      assert.deepEqual(
        problems.filter((problem) => !allowed.some((one) => one.test(problem))),
        [],
      );
      assert.deepEqual(foreign, []);
    },
    /** Fails if the page can be scrolled sideways. */
    async fits() {
      const [inside, outside] = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = globalThis.document.documentElement;
        return [scrollWidth, clientWidth];
      });
      assert.ok(inside <= outside, `${page.url()}: ${inside} pixels wide in a window of ${outside}`);
    },
    /** Fails if the page breaks a rule of accessibility. */
    async accessible() {
      if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(await axe);
      const found = await page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(globalThis.document, { resultTypes: ['violations'] });
        return violations.map(
          ({ id, nodes }) =>
            `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`).join(' | ')}`,
        );
      });
      assert.deepEqual(found, [], page.url());
    },
  });
}
