// Makes the npm packages: `node pack.mjs ADDON... --out DIRECTORY [--sbom FILE]`.
//
// Each ADDON is a built `cortensor-router.PLATFORM.node`. It becomes a package of its own, `cortensor-router-PLATFORM`, as napi-rs lays
// them out; the main package names those as optional dependencies, and npm installs the one that fits. The bill of materials goes into
// each package of an addon.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const LICENCES = ['LICENSE', 'LICENSE-APACHE', 'LICENSE-MIT'];

/** Packs the addons and the main package into a directory; gives the tarballs, the main one first. */
export function pack(addons, out, bill) {
  mkdirSync(out, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), 'cortensor-router-pack-'));
  try {
    const manifest = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
    const files = manifest.files.filter((name) => !name.startsWith('LICENSE'));
    for (const name of [...files, 'README.md']) cpSync(join(here, name), join(stage, name), { recursive: true });
    for (const name of LICENCES) copyFileSync(join(here, '..', name), join(stage, name));
    write(join(stage, 'package.json'), manifest);
    execFileSync(join(here, 'node_modules/.bin/napi'), ['create-npm-dirs', '--cwd', stage], { stdio: 'pipe' });
    const platforms = addons.map((addon) => platform(stage, manifest, addon, bill));
    manifest.optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [name, manifest.version]));
    delete manifest.devDependencies;
    delete manifest.scripts;
    write(join(stage, 'package.json'), manifest);
    return [stage, ...platforms.map(({ directory }) => directory)].map((directory) => {
      const told = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: directory });
      return join(out, tarball(JSON.parse(told)));
    });
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** The package of one addon. */
function platform(stage, manifest, addon, bill) {
  const name = basename(addon).split('.').at(-2);
  const directory = join(stage, 'npm', name);
  if (!existsSync(directory)) throw new Error(`${addon}: package.json has no target for ${name}`);
  copyFileSync(addon, join(directory, `${manifest.napi.binaryName}.${name}.node`));
  copyFileSync(join(stage, 'LICENSE'), join(directory, 'LICENSE'));
  if (bill) addBill(directory, bill);
  return { name: `${manifest.napi.packageName}-${name}`, directory };
}

/** npm packs only the files that the manifest names. */
function addBill(directory, bill) {
  const path = join(directory, 'package.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  copyFileSync(bill, join(directory, basename(bill)));
  write(path, { ...manifest, files: [...manifest.files, basename(bill)] });
}

/** npm 11 gives a list, later ones a record. */
const tarball = (told) => (Array.isArray(told) ? told[0] : Object.values(told)[0]).filename;

const write = (path, value) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' }, sbom: { type: 'string' } } });
  for (const made of pack(positionals.map((addon) => resolve(addon)), resolve(values.out), values.sbom && resolve(values.sbom))) console.log(made);
}
