// Mistakes of newcomers: the message must say what to do about each.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Router, RouterError, runMiner } from '../index.mjs';
import { tokens } from './support/until.mjs';

let router;
let empty;
let closed;

before(async () => {
  [router, empty, closed] = [new Router({ dispatch: { maxAttempts: 1 } }), new Router(), new Router()];
  router.miner('fine', { models: ['tiny'] }, (job) => job.prompt);
  router.miner('forgetful', { models: ['forgetful'] }, (job) => {
    job.prompt.trim();
  });
  await closed.close();
});
after(() => Promise.all([router.close(), empty.close()]));

for (const [mistake, call, code, param, message] of [
  ['no miner is there', () => empty.complete('x'), 'unavailable', null, /no miner that could serve the task is connected: add a miner/],
  ['no miner has that model', () => router.complete('x', { model: 'tni' }), 'not_found', 'model', /no miner serves the model "tni"/],
  ['a setting in the wrong place', () => new Router({ maxQueue: 256 }), 'invalid_argument', 'max_queue', /did you mean "limits.max_queued_tasks"/],
  ['a setting of the wrong type', () => new Router({ limits: { maxQueuedTasks: 'many' } }), 'invalid_argument', 'limits.max_queued_tasks', /it takes a whole number/],
  ['a path instead of settings', () => new Router('router.toml'), 'invalid_argument', 'config', /must be an object, not "router.toml"/],
  ['`model` for `models`', () => router.miner('m', { model: 'tiny' }, () => ''), 'invalid_argument', 'model', /^model: unknown field `model`: did you mean `models`\?$/],
  ['one model that is no list', () => router.miner('m', { models: 'tiny' }, () => ''), 'invalid_argument', 'models', /^models: .* expected a list$/],
  ['no function', () => router.miner('m', { models: ['tiny'] }), 'invalid_argument', 'miner', /a function that takes a job and gives text, not undefined/],
  ['a name that is taken', () => router.miner('fine', () => ''), 'conflict', 'name', /"fine" is there already/],
  ['a miner that returns nothing', () => router.complete('x', { model: 'forgetful' }), 'miner_failed', null, /returned nothing: return the text/],
  ['a name for a session’s options', () => router.createSession('chat'), 'invalid_argument', 'session', /an object: \{ name: "chat" \}/],
  ['nothing to complete', () => router.submit({}), 'invalid_argument', 'prompt', /prompt is missing/],
  ['an option that is mistyped', () => router.submit('x', { maxToken: 5 }), 'invalid_argument', 'maxToken', /^maxToken is no option of a request: did you mean maxTokens\? what is only for the miner goes into extra/],
  ['the same in snake_case', () => router.complete('x', { max_token: 5 }), 'invalid_argument', 'max_token', /did you mean maxTokens\?/],
  ['the same in a request', () => router.complete({ prompt: 'x', temprature: 1 }), 'invalid_argument', 'temprature', /did you mean temperature\?/],
  ['a field for the miner', () => router.complete('x', { grammar: 'g' }), 'invalid_argument', 'grammar', /^grammar is no option of a request: what is only for the miner goes into extra/],
  ['an option inside extra', () => router.submit('x', { extra: { detach: true } }), 'invalid_argument', 'extra', /^extra: detach is an option of a request: give it beside extra/],
  ['extra that is no object', () => router.complete('x', { extra: 5 }), 'invalid_argument', 'extra', /extra must be an object/],
  ['a mistyped option of a session', () => router.createSession({ name: 's', modle: 'tiny' }), 'invalid_argument', 'modle', /did you mean model\?/],
  ['a mistyped change of a session', () => router.updateSession(0, { prioritty: 5 }), 'invalid_argument', 'prioritty', /did you mean `priority`\?/],
  ['a mistyped option of an embedding', () => router.embed('x', { modell: 'e' }), 'invalid_argument', 'modell', /did you mean model\?/],
  ['no text to embed', () => router.embed(5), 'invalid_argument', 'input', /a text or a list of texts, not number/],
  ['a number of tokens as text', () => router.submit('x', { maxTokens: '5' }), 'invalid_argument', 'max_tokens', /expected a whole number/],
  ['a time limit in milliseconds', () => router.submit('x', { timeoutMs: 500 }), 'invalid_argument', 'timeoutMs', /AbortSignal\.timeout/],
  ['a controller for its signal', () => router.submit('x', { signal: new AbortController() }), 'invalid_argument', 'signal', /`controller\.signal`/],
  ['a session that there is not', () => router.submit('x', { sessionId: 77 }), 'not_found', 'session_id', /no session 77/],
  ['an upstream without a scheme', () => router.addUpstream('localhost:8080'), 'invalid_argument', 'upstream[0].url', /must start with http:\/\/ or https:\/\//],
  ['an open door', () => router.listen({ host: '0.0.0.0', port: 0 }), 'invalid_argument', 'listen.host', /no token is configured/],
  ['the wrong scheme for a miner', () => runMiner({ router: 'ftp://x', name: 'm', token: 't' }, () => ''), 'invalid_argument', 'routers', /ws:\/\//],
  ['no token for a miner', () => runMiner({ router: 'ws://127.0.0.1:9', name: 'm' }, () => ''), 'invalid_argument', 'token', /give a token of the scope miner/],
  ['a task for a closed router', () => closed.submit('x'), 'closed', null, /the router is closed: open a new one/],
  ['a miner for a closed router', () => closed.miner('m', () => ''), 'closed', null, /the router is closed/],
  ['a question to a closed router', () => closed.info(), 'closed', null, /the router is closed/],
]) {
  test(mistake, async () => {
    await assert.rejects(async () => call(), (error) => {
      assert.ok(error instanceof RouterError, `${error}`);
      assert.deepEqual([error.kind, error.details.param ?? null], [code, param]);
      assert.match(error.message, message);
      return true;
    });
  });
}

test('what is in extra reaches the miner with the names that the program gave it', async () => {
  const other = new Router();
  let seen;
  other.miner('m', (job) => {
    seen = job.request;
    return '';
  });
  await other.complete('x', { maxTokens: 5, extra: { grammarRoot: { aB: 1 } } });
  assert.deepEqual([seen.max_tokens, seen.grammarRoot, 'extra' in seen], [5, { aB: 1 }, false]);
  await other.close();
});

test('a closed router says so when it is disposed of no more, and asked anew', async () => {
  const over = new Router();
  await over.close();
  await over[Symbol.asyncDispose]();
  await assert.rejects(over.complete('x'), { kind: 'closed' });
});

test('a task may be read twice, and once more when it has ended: each loop begins at its first token', async () => {
  const task = await router.submit('again', { model: 'tiny' });
  assert.deepEqual(await Promise.all([tokens(task), tokens(task)]), [['again'], ['again']]);
  assert.equal((await task.result()).text, 'again');
  assert.deepEqual(await tokens(task), ['again']);
});

test('a forgotten `await` of `submit` is an error of its own at once, and the task’s error is no unhandled rejection of ours', async () => {
  const submitted = router.submit('x', { model: 'tiny' });
  await assert.rejects(async () => {
    for await (const token of submitted) token.at(0);
  }, /not async iterable/);
  assert.equal((await (await submitted).result()).text, 'x');
});

test('an error says its kind, and the finest code below it', async () => {
  await assert.rejects(empty.complete('x'), { kind: 'unavailable', code: 'no_miner', retryable: true });
  await assert.rejects(async () => router.session(77), { kind: 'not_found', code: 'session_not_found' });
  await assert.rejects(router.submit('x', { maxToken: 5 }), { kind: 'invalid_argument', code: 'invalid_argument' });
});
