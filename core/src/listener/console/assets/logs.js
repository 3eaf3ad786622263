/** The newest lines of the router's log, and further ones as they are written. */

import { call, events, told } from './api.js';
import { empty, failed, field, select, command } from './dialog.js';
import { fill, h, say } from './dom.js';
import { clock, foreign, moment, plural } from './text.js';

/** @typedef {{ number: number, time_ms: number, level: string, target: string, message: string }} Line */

/** The lines that the page shows at most, and those that it asks for at once. */
const [MOST, FIRST] = [1_000, 300];

/** @type {import('./start.js').View} */
export const logs = {
  name: 'logs',
  title: 'Log',
  about: 'The last lines of the router’s log. The router writes no prompt and no answer into them.',
  needs: 'admin',
  open(root, { signal }) {
    const level = select(
      [
        ['info', 'All'],
        ['warn', 'Warnings and errors'],
        ['error', 'Errors'],
      ],
      'info',
      begin,
    );
    const word = h('input', {
      type: 'search',
      placeholder: 'any text',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: sift,
    });
    const hold = h('button', { type: 'button', 'aria-pressed': 'false', onclick: toggle }, 'Hold');
    const list = h('ol', { class: 'log', 'aria-label': 'Log, newest first' });
    const [note, place] = [h('p', { class: 'small soft', role: 'status' }), h('div', { class: 'stack' })];
    root.append(
      h(
        'div',
        { class: 'stack' },
        h('div', { class: 'filters' }, field('Level', level), field('Text', word), hold),
        note,
        place,
      ),
    );
    /** @type {Line[]} */
    let held = [];
    let holds = false;
    /** @type {AbortController | null} */
    let reader = null;
    signal.addEventListener('abort', () => reader?.abort());

    async function begin() {
      reader?.abort();
      reader = new AbortController();
      await follow(reader.signal);
    }

    /** @param {AbortSignal} stop */
    async function follow(stop) {
      list.replaceChildren();
      try {
        const { recent_lines } = await call('api/v1/logs?limit=1', { signal: stop });
        if (recent_lines === 0) {
          fill(
            place,
            empty(
              'The log is not kept',
              'The router keeps no lines in memory. A setting lets it keep some:',
              command('cortensor-router serve --set log.recent_lines=1000'),
            ),
          );
          return;
        }
        fill(place, list);
        count();
        for await (const event of events(`api/v1/logs?follow=true&limit=${FIRST}&level=${level.value}`, {
          signal: stop,
        })) {
          const line = /** @type {Line} */ (told(event));
          if (holds) held = [...held, line].slice(-MOST);
          else add(line);
          count();
        }
        if (!stop.aborted)
          place.prepend(
            h(
              'p',
              { class: 'note', 'data-tone': 'warn', role: 'status' },
              'The router has ended the stream. Choose a level to begin again.',
            ),
          );
      } catch (error) {
        if (!stop.aborted) fill(place, failed(error));
      }
    }

    /** @param {Line} line */
    function add(line) {
      const at = new Date(line.time_ms);
      const item = h(
        'li',
        { 'data-text': `${line.target} ${line.message}`.toLowerCase() },
        h('time', { datetime: at.toISOString(), title: moment(line.time_ms / 1_000) }, clock(at)),
        h('span', { 'data-level': line.level }, line.level),
        h('span', {}, foreign(line.message), h('span', { class: 'target' }, line.target)),
      );
      item.hidden = !matches(item);
      list.prepend(item);
      if (list.childElementCount > MOST) list.lastElementChild?.remove();
    }

    /** @param {HTMLElement} item */
    function matches(item) {
      return (item.dataset.text ?? '').includes(word.value.trim().toLowerCase());
    }

    function sift() {
      for (const item of list.children) if (item instanceof HTMLElement) item.hidden = !matches(item);
      count();
    }

    function count() {
      const shown = [...list.children].filter((item) => item instanceof HTMLElement && !item.hidden).length;
      say(
        note,
        holds && held.length > 0
          ? `${plural(shown, 'line')}, and ${held.length} more since you hold it`
          : shown > 0
            ? `${plural(shown, 'line')}, newest first`
            : 'No line is like that yet. Further ones appear here by themselves.',
      );
    }

    function toggle() {
      holds = !holds;
      hold.setAttribute('aria-pressed', String(holds));
      if (!holds) {
        held.forEach(add);
        held = [];
      }
      count();
    }

    begin();
  },
};
