/** The upstreams: their states, and how they are added, drained, resumed and removed. */

import { call } from './api.js';
import { command, empty, failed } from './dialog.js';
import { fill, h, say } from './dom.js';
import { watchEvery } from './live.js';
import { plural } from './text.js';
import { card } from './upstream_card.js';
import { addUpstream } from './upstream_form.js';

/**
 * @typedef {import('./upstream_card.js').Upstream} Upstream
 * @typedef {import('./upstream_card.js').Card} Card
 * @typedef {import('records').MinerInfo} MinerInfo
 */

/** The words before a list that shows less than there is to see. */
const LESS = 'Addresses and probes of upstreams, and changes of them, need the scope admin, which your token lacks.';

/** @type {import('./start.js').View} */
export const upstreams = {
  name: 'upstreams',
  title: 'Upstreams',
  about: 'Model servers that the router calls, and those that it starts itself.',
  needs: 'read',
  open(root, { caller, signal }) {
    const sees = caller.may('admin');
    const count = h('p', { class: 'soft' });
    const add = h('button', { type: 'button', class: 'primary', hidden: true, onclick: make }, 'Add an upstream');
    const note = h('p', { class: 'note', hidden: sees }, sees ? '' : LESS);
    const [trouble, none] = [h('div', { class: 'maybe' }), h('div', { class: 'maybe' })];
    const grid = h('div', { class: 'grid wide' });
    root.append(
      h('div', { class: 'stack' }, h('div', { class: 'row apart' }, count, add), note, trouble, none, grid),
    );
    /** The cards by the names of their upstreams: they stay, so that a focus or a selection in them does. */
    const cards = /** @type {Map<string, Card>} */ (new Map());

    async function look() {
      try {
        if (sees) {
          const page = await call('api/v1/upstreams', { signal });
          show(page.upstreams, page.read_only);
        } else {
          const page = await call('api/v1/miners', { signal });
          show(page.miners.filter((/** @type {MinerInfo} */ miner) => miner.kind === 'upstream').map(seen), LESS);
        }
        fill(trouble);
      } catch (error) {
        if (!signal.aborted) fill(trouble, failed(error));
      }
    }

    async function make() {
      if (await addUpstream()) look();
    }

    /**
     * @param {Upstream[]} found
     * @param {string | null} readOnly Why nothing can be changed.
     */
    function show(found, readOnly) {
      add.hidden = readOnly !== null;
      note.hidden = readOnly === null;
      say(note, readOnly ?? '');
      const work = found.filter((one) => one.state === 'up').length;
      say(count, found.length > 0 ? `${plural(found.length, 'upstream')}, ${work} of them up.` : '');
      count.hidden = found.length === 0;
      if (found.length > 0) fill(none);
      else if (none.childElementCount === 0) fill(none, nothing());
      const left = new Set(cards.keys());
      found.forEach((upstream, at) => {
        // An upstream that leaves may have given its name to another one.
        let key = `${upstream.name} ${upstream.state === 'leaving'}`;
        while (!left.has(key) && cards.has(key)) key += '+';
        left.delete(key);
        const shown = cards.get(key) ?? card(look);
        cards.set(key, shown);
        shown.show(upstream, readOnly === null && upstream.source === 'managed' && upstream.state !== 'leaving');
        if (grid.children[at] !== shown.element) grid.insertBefore(shown.element, grid.children[at] ?? null);
      });
      for (const key of left) {
        cards.get(key)?.element.remove();
        cards.delete(key);
      }
    }

    return watchEvery(2, look);
  },
};

function nothing() {
  return empty(
    'No upstream is here',
    'Name a model server at the start of the router, or in its configuration:',
    command('cortensor-router serve --upstream http://127.0.0.1:8080/v1'),
    'Or let the router start the server itself:',
    command("cortensor-router serve --run 'llama-server -m model.gguf --port {port}'"),
  );
}

/**
 * An upstream as the list of miners tells of it.
 * @param {MinerInfo} miner
 * @returns {Upstream}
 */
function seen(miner) {
  const works = miner.status === 'idle' || miner.status === 'busy';
  return {
    name: miner.id,
    state: works ? 'up' : miner.status,
    reason: miner.reason || null,
    models: miner.models,
    in_flight: miner.in_flight,
    credits: miner.credits,
    max_concurrency: miner.capacity,
    owner: miner.owner || null,
  };
}
