'use strict';

const { expect, forget } = require('./bridge.cjs');
const { RouterError, fromNative } = require('./error.cjs');

const NONE = new Uint32Array(0);
const DONE = Object.freeze({ value: undefined, done: true });

const restarted = () =>
  new RouterError({
    kind: 'miner_failed',
    code: 'stream_restarted',
    message: 'another miner started over: what was read is void; read the result, or the events',
    retryable: true,
  });

/**
 * Reads one stream of a task: an async iterator made by hand, so that `return()` works while `next()` waits.
 *
 * With `token` it gives events; without it, only the texts of tokens, and it ends with the task.
 */
class Reader {
  #stream;
  #hold;
  #options;
  #seq;
  #ready = [];
  #at = 0;
  /** The texts of several tokens in one, their lengths, the number of the next one, and its place. */
  #run = '';
  #lengths = NONE;
  #next = 0;
  #from = 0;
  #waiters = [];
  #signal = 0;
  #failure;
  over = false;

  constructor(stream, hold, options) {
    this.#stream = stream;
    this.#hold = hold;
    this.#options = options;
    this.#seq = options.after;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    if (this.#waiters.length === 0 && !this.#options.token) {
      const value = this.#text();
      if (value !== undefined) return Promise.resolve({ value, done: false });
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#signal === 0) this.#serve();
    });
  }

  /** The text of the next token, if a token is the next event. */
  #text() {
    if (this.#next < this.#lengths.length) {
      const from = this.#from;
      this.#from += this.#lengths[this.#next];
      this.#next += 1;
      return this.#run.slice(from, this.#from);
    }
    const event = this.#ready[this.#at];
    if (typeof event === 'string') {
      this.#at += 1;
      return event;
    }
    if (!(event instanceof Uint32Array)) return undefined;
    this.#lengths = event;
    this.#run = this.#ready[this.#at + 1];
    this.#at += 2;
    [this.#next, this.#from] = [0, 0];
    return this.#text();
  }

  /** Resolves waiting reads, as far as there are events. */
  #serve() {
    const { token } = this.#options;
    while (this.#waiters.length > 0) {
      let text;
      if (this.#failure) {
        this.#waiters.shift().reject(this.#failure.error);
        this.#failure = undefined;
      } else if (this.over) {
        this.#waiters.shift().resolve(DONE);
      } else if ((text = this.#text()) !== undefined) {
        this.#seq += 1;
        this.#waiters.shift().resolve({ value: token ? token(this.#seq, text) : text, done: false });
      } else if (this.#at < this.#ready.length) {
        this.#give(this.#ready[this.#at++]);
      } else if (!this.#fetch()) {
        return;
      }
    }
  }

  #give(event) {
    const { token } = this.#options;
    if (typeof event === 'number') {
      this.#seq = event;
      if (token) this.#waiters.shift().resolve({ value: { type: 'restart', seq: event }, done: false });
      else this.fail(restarted());
    } else if (event.length === 1) {
      // The number of the piece that comes next.
      this.#seq = event[0] - 1;
    } else {
      this.#end(event);
    }
  }

  #end([well, text]) {
    const { token, reason } = this.#options;
    const error = well ? undefined : new RouterError(JSON.parse(text));
    if (token) {
      const value = well ? { type: 'end', completion: JSON.parse(text) } : { type: 'end', error };
      this.#waiters.shift().resolve({ value, done: false });
      this.#close();
    } else if (well) {
      this.#close();
    } else {
      this.fail((error.kind === 'cancelled' && reason()) || error);
    }
  }

  /** Takes the events that are ready. `false`: there are none yet, and a signal follows. */
  #fetch() {
    this.#at = 0;
    const signal = expect(this.#hold, () => {
      this.#signal = 0;
      this.#serve();
    });
    let events;
    try {
      events = this.#stream.take(signal);
    } catch (error) {
      forget(signal);
      this.fail(fromNative(error));
      return true;
    }
    if (events === null) {
      this.#ready = [];
      this.#signal = signal;
      return false;
    }
    forget(signal);
    this.#ready = events;
    if (events.length === 0) this.#close();
    return true;
  }

  #close() {
    if (this.over) return;
    this.over = true;
    this.#ready = [];
    this.#lengths = NONE;
    forget(this.#signal);
    this.#signal = 0;
    this.#stream.release();
    this.#options.done();
  }

  /** Ends the iterator with an error for the waiting read, or the next one. */
  fail(error) {
    if (this.over) return;
    this.#failure = { error };
    this.#close();
    this.#serve();
  }

  async return(value) {
    this.#close();
    this.#serve();
    return { value, done: true };
  }
}

module.exports = { Reader };
