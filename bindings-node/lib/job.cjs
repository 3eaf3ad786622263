'use strict';

const { bridge, expect, forget, soon } = require('./bridge.cjs');
const { RouterError, attempt } = require('./error.cjs');
const { isRecord, shallow } = require('./names.cjs');
const native = require('./native.cjs').load();

/** The native part's answers to a piece. */
const [TAKEN, FULL] = [0, 1];
/** The native part adds this to its answer if the piece has put messages into the queue. */
const FILLED = 4;
/** The most pieces that are given together. */
const TOGETHER = 64;
/** The codes that a failure can have. */
const CODES = new Set(native.failCodes());

/** One attempt at a task: the prompt, and the ways to answer it. */
class Job {
  #native;
  #info;
  #controller;
  #cancelled;
  #wasCancelled = false;
  /** The pieces of text that wait to be given together, their lengths, and their number. */
  #kept = '';
  #lengths;
  #count = 0;
  /** Whether the job was answered, or is no longer wanted. */
  answered = false;
  /** Called once the work is no longer wanted. */
  onCancel = undefined;
  /** Called once the job was answered, or is no longer wanted. */
  onSettled = undefined;

  constructor(native) {
    this.#native = native;
    this.#cancelled = expect(undefined, () => this.cancel());
    native.onCancelled(bridge, this.#cancelled);
  }

  /** The router's record of the job. */
  get info() {
    this.#info ??= JSON.parse(attempt(() => this.#native.info()));
    return this.#info;
  }

  get prompt() {
    return this.#info?.prompt ?? attempt(() => this.#native.prompt());
  }

  get model() {
    return this.info.model;
  }

  get request() {
    return this.info.request;
  }

  get gid() {
    return this.info.gid;
  }

  get sessionId() {
    return this.info.session_id;
  }

  get taskId() {
    return this.info.task_id;
  }

  get stream() {
    return this.info.stream;
  }

  get deadline() {
    return new Date(this.info.deadline_ms);
  }

  get partial() {
    return this.info.partial;
  }

  get traceparent() {
    return this.info.traceparent;
  }

  get tracestate() {
    return this.info.tracestate;
  }

  get cancelled() {
    return this.answered || this.#native.isCancelled;
  }

  /** Aborted once the work is no longer wanted. */
  get signal() {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#wasCancelled) this.#abort();
    }
    return this.#controller.signal;
  }

  #abort() {
    this.#controller?.abort(new DOMException('the task is wanted no more', 'AbortError'));
  }

  /** Marks the work as no longer wanted. Later answers of the miner change nothing. */
  cancel() {
    if (this.answered) return;
    this.#wasCancelled = true;
    this.#settle();
    this.#abort();
    this.onCancel?.();
  }

  /** Gives a piece of the answer. Resolves when the reader can take the next one; `false`: stop. */
  async emit(piece) {
    let said;
    try {
      said = this.push(piece);
    } catch (error) {
      // The miner need not await this: a value that is not a piece fails the task instead of rejecting.
      this.threw(error);
      return false;
    }
    if (said === FULL) return this.writable();
    if (said !== TAKEN) this.cancel();
    return said === TAKEN;
  }

  /** Keeps a piece of text, so that it is given together with those that follow at once: each call of the native part costs. */
  keep(text) {
    if (this.answered) return undefined;
    this.#lengths ??= new Uint32Array(TOGETHER);
    this.#kept += text;
    this.#lengths[this.#count] = text.length;
    this.#count += 1;
    return this.#count === TOGETHER ? this.flush() : TAKEN;
  }

  /** Whether pieces wait. */
  get keeps() {
    return this.#count > 0;
  }

  /** Gives the pieces that wait. */
  flush() {
    if (this.#count === 0) return TAKEN;
    const [texts, lengths] = [this.#kept, this.#lengths.subarray(0, this.#count)];
    [this.#kept, this.#count] = ['', 0];
    return this.answered ? undefined : heard(this.#native.emitTexts(texts, lengths));
  }

  push(piece) {
    if (this.answered) return undefined;
    const before = this.flush();
    // The stricter answer has the larger number.
    return Math.max(before, this.#give(piece));
  }

  #give(piece) {
    if (typeof piece === 'string') return heard(this.#native.emitText(piece));
    if (piece instanceof Uint8Array) return heard(attempt(() => this.#native.emitBytes(piece)));
    if (isRecord(piece)) return heard(attempt(() => this.#native.emitParts(JSON.stringify(shallow(piece)))));
    throw new TypeError(
      `a piece of an answer must be a string, a Uint8Array or an object with text, reasoning or toolCalls, not ${piece === null ? 'null' : typeof piece}`,
    );
  }

  /** Resolves when the reader has caught up; `false`: the work is no longer wanted. */
  writable() {
    return new Promise((resolve) => {
      if (this.answered) {
        resolve(false);
        return;
      }
      this.#native.onWritable(bridge, expect(undefined, () => resolve(!this.cancelled)));
    });
  }

  /** Ends the work with success. */
  finish(answer) {
    const text = answered(answer);
    if (this.#mayAnswer() && attempt(() => this.#native.finish(text))) soon();
    this.#settle();
  }

  /** Ends the work with a failure. */
  fail(code, message = '') {
    if (this.#mayAnswer() && attempt(() => this.#native.fail(code, String(message)))) soon();
    this.#settle();
  }

  /** Gives the job back. */
  reject(reason = '') {
    if (this.#mayAnswer() && attempt(() => this.#native.reject(String(reason)))) soon();
    this.#settle();
  }

  /** Releases the job without an answer. */
  drop() {
    this.flush();
    this.#settle();
  }

  /** Ends the work with the error that the miner threw. */
  threw(error) {
    if (this.answered) return;
    // If the miner called a router itself, the kind of that router's error decides the code of the failure.
    const word = error instanceof RouterError ? error.kind : error?.code;
    const own = CODES.has(word) ? word : 'internal';
    this.fail(this.cancelled ? 'cancelled' : own, error?.message || String(error));
  }

  #mayAnswer() {
    this.flush();
    return !this.answered && !this.#native.isCancelled;
  }

  #settle() {
    if (this.answered) return;
    this.answered = true;
    forget(this.#cancelled);
    this.#native.release();
    this.onSettled?.();
  }
}

/** The answer to a piece. */
function heard(code) {
  if (code < FILLED) return code;
  soon();
  return code - FILLED;
}

/** Converts an answer to the form that the native part takes. */
function answered(answer) {
  if (answer === undefined || answer === null) return '';
  if (typeof answer === 'string') return JSON.stringify({ text: answer });
  if (isRecord(answer)) return JSON.stringify(fields(answer));
  throw new TypeError(`a miner must answer with a string or an object with text, toolCalls, embedding ..., not ${typeof answer}`);
}

/** Translates an answer's own names into the router's. The arguments of its tool calls belong to the program and stay. */
function fields(answer) {
  const { usage, embedding, embeddings, ...own } = shallow(answer);
  return {
    ...own,
    usage: isRecord(usage) ? shallow(usage) : usage,
    embedding: numbers(embedding ?? embeddings),
  };
}

/** Vectors as JSON has them: a `Float32Array` is a list of numbers, too. */
function numbers(vectors) {
  if (ArrayBuffer.isView(vectors)) return Array.from(vectors);
  return Array.isArray(vectors) ? vectors.map(numbers) : vectors;
}

module.exports = { FULL, Job, TAKEN };
