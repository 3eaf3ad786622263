// The packages as their users get them: packed, installed in an empty folder, imported, required, compiled, run; and the
// examples in there. With `CORTENSOR_TEST_PACKAGES`, a directory of packages, those are tried instead of fresh ones.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { version } from '../index.mjs';
import { platform } from '../lib/native.cjs';
import { pack } from '../pack.mjs';

const run = promisify(execFile);
const here = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(here, 'node_modules/.bin', name);

let folder;
let tarballs;

/** The packages, the main one first. */
function packages() {
  const made = process.env.CORTENSOR_TEST_PACKAGES;
  if (made) {
    const names = [`cortensor-router-${version}.tgz`, `cortensor-router-${platform()}-${version}.tgz`];
    return names.map((name) => join(made, name));
  }
  const addon = join(folder, `cortensor-router.${platform()}.node`);
  copyFileSync(join(here, 'native', basename(addon)), addon);
  // Debug information is most of it in the dev profile, and slow to pack. Where there is no such program it stays.
  spawnSync('strip', ['--strip-debug', addon]);
  const bill = join(folder, 'sbom.cdx.json');
  writeFileSync(bill, '{"bomFormat": "CycloneDX"}');
  return pack([addon], folder, bill);
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cortensor-router-user-'));
  tarballs = packages();
  writeFileSync(join(folder, 'package.json'), '{"name": "user", "private": true}');
  const install = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs];
  await run('npm', install, { cwd: folder });
  // Other packages that examples use are linked from here, so that nothing is fetched.
  mkdirSync(join(folder, 'node_modules/@types'));
  for (const name of ['express', '@types/node']) symlinkSync(join(here, 'node_modules', name), join(folder, 'node_modules', name));
  cpSync(fileURLToPath(new URL('../../examples/node', import.meta.url)), join(folder, 'examples'), { recursive: true });
});
after(() => rm(folder, { recursive: true, force: true }));

const headers = { authorization: 'Bearer default-dev-token', 'content-type': 'application/json' };
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
  const fitting = JSON.parse(readFileSync(join(folder, 'node_modules', installed[0], 'package.json'), 'utf8'));
  assert.equal(fitting.version, version);
  assert.deepEqual([fitting.os, fitting.cpu], [[process.platform], [process.arch]]);
  if (process.platform === 'linux') assert.deepEqual(fitting.libc, [platform().endsWith('musl') ? 'musl' : 'glibc']);
  assert.equal(fitting.main, `cortensor-router.${platform()}.node`);
  assert.deepEqual([fitting.license, fitting.engines], [manifest.license, manifest.engines]);
  const bill = JSON.parse(readFileSync(join(folder, 'node_modules', installed[0], 'sbom.cdx.json'), 'utf8'));
  assert.equal(bill.bomFormat, 'CycloneDX');
});

test('from a registry, npm takes the addon of this platform and no other', async () => {
  const installed = (name) => JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
  const [name, fitting, foreign] = ['cortensor-router', `cortensor-router-${platform()}`, 'cortensor-router-beos-x64'];
  const main = installed(name);
  const optionalDependencies = { ...main.optionalDependencies, [foreign]: version };
  const [mainFile, addonFile] = tarballs;
  const published = new Map([
    [name, { manifest: { ...main, optionalDependencies }, file: mainFile }],
    [fitting, { manifest: installed(fitting), file: addonFile }],
    [foreign, { manifest: { ...installed(fitting), name: foreign, os: ['beos'] }, file: addonFile }],
  ]);
  const fetched = [];
  const registry = createServer(({ url, headers: { host } }, response) => {
    const [, wanted, tarball] = url.split('/');
    const { manifest, file } = published.get(wanted) ?? {};
    if (!manifest) {
      response.writeHead(404).end('{}');
    } else if (tarball) {
      fetched.push(wanted);
      response.end(readFileSync(file));
    } else {
      const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
      const dist = { tarball: `http://${host}/${wanted}/package.tgz`, integrity };
      const packument = { name: wanted, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(packument));
    }
  }).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  const cwd = join(folder, 'registered');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), '{"private": true}');
  const from = ['--registry', `http://127.0.0.1:${registry.address().port}`, '--cache', join(folder, 'cache')];
  await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...from, name], { cwd });
  registry.closeAllConnections();
  registry.close();
  assert.deepEqual(fetched.sort(), [name, fitting]);
  assert.deepEqual(readdirSync(join(cwd, 'node_modules')).filter((entry) => !entry.startsWith('.')), [name, fitting]);
  const { stdout } = await run(process.execPath, ['--print', `require("${name}").version`], { cwd });
  assert.equal(stdout, `${version}\n`);
});

test('import, require and npx find it', async () => {
  const said = "console.log(typeof Router, version)";
  const imported = await node('--input-type=module', '--eval', `import { Router, version } from 'cortensor-router'; ${said}`);
  const required = await node('--eval', `const { Router, version } = require('cortensor-router'); ${said}`);
  assert.deepEqual([imported.stdout, required.stdout], Array(2).fill(`function ${version}\n`));
  const command = await run('npx', ['--no-install', 'cortensor-router', '--version'], { cwd: folder });
  assert.equal(command.stdout, `cortensor-router ${version}\n`);
});

test('npx serves, and ends well', async () => {
  const { url, end } = await serving('npx', ['--no-install', 'cortensor-router', 'serve', '--port', '0', '--data-dir', 'served']);
  const body = JSON.stringify({ prompt: 'hello' });
  const answer = await (await fetch(`${url}/api/v1/completions`, { method: 'POST', headers, body })).json();
  assert.match(answer.text, /hello/);
  await end();
  await assert.rejects(fetch(`${url}/healthz`));
  const kept = ['serve', '--port', '0', '--data-dir', 'served'];
  // The data directory is free again.
  const again = await serving(join(folder, 'node_modules/.bin/cortensor-router'), kept);
  await again.end();
});

test('TypeScript: the examples compile as they are, with every check, and run', async () => {
  const names = ['hello', 'stream', 'own-miner'];
  const files = names.map((name) => `typed/${name}.mts`);
  cpSync(join(folder, 'examples'), join(folder, 'typed'), { recursive: true });
  for (const name of names) renameSync(join(folder, `typed/${name}.mjs`), join(folder, `typed/${name}.mts`));
  for (const target of [['--module', 'nodenext'], ['--module', 'esnext', '--moduleResolution', 'bundler']]) {
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--types', 'node', '--outDir', 'compiled'];
    await run(bin('tsc'), [...target, ...strict, ...files], { cwd: folder });
    assert.equal((await node('compiled/hello.mjs')).stdout, 'HELLO FROM NODE\n');
  }
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

/** Starts a program that serves; gives its URL and the way to end it. */
async function serving(program, words) {
  const env = { ...process.env, PORT: '0', DATA_DIR: join(folder, 'data') };
  const child = spawn(program, words, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'close');
  let said = '';
  const url = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8').on('data', (text) => {
        said += text;
        const address = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (address) resolve(address[0]);
      });
    }
  });
  return {
    url,
    async end() {
      // As Ctrl-C in a terminal does: npx, where it is there, and what it started.
      process.kill(-child.pid, 'SIGINT');
      const ended = await exited;
      // npx ends of the signal itself, when the command has ended.
      assert.deepEqual(ended, program === 'npx' && ended[1] ? [null, 'SIGINT'] : [0, null], said);
    },
  };
}

test('example serve.mjs', async () => {
  const { url, end } = await serving(process.execPath, ['examples/serve.mjs']);
  const body = JSON.stringify({ prompt: 'hello' });
  const answer = await (await fetch(`${url}/api/v1/completions`, { method: 'POST', headers, body })).json();
  assert.match(answer.text, /hello/);
  await end();
});

test('example express.mjs', async () => {
  const { url, end } = await serving(process.execPath, ['examples/express.mjs']);
  assert.match(await (await fetch(`${url}/ask?prompt=hi`)).text(), /data: "said: "\n\n.*event: done/s);
  assert.equal((await fetch(`${url}/v1/models`)).status, 401);
  await end();
});

// A block behind a mark is for programs that have what it needs.
const blocks = /(?<!<!-- not run: [^>]* -->\n)```js\n(.*?)```/gs;
for (const [index, [, block]] of [...readFileSync(join(here, 'README.md'), 'utf8').matchAll(blocks)].entries()) {
  test(`README, block ${index + 1}`, async () => {
    const file = join(folder, `readme-${index}.mjs`);
    writeFileSync(file, block);
    assert.equal((await node(file)).stderr, '');
  });
}
