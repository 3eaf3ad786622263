'use strict';

const { dismiss, receiver } = require('./bridge.cjs');
const { attempt, invalid } = require('./error.cjs');
const { FULL, Job, TAKEN } = require('./job.cjs');
const { capacity, json } = require('./names.cjs');

/** The milliseconds for which a generator that never waits may occupy the event loop. */
const TURN_MS = 10;
/** The milliseconds within which a generator gives a piece if it need not wait for it. */
const AT_ONCE_MS = 0.1;

/** Works on every job that comes under a number. */
function jobs(work) {
  if (typeof work !== 'function') {
    throw invalid('miner', `a miner's work is a function that takes a job and gives text, not ${typeof work}`);
  }
  const running = new Set();
  const number = receiver((native) => {
    const job = new Job(native);
    running.add(job);
    job.onSettled = () => running.delete(job);
    // This promise never rejects.
    void play(job, work);
  });
  return {
    number,
    /** Stops new jobs, and tells running ones to stop. */
    end() {
      dismiss(number);
      for (const job of running) job.cancel();
    },
  };
}

/** A miner of this program. */
class Miner {
  #native;
  #jobs;

  constructor(router, name, options, work) {
    const spec = json('miner', { ...options, name });
    this.name = name;
    this.#jobs = jobs(work);
    try {
      this.#native = attempt(() => router.addMiner(this.#jobs.number, spec));
    } catch (error) {
      this.#jobs.end();
      throw error;
    }
  }

  /** Stops new tasks for the miner, which finishes those that it has. */
  drain() {
    attempt(() => this.#native.drain());
  }

  /** Sets how many tasks the miner takes at a time from now on. */
  setCapacity(tasks) {
    attempt(() => this.#native.setCapacity(capacity(tasks)));
  }

  /** Ends the miner. Its tasks go to other miners. */
  remove() {
    attempt(() => this.#native.remove());
    this.end();
  }

  /** Ends the miner after the router has released it. */
  end() {
    this.#jobs.end();
  }
}

/** The second argument of a miner's function. */
class Context {
  #job;

  constructor(job) {
    this.#job = job;
  }

  get signal() {
    return this.#job.signal;
  }
}

/** Works on one job. Whatever the miner does, the job is answered and nothing is thrown. */
async function play(job, work) {
  try {
    const given = work(job, new Context(job));
    const pieces = iterator(given);
    if (pieces) await pump(job, pieces);
    else job.finish(await given);
  } catch (error) {
    try {
      job.threw(error);
    } catch {
      job.drop();
    }
  }
}

function iterator(given) {
  if (given === null || typeof given !== 'object') return undefined;
  return given[Symbol.asyncIterator]?.() ?? given[Symbol.iterator]?.();
}

/**
 * Passes on the pieces of a generator, as fast as the reader takes them.
 *
 * Texts that come at once are given together. The first piece after a pause is given alone, so that a generator whose
 * pieces take time delays none of them.
 */
async function pump(job, pieces) {
  job.onCancel = () => void stop(pieces);
  let turn = performance.now();
  let last = turn;
  for (;;) {
    let step = pieces.next();
    const waits = typeof step?.then === 'function';
    if (waits) step = await step;
    if (step.done) {
      // A generator without pieces gave an empty text; a function without a result forgot to return one.
      job.finish(step.value ?? '');
      return;
    }
    const now = performance.now();
    const isAtOnce = typeof step.value === 'string' && now - last < AT_ONCE_MS;
    last = now;
    // A generator that waits for its next piece does so in a later turn of the event loop.
    if (isAtOnce && waits && !job.keeps) setImmediate(() => job.flush());
    let said = isAtOnce ? job.keep(step.value) : job.push(step.value);
    let wanted = said === TAKEN;
    if (wanted && now - turn > TURN_MS) {
      said = job.flush();
      wanted = said === TAKEN;
      if (wanted) await new Promise(setImmediate);
      turn = performance.now();
    }
    if (said === FULL) {
      wanted = await job.writable();
      turn = performance.now();
    }
    if (!wanted) {
      job.cancel();
      await stop(pieces);
      return;
    }
  }
}

/** Makes a generator run its `finally` blocks. Errors that it throws meanwhile are ignored. */
async function stop(pieces) {
  try {
    await pieces.return?.();
  } catch {
    // The job has ended already.
  }
}

module.exports = { Miner, jobs };
