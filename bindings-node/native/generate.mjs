// Writes loader.cjs: the file that finds the addon, here or in the package of this platform. It is made by @napi-rs/cli and never edited.
// Run it again where the addon exports something new: `node native/generate.mjs`.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { writeJsBinding } from '@napi-rs/cli';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const { version, napi } = JSON.parse(await readFile(join(here, '../package.json'), 'utf8'));
// The addon that was built for this machine.
const addon = process.argv[2] ?? join(here, `${napi.binaryName}.linux-x64-gnu.node`);

await writeJsBinding({
  platform: true,
  format: 'commonjs',
  jsBinding: 'loader.cjs',
  outputDir: process.argv[3] ?? here,
  binaryName: napi.binaryName,
  packageName: napi.packageName,
  version,
  idents: Object.keys(require(addon)).sort(),
  wasiFlavors: [],
});
