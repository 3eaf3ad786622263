// The packages as their users get them: packed, installed in an empty folder, imported, required, run; and the examples in there.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { version } from '../index.mjs';
import { pack } from '../pack.mjs';

const run = promisify(execFile);
const here = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(here, 'node_modules/.bin', name);

let folder;
let tarballs;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cortensor-router-user-'));
  const addons = readdirSync(join(here, 'native')).filter((name) => name.endsWith('.node'));
  tarballs = pack(addons.map((name) => join(here, 'native', name)), folder);
  writeFileSync(join(folder, 'package.json'), '{"name": "user", "private": true}');
  const install = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs, 'express@5.3.0'];
  await run('npm', install, { cwd: folder });
  cpSync(fileURLToPath(new URL('../../examples/node', import.meta.url)), join(folder, 'examples'), { recursive: true });
});
after(() => rm(folder, { recursive: true, force: true }));

const node = (...words) => run(process.execPath, words, { cwd: folder });

test('nothing is in the main package but what is needed, and the addon is in one of its own', () => {
  const require = createRequire(join(folder, 'x.cjs'));
  const manifest = require('cortensor-router/package.json');
  assert.deepEqual([manifest.version, manifest.devDependencies, manifest.scripts], [version, undefined, undefined]);
  const installed = readdirSync(join(folder, 'node_modules')).filter((name) => name.startsWith('cortensor-router-'));
  assert.deepEqual(installed, Object.keys(manifest.optionalDependencies));
  const listed = readdirSync(join(folder, 'node_modules/cortensor-router'), { recursive: true });
  assert.ok(!listed.some((name) => /(\.node|\.rs|\.test\.mjs|Cargo\.toml)$/.test(name)), listed.join(' '));
  assert.ok(listed.includes('LICENSE-MIT') && listed.includes('README.md'));
  const platform = JSON.parse(readFileSync(join(folder, 'node_modules', installed[0], 'package.json'), 'utf8'));
  assert.equal(platform.version, version);
  assert.ok(platform.os.includes(process.platform) && platform.cpu.includes(process.arch));
});

test('import, require and npx find it', async () => {
  const said = "console.log(typeof Router, version)";
  const imported = await node('--input-type=module', '--eval', `import { Router, version } from 'cortensor-router'; ${said}`);
  const required = await node('--eval', `const { Router, version } = require('cortensor-router'); ${said}`);
  assert.deepEqual([imported.stdout, required.stdout], Array(2).fill(`function ${version}\n`));
  const command = await run('npx', ['--no-install', 'cortensor-router', '--version'], { cwd: folder });
  assert.equal(command.stdout, `cortensor-router ${version}\n`);
});

test('are the types wrong? No', async () => {
  const { stdout } = await run(bin('attw'), [tarballs[0], '--format', 'json'], { maxBuffer: 1 << 26 });
  assert.deepEqual(JSON.parse(stdout).problems ?? {}, {});
});

for (const [name, said] of [
  ['hello.mjs', /^HELLO FROM NODE\n$/],
  ['stream.mjs', /^1 2 3 4 5 6 7 8 9 10 \nthe miner was told to stop\n$/],
  ['own-miner.mjs', /^one two three .*total_tokens: 6/s],
]) {
  test(`example ${name}`, async () => {
    const { stdout } = await node(join('examples', name));
    assert.match(stdout, said);
  });
}

/** Starts an example that serves; gives its URL and the way to end it. */
async function serving(name) {
  const env = { ...process.env, PORT: '0', DATA_DIR: join(folder, 'data') };
  const child = spawn(process.execPath, [join('examples', name)], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [said] = await once(child.stdout, 'data');
  const [url] = /http:\S+/.exec(String(said));
  return {
    url,
    async end() {
      child.kill('SIGTERM');
      assert.deepEqual(await exited, [0, null]);
    },
  };
}

test('example serve.mjs', async () => {
  const { url, end } = await serving('serve.mjs');
  const headers = { authorization: 'Bearer default-dev-token', 'content-type': 'application/json' };
  const body = JSON.stringify({ prompt: 'hello' });
  const answer = await (await fetch(`${url}/api/v1/completions`, { method: 'POST', headers, body })).json();
  assert.match(answer.text, /hello/);
  await end();
});

test('example express.mjs', async () => {
  const { url, end } = await serving('express.mjs');
  assert.match(await (await fetch(`${url}/ask?prompt=hi`)).text(), /data: "said: "\n\n.*event: done/s);
  assert.equal((await fetch(`${url}/v1/models`)).status, 401);
  await end();
});

for (const [index, [, block]] of [...readFileSync(join(here, 'README.md'), 'utf8').matchAll(/```js\n(.*?)```/gs)].entries()) {
  test(`README, block ${index + 1}`, async () => {
    const file = join(folder, `readme-${index}.mjs`);
    writeFileSync(file, block);
    assert.equal((await node(file)).stderr, '');
  });
}
