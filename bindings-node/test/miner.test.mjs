// Everything that a miner can be, and everything that it can do wrong.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { Router, RouterError } from '../index.mjs';
import { never, tokens, until } from './support/until.mjs';

let router;

beforeEach(() => {
  router = new Router({ dispatch: { maxAttempts: 1 } });
});
afterEach(() => router.close());

/** The end of one task of such a miner. */
async function outcome(work, request = 'one two') {
  router.miner('m', { capacity: 4, embeddings: true }, work);
  return (await router.submit(request)).result();
}

const failed = (code, message) => (error) => {
  assert.ok(error instanceof RouterError);
  assert.equal(error.kind, code);
  assert.match(error.message, message);
  return true;
};

for (const [name, work] of Object.entries({
  'an async generator': async function* (job) {
    for (const word of job.prompt.split(/(?<= )/)) yield word;
  },
  'a generator': function* (job) {
    yield* job.prompt.split(/(?<= )/);
  },
  'an async function': async (job) => job.prompt,
  'a function': (job) => job.prompt,
  'a function that gives pieces': (job) => job.prompt.split(/(?<= )/),
  'a function that gives a stream': (job) => ReadableStream.from(job.prompt.split(/(?<= )/)),
  'bytes, cut anywhere': function* (job) {
    for (const byte of Buffer.from(job.prompt)) yield Uint8Array.of(byte);
  },
  'a function that answers later': (job) => new Promise((resolve) => setImmediate(resolve, job.prompt)),
  'an answer': (job) => ({ text: job.prompt, finishReason: 'stop' }),
  'pieces emitted by hand': async (job) => {
    assert.equal(await job.emit('one '), true);
    assert.equal(await job.emit(Buffer.from('two')), true);
    job.finish();
    job.finish('again changes nothing');
  },
})) {
  test(`${name} is a miner`, async () => {
    assert.equal((await outcome(work)).text, 'one two');
  });
}

test('usage, reason and model are the miner’s own where it says them', async () => {
  const answer = await outcome(async function* () {
    yield 'four';
    return { finishReason: 'length', model: 'm-1', usage: { promptTokens: 3, completionTokens: 4 } };
  });
  assert.deepEqual(answer.usage, { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
  assert.deepEqual([answer.choices[0].finish_reason, answer.model], ['length', 'm-1']);
});

test('an embedding', async () => {
  assert.equal((await outcome(() => ({ embedding: [0.5, -1.5] }), { input: 'x' })).text, '[0.5,-1.5]');
});

test('a job says what it is about', async () => {
  let seen;
  router.miner('m', { models: ['tiny'] }, (job, context) => {
    seen = { ...job.info, deadline: job.deadline, prompt: job.prompt, same: context.signal === job.signal };
    return 'ok';
  });
  const task = await router.submit({ messages: [{ role: 'user', content: 'hi' }], maxTokens: 5, extra: { chat_template: 'x' } }, { model: 'tiny' });
  await task.result();
  assert.equal(seen.prompt, 'hi');
  assert.equal(seen.model, 'tiny');
  assert.equal(seen.stream, true);
  assert.deepEqual([seen.session_id, seen.task_id, seen.gid], [task.sessionId, task.taskId, task.gid]);
  assert.deepEqual([seen.request.max_tokens, seen.request.chat_template], [5, 'x']);
  assert.ok(seen.deadline > new Date() && seen.same);
});

for (const [name, work, code, message] of [
  ['throws at once', () => { throw new Error('broken'); }, 'miner_failed', /broken/],
  ['rejects', async () => { throw new Error('broken'); }, 'miner_failed', /broken/],
  ['throws in its generator', async function* () { yield ''; throw new Error('broken'); }, 'miner_failed', /broken/],
  ['throws after a piece', async function* () { yield 'a'; throw new Error('broken'); }, 'miner_failed', /broken/],
  ['throws something that is no error', () => { throw 'text'; }, 'miner_failed', /text/],
  ['throws nothing', () => { throw undefined; }, 'miner_failed', /undefined/],
  ['says that the request is wrong', () => { throw Object.assign(new Error('no such field'), { code: 'invalid' }); }, 'invalid_argument', /no such field/],
  ['says that the prompt is too long', (job) => job.fail('context', 'too long'), 'invalid_argument', /too long/],
  ['fails with a word that there is not', (job) => job.fail('odd', 'x'), 'miner_failed', /code must be/],
  ['yields a number', function* () { yield 7; }, 'miner_failed', /must be a string, a Uint8Array or an object/],
  ['emits what is no piece, and awaits nothing', (job) => { void job.emit(7); return 'x'; }, 'miner_failed', /must be a string, a Uint8Array or an object/],
  ['emits what is no UTF-8, and awaits nothing', (job) => { void job.emit(Uint8Array.of(0xff)); return 'x'; }, 'miner_failed', /not UTF-8/],
  ['yields what is no UTF-8', function* () { yield Uint8Array.of(0xff); }, 'miner_failed', /not UTF-8/],
  ['returns nothing', (job) => { job.prompt.trim(); }, 'miner_failed', /returned nothing: return the text/],
  ['awaits nothing', async (job) => { void (async () => job.prompt)(); }, 'miner_failed', /returned nothing/],
  ['answers with a number', () => 7, 'miner_failed', /string or an object/],
  ['answers with a wrong field', () => ({ usage: 'much' }), 'miner_failed', /usage/],
  ['lets the job go', (job) => job.drop(), 'miner_failed', /dropped/],
]) {
  test(`a miner that ${name} fails the task and nothing else`, async () => {
    await assert.rejects(outcome(work), failed(code, message));
    assert.equal(router.status().running_tasks, 0);
  });
}

test('a miner that never settles loses the task, and others go on', async () => {
  router.miner('stuck', { capacity: 1 }, never);
  const stuck = await router.submit('x', { timeout: 0.3 });
  await assert.rejects(stuck.result(), failed('timeout', /./));
  router.removeMiner('stuck');
  router.miner('fine', (job) => job.prompt);
  assert.equal((await (await router.submit('y')).result()).text, 'y');
});

test('a generator that never settles is told to return, and what it does then concerns nobody', async () => {
  let left = false;
  router.miner('stuck', async function* (job, { signal }) {
    try {
      yield 'a';
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    } catch {
      left = true;
      throw new Error('too late');
    }
  });
  const task = await router.submit('x');
  for await (const token of task) {
    assert.equal(token, 'a');
    break;
  }
  await until(() => left);
  await assert.rejects(task.result(), failed('cancelled', /./));
});

test('a miner that rejects its job passes it on', async () => {
  const busy = router.miner('busy', { weight: 100 }, (job) => job.reject('busy'));
  router.miner('free', (job) => job.prompt);
  for (const word of ['a', 'b', 'c']) assert.equal((await (await router.submit(word)).result()).text, word);
  busy.remove();
  assert.deepEqual(router.miners().miners.map((miner) => miner.id), ['free']);
});

for (const [name, work] of Object.entries({
  'a generator': (pieces) => function* () { yield* pieces; },
  'an async generator': (pieces) => async function* () { yield* pieces; },
})) {
  test(`${name} that gives pieces at once gives each of them, in order`, async () => {
    const marks = ['', 'a', '\u{e9}', '\u{1f600}', 'tok ', 'x'.repeat(300), '\u{20ac}\n'];
    const pieces = Array.from({ length: 1_000 }, (_, n) => marks[n % marks.length] + n);
    router.miner('m', {}, work(pieces));
    const seen = [];
    for await (const event of (await router.submit('x')).events()) if (event.type === 'token') seen.push(event);
    assert.deepEqual(seen.map(({ text }) => text), pieces);
    assert.deepEqual(seen.map(({ seq }) => seq - seen[0].seq), pieces.map((_, n) => n));
    assert.deepEqual(await tokens(await router.submit('x')), pieces);
  });
}

test('pieces of all forms keep their order', async () => {
  router.miner('m', {}, async function* (job) {
    yield 'a';
    yield 'b';
    await job.emit('c');
    yield 'd';
    yield Buffer.from('e');
    yield { text: 'f' };
    yield 'g';
    yield 'h';
    void job.emit('i');
    yield 'j';
  });
  assert.equal((await (await router.submit('x')).result()).text, 'abcdefghij');
});

test('halves of a character that come one after the other are one character', async () => {
  router.miner('m', {}, function* () {
    for (const half of ['a', 'b', '\ud83d', '\ude00', 'c']) yield half;
  });
  assert.match((await (await router.submit('x')).result()).text, /^ab(\u{1f600}|\ufffd\ufffd)c$/u);
});

test('a generator that waits has given all pieces before', async () => {
  let read;
  const wasRead = new Promise((resolve) => { read = resolve; });
  router.miner('m', {}, async function* () {
    yield* ['a', 'b', 'c', 'd', 'e'];
    await wasRead;
    yield 'f';
  });
  const seen = [];
  for await (const text of await router.submit('x')) {
    seen.push(text);
    if (text === 'e') read();
  }
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e', 'f']);
});

test('a slow reader slows its miner', async () => {
  await router.close();
  router = new Router({ limits: { streamWindowBytes: 1_024 } });
  let given = 0;
  router.miner('fast', function* () {
    for (; ; given++) yield 'x'.repeat(64);
  });
  const reader = (await router.submit('x'))[Symbol.asyncIterator]();
  await reader.next();
  const standstill = async () => {
    const before = given;
    await pause(20);
    return given === before;
  };
  await until(standstill, 'the standstill');
  const before = given;
  while (given === before) await reader.next();
  await until(standstill, 'the next standstill');
  await reader.return();
});

test('a miner’s capacity holds, changes and drains', async () => {
  let [running, most] = [0, 0];
  let gate;
  const miner = router.miner('m', { capacity: 2 }, async (job) => {
    most = Math.max(most, ++running);
    await gate;
    running -= 1;
    return job.prompt;
  });
  /** Submits many tasks at a time: `busy` of them are worked on at once, and never more. */
  const ask = async (tasks, busy) => {
    let open;
    gate = new Promise((resolve) => (open = resolve));
    const answers = Promise.all(Array.from({ length: tasks }, async () => (await router.submit('x')).result()));
    await until(() => running === busy, `${busy} at a time`);
    open();
    await answers;
    assert.equal(most, busy);
  };
  await ask(10, 2);
  miner.setCapacity(5);
  await ask(20, 5);
  assert.throws(() => miner.setCapacity(-1), failed('invalid_argument', /capacity/));
  miner.drain();
  await assert.rejects(async () => (await router.submit('x', { timeout: 0.1 })).result(), RouterError);
});

test('a miner may use the router that it works for', async () => {
  router.miner('inner', { models: ['inner'] }, (job) => job.prompt.toUpperCase());
  router.miner('outer', { models: ['outer'] }, async function* (job) {
    yield* await router.submit(job.prompt, { model: 'inner' });
  });
  assert.deepEqual(await tokens(await router.submit('nested', { model: 'outer' })), ['NESTED']);
});

test('tools, reasoning and vectors are answers; the arguments of a tool keep their names', async () => {
  const router = new Router();
  const toolCalls = [{ function: { name: 'weather', arguments: { cityName: 'Oslo', a_b: 1 } } }];
  router.miner('tools', { models: ['whole'], capacity: 4 }, () => ({ reasoning: 'hm', toolCalls, finishReason: 'tool_calls' }));
  router.miner('pieces', { models: ['pieces'], capacity: 4 }, function* () {
    yield { reasoning: 'h' };
    yield { reasoning: 'm' };
    yield { toolCalls };
  });
  for (const model of ['whole', 'pieces']) {
    const done = await router.complete('x', { model });
    assert.deepEqual([done.text, done.reasoning, done.choices[0].finish_reason], ['', 'hm', 'tool_calls']);
    assert.equal(done.toolCalls.length, 1);
    assert.equal(done.toolCalls[0].function.arguments, '{"cityName":"Oslo","a_b":1}');
  }
  router.miner('vectors', { models: ['e'], embeddings: true, capacity: 4 }, (job) => {
    const one = () => Float32Array.of(0.5, -1);
    return { embedding: Array.isArray(job.request.input) ? job.request.input.map(one) : one() };
  });
  assert.deepEqual((await router.embed('a', { model: 'e' })).vectors, [[0.5, -1]]);
  const session = await router.createSession({ name: 's', model: 'e' });
  assert.deepEqual((await session.embed(['a', 'b'])).vectors, [[0.5, -1], [0.5, -1]]);
  await assert.rejects(router.embed('a', { model: 'e', signal: AbortSignal.abort(new Error('no')) }), /no/);
  await router.close();
});

test('a generator that gives nothing gives an empty text, a function that returns nothing has failed', async () => {
  const router = new Router({ dispatch: { maxAttempts: 1 } });
  router.miner('generator', { models: ['generator'] }, function* () {});
  router.miner('async', { models: ['async'] }, async () => {});
  router.miner('empty', { models: ['empty'] }, () => ({}));
  assert.equal((await router.complete('x', { model: 'generator' })).text, '');
  for (const model of ['async', 'empty']) {
    await assert.rejects(router.complete('x', { model }), { kind: 'miner_failed', message: /the miner returned nothing: return the text/ });
  }
  await router.close();
});
