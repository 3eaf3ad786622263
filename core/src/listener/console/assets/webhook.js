/** The delivery of a task's end to its webhook. */

import { fill, h } from './dom.js';
import { duration, exact, foreign, moment, state } from './text.js';

/**
 * @typedef {object} Delivery
 * @property {string} url
 * @property {'waiting' | 'pending' | 'delivered' | 'failed'} state
 * @property {number} attempts
 * @property {number | null} last_status
 * @property {string | null} last_error
 * @property {number | null} next_at
 */

/** @type {Record<Delivery['state'], [string, 'good' | 'live' | 'warn' | 'bad' | 'quiet']>} */
const STATES = {
  waiting: ['waits for the end', 'quiet'],
  pending: ['being sent', 'live'],
  delivered: ['delivered', 'good'],
  failed: ['given up', 'bad'],
};

/** Makes a place for a delivery. It is empty and hidden until there is one. */
export function webhook() {
  const [word, facts] = [h('span'), h('dl', { class: 'facts' })];
  const head = h('div', { class: 'row apart' }, h('h2', { id: 'task-webhook' }, 'Webhook'), word);
  const element = h('section', { class: 'card stack', 'aria-labelledby': 'task-webhook', hidden: true });
  return {
    element,
    /** @param {Delivery | null | undefined} delivery */
    show(delivery) {
      element.hidden = !delivery;
      if (!delivery) return;
      if (!element.hasChildNodes()) element.append(head, facts);
      const fails = delivery.state === 'pending' && delivery.last_error !== null;
      const [name, tone] = fails ? ['is sent again', 'warn'] : STATES[delivery.state];
      fill(word, state(name, /** @type {'good' | 'live' | 'warn' | 'bad' | 'quiet'} */ (tone)));
      const rows = /** @type {[string, string | Node | false | null][]} */ ([
        // The path may be a secret of the receiver, so that the page shows the host alone.
        ['Receiver', foreign(hostOf(delivery.url))],
        ['Tries', delivery.state !== 'waiting' && exact(delivery.attempts)],
        ['Last answer', delivery.attempts > 0 && (delivery.last_error ? foreign(delivery.last_error) : status(delivery))],
        ['Next try', nextOf(delivery)],
      ]);
      fill(
        facts,
        rows.filter(([, value]) => value).flatMap(([label, value]) => [h('dt', {}, label), h('dd', {}, value)]),
      );
    },
  };
}

/**
 * The host of a receiver. The path may be a secret of it.
 * @param {string} url
 */
export function hostOf(url) {
  return URL.canParse(url) ? new URL(url).host : url;
}

/** @param {Delivery} delivery */
function status({ last_status }) {
  return last_status === null ? 'none' : `status ${last_status}`;
}

/** @param {Delivery} delivery */
function nextOf({ state: now, next_at }) {
  if (now === 'waiting') return 'when the task ends';
  if (now === 'failed') return 'none: the router has given up';
  return next_at === null ? '' : until(next_at);
}

/**
 * How long it is to a moment, which stands in the element's title.
 * @param {number} next_at Unix seconds
 */
export function until(next_at) {
  const wait = next_at * 1_000 - Date.now();
  return wait > 0 ? h('span', { title: moment(next_at) }, `in ${duration(wait)}`) : 'now';
}
