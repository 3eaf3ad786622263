// The command with a configuration file, for tests of the console that change the file or start programs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** With this variable the tests run a binary that was built already. */
const built = process.env.CORTENSOR_TEST_COMMAND;
const own = fileURLToPath(new URL('../../bin/cortensor-router.cjs', import.meta.url));
const program = built ? [built] : [process.execPath, own];
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(API|ROUTER|LLM|CORTENSOR)_/.test(name)));

/** The commands that run. */
const children = new Set();

/** Ends those that a test which failed has left. */
export function endAll() {
  for (const child of children) child.kill('SIGKILL');
}

/** The token of the configuration, with the scope `admin`. */
export const TOKEN = 'a-secret-of-ops';
const HEAD = `[[listen.token]]\nname = "ops"\nvalue = "${TOKEN}"\nscopes = ["admin"]\n`;

/** A model server in a process of its own. `mode`: `works`, `dies` (at once) or `ill` (never ready). */
export function modelServer(name, mode, fields = '') {
  const script = `
    console.log(${JSON.stringify(`${name} says hello`)});
    console.log('<img src=x onerror="globalThis.hacked = true"> \\u001b[2J of the output');
    if (${mode === 'dies'}) { console.log('it has no weights'); process.exit(3); }
    require('node:http').createServer((request, response) => {
      const listed = request.url === '/v1/models';
      if (${mode === 'ill'}) return response.writeHead(503).end();
      if (request.method === 'POST') {
        response.setHeader('content-type', 'application/json');
        return response.end(JSON.stringify({ choices: [{ index: 0, message: { content: 'from the server' }, finish_reason: 'stop' }] }));
      }
      response.end(listed ? JSON.stringify({ object: 'list', data: [{ id: ${JSON.stringify(name)} }] }) : '{}');
    }).listen(Number(process.argv[1]), '127.0.0.1');`;
  const command = [process.execPath, '-e', script, '{port}'].map((word) => JSON.stringify(word)).join(', ');
  return `[[upstream]]\nname = ${JSON.stringify(name)}\nmodels = [${JSON.stringify(name)}]\ncommand = [${command}]\n${fields}\n`;
}

/** Starts the command with that configuration behind the token of the operator. */
export async function serve(text, flags = []) {
  const home = await mkdtemp(join(tmpdir(), 'cortensor-router-served-'));
  const file = join(home, 'router.toml');
  const write = (more) => writeFile(file, HEAD + more);
  await write(text);
  const words = ['serve', '--config', file, '--port', '0', '--data-dir', join(home, 'data'), ...flags];
  const child = spawn(program[0], [...program.slice(1), ...words], { env, cwd: home });
  children.add(child);
  child.on('exit', () => children.delete(child));
  const exited = once(child, 'exit');
  let said = '';
  const url = await new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
    for (const output of [child.stdout, child.stderr])
      output.setEncoding('utf8').on('data', (words) => {
        said += words;
        const address = /listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(said);
        if (address) resolve(address[1]);
      });
  });
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  return {
    url,
    write,
    /** Calls a route of the API, and gives its answer. */
    async call(path, method = 'GET', body = undefined) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const answer = await fetch(`${url}/${path}`, { method, headers, body: text });
      return answer.json();
    },
    async close() {
      child.kill('SIGTERM');
      const [code] = await exited;
      await rm(home, { recursive: true, force: true });
      assert.equal(code, 0, said);
    },
  };
}
