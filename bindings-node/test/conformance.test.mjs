// Plays the scenarios of core/tests/conformance against the package.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { Router, RouterError } from '../index.mjs';
import { mismatch } from './support/matching.mjs';
import { play } from './support/miners.mjs';

const directory = new URL('../../core/tests/conformance/', import.meta.url);
/** Longer than anything in a scenario takes. */
const PATIENCE_MS = 30_000;

const known = new Set(createRequire(import.meta.url)('../lib/native.cjs').load().requestOptions());

/** A request as Node has it: what the router does not know goes as `extra`. */
function asked(request) {
  const entries = Object.entries(request);
  const extra = Object.fromEntries(entries.filter(([name]) => !known.has(name)));
  return { ...Object.fromEntries(entries.filter(([name]) => known.has(name))), extra };
}

const shown = (task) => ({ session_id: task.sessionId, task_id: task.taskId, gid: task.gid, joined: task.joined });

class Stage {
  kept = new Map();
  tasks = new Map();
  seen = new Map();

  constructor(config) {
    this.router = new Router(config);
  }

  addMiner(miner) {
    const seen = { jobs: 0, cancelled: 0 };
    const { name, ...options } = miner.spec;
    this.router.miner(name, options, play(miner, seen));
    this.seen.set(name, seen);
  }

  /** The step with every `"$name.path"` put in. */
  resolved(value) {
    if (typeof value === 'string') return this.lookup(value) ?? value;
    if (Array.isArray(value)) return value.map((item) => this.resolved(item));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.resolved(member)]));
  }

  lookup(text) {
    const [name, ...path] = text.slice(1).split('.');
    if (!text.startsWith('$') || path.length === 0 || !this.kept.has(name)) return undefined;
    return path.reduce((value, part) => value[part], this.kept.get(name));
  }

  task(step) {
    return this.tasks.get(step.task.slice(1));
  }

  async play(step) {
    const { router } = this;
    const session = () => router.session(step.session);
    const handle = (task) => ({ value: shown(task), task });
    const record = (value) => ({ value });
    const nothing = () => ({ value: null });
    switch (step.do) {
      case 'info':
      case 'status':
      case 'miners':
      case 'models':
        return record(router[step.do]());
      case 'metrics':
        return record({ text: router.metrics() });
      case 'create_session':
        return record((await router.createSession(step.spec)).record);
      case 'session':
        return record(session().record);
      case 'close_session':
        return record(await router.closeSession(step.session));
      case 'update_session':
        return record(await router.updateSession(step.session, step.patch));
      case 'sessions':
        return record(router.sessions(step.query));
      case 'submit':
        return handle(await router.submit(asked(step.request), { sessionId: step.session }));
      case 'submit_prompt':
        return handle(await router.submit(step.prompt, { ...step.options, sessionId: step.session }));
      case 'embed':
        return record(await router.embed(step.input, { sessionId: step.session }));
      case 'text':
        return record({ text: (await this.task(step).result()).text });
      case 'attach':
        return handle(await router.attach(step.session, step.task_id));
      case 'task':
        return record(await router.task(step.session, step.task_id));
      case 'cancel':
        return record(await router.cancel(step.session, step.task_id));
      case 'tasks':
        return record(await router.tasks(step.session, step.query));
      case 'record':
        return record(await this.task(step).record());
      case 'result':
        return record(await this.task(step).result());
      case 'cancel_task':
        return nothing(this.task(step).cancel());
      case 'detach':
        return nothing(this.task(step).detach());
      case 'release':
        return nothing(this.task(step).release());
      case 'stream':
        return record(await read(this.task(step), step));
      case 'add_miner':
        return nothing(this.addMiner(step.miner));
      case 'remove_miner':
        return nothing(router.removeMiner(step.name));
      case 'miner_saw':
        return record({ ...this.seen.get(step.name) });
      case 'drain':
        return record({ drained: await router.drain({ timeoutMs: step.timeout_ms }) });
      case 'shutdown':
        return nothing(await router.close({ timeoutMs: PATIENCE_MS }));
      default:
        throw new Error(`no such step: ${step.do}`);
    }
  }

  /** Plays a step as often as it wants and compares; gives what is wrong. */
  async perform(given) {
    const step = this.resolved(given);
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { wrong, outcome } = await this.attempt(step);
      if (wrong === undefined) {
        if (step.as) this.kept.set(step.as, outcome.value);
        if (step.as && outcome.task) this.tasks.set(step.as, outcome.task);
        return undefined;
      }
      if (!step.until || performance.now() > deadline) return wrong;
      await pause(5);
    }
  }

  async attempt(step) {
    try {
      const outcome = await this.play(step);
      const wrong = step.error
        ? `expected the error ${JSON.stringify(step.error)}, got ${JSON.stringify(outcome.value)}`
        : step.expect && mismatch(step.expect, outcome.value);
      return { wrong, outcome };
    } catch (error) {
      if (!(error instanceof RouterError)) throw error;
      const wrong = step.error ? mismatch(step.error, error.details) : `failed: ${JSON.stringify(error.details)}`;
      return { wrong, outcome: { value: null } };
    }
  }
}

async function read(task, { after = 0, take = Infinity }) {
  const tokens = [];
  let [text, restarts, end] = ['', 0, null];
  for await (const event of task.events({ after })) {
    if (event.type === 'token') {
      tokens.push({ seq: event.seq, text: event.text });
      text += event.text;
      if (tokens.length === take) break;
    } else if (event.type === 'restart') {
      text = '';
      restarts += 1;
    } else {
      end = event.completion ?? { error: event.error.details };
    }
  }
  return { tokens, text, restarts, end };
}

for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
  for (const scenario of JSON.parse(readFileSync(new URL(file, directory), 'utf8'))) {
    test(`${file}: ${scenario.name}`, async () => {
      const stage = new Stage(scenario.config);
      try {
        scenario.miners.forEach((miner) => stage.addMiner(miner));
        for (const [index, step] of scenario.steps.entries()) {
          const wrong = await stage.perform(step);
          assert.equal(wrong, undefined, `step ${index + 1} ${JSON.stringify(step)}\n    ${wrong}`);
        }
      } finally {
        await stage.router.close({ timeoutMs: PATIENCE_MS });
      }
    });
  }
}

test('a matcher finds what is wrong', () => {
  assert.equal(mismatch({ a: [1, '$text'], b: '$absent' }, { a: [1, 'x'], c: 0 }), undefined);
  assert.equal(mismatch({ a: { $contains: 'el' } }, { a: 'hello' }), undefined);
  for (const [expected, actual] of [
    [{ a: [1] }, { a: [1, 2] }],
    [{ a: '$any' }, {}],
    [{ a: '$number' }, { a: '1' }],
    [{ a: null }, { a: 0 }],
    [{ a: { $contains: 'x' } }, { a: 'hello' }],
  ]) {
    assert.notEqual(mismatch(expected, actual), undefined, JSON.stringify([expected, actual]));
  }
});
