/** The miners: state, load, models, speed, and why one is down. */

import { call } from './api.js';
import { bar } from './chart.js';
import { command, empty } from './dialog.js';
import { h } from './dom.js';
import { watchEvery } from './live.js';
import { renewed } from './renewal.js';
import { ago, count, duration, exact, foreign, plural, rate, state } from './text.js';

/** @typedef {import('records').MinerInfo} MinerInfo */

/** @type {Record<MinerInfo['status'], 'good' | 'live' | 'warn' | 'bad' | 'quiet'>} */
const TONES = {
  idle: 'good',
  busy: 'live',
  draining: 'warn',
  cooling: 'warn',
  set_aside: 'warn',
  down: 'bad',
  stopped: 'quiet',
  starting: 'live',
  stopping: 'warn',
  failed: 'bad',
};
const KINDS = { local: 'in this process', upstream: 'an upstream', remote: 'dialled in' };
/** The models of a card; further ones are counted. */
const MODELS = 12;

/** @type {import('./start.js').View} */
export const miners = {
  name: 'miners',
  title: 'Miners',
  about: 'Whatever answers prompts: model servers, workers that dial in, functions of the host program.',
  needs: 'read',
  open(root, { signal }) {
    const list = h('div', { class: 'stack' });
    root.append(list);
    const ask = async () => /** @type {MinerInfo[]} */ ((await call('api/v1/miners', { signal })).miners);
    return watchEvery(2, renewed(list, signal, ask, shown));
  },
};

/** @param {MinerInfo[]} found */
function shown(found) {
  if (found.length === 0) {
    return empty(
      'No miner is here',
      'Tasks are refused until one joins. Start the router in front of a model server:',
      command('cortensor-router serve --upstream http://127.0.0.1:8080/v1'),
      'Or let a worker dial in from another machine:',
      command('cortensor-router miner --help'),
    );
  }
  const order = Object.keys(TONES).reverse();
  const sorted = found.toSorted(
    (one, other) => order.indexOf(one.status) - order.indexOf(other.status) || one.id.localeCompare(other.id),
  );
  return [
    h(
      'p',
      { class: 'soft' },
      `${plural(found.length, 'miner')}, ${found.filter((miner) => miner.active).length} of them get work.`,
    ),
    h('div', { class: 'grid' }, sorted.map(card)),
  ];
}

/** @param {MinerInfo} miner */
function card(miner) {
  const places = Math.max(miner.credits, miner.in_flight);
  const facts = /** @type {[string, string | Node][]} */ ([
    ['Speed', miner.tokens_per_second > 0 ? `${rate(miner.tokens_per_second)} tokens/s` : 'not measured yet'],
    ['First token', miner.first_token_ms > 0 ? duration(miner.first_token_ms) : 'not measured yet'],
    ['Finished', exact(miner.completed)],
    ['Failed', `${exact(miner.failed)}${miner.error_rate > 0 ? ` (${rate(miner.error_rate * 100)} %)` : ''}`],
    ['Breaker', miner.breaker.replace('_', ' ')],
    ...(miner.reputation < 1 ? [['Agreement', `${rate(miner.reputation * 100)} %`]] : []),
    ...(miner.max_context_tokens > 0 ? [['Context', `${count(miner.max_context_tokens)} tokens`]] : []),
    ...(miner.reserved_for === null ? [] : [['Kept for', `session ${miner.reserved_for}`]]),
    ...(miner.owner ? [['Owner', foreign(miner.owner)]] : []),
    ...(miner.agent ? [['Software', foreign(miner.agent)]] : []),
    ['Seen', miner.last_seen > 0 ? ago(miner.last_seen) : 'never'],
  ]);
  const more = miner.models.length - MODELS;
  return h(
    'article',
    { class: 'card stack' },
    h(
      'div',
      {},
      h('div', { class: 'row apart' }, h('h2', {}, foreign(miner.id)), state(miner.status, TONES[miner.status])),
      h('p', { class: 'small soft' }, `${KINDS[miner.kind] ?? miner.kind}, ${miner.node_type}`),
    ),
    miner.reason &&
      h('p', { class: 'note', 'data-tone': miner.status === 'down' ? 'bad' : 'warn' }, foreign(miner.reason)),
    h(
      'div',
      {},
      h(
        'div',
        { class: 'row apart small' },
        h('span', { class: 'soft' }, 'Load'),
        h(
          'span',
          {},
          `${miner.in_flight} of ${miner.credits}${miner.credits < miner.capacity ? ` (${miner.capacity} at full strength)` : ''}`,
        ),
      ),
      bar(
        places ? miner.in_flight / places : 0,
        `${miner.in_flight} of ${miner.credits} places taken`,
        miner.credits < miner.capacity ? 'warn' : undefined,
      ),
    ),
    h(
      'ul',
      { class: 'tags', 'aria-label': 'Models' },
      miner.models.length > 0
        ? [
            ...miner.models.slice(0, MODELS).map((model) => h('li', { class: 'tag' }, foreign(model))),
            more > 0 && h('li', { class: 'tag' }, `and ${more} more`),
          ]
        : h('li', { class: 'small soft' }, 'any model'),
    ),
    h(
      'dl',
      { class: 'facts small' },
      facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
    ),
  );
}
