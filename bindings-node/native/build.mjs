// Builds the addon from source, for this machine: `npm run build`. `npm install` of a checkout does it too, where none is there
// (`--if-absent`). The packages of npm bring theirs along and have no such script.

import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { platform } from '../lib/native.cjs';

const here = dirname(fileURLToPath(import.meta.url));
const CRATE = 'cortensor-router-node';

/** Builds the library; gives its path, as cargo tells it. */
function library() {
  const build = ['build', '--release', '--package', CRATE, '--message-format', 'json-render-diagnostics'];
  const stdio = ['ignore', 'pipe', 'inherit'];
  const { error, status, stdout } = spawnSync('cargo', build, { cwd: here, stdio, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error?.code === 'ENOENT') {
    throw new Error(
      'a checkout of cortensor-router builds its native part, and `cargo` is not on the PATH: install Rust (https://rustup.rs) ' +
        'and run this again',
    );
  }
  if (error) throw error;
  if (status !== 0) throw new Error(`cargo ${build.slice(0, 4).join(' ')} ended with ${status}: its output says why`);
  const told = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const artifact = told.findLast(({ reason, target }) => reason === 'compiler-artifact' && target.kind.includes('cdylib'));
  const path = artifact?.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
  if (!path) throw new Error(`cargo says of no library that it built it for ${CRATE}`);
  return path;
}

const { values: options } = parseArgs({ options: { 'if-absent': { type: 'boolean', default: false } } });
if (!options['if-absent'] || !readdirSync(here).some((name) => name.endsWith('.node'))) {
  try {
    const built = library();
    const addon = join(here, `cortensor-router.${platform()}.node`);
    // Removed first: a process that has the old one loaded keeps it.
    rmSync(addon, { force: true });
    copyFileSync(built, addon);
    console.log(`built ${addon}`);
  } catch (error) {
    console.error(`cortensor-router: ${error.message}`);
    process.exitCode = 1;
  }
}
