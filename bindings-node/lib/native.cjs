'use strict';

// Loads the addon. If it does not load, the error gives the reason and the fix, which the generated loader does not know.

const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

const NAME = 'cortensor-router';

/** The name of this platform in the names of addons and of their packages. */
function platform({ platform, arch } = process) {
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
  return `${platform}-${arch}${platform === 'win32' ? '-msvc' : ''}`;
}

function isMusl() {
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined;
}

/** The loader's finding: the first place whose addon exists and did not load. */
function refused(error) {
  for (let { cause } = error; cause; cause = cause.cause) {
    if (!/^(Cannot find |Unsupported )/.test(cause.message)) return cause.message;
  }
  return undefined;
}

/** The reason why the addon of the package in `root` did not load, and the fix. */
function explain(error, root, here = platform()) {
  const why = refused(error);
  return `the native part of ${NAME} for ${here} ${why ? `does not load: ${why}` : 'is not there'}. ${remedy(root, here, why)}.`;
}

function remedy(root, here, why) {
  if (existsSync(join(root, 'Cargo.toml'))) return `Build it, with Rust's cargo: npm run build --prefix ${root}`;
  const { optionalDependencies = {}, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const made = Object.keys(optionalDependencies);
  if (why === undefined && made.includes(`${NAME}-${here}`)) {
    return `It is the optional dependency ${NAME}-${here}@${version}: install again without --omit=optional`;
  }
  const others = made.map((name) => name.slice(NAME.length + 1)).join(', ');
  return `There are packages for ${others || 'no platform'}; for another system build it there, from a checkout`;
}

function load() {
  try {
    return require('../native/loader.cjs');
  } catch (cause) {
    const error = new Error(explain(cause, join(__dirname, '..')), { cause });
    error.code = 'ERR_NATIVE_PART';
    throw error;
  }
}

module.exports = { explain, load, platform };
