'use strict';

const { Hold, ask, expect } = require('./bridge.cjs');

/** A listener that serves until it is stopped, or its router is closed. It keeps the process alive. */
class Listener {
  #native;
  #hold;
  #ended;

  constructor(native) {
    this.#native = native;
    this.#hold = new Hold();
    this.address = native.address;
    this.port = native.port;
    this.url = `http://${native.address}`;
    this.posture = native.posture;
    this.#ended = new Promise((resolve) => {
      // The end of the router ends the listener too, which is not a failure.
      native.ended(expect(this.#hold, () => resolve()));
    });
  }

  /** Resolves when the listener has ended, for any reason. */
  get ended() {
    return this.#ended;
  }

  /** Takes no new connections and waits until running requests have ended. */
  async stop() {
    try {
      await ask(this.#hold, (call) => this.#native.stop(call));
    } catch (error) {
      if (error.kind !== 'closed') throw error;
    }
  }

  /** Keeps the process alive as long as the listener serves, which is the default. */
  ref() {
    this.#hold.ref();
    return this;
  }

  /** Lets the process end although the listener serves. */
  unref() {
    this.#hold.unref();
    return this;
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}

module.exports = { Listener };
