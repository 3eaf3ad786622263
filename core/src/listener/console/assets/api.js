/** Calls the router. The token lives in this module alone: no storage of the browser and no address ever has it. */

/** The address under which the router answers, also where a program serves it below a path. */
const ROOT = new URL('../../', import.meta.url);

/** @type {string | null} */
let token = null;
/** @type {(error: ApiError) => void} */
let refused = () => {};

/** An answer that is no success, with the router's own words. */
export class ApiError extends Error {
  /**
   * @param {number} status The status of the answer; 0: there was none.
   * @param {string} code
   * @param {string} message
   * @param {string} [param] The field at fault.
   */
  constructor(status, code, message, param = '') {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/**
 * Sets the token that every call sends; `null`: none is sent.
 * @param {string | null} next
 */
export function useToken(next) {
  token = next;
}

/**
 * Sets the function that hears of a token that is refused.
 * @param {(error: ApiError) => void} listener
 */
export function onRefusal(listener) {
  refused = listener;
}

/** The address of the router for other clients. */
export function origin() {
  return ROOT.href.replace(/\/$/, '');
}

/**
 * @typedef {{ method?: string, body?: unknown, signal?: AbortSignal, quiet?: boolean }} Asked
 */

/**
 * @param {string} path
 * @param {Asked} asked
 * @returns {Promise<Response>}
 */
async function send(path, { method = 'GET', body, signal, quiet = false }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token !== null) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(new URL(path, ROOT), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'unreachable', 'The router does not answer. It may be stopped, or the network is away.');
  }
  if (response.ok) return response;
  const error = await failure(response);
  if (response.status === 401 && !quiet) refused(error);
  throw error;
}

/**
 * @param {Response} response
 */
async function failure(response) {
  const text = await response.text().catch(() => '');
  try {
    return failureOf(JSON.parse(text), response.status);
  } catch {
    return new ApiError(
      response.status,
      String(response.status),
      text.slice(0, 500) || `HTTP status ${response.status}`,
    );
  }
}

/**
 * The error in a body: `/api` has its text in `error`, `/v1` in `error.message`.
 * @param {any} said
 * @param {number} status
 */
function failureOf(said, status) {
  const error =
    typeof said.error === 'object' ? said.error : { message: said.error, code: said.code, param: said.param };
  const words = String(error.message ?? `HTTP status ${status}`);
  return new ApiError(status, String(error.code ?? status), words, String(error.param ?? ''));
}

/**
 * Calls a route and gives its answer as JSON.
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<any>}
 */
export async function call(path, asked = {}) {
  return (await send(path, asked)).json();
}

/**
 * @typedef {{ name: string, data: string }} StreamedEvent
 */

/**
 * Calls a route whose answer is a stream of events. `EventSource` cannot do this: it sends no `Authorization`.
 * @param {string} path
 * @param {Asked & { begun?: (headers: Headers) => void }} asked
 * @returns {AsyncGenerator<StreamedEvent, void, void>}
 */
export async function* events(path, asked) {
  const response = await send(path, asked);
  asked.begun?.(response.headers);
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = eventOf(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * The event of a block of lines; `null` for a comment.
 * @param {string} block
 * @returns {StreamedEvent | null}
 */
function eventOf(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else if (line.startsWith('event:')) name = line.slice(6).trim();
  }
  return data.length > 0 ? { name, data: data.join('\n') } : null;
}

/**
 * The JSON of an event; throws the error that it tells of.
 * @param {StreamedEvent} event
 * @returns {any}
 */
export function told(event) {
  const said = JSON.parse(event.data);
  if (said && typeof said === 'object' && said.error) throw failureOf(said, 0);
  return said;
}
