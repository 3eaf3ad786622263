'use strict';

const { Readable } = require('node:stream');

const { ask, expect, forget, soon } = require('./bridge.cjs');
const { attempt, fromNative } = require('./error.cjs');
const { id } = require('./names.cjs');
const { Reader } = require('./reader.cjs');
const { onAbort } = require('./signal.cjs');

/** A completion as the REST API has it, with its text at hand. */
function completion(text) {
  const record = JSON.parse(text);
  const look = (name, get) => Object.defineProperty(record, name, { get, configurable: true });
  const message = () => record.choices[0]?.message ?? {};
  look('text', () => record.choices[0]?.text ?? '');
  look('toolCalls', () => message().tool_calls ?? []);
  look('reasoning', () => message().reasoning_content ?? '');
  return record;
}

/** Vectors as the REST API has them, with the numbers at hand. */
function embeddings(text) {
  const record = JSON.parse(text);
  return Object.defineProperty(record, 'vectors', { get: () => record.data.map(({ embedding }) => embedding), configurable: true });
}

/** A submitted task: its tokens, its end, and the ways to end it early. */
class Task {
  #native;
  #hold;
  #detached;
  #readers = new Set();
  #signal;

  constructor(native, hold, { signal, detach = false } = {}) {
    this.#native = native;
    this.#hold = hold;
    this.#detached = detach;
    const [sessionId, taskId, gid, joined] = native.ids();
    this.sessionId = sessionId;
    this.taskId = taskId;
    this.gid = gid;
    this.joined = joined === 1;
    if (signal) this.#follow(signal);
  }

  /** Cancels the task when `signal` is aborted. A task that has ended releases the signal. */
  #follow(signal) {
    this.#signal = signal;
    const abort = () => {
      forget(ended);
      for (const reader of this.#readers) reader.fail(signal.reason);
      if (!this.#detached) this.cancel();
    };
    const leave = onAbort(signal, abort);
    const ended = expect(undefined, leave);
    if (this.#native.result(ended)) soon();
    if (signal.aborted) abort();
  }

  /** The completion, once the task has ended. */
  result() {
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      const leave = signal && onAbort(signal, () => {
        forget(call);
        reject(signal.reason);
      });
      const call = expect(
        this.#hold,
        (text) => {
          leave?.();
          resolve(completion(text));
        },
        (error) => {
          leave?.();
          reject(error.kind === 'cancelled' && signal?.aborted ? signal.reason : error);
        },
      );
      try {
        if (this.#native.result(call)) soon();
      } catch (error) {
        forget(call);
        leave?.();
        reject(fromNative(error));
      }
    });
  }

  /** The task's present record. */
  async record() {
    return JSON.parse(await ask(this.#hold, (call) => this.#native.record(call)));
  }

  /** Cancels the task, even if other callers wait for it. */
  cancel() {
    attempt(() => this.#native.cancel());
  }

  /** Detaches the task: from now on, neither leaving nor releasing it cancels it. */
  detach() {
    this.#detached = true;
    attempt(() => this.#native.detach());
  }

  /** Releases the task. This cancels it if no other caller waits for it and it is not detached. */
  release() {
    this.#native.release();
  }

  #read(after, token) {
    const reader = new Reader(
      attempt(() => this.#native.stream(after)),
      this.#hold,
      {
        after,
        token,
        reason: () => (this.#signal?.aborted ? this.#signal.reason : undefined),
        done: () => this.#readers.delete(reader),
      },
    );
    this.#readers.add(reader);
    return reader;
  }

  /** The task's events: tokens with their numbers, restarts, and the end. Leaving early cancels nothing. */
  events({ after = 0 } = {}) {
    id('after', after);
    return { [Symbol.asyncIterator]: () => this.#read(after, (seq, text) => ({ type: 'token', seq, text })) };
  }

  /** The task's tokens. Leaving early cancels the task, unless it is detached. */
  [Symbol.asyncIterator]() {
    const reader = this.#read(0, undefined);
    const iterator = {
      next: () => reader.next(),
      return: async (value) => {
        if (!reader.over && !this.#detached) this.cancel();
        return reader.return(value);
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** The task's text as a web stream of UTF-8; cancelling the stream cancels the task. */
  toReadableStream() {
    const iterator = this[Symbol.asyncIterator]();
    const encoder = new TextEncoder();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      async cancel() {
        await iterator.return();
      },
    });
  }

  /** The task's text as a Node stream of UTF-8; destroying the stream cancels the task. */
  toReadable() {
    return Readable.from(this, { objectMode: false });
  }
}

module.exports = { Task, completion, embeddings };
