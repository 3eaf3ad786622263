/** The usage: by day, model, key, session or miner, as a table with bars. */

import { call } from './api.js';
import { bar } from './chart.js';
import { empty, failed, field, select } from './dialog.js';
import { fill, h } from './dom.js';
import { table } from './table.js';
import { count, exact, foreign } from './text.js';

/**
 * @typedef {import('records').UsagePart} Part
 * @typedef {import('records').UsageReport} Report
 */

const PARTS = /** @type {[string, string][]} */ ([
  ['day', 'Day'],
  ['model', 'Model'],
  ['key', 'Key'],
  ['session', 'Session'],
  ['miner', 'Miner'],
]);

/** @type {import('./start.js').View} */
export const usage = {
  name: 'usage',
  title: 'Usage',
  about: 'Requests and tokens, counted on the day in UTC on which a task ends.',
  needs: 'read',
  open(root, { caller, signal }) {
    const list = h('div', { class: 'stack' });
    const by = select(PARTS, 'day', look);
    const today = new Date().toISOString().slice(0, 10);
    const from = h('input', { type: 'date', value: `${today.slice(0, 8)}01`, max: today, onchange: look });
    const to = h('input', { type: 'date', value: today, max: today, onchange: look });
    root.append(
      h(
        'div',
        { class: 'stack' },
        h('div', { class: 'filters' }, field('By', by), field('From', from), field('To', to)),
        list,
      ),
    );
    /** @type {Map<string, string>} */
    const names = new Map();

    async function look() {
      try {
        const report = /** @type {Report} */ (
          await call(`api/v1/usage?by=${by.value}&from=${from.value}&to=${to.value}&limit=366`, { signal })
        );
        if (by.value === 'miner')
          for (const miner of (await call('api/v1/miners', { signal })).miners) names.set(miner.address, miner.id);
        if (by.value === 'key' && caller.may('admin'))
          for (const key of (await call('api/v1/keys', { signal })).keys) names.set(key.id, key.name);
        show(report);
      } catch (error) {
        if (!signal.aborted) fill(list, failed(error));
      }
    }

    /** @param {Report} report */
    function show({ usage: parts, currency }) {
      if (parts.length === 0) {
        fill(
          list,
          empty(
            'Nothing was used in these days',
            'Usage appears here when the first task ends. Prices per token, if there are any, come from the configuration (prices).',
          ),
        );
        return;
      }
      const sum = (/** @type {(part: Part) => number} */ of) => parts.reduce((all, part) => all + of(part), 0);
      const most = Math.max(1, ...parts.map((part) => part.total_tokens));
      const word = PARTS.find(([value]) => value === by.value)?.[1] ?? '';
      const columns = /** @type {import('./table.js').Column<Part>[]} */ ([
        {
          label: word,
          kind: by.value === 'day' ? 'tight' : 'long',
          cell: (part) =>
            part.name ? foreign(names.get(part.name) || part.name) : h('span', { class: 'soft' }, 'none'),
        },
        { label: 'Requests', kind: 'number', cell: (part) => exact(part.requests) },
        { label: 'Not answered', kind: 'number', cell: (part) => exact(part.failed + part.expired + part.cancelled) },
        { label: 'Tokens read', kind: 'number', cell: (part) => exact(part.prompt_tokens) },
        { label: 'Tokens written', kind: 'number', cell: (part) => exact(part.completion_tokens) },
        ...(currency
          ? [{ label: `Cost (${currency})`, kind: 'number', cell: (/** @type {Part} */ part) => part.cost ?? '' }]
          : []),
        {
          label: 'Tokens',
          kind: 'wide',
          cell: (part) => bar(part.total_tokens / most, `${exact(part.total_tokens)} tokens`),
        },
      ]);
      fill(
        list,
        h(
          'dl',
          { class: 'card figures' },
          [
            ['Requests', sum((part) => part.requests)],
            ['Tokens read', sum((part) => part.prompt_tokens)],
            ['Tokens written', sum((part) => part.completion_tokens)],
          ].map(([label, value]) => h('div', {}, h('dt', {}, label), h('dd', {}, count(Number(value))))),
        ),
        table(`Usage by ${by.value}`, columns, parts),
      );
    }

    look();
  },
};
