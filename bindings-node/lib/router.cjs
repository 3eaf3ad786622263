'use strict';

const { Hold, ask, bridge, dismiss, native } = require('./bridge.cjs');
const { attempt, invalid } = require('./error.cjs');
const { Handler } = require('./http.cjs');
const { Listener } = require('./listener.cjs');
const { logSink } = require('./log.cjs');
const { Miner } = require('./miner.cjs');
const { id, json, milliseconds, shallow } = require('./names.cjs');
const { SESSION, options } = require('./options.cjs');
const { Session, request } = require('./session.cjs');
const { onAbort } = require('./signal.cjs');
const { Task, completion, embeddings } = require('./task.cjs');

/** Open routers. They are held here, because garbage collection must not decide how long a router serves. */
const open = new Set();

/** A key that only this module has, for constructing a router that was opened already. */
const OPENED = Symbol('opened');

/** A router inside this process. */
class Router {
  #native;
  #hold = new Hold();
  #miners = new Map();
  #log;
  #handler;
  #closing;

  constructor(config, options) {
    if (config?.[OPENED]) {
      this.#native = config[OPENED];
      this.#log = options;
    } else {
      this.#log = logSink(options?.log);
      try {
        const text = json('config', config);
        this.#native = attempt(() => native.open(bridge, text, this.#log));
      } catch (error) {
        dismiss(this.#log);
        throw error;
      }
    }
    open.add(this);
  }

  /** Opens a router without blocking the event loop while its store is opened. */
  static async open(config, options) {
    const text = json('config', config);
    const log = logSink(options?.log);
    try {
      const opened = await ask(new Hold(), (call) => native.openLater(bridge, call, text, log));
      return new Router({ [OPENED]: opened }, log);
    } catch (error) {
      dismiss(log);
      throw error;
    }
  }

  #get(name, ...given) {
    return JSON.parse(attempt(() => this.#native[name](...given)));
  }

  async #ask(name, ...given) {
    return JSON.parse(await ask(this.#hold, (call) => this.#native[name](call, ...given)));
  }

  config() {
    return this.#get('config');
  }

  info() {
    return this.#get('info');
  }

  status() {
    return this.#get('status');
  }

  metrics() {
    return attempt(() => this.#native.metrics());
  }

  miners() {
    return this.#get('miners');
  }

  models() {
    return this.#get('models');
  }

  async usage(query) {
    return this.#ask('usage', json('query', query, shallow));
  }

  async createKey(spec) {
    return this.#ask('createKey', json('key', spec));
  }

  async keys() {
    return this.#ask('keys');
  }

  async deleteKey(keyId) {
    if (typeof keyId !== 'string') throw invalid('id', `a key's id is a string, not ${typeof keyId}`);
    await ask(this.#hold, (call) => this.#native.deleteKey(call, keyId));
  }

  async createSession(spec) {
    if (typeof spec === 'string') throw invalid('session', `a session's options are an object: { name: ${JSON.stringify(spec)} }`);
    return new Session(this, await this.#ask('createSession', json('session', spec, (given) => options(SESSION, given))));
  }

  session(sessionId) {
    return new Session(this, this.#get('session', id('session', sessionId)));
  }

  sessions(query) {
    return this.#get('sessions', json('query', query, shallow));
  }

  async updateSession(sessionId, patch) {
    return this.#ask('updateSession', id('session', sessionId), json('session', patch, shallow));
  }

  async closeSession(sessionId) {
    return this.#ask('closeSession', id('session', sessionId));
  }

  /** Submits a task; resolves when it is durable. */
  async submit(input, given) {
    const { signal, sessionId, detach, text } = request(input, given);
    signal?.throwIfAborted();
    const submitted = ask(this.#hold, (call) => this.#native.submit(call, sessionId, text));
    const task = new Task(await abortable(submitted, signal), this.#hold, { signal, detach });
    signal?.throwIfAborted();
    return task;
  }

  /** Submits a task and waits for its completion, in one step. */
  async complete(input, given) {
    const asked = request(input, { stream: false, ...given });
    const { sessionId, text } = asked;
    if (!asked.signal) return completion(await ask(this.#hold, (call) => this.#native.complete(call, sessionId, text)));
    return completion(await this.#answer(asked, (call) => this.#native.completeUnlessCancelled(call, sessionId, text)));
  }

  /** Vectors of a text, or of several. */
  async embed(input, given) {
    if (typeof input !== 'string' && !Array.isArray(input)) {
      throw invalid('input', `input is a text or a list of texts, not ${input === null ? 'null' : typeof input}`);
    }
    const asked = request({ input }, given);
    return embeddings(await this.#answer(asked, (call) => this.#native.embed(call, asked.sessionId, asked.text)));
  }

  /** The answer of a task, which the caller may give up. */
  async #answer({ signal }, start) {
    signal?.throwIfAborted();
    let held;
    const answer = ask(this.#hold, (call) => {
      held = start(call);
    });
    if (!signal) return answer;
    const leave = onAbort(signal, () => held?.cancel());
    try {
      return await answer;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      leave();
    }
  }

  async attach(sessionId, taskId) {
    const [session, task] = [id('session', sessionId), id('task', taskId)];
    const attached = await ask(this.#hold, (call) => this.#native.attach(call, session, task));
    return new Task(attached, this.#hold);
  }

  async task(sessionId, taskId) {
    return this.#ask('task', id('session', sessionId), id('task', taskId));
  }

  async tasks(sessionId, query) {
    return this.#ask('tasks', id('session', sessionId), json('query', query, shallow));
  }

  async cancel(sessionId, taskId) {
    return this.#ask('cancel', id('session', sessionId), id('task', taskId));
  }

  /** Adds a miner of this program: an async generator, an async function or a function. */
  miner(name, options, work) {
    if (typeof name !== 'string') throw invalid('name', 'give the miner a name');
    const miner = typeof options === 'function' ? new Miner(this.#native, name, {}, options) : new Miner(this.#native, name, options, work);
    this.#miners.set(name, miner);
    return miner;
  }

  addUpstream(upstream) {
    const text = json('upstream', typeof upstream === 'string' ? { url: upstream } : upstream);
    attempt(() => this.#native.addUpstream(text));
  }

  removeMiner(name) {
    attempt(() => this.#native.removeMiner(String(name)));
    this.#miners.get(name)?.end();
    this.#miners.delete(name);
  }

  /** Starts the HTTP listener. */
  async listen(config) {
    const text = json('listen', config);
    return new Listener(await ask(this.#hold, (call) => this.#native.listen(call, text)));
  }

  /** The REST API for a server of this program. */
  handler(config) {
    const text = json('listen', config);
    return new Handler((call) => this.#native.httpHandler(call, text), this.#hold);
  }

  /** Answers a request as the listener would. */
  fetch(input, options) {
    this.#handler ??= this.handler();
    return this.#handler.fetch(input, options);
  }

  /** The REST API as a function for Node's `http`, Express and the like. */
  middleware(options) {
    this.#handler ??= this.handler();
    return this.#handler.middleware(options);
  }

  /** Takes no new tasks and waits until the present ones have ended. `true`: all ended in time. */
  async drain({ timeoutMs = Infinity } = {}) {
    return ask(this.#hold, (call) => this.#native.drain(call, milliseconds(timeoutMs)));
  }

  /** Ends the router: running tasks are cancelled, and none of its code runs in the program once this resolves. */
  close({ timeoutMs } = {}) {
    const limit = timeoutMs === undefined ? undefined : milliseconds(timeoutMs);
    this.#closing ??= ask(this.#hold, (call) => this.#native.close(call, limit)).then(
      () => this.#closed(),
      (error) => {
        this.#closing = undefined;
        throw error;
      },
    );
    return this.#closing;
  }

  #closed() {
    for (const miner of this.#miners.values()) miner.end();
    this.#miners.clear();
    dismiss(this.#log);
    open.delete(this);
  }

  /** Pending promises keep the process alive: the default. */
  ref() {
    this.#hold.ref();
    return this;
  }

  /** Pending promises no longer keep the process alive. Listeners have an `unref()` of their own. */
  unref() {
    this.#hold.unref();
    return this;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

/** A submission that the caller may give up, which cancels the task that results from it. */
function abortable(submitted, signal) {
  if (!signal) return submitted;
  return new Promise((resolve, reject) => {
    const leave = onAbort(signal, () => reject(signal.reason));
    submitted.then(
      (task) => {
        leave();
        if (signal.aborted) task.cancel();
        resolve(task);
      },
      (error) => {
        leave();
        reject(error);
      },
    );
  });
}

module.exports = { Router };
