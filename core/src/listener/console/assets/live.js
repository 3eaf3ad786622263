/** The router's state, live: one stream of events for all views, and the samples that the curves show. */

import { ApiError, events, told } from './api.js';

/** The number of samples that are kept: five minutes of them. */
const MOST = 300;
/** The samples over which a rate or a time is measured, so that a curve is calm. */
const WINDOW = 5;

/**
 * @typedef {import('records').NodeStatus} NodeStatus
 * @typedef {{ within_ms: number | null, count: number }} FirstTokens
 * @typedef {object} Totals
 * @property {number} submitted
 * @property {number} retries
 * @property {number} ok
 * @property {number} disputed
 * @property {number} failed
 * @property {number} cancelled
 * @property {number} expired
 * @property {number} prompt_tokens
 * @property {number} answer_tokens
 * @property {FirstTokens[]} first_tokens
 * @typedef {{ time_ms: number, status: NodeStatus, totals: Totals }} StatusEvent
 *
 * @typedef {object} Sample
 * @property {number} time
 * @property {number} queued
 * @property {number} running
 * @property {number | null} tasks Tasks that ended, in a second; `null`: one event tells no rate.
 * @property {number | null} tokens Tokens of answers, in a second.
 * @property {number | null} median Milliseconds to the first token; `null`: no task ended.
 * @property {number | null} slow The time within which 95 of 100 first tokens came.
 */

/** @type {Sample[]} */
let samples = [];
/** @type {StatusEvent[]} */
let recent = [];
/** @type {'beginning' | 'live' | 'away' | 'refused'} */
let state = 'beginning';
/** @type {AbortController | null} */
let running = null;
/** @type {Set<() => void>} */
const readers = new Set();

/** @param {Totals} totals */
function ended({ ok, disputed, failed, cancelled, expired }) {
  return ok + disputed + failed + cancelled + expired;
}

/**
 * The time within which a share of the tasks between two counts had their first token, read between the bounds of the
 * buckets; `null` if there was none.
 * @param {FirstTokens[]} before
 * @param {FirstTokens[]} after
 * @param {number} share
 */
export function quantile(before, after, share) {
  const counts = after.map(({ within_ms, count }, at) => ({
    within: within_ms,
    count: count - (before[at]?.count ?? 0),
  }));
  const all = counts.at(-1)?.count ?? 0;
  if (all <= 0) return null;
  let [least, below] = [0, 0];
  for (const { within, count } of counts) {
    if (within === null) break;
    if (count >= all * share) return least + ((within - least) * (all * share - below)) / Math.max(1, count - below);
    [least, below] = [within, count];
  }
  return least;
}

/** @param {StatusEvent} event */
function take(event) {
  const first = recent[0];
  // A router that was started anew counts from zero.
  if (first && ended(event.totals) < ended(first.totals)) recent = [];
  recent.push(event);
  if (recent.length > WINDOW + 1) recent.shift();
  const before = recent[0];
  const secs = Math.max(0.001, (event.time_ms - before.time_ms) / 1_000);
  const rate = (/** @type {(totals: Totals) => number} */ of) =>
    recent.length > 1 ? (of(event.totals) - of(before.totals)) / secs : null;
  const time = (/** @type {number} */ share) => quantile(before.totals.first_tokens, event.totals.first_tokens, share);
  samples.push({
    time: event.time_ms,
    queued: event.status.queued_tasks,
    running: event.status.running_tasks,
    tasks: rate(ended),
    tokens: rate((totals) => totals.answer_tokens),
    median: recent.length > 1 ? time(0.5) : null,
    slow: recent.length > 1 ? time(0.95) : null,
  });
  if (samples.length > MOST) samples.shift();
}

function tell() {
  for (const reader of readers) reader();
}

/** @param {AbortSignal} signal */
async function follow(signal) {
  let wait = 1_000;
  while (!signal.aborted) {
    try {
      for await (const event of events('api/v1/events', { signal })) {
        take(told(event));
        state = 'live';
        wait = 1_000;
        tell();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        state = 'refused';
        tell();
        return;
      }
    }
    if (signal.aborted) return;
    state = 'away';
    tell();
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 1.7, 10_000);
  }
}

/**
 * The milliseconds after which a page that nobody sees stops to follow: a browser opens six connections to a router, and
 * pages in the background must not hold them.
 */
const PATIENCE = 60_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hidden;

function look() {
  clearTimeout(hidden);
  if (document.visibilityState === 'hidden') hidden = setTimeout(() => running?.abort(), PATIENCE);
  else if (running?.signal.aborted) begin();
}

function begin() {
  running = new AbortController();
  follow(running.signal);
}

/** Begins to follow the router. */
export function startLive() {
  stopLive();
  document.addEventListener('visibilitychange', look);
  begin();
}

/** Ends it, and forgets all samples. */
export function stopLive() {
  document.removeEventListener('visibilitychange', look);
  clearTimeout(hidden);
  running?.abort();
  running = null;
  samples = [];
  recent = [];
  state = 'beginning';
}

/** Gives all that is known now. */
export function now() {
  return { state, samples, event: recent.at(-1) ?? null };
}

/**
 * Calls a function now and at every event, until the function that it gives is called.
 * @param {() => void} reader
 */
export function watch(reader) {
  readers.add(reader);
  reader();
  return () => {
    readers.delete(reader);
  };
}

/**
 * Calls a function now and at every n-th event, until the function that it gives is called.
 * @param {number} every
 * @param {() => void} reader
 */
export function watchEvery(every, reader) {
  let events = 0;
  return watch(() => {
    if (events % every === 0) reader();
    events += 1;
  });
}

/** The events between two looks at lists, at least while tasks move and at most while none does. */
const [LEAST_PAUSE, MOST_PAUSE] = [3, 10];

/**
 * Calls a function now, soon after tasks have come or ended, and now and then while none does.
 * @param {() => void} reader
 */
export function whenTasksMove(reader) {
  let known = '';
  let since = MOST_PAUSE;
  return watch(() => {
    const { event } = now();
    const mark = event ? `${event.totals.submitted} ${ended(event.totals)} ${event.status.running_tasks}` : '';
    since += 1;
    if (since < (mark === known ? MOST_PAUSE : LEAST_PAUSE)) return;
    [known, since] = [mark, 0];
    reader();
  });
}
