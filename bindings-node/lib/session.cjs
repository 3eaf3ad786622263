'use strict';

const { invalid } = require('./error.cjs');
const { id, isRecord, json } = require('./names.cjs');
const { REQUEST, options } = require('./options.cjs');
const { isSignal } = require('./signal.cjs');

/** An open account for work. */
class Session {
  #router;

  constructor(router, record) {
    this.#router = router;
    this.id = record.id;
    this.name = record.name;
    this.record = record;
  }

  /** Submits a task to it. */
  submit(input, options) {
    return this.#router.submit(input, { ...options, sessionId: this.id });
  }

  /** Submits a task to it and waits for its completion. */
  complete(input, options) {
    return this.#router.complete(input, { ...options, sessionId: this.id });
  }

  /** The vectors of a text, or of several. */
  embed(input, options) {
    return this.#router.embed(input, { ...options, sessionId: this.id });
  }

  /** The session's tasks. */
  tasks(query) {
    return this.#router.tasks(this.id, query);
  }

  /** The record of one of the session's tasks. */
  task(taskId) {
    return this.#router.task(this.id, taskId);
  }

  /** Joins one of the session's tasks, running or ended. */
  attach(taskId) {
    return this.#router.attach(this.id, taskId);
  }

  /** Changes the session. Gives the new record. */
  async update(patch) {
    this.record = await this.#router.updateSession(this.id, patch);
    this.name = this.record.name;
    return this.record;
  }

  /** Closes the session, which then takes no new tasks. Gives the record. */
  async close() {
    this.record = await this.#router.closeSession(this.id);
    return this.record;
  }

  [Symbol.asyncDispose]() {
    return this.close().then(() => undefined);
  }
}

/** The fields of a request, without the options of its submission. */
function request(input, given = undefined) {
  if (typeof input !== 'string' && !isRecord(input)) {
    throw invalid('prompt', 'give a prompt as a string, or an object with prompt, messages or input');
  }
  const { signal, sessionId = 0, timeoutMs, ...rest } = given ?? {};
  id('sessionId', sessionId);
  if (timeoutMs !== undefined) {
    throw invalid('timeoutMs', 'a task has a timeout in seconds; for milliseconds of waiting: signal: AbortSignal.timeout(ms)');
  }
  if (signal !== undefined && signal !== null && !isSignal(signal)) {
    throw invalid('signal', 'signal must be an AbortSignal: of an AbortController it is `controller.signal`');
  }
  const asked = typeof input === 'string' ? { prompt: input } : input;
  const fields = { ...asked, ...rest };
  // The miner must know that a client reads tokens as they come.
  if (fields.stream === undefined && fields.input === undefined) fields.stream = true;
  const { extra, ...own } = fields;
  if (extra !== undefined && extra !== null && !isRecord(extra)) {
    throw invalid('extra', 'extra must be an object with fields for the miner');
  }
  const known = Object.keys(extra ?? {}).find((name) => REQUEST.known.has(name));
  if (known) throw invalid('extra', `extra: ${known} is an option of a request: give it beside extra`);
  // Fields for the miner alone keep the names that the program gave them.
  const names = (record) => ({ ...extra, ...options(REQUEST, record) });
  return { signal, sessionId, detach: fields.detach === true, text: json('request', own, names) };
}

module.exports = { Session, request };
