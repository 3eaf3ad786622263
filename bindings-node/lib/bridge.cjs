'use strict';

// The native part answers under numbers. This module maps the numbers to their waiting promises and keeps the event loop alive.

const { RouterError, fromNative } = require('./error.cjs');
const native = require('./native.cjs').load();

/** The longest time of a timer. The timer only keeps the event loop alive; it never needs to fire. */
const LONGEST = 2 ** 31 - 1;

const anchor = setInterval(() => {}, LONGEST);
anchor.unref();
let holding = 0;

/** Keeps the process alive while one of its promises is pending, unless `unref()` was called. */
class Hold {
  #count = 0;
  #referenced = true;

  take() {
    this.#count += 1;
    if (this.#count === 1 && this.#referenced) grow();
  }

  drop() {
    this.#count -= 1;
    if (this.#count === 0 && this.#referenced) shrink();
  }

  ref() {
    if (!this.#referenced && this.#count > 0) grow();
    this.#referenced = true;
  }

  unref() {
    if (this.#referenced && this.#count > 0) shrink();
    this.#referenced = false;
  }
}

function grow() {
  holding += 1;
  if (holding === 1) anchor.ref();
}

function shrink() {
  holding -= 1;
  if (holding === 0) anchor.unref();
}

const waiting = new Map();
const receivers = new Map();
let last = 0;

/** Handles the messages of the native part, in order; the kinds are those of `Bridge::drain`. */
function wake() {
  const told = bridge.drain();
  for (let at = 0; at < told.length; at += 3) {
    const [kind, id, value] = [told[at], told[at + 1], told[at + 2]];
    if (kind >= 2) {
      receive(id, value);
      continue;
    }
    const waiter = waiting.get(id);
    if (!waiter) continue;
    waiting.delete(id);
    waiter.hold?.drop();
    if (kind === 0) waiter.resolve(value);
    else waiter.reject(new RouterError(JSON.parse(value)));
  }
}

/** Empties the queue in the next turn of the event loop. Native calls that add messages themselves ask for this. */
const soon = () => setImmediate(wake);

function receive(id, value) {
  try {
    receivers.get(id)?.(value);
  } catch (error) {
    // A log sink of the program. Miners handle their own errors.
    process.emitWarning(`a log sink of cortensor-router threw: ${error?.message ?? error}`);
  }
}

const bridge = new native.Bridge(wake);

/** Starts a call; its promise keeps the event loop alive as long as `hold` does. */
function ask(hold, start) {
  return new Promise((resolve, reject) => {
    const id = ++last;
    waiting.set(id, { resolve, reject, hold });
    hold?.take();
    try {
      if (start(id) === true) soon();
    } catch (error) {
      forget(id);
      reject(fromNative(error));
    }
  });
}

/** Gives a number for a call whose answer goes to `resolve`, or to `reject`. */
function expect(hold, resolve, reject = resolve) {
  const id = ++last;
  waiting.set(id, { resolve, reject, hold });
  hold?.take();
  return id;
}

/** Forgets the call with that number. */
function forget(id) {
  const waiter = waiting.get(id);
  if (!waiter) return;
  waiting.delete(id);
  waiter.hold?.drop();
}

/** Gives a number under which jobs or log records go to `take`. */
function receiver(take) {
  const id = ++last;
  receivers.set(id, take);
  return id;
}

const dismiss = (id) => receivers.delete(id);

module.exports = { Hold, ask, bridge, dismiss, expect, forget, native, receiver, soon };
