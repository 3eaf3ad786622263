// Errors of a package whose addon is absent or does not load.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { version } from '../index.mjs';
import native from '../lib/native.cjs';

const run = promisify(execFile);
const here = fileURLToPath(new URL('..', import.meta.url));
const platform = native.platform();

let folder;

/** Runs something of a copy of the package that has no addon. */
const copy = (...words) => run(process.execPath, words, { cwd: folder, env: { ...process.env, PATH: '' } });

function manifest(optionalDependencies) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'cortensor-router', version: '1.2.3', optionalDependencies }));
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'cortensor-router-native-'));
  for (const name of ['bin', 'lib', 'native/loader.cjs', 'native/build.mjs', 'index.cjs', 'index.mjs']) {
    cpSync(join(here, name), join(folder, name), { recursive: true });
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('left out by npm: which package it is', async () => {
  manifest({ [`cortensor-router-${platform}`]: '1.2.3' });
  const wanted = new RegExp(`for ${platform} is not there\\. It is the optional dependency cortensor-router-${platform}@1\\.2\\.3: .*--omit=optional`);
  await assert.rejects(copy('index.mjs'), wanted);
  await assert.rejects(copy('bin/cortensor-router.cjs', '--version'), (error) => {
    assert.match(error.stderr, wanted);
    assert.deepEqual([error.code, error.stderr.trim().split('\n').length], [1, 1]);
    return true;
  });
});

test('a platform that there is no package for: for which there are', async () => {
  manifest({ 'cortensor-router-beos-x64': '1.2.3' });
  await assert.rejects(copy('index.mjs'), /There are packages for beos-x64; for another system build it there/);
});

test('an addon that the system refuses: in the system’s words', async () => {
  manifest({ [`cortensor-router-${platform}`]: '1.2.3' });
  const addon = join(folder, `native/cortensor-router.${platform}.node`);
  writeFileSync(addon, 'no library');
  await assert.rejects(copy('index.mjs'), new RegExp(`for ${platform} does not load: .*cortensor-router\\.${platform}\\.node: .*There are packages for ${platform}`));
  rmSync(addon);
});

test('a checkout: how to build it; and what is wanted for that', async () => {
  writeFileSync(join(folder, 'Cargo.toml'), '');
  await assert.rejects(copy('index.mjs'), /Build it, with Rust's cargo: npm run build --prefix \S+/);
  await assert.rejects(copy('native/build.mjs', '--if-absent'), /`cargo` is not on the PATH: install Rust \(https:\/\/rustup\.rs\)/);
  rmSync(join(folder, 'Cargo.toml'));
});

test('npm install of a checkout has cargo build the addon', { skip: process.platform === 'win32' && 'needs a shell' }, async () => {
  const [checkout, program, tools] = ['checkout', 'program', 'tools'].map((name) => join(folder, name));
  for (const name of ['bin', 'lib', 'native/loader.cjs', 'native/build.mjs', 'index.cjs', 'index.mjs', 'package.json', 'Cargo.toml']) {
    cpSync(join(here, name), join(checkout, name), { recursive: true });
  }
  for (const made of [program, tools]) mkdirSync(made);
  // In cargo's place: it has the addon built already, and notes how it was called.
  const addon = join(folder, 'libcortensor_router_node.so');
  symlinkSync(join(here, `native/cortensor-router.${platform}.node`), addon);
  const told = JSON.stringify({ reason: 'compiler-artifact', target: { kind: ['cdylib'] }, filenames: [addon] });
  writeFileSync(join(tools, 'cargo'), `#!/bin/sh\necho "$@" >> '${join(folder, 'called')}'\necho '${told}'\n`, { mode: 0o755 });
  writeFileSync(join(program, 'package.json'), '{"private": true}');
  const install = () => run('npm', ['install', '--offline', '--no-audit', checkout], { cwd: program, env });
  const env = { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH}` };
  await install();
  const { stdout } = await run(process.execPath, ['--print', 'require("cortensor-router").version'], { cwd: program });
  assert.equal(stdout, `${version}\n`);
  // An addon that exists is not built again.
  rmSync(join(program, 'node_modules'), { recursive: true });
  await install();
  const build = 'build --release --package cortensor-router-node --message-format json-render-diagnostics\n';
  assert.equal(readFileSync(join(folder, 'called'), 'utf8'), build);
});
