// A program in a process of its own: what ends it, and how.

import { spawn } from 'node:child_process';

const PACKAGE = JSON.stringify(new URL('../../index.mjs', import.meta.url).href);

/** The beginning of every such program. */
const PRELUDE = `
import { Router, RouterError } from ${PACKAGE};
import { setTimeout as pause } from 'node:timers/promises';
const say = (...words) => console.log(...words);
async function* slow(job) { for (;;) { yield 'token '; await pause(1); } }
const never = () => new Promise(() => {});
`;

/** Runs the source as a module and waits for its end. */
export async function run(source, { flags = [], env = {}, timeoutMs = 60_000, onLine } = {}) {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', PRELUDE + source], {
    env: { ...process.env, ...env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    onLine?.(stdout, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  return { code, signal, stdout, stderr };
}

/** A number of rounds: few, or all where `CORTENSOR_TEST_FULL` is set. */
export const rounds = (few, all) => (process.env.CORTENSOR_TEST_FULL ? all : few);
