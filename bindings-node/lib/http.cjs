'use strict';

const { ask, native } = require('./bridge.cjs');
const { onAbort } = require('./signal.cjs');

/** Statuses whose responses have no body (Fetch, "null body status"). */
const BODILESS = new Set([101, 103, 204, 205, 304]);

/** Answers requests that the program's own server has read, as the listener would. */
class Handler {
  #start;
  #hold;
  #native;
  #routes;

  constructor(start, hold) {
    this.#start = start;
    this.#hold = hold;
  }

  #ready() {
    this.#native ??= ask(this.#hold, this.#start).catch((error) => {
      this.#native = undefined;
      throw error;
    });
    return this.#native;
  }

  /** Sends a request. Gives the response, and a function that hangs up before it is there. */
  #handle(handler, { method, target, headers, peer, body }) {
    let request;
    const response = ask(this.#hold, (call) => {
      request = handler.handle(call, method, target, headers, peer, body);
    });
    return { response, hangUp: () => request?.cancel() };
  }

  /** Answers a `Request` with a `Response`. */
  async fetch(input, { peer, basePath = '' } = {}) {
    const request = input instanceof Request ? input : new Request(input);
    const { signal } = request;
    signal.throwIfAborted();
    const handler = await this.#ready();
    const url = new URL(request.url);
    const body = await limited(request.body ?? [], handler.maxBodyBytes);
    signal.throwIfAborted();
    const { response, hangUp } = this.#handle(handler, {
      method: request.method,
      target: below(basePath, url.pathname) + url.search,
      headers: [...request.headers].flat(),
      peer,
      body,
    });
    const leave = onAbort(signal, hangUp);
    try {
      return respond(await response, this.#hold, signal);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      leave();
    }
  }

  /** A function for Node's `http`, Express, Connect and the like. */
  middleware({ basePath = '' } = {}) {
    return (request, response, next) => {
      this.#answer(request, response, next, basePath).catch((error) => {
        if (response.headersSent) response.destroy(error);
        else if (next) next(error);
        else fail(response, error);
      });
    };
  }

  async #answer(request, response, next, basePath) {
    const handler = await this.#ready();
    const target = below(basePath, request.url);
    if (next && !this.#serves(target)) {
      next();
      return;
    }
    // The address is no longer known once the client has hung up.
    const peer = request.socket?.remoteAddress;
    const body = await bodyOf(request, handler.maxBodyBytes);
    const { response: answer, hangUp } = this.#handle(handler, {
      method: request.method,
      target,
      headers: request.rawHeaders,
      peer,
      body,
    });
    response.once('close', hangUp);
    let head;
    try {
      head = await answer;
    } catch (error) {
      if (response.destroyed) return;
      throw error;
    } finally {
      response.off('close', hangUp);
    }
    await send(head, response, this.#hold);
  }

  /** Whether the router has a route for that path. Other paths belong to the program's own routes. */
  #serves(target) {
    // The page at the root is the program's own, and the files of the console serve that page alone.
    this.#routes ??= native.paths().filter((path) => path !== '/' && !path.startsWith('/console/')).map((path) => {
      const pattern = path.replace(/[.]/g, '\\.').replace(/\{[^}]*\}/g, '[^/]+');
      return new RegExp(`^${pattern}/?$`);
    });
    const path = target.split('?', 1)[0];
    return this.#routes.some((route) => route.test(path));
  }
}

/** The path below the one where the API is mounted. */
function below(base, path) {
  if (!base) return path;
  const rest = path.startsWith(base) ? path.slice(base.length) : path;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Reads a body, up to a little more than the router accepts, so that the router itself refuses a larger one. */
async function limited(pieces, most) {
  const kept = [];
  let size = 0;
  for await (const piece of pieces) {
    kept.push(piece);
    size += piece.length;
    if (size > most) break;
  }
  return Buffer.concat(kept);
}

/** The body of Node's request, even if an earlier middleware has read it. */
async function bodyOf(request, most) {
  const { body } = request;
  // Node discards the rest of a body that is too large: the stream must not be destroyed with the connection.
  const unread = () => limited(request.iterator({ destroyOnReturn: false }), most);
  if (body === undefined || body === null) return unread();
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body);
  if (typeof body === 'object' && request.complete) return Buffer.from(JSON.stringify(body));
  return unread();
}

function respond(answer, hold, signal) {
  const headers = new Headers();
  const lines = answer.headers;
  for (let at = 0; at < lines.length; at += 2) headers.append(lines[at], lines[at + 1]);
  const { status } = answer;
  if (BODILESS.has(status)) {
    answer.release();
    return new Response(null, { status, headers });
  }
  let leave;
  const body = new ReadableStream({
    start(controller) {
      leave = onAbort(signal, () => {
        answer.release();
        controller.error(signal.reason);
      });
    },
    async pull(controller) {
      const piece = await ask(hold, (call) => answer.nextPiece(call));
      if (signal.aborted) return;
      if (piece) {
        controller.enqueue(new Uint8Array(piece));
        return;
      }
      leave();
      controller.close();
      answer.release();
    },
    cancel() {
      leave();
      answer.release();
    },
  });
  return new Response(body, { status, headers });
}

/** Writes a response; a client that hangs up ends it. */
async function send(answer, response, hold) {
  response.statusCode = answer.status;
  const lines = answer.headers;
  for (let at = 0; at < lines.length; at += 2) response.appendHeader(lines[at], lines[at + 1]);
  const hangUp = () => answer.release();
  response.once('close', hangUp);
  response.flushHeaders();
  try {
    while (!response.destroyed) {
      const piece = await ask(hold, (call) => answer.nextPiece(call));
      if (!piece) break;
      if (!response.write(piece)) await writable(response);
    }
  } catch (error) {
    if (!response.destroyed) throw error;
  } finally {
    response.off('close', hangUp);
    answer.release();
  }
  response.end();
}

function writable(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}

/** Answers with an error if the server has no error handling of its own. */
function fail(response, error) {
  response.statusCode = error.kind === 'closed' ? 503 : 500;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ error: error.message, message: error.message, code: error.code ?? 'internal' }));
}

module.exports = { Handler };
