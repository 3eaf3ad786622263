// A PostgreSQL of the tests' own, on a socket in a temporary directory.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { until } from './until.mjs';

const ROOT = '/usr/lib/postgresql';

/** The programs of the newest PostgreSQL, from Debian's package; undefined: it is not installed. */
export const bin = (existsSync(ROOT) ? readdirSync(ROOT) : [])
  .map((version) => join(ROOT, version, 'bin'))
  .filter((directory) => existsSync(join(directory, 'postgres')))
  .sort()
  .at(-1);

/** PostgreSQL does not run as root. */
const asUser = (program, ...rest) =>
  process.getuid() === 0
    ? ['setpriv', ['--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups', '--', program, ...rest]]
    : [program, rest];

/** Starts a server, hands its URL over, and ends it. */
export async function withPostgres(work) {
  const home = mkdtempSync('/tmp/pg');
  let server;
  try {
    if (process.getuid() === 0) execFileSync('chown', ['nobody', home]);
    const data = join(home, 'data');
    const options = ['--no-sync', '-U', 'router', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-D', data];
    execFileSync(...asUser(join(bin, 'initdb'), ...options), { stdio: 'ignore' });
    const settings = ['listen_addresses=', 'fsync=off', 'shared_buffers=16MB'].flatMap((one) => ['-c', one]);
    server = spawn(...asUser(join(bin, 'postgres'), '-D', data, '-k', home, ...settings), { stdio: 'ignore' });
    const isReady = () => {
      try {
        execFileSync(join(bin, 'pg_isready'), ['-q', '-h', home]);
        return true;
      } catch {
        return false;
      }
    };
    await until(isReady, 'PostgreSQL');
    await work(`postgres://router@${encodeURIComponent(home)}/postgres`);
  } finally {
    if (server) {
      const ended = new Promise((resolve) => server.on('exit', resolve));
      server.kill('SIGQUIT');
      await ended;
    }
    rmSync(home, { recursive: true, force: true });
  }
}
