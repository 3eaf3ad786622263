/** Tables, which the style sheet turns into cards on a phone, and the buttons that turn their pages. */

import { h } from './dom.js';

/**
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: T) => (import('./dom.js').Child | import('./dom.js').Child[])} cell
 * @property {string} [kind] Classes of the cells: `number`, `tight`, `long`.
 */

/**
 * @template T
 * @param {string} caption
 * @param {Column<T>[]} columns
 * @param {T[]} rows
 */
export function table(caption, columns, rows) {
  const head = columns.map(({ label, kind }) =>
    h(
      'th',
      { scope: 'col', class: kind === 'number' ? kind : undefined },
      label || h('span', { class: 'visually-hidden' }, 'Actions'),
    ),
  );
  const body = rows.map((row) =>
    h(
      'tr',
      {},
      columns.map(({ label, kind, cell }) => h('td', { class: kind, 'data-label': label }, h('div', {}, cell(row)))),
    ),
  );
  return h(
    'div',
    { class: 'table' },
    h(
      'table',
      {},
      h('caption', { class: 'visually-hidden' }, caption),
      h('thead', {}, h('tr', {}, head)),
      h('tbody', {}, body),
    ),
  );
}

/**
 * The buttons to the page before and the page behind, and words beside them.
 * @param {{ offset: number, size: number, all: number }} place The rows before this page, of a page, and altogether.
 * @param {[string, string]} names
 * @param {string} words
 * @param {(by: number) => void} step Goes on by so many rows, or back.
 */
export function pager({ offset, size, all }, [before, behind], words, step) {
  return [
    h('button', { type: 'button', class: 'plain', disabled: offset === 0, onclick: () => step(-size) }, before),
    h('button', { type: 'button', class: 'plain', disabled: offset + size >= all, onclick: () => step(size) }, behind),
    h('span', { class: 'small soft' }, words),
  ];
}
