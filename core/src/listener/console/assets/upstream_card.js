/** An upstream as a card, which stays the same element while its upstream changes. */

import { call } from './api.js';
import { bar } from './chart.js';
import { ask, failed } from './dialog.js';
import { fill, h, say } from './dom.js';
import { ago, duration, exact, foreign, plural, state, visible } from './text.js';
import { editUpstream } from './upstream_form.js';

/**
 * @typedef {object} Server
 * @property {string | null} group
 * @property {number | null} since
 * @property {number | null} idle_since
 * @property {number} idle_stop_ms
 * @property {number} starts
 * @property {number | null} start_took_ms
 * @property {number} failures
 * @property {number | null} retry_at
 * @property {string[]} output
 *
 * @typedef {object} Upstream
 * @property {string} name
 * @property {string} state
 * @property {string | null} reason
 * @property {string[]} models
 * @property {number} in_flight
 * @property {number} credits
 * @property {number} max_concurrency
 * @property {string | null} owner
 * @property {string} [url]
 * @property {string} [api]
 * @property {'config' | 'managed' | 'host'} [source]
 * @property {number} [weight]
 * @property {boolean} [has_api_key]
 * @property {number | null} [created_at]
 * @property {{ at: number, error: string | null } | null} [last_probe]
 * @property {Server | null} [server]
 *
 * @typedef {{ element: HTMLElement, show: (upstream: Upstream, mayChange: boolean) => void }} Card
 * @typedef {[string, string | Node | 0 | false | null | undefined]} Fact
 */

/** @type {Record<string, 'good' | 'live' | 'warn' | 'bad' | 'quiet'>} */
const TONES = {
  up: 'good',
  starting: 'live',
  draining: 'warn',
  stopping: 'warn',
  cooling: 'warn',
  set_aside: 'warn',
  down: 'bad',
  failed: 'bad',
};
const SOURCES = {
  config: 'from the configuration, which a reload changes',
  managed: 'added over HTTP, kept in the store',
  host: 'added by the host program',
};
const APIS = { openai: 'OpenAI’s', anthropic: 'Anthropic’s Messages', responses: 'OpenAI’s Responses' };
/** The models of a card; further ones are counted. */
const MODELS = 12;

/**
 * Makes a card.
 * @param {() => void} changed Called after a change.
 * @returns {Card}
 */
export function card(changed) {
  const [title, word] = [h('h2'), h('span')];
  const [about, address] = [h('p', { class: 'small soft' }), h('p', { class: 'small mono soft' })];
  const [reason, load, models] = [
    h('p', { class: 'note' }),
    h('div'),
    h('ul', { class: 'tags', 'aria-label': 'Models' }),
  ];
  const [facts, own] = [h('dl', { class: 'facts small' }), h('dl', { class: 'facts small' })];
  const lines = h('pre', { class: 'text low', tabindex: '0', role: 'group', dir: 'auto' });
  const output = h('details', {}, h('summary', {}, 'Last lines of its output'), lines);
  const server = h('section', { class: 'stack part' }, h('h3', {}, 'Model server'), own, output);
  const trouble = h('div', { class: 'maybe' });
  const edit = h('button', { type: 'button', class: 'plain', onclick: change }, 'Change');
  const drain = h('button', { type: 'button', class: 'plain', onclick: turn });
  const remove = h('button', { type: 'button', class: 'plain danger', onclick: end });
  const buttons = h('div', { class: 'row' }, edit, drain, remove);
  const head = h('div', {}, h('div', { class: 'row apart' }, title, word), about, address);
  const element = h('article', { class: 'card stack' }, head, reason, load, models, facts, server, trouble, buttons);
  /** @type {Upstream} */
  let now;

  const drains = () => now.state === 'draining' || now.state === 'drained';
  const path = () => `api/v1/upstreams/${encodeURIComponent(now.name)}`;

  /** @param {boolean} drained */
  async function set(drained) {
    await call(path(), { method: 'PATCH', body: { drained } });
    fill(trouble);
    changed();
  }

  async function change() {
    if (await editUpstream(now)) changed();
  }

  async function turn() {
    if (drains()) {
      await set(false).catch((error) => fill(trouble, failed(error)));
      return;
    }
    await ask(
      `Drain ${visible(now.name)}?`,
      `It gets no new tasks and finishes those that it has (${now.in_flight} now). You can resume it later.`,
      'Drain it',
      () => set(true),
    );
  }

  async function end() {
    await ask(
      `Remove ${visible(now.name)}?`,
      `It gets no new tasks, finishes those that it has (${now.in_flight} now), and is then gone. The router forgets its address and its key.`,
      'Remove the upstream',
      async () => {
        await call(path(), { method: 'DELETE' });
        changed();
      },
    );
  }

  return {
    element,
    show(upstream, mayChange) {
      now = upstream;
      if (title.textContent !== visible(upstream.name)) fill(title, foreign(upstream.name));
      fill(word, state(upstream.state, TONES[upstream.state]));
      about.hidden = upstream.source === undefined;
      say(about, upstream.source ? SOURCES[upstream.source] : '');
      // A server that the router starts has an address while it runs.
      const place = upstream.server && !/:\d+\//.test(upstream.url ?? '') ? '' : (upstream.url ?? '');
      address.hidden = place === '';
      say(address, visible(place));
      reason.hidden = !upstream.reason || drains();
      reason.dataset.tone = ['bad', 'warn'].includes(TONES[upstream.state] ?? '') ? TONES[upstream.state] : '';
      if (reason.textContent !== visible(upstream.reason ?? '')) fill(reason, foreign(upstream.reason));
      load.hidden = upstream.credits === 0 && upstream.in_flight === 0;
      fill(load, loadOf(upstream));
      fill(models, modelsOf(upstream.models));
      list(facts, factsOf(upstream));
      server.hidden = !upstream.server;
      if (upstream.server) {
        list(own, factsOfServer(upstream.server, upstream.state));
        output.hidden = upstream.server.output.length === 0;
        lines.setAttribute('aria-label', `Output of ${visible(upstream.name)}`);
        say(lines, visible(upstream.server.output.join('\n')));
      }
      buttons.hidden = !mayChange;
      // Whoever sees only one card still knows what a button is about.
      edit.setAttribute('aria-label', `Change ${visible(upstream.name)}`);
      drain.setAttribute('aria-label', `${drains() ? 'Resume' : 'Drain'} ${visible(upstream.name)}`);
      say(drain, drains() ? 'Resume' : 'Drain');
      remove.setAttribute('aria-label', `Remove ${visible(upstream.name)}`);
      say(remove, 'Remove');
    },
  };
}

/**
 * @param {HTMLDListElement} element
 * @param {Fact[]} facts
 */
function list(element, facts) {
  const told = facts.filter(([, value]) => value);
  element.hidden = told.length === 0;
  fill(
    element,
    told.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  );
}

/** @param {Upstream} upstream */
function loadOf({ in_flight, credits, max_concurrency }) {
  const places = Math.max(credits, in_flight);
  const cut = credits < max_concurrency && credits > 0;
  return [
    h(
      'div',
      { class: 'row apart small' },
      h('span', { class: 'soft' }, 'Load'),
      h('span', {}, `${in_flight} of ${credits}${credits < max_concurrency ? ` (${max_concurrency} set)` : ''}`),
    ),
    bar(places ? in_flight / places : 0, `${in_flight} of ${credits} places taken`, cut ? 'warn' : undefined),
  ];
}

/** @param {string[]} models */
function modelsOf(models) {
  if (models.length === 0) return h('li', { class: 'small soft' }, 'any model, or not known yet');
  const more = models.length - MODELS;
  return [
    ...models.slice(0, MODELS).map((model) => h('li', { class: 'tag' }, foreign(model))),
    more > 0 && h('li', { class: 'tag' }, `and ${more} more`),
  ];
}

/**
 * @param {Upstream} upstream
 * @returns {Fact[]}
 */
function factsOf(upstream) {
  const { last_probe: probe } = upstream;
  return [
    [
      'Last probe',
      probe
        ? h('span', {}, ago(probe.at), probe.error === null ? ', good' : h('span', {}, ': ', foreign(probe.error)))
        : probe === null && 'none yet',
    ],
    ['API', upstream.api && foreign(APIS[/** @type {keyof typeof APIS} */ (upstream.api)] ?? upstream.api)],
    ['At a time', plural(upstream.max_concurrency, 'task')],
    ['Weight', upstream.weight !== undefined && upstream.weight !== 1 && exact(upstream.weight)],
    ['Owner', upstream.owner && foreign(upstream.owner)],
    ['Key', upstream.has_api_key && 'it has one, which is never shown'],
    ['Added', upstream.created_at && ago(upstream.created_at)],
  ];
}

/**
 * @param {Server} server
 * @param {string} word The upstream's state.
 * @returns {Fact[]}
 */
function factsOfServer(server, word) {
  const wait = Math.max(0, (server.retry_at ?? 0) * 1_000 - Date.now());
  const rest = server.idle_stop_ms > 0 ? `, is stopped after ${duration(server.idle_stop_ms)}` : '';
  return [
    ['State', server.since ? `${word}, for ${duration(msSince(server.since))}` : 'it was never started'],
    ['Group', server.group && h('span', {}, foreign(server.group), ': one of it runs at a time')],
    ['Idle', server.idle_since && `${duration(msSince(server.idle_since))}${rest}`],
    ['Starts', server.starts > 0 && `${exact(server.starts)}${startWords(server)}`],
    ['Failures', server.failures > 0 && `${exact(server.failures)} in a row`],
    [
      'Next start',
      server.retry_at
        ? wait > 0
          ? `in ${duration(wait)} at the earliest`
          : 'when it is needed'
        : word === 'stopped' && 'with the next task for its models',
    ],
  ];
}

/** @param {number} since Unix seconds */
function msSince(since) {
  return Math.max(0, Date.now() - since * 1_000);
}

/** @param {Server} server */
function startWords({ start_took_ms }) {
  return start_took_ms ? `, the last one took ${duration(start_took_ms)}` : ', and it was never ready';
}
