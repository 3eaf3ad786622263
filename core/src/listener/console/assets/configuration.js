/** The configuration: reads it again, and shows what earlier readings have changed. */

import { call } from './api.js';
import { failed } from './dialog.js';
import { fill, h } from './dom.js';
import { watchEvery } from './live.js';
import { renewed } from './renewal.js';
import { table } from './table.js';
import { ago, foreign } from './text.js';

/**
 * @typedef {object} Changes
 * @property {string[]} changed
 * @property {string[]} needs_restart
 * @property {{ added: string[], changed: string[], removed: string[] }} upstreams
 * @typedef {Changes & { unchanged: boolean }} Reloaded
 * @typedef {{ number: number, at: number, key_id: string, detail: Partial<Changes> }} Entry
 */

/** The readings that are listed, and the events between two looks at them. */
const [MOST, LOOK] = [20, 10];

/** @type {import('./start.js').View} */
export const configuration = {
  name: 'configuration',
  title: 'Configuration',
  about: 'The file, the environment and the flags that the router was started with.',
  needs: 'admin',
  open(root, { signal }) {
    const button = h('button', { type: 'button', class: 'primary', onclick: reload }, 'Read it again');
    const outcome = h('div', { class: 'stack maybe', role: 'status' });
    const past = h('div', { class: 'stack maybe' });
    root.append(
      h(
        'div',
        { class: 'stack' },
        h(
          'section',
          { class: 'card stack', 'aria-labelledby': 'reload' },
          h(
            'div',
            {},
            h('h2', { id: 'reload' }, 'Reload'),
            h(
              'p',
              { class: 'soft' },
              'The router reads everything as it did at its start, and works with what it says now. Connections and tasks go on. If anything is wrong, nothing changes.',
            ),
          ),
          h('div', { class: 'row' }, button),
          outcome,
        ),
        past,
      ),
    );
    const look = renewed(
      past,
      signal,
      () => call(`api/v1/audit?act=config_reloaded&limit=${MOST}`, { signal }),
      ({ audit }) => audit.length > 0 && [h('h2', {}, 'Readings so far'), earlier(audit.toReversed())],
      ({ audit }) => [audit, Math.floor(Date.now() / 10_000)],
    );

    async function reload() {
      button.disabled = true;
      fill(outcome, h('p', { class: 'soft' }, 'The router reads it.'));
      try {
        const done = /** @type {Reloaded} */ (await call('api/v1/reload', { method: 'POST', signal }));
        fill(outcome, done.unchanged ? h('p', { class: 'note' }, 'Nothing has changed.') : differences(done));
        look();
      } catch (error) {
        if (!signal.aborted)
          fill(outcome, failed(error), h('p', {}, 'The old configuration stays in force.'));
      }
      button.disabled = false;
      button.focus();
    }

    return watchEvery(LOOK, look);
  },
};

/**
 * @param {string[]} names
 * @param {string} [label]
 */
function tags(names, label) {
  return h(
    'ul',
    { class: 'tags', 'aria-label': label },
    names.map((name) => h('li', { class: 'tag' }, foreign(name))),
  );
}

/**
 * The parts of the changes that there are.
 * @param {Partial<Changes>} changes
 * @returns {[string, string[]][]}
 */
function parts({ changed = [], needs_restart = [], upstreams }) {
  const { added = [], changed: others = [], removed = [] } = upstreams ?? {};
  const all = /** @type {[string, string[]][]} */ ([
    ['In force now', changed],
    ['Needs a restart', needs_restart],
    ['Upstreams added', added],
    ['Upstreams changed', others],
    ['Upstreams removed', removed],
  ]);
  return all.filter(([, names]) => names.length > 0);
}

/** @param {Reloaded} done */
function differences(done) {
  return [
    done.needs_restart.length > 0
      ? h(
          'p',
          { class: 'note', 'data-tone': 'warn' },
          'The new configuration is in force, but for keys that a running router cannot change: their old values stay until it is started anew.',
        )
      : h('p', { class: 'note', 'data-tone': 'good' }, 'The new configuration is in force.'),
    h(
      'dl',
      { class: 'facts' },
      parts(done).flatMap(([label, names]) => [h('dt', {}, label), h('dd', {}, tags(names))]),
    ),
  ];
}

/** @param {Entry[]} entries */
function earlier(entries) {
  const columns = /** @type {import('./table.js').Column<Entry>[]} */ ([
    { label: 'When', kind: 'tight', cell: (entry) => ago(entry.at / 1_000) },
    { label: 'By', kind: 'tight', cell: (entry) => foreign(entry.key_id) },
    {
      label: 'Changes',
      kind: 'long',
      cell: (entry) => {
        const told = parts(entry.detail);
        if (told.length === 0) return h('span', { class: 'soft' }, 'nothing');
        return h(
          'dl',
          { class: 'facts small' },
          told.flatMap(([label, names]) => [h('dt', {}, label), h('dd', {}, tags(names))]),
        );
      },
    },
  ]);
  return table('Readings of the configuration, newest first', columns, entries);
}
