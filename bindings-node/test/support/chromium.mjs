// The browser of the tests: where it is, and how it is started.

import { existsSync } from 'node:fs';

export const executablePath = process.env.CORTENSOR_TEST_CHROMIUM ?? '/usr/bin/chromium';
const missing = !existsSync(executablePath) && `no browser at ${executablePath}`;
/** Why the tests are skipped, or `false`. */
export const skip = missing && !process.env.CORTENSOR_REQUIRE_BROWSER && missing;

export const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
