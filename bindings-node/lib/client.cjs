'use strict';

const { Hold, ask, bridge, dismiss, native } = require('./bridge.cjs');
const { attempt } = require('./error.cjs');
const { logSink } = require('./log.cjs');
const { jobs } = require('./miner.cjs');
const { capacity, json, milliseconds } = require('./names.cjs');

/** A miner of this program that works for a distant router. It keeps the process alive. */
class MinerClient {
  #native;
  #jobs;
  #log;
  #hold = new Hold();
  #closing;

  constructor(options, work) {
    const { router, log, ...rest } = options ?? {};
    const config = json('config', router === undefined ? rest : { routers: [router].flat(), ...rest });
    this.#jobs = jobs(work);
    try {
      this.#log = logSink(log);
      this.#native = attempt(() => new native.NativeMinerClient(bridge, config, this.#jobs.number, this.#log));
    } catch (error) {
      this.#jobs.end();
      dismiss(this.#log);
      throw error;
    }
    // The process stays alive until the client is closed.
    this.#hold.take();
  }

  /** The miner's counts, and its connection. */
  stats() {
    return JSON.parse(attempt(() => this.#native.stats()));
  }

  /** Sets how many tasks the miner takes at a time from now on. */
  setCapacity(tasks) {
    attempt(() => this.#native.setCapacity(capacity(tasks)));
  }

  /** Takes no new tasks and finishes those that it has. `true`: all were finished in time. */
  async drain({ timeoutMs = Infinity } = {}) {
    return ask(this.#hold, (call) => this.#native.drain(call, milliseconds(timeoutMs)));
  }

  /** Ends the miner's connection and cancels its work. */
  close({ timeoutMs } = {}) {
    const limit = timeoutMs === undefined ? undefined : milliseconds(timeoutMs);
    this.#closing ??= ask(this.#hold, (call) => this.#native.close(call, limit)).then(
      () => {
        this.#jobs.end();
        dismiss(this.#log);
        this.#hold.drop();
      },
      (error) => {
        this.#closing = undefined;
        throw error;
      },
    );
    return this.#closing;
  }

  ref() {
    this.#hold.ref();
    return this;
  }

  unref() {
    this.#hold.unref();
    return this;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

/** Works for a distant router, as `cortensor-router miner` does. */
const runMiner = (options, work) => new MinerClient(options, work);

module.exports = { MinerClient, runMiner };
