/** The messages that wait for their webhooks, below the list of tasks. The place is empty while none waits. */

import { call } from './api.js';
import { h } from './dom.js';
import { watchEvery } from './live.js';
import { renewed } from './renewal.js';
import { table } from './table.js';
import { ago, exact, foreign } from './text.js';
import { hostOf, until } from './webhook.js';

/**
 * @typedef {object} Message
 * @property {number | null} session_id
 * @property {number | null} task_id
 * @property {number} gid
 * @property {number} ended_at
 * @property {boolean} sending
 * @property {import('./webhook.js').Delivery} webhook
 * @typedef {{ count: number, webhooks: Message[] }} Page
 */

/** The messages that are listed, and the events between two looks at them. */
const [MOST, LOOK] = [20, 5];

/**
 * Shows them while the view is open. They need the scope `admin`.
 * @param {HTMLElement} root
 * @param {AbortSignal} signal
 * @returns {() => void} Ends it.
 */
export function waitingMessages(root, signal) {
  const place = h('section', { class: 'stack maybe', 'aria-label': 'Webhooks' });
  root.append(place);
  const ask = () => /** @type {Promise<Page>} */ (call(`api/v1/webhooks?limit=${MOST}`, { signal }));
  // The times to the next tries move on by themselves.
  const mark = (/** @type {Page} */ page) => page.count > 0 && [page, Math.floor(Date.now() / 5_000)];
  return watchEvery(LOOK, renewed(place, signal, ask, (page) => page.count > 0 && shown(page), mark));
}

/** @param {Page} page */
function shown({ count, webhooks }) {
  const more = count - webhooks.length;
  return [
    h('h2', {}, 'Messages that wait for their webhooks'),
    table('Messages that wait for their webhooks, the next try first', COLUMNS, webhooks),
    more > 0 && h('p', { class: 'small soft' }, `${exact(more)} more wait behind these.`),
  ];
}

/** @type {import('./table.js').Column<Message>[]} */
const COLUMNS = [
  {
    label: 'Task',
    kind: 'tight',
    cell: ({ session_id: session, task_id: task, gid }) =>
      session === null
        ? `number ${gid}`
        : h('a', { href: `#/tasks/${session}/${task}` }, `${session} / ${task}`),
  },
  { label: 'Ended', kind: 'tight', cell: (message) => ago(message.ended_at) },
  { label: 'Receiver', cell: ({ webhook }) => foreign(hostOf(webhook.url), 'mono short') },
  { label: 'Tries', kind: 'number', cell: ({ webhook }) => exact(webhook.attempts) },
  { label: 'Last answer', kind: 'long', cell: ({ webhook }) => foreign(webhook.last_error, 'clip') },
  {
    label: 'Next try',
    kind: 'tight',
    cell: ({ sending, webhook }) => (sending || webhook.next_at === null ? 'now' : until(webhook.next_at)),
  },
];
