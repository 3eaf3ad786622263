// `npx cortensor-router`: the same command as the binary.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { version } from '../index.mjs';
import { until } from './support/until.mjs';

const command = fileURLToPath(new URL('../bin/cortensor-router.cjs', import.meta.url));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(API|ROUTER|LLM|CORTENSOR)_/.test(name)));

test('it says its version and its statuses', () => {
  const call = (...words) => spawnSync(process.execPath, [command, ...words], { env, encoding: 'utf8' });
  assert.equal(call('--version').stdout, `cortensor-router ${version}\n`);
  assert.deepEqual([call('--help').status, call('odd').status], [0, 2]);
  assert.equal(call('status', '--url', 'http://127.0.0.1:9').status, 10);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`it serves until ${signal}, and ends well`, { timeout: 120_000 }, async () => {
    const data = await mkdtemp(join(tmpdir(), 'cortensor-router-'));
    const child = spawn(process.execPath, [command, 'serve', '--port', '0', '--data-dir', data], { env, cwd: data });
    const exited = once(child, 'exit');
    let said = '';
    const url = await new Promise((resolve, reject) => {
      child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
      for (const output of [child.stdout, child.stderr]) {
        output.setEncoding('utf8').on('data', (text) => {
          said += text;
          const address = /listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(said);
          if (address) resolve(address[1]);
        });
      }
    });
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    child.kill(signal);
    const [code, by] = await exited;
    assert.deepEqual([code, by], [0, null], said);
    await rm(data, { recursive: true });
  });
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  test(`a command that waits for its input ends by ${signal}`, { timeout: 120_000 }, async () => {
    const child = spawn(process.execPath, [command, 'submit', '-'], { env, stdio: ['pipe', 'ignore', 'ignore'] });
    const exited = once(child, 'exit');
    // The command runs once the addon is loaded.
    const maps = `/proc/${child.pid}/maps`;
    if (existsSync(maps)) await until(() => readFileSync(maps, 'utf8').includes('.node'));
    child.kill(signal);
    assert.deepEqual(await exited, [null, signal]);
  });
}
