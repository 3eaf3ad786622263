/** The first view: how the router is doing, and what to do with one that is new. */

import { call, origin } from './api.js';
import { chart } from './chart.js';
import { command } from './dialog.js';
import { fill, h, say } from './dom.js';
import { now, watch } from './live.js';
import { count, duration, foreign, plural, rate, state } from './text.js';

/** @typedef {import('records').MinerInfo} MinerInfo */

/** The events between two looks at the miners. */
const LOOK = 5;

/** @type {import('./start.js').View} */
export const overview = {
  name: 'overview',
  title: 'Overview',
  about: 'What the router does now, and how fast.',
  needs: 'read',
  open(root, { caller, signal }) {
    const curves = [
      chart({
        title: 'Tasks at work',
        words: count,
        series: [
          { label: 'running', of: (sample) => sample.running },
          { label: 'waiting', of: (sample) => sample.queued },
        ],
      }),
      chart({
        title: 'Tasks ended',
        words: (value) => `${rate(value)}/s`,
        series: [{ label: 'tasks', of: (sample) => sample.tasks }],
      }),
      chart({
        title: 'Tokens of answers',
        words: (value) => `${rate(value)}/s`,
        series: [{ label: 'tokens', of: (sample) => sample.tokens }],
      }),
      chart({
        title: 'Time to the first token',
        words: duration,
        series: [
          { label: 'median', of: (sample) => sample.median },
          { label: '95 of 100', of: (sample) => sample.slow },
        ],
      }),
    ];
    const [steps, troubles] = [h('div', { class: 'maybe' }), h('div', { class: 'stack maybe' })];
    const [figures, house] = [h('dl', { class: 'figures' }), h('dl', { class: 'figures minor' })];
    const card = h('section', { class: 'card stack', 'aria-label': 'The router' }, figures, house);
    root.append(
      h(
        'div',
        { class: 'stack' },
        steps,
        troubles,
        card,
        h(
          'div',
          { class: 'halves' },
          curves.map(({ element }) => element),
        ),
      ),
    );

    /** @type {MinerInfo[] | null} */
    let miners = null;
    let events = 0;
    let steady = '';

    async function look() {
      try {
        miners = (await call('api/v1/miners', { signal })).miners;
        advise();
      } catch {
        // The next look follows, and the state of the connection is shown beside the views.
      }
    }

    function advise() {
      const { event } = now();
      if (!miners || !event) return;
      const own = miners.filter((miner) => !(miner.kind === 'local' && miner.id === 'echo'));
      const fresh = own.length === 0 || event.totals.submitted === 0;
      const mark = `${fresh} ${own.length === 0} ${miners.length}`;
      // The steps stay as they are, so that nobody loses a selection in them.
      if (mark !== steady) fill(steps, fresh && firstSteps(caller, own.length === 0, miners.length > 0));
      steady = mark;
      fill(
        troubles,
        own
          .filter((miner) => miner.status === 'down' || miner.breaker !== 'closed')
          .slice(0, 5)
          .map(trouble),
      );
    }

    function show() {
      const { samples, event } = now();
      for (const { draw } of curves) draw(samples);
      if (!event) return;
      const { status, totals } = event;
      fill(
        figures,
        figure(
          'State',
          state(status.status === 'ok' ? 'taking tasks' : status.status, status.status === 'ok' ? 'good' : 'bad'),
        ),
        figure('Running', count(status.running_tasks)),
        figure('Waiting', count(status.queued_tasks)),
        figure('Miners up', `${status.active_miners} of ${status.connected_miners}`),
      );
      fill(
        house,
        figure('Answered', count(totals.ok)),
        figure('Without an answer', count(totals.failed + totals.expired)),
        figure('Cancelled', count(totals.cancelled)),
        figure('Tokens of answers', count(totals.answer_tokens)),
        figure('Store', status.store === status.durability ? status.store : `${status.store}, ${status.durability}`),
        figure('Up for', duration(status.uptime * 1_000)),
        figure('Memory', `${count(Math.round(status.memory_usage))} MiB`),
        figure('Version', status.version),
      );
      if (events % LOOK === 0) look();
      else advise();
      events += 1;
    }

    return watch(show);
  },
};

/**
 * @param {string} name
 * @param {Node | string} value
 */
function figure(name, value) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, value));
}

/** @param {MinerInfo} miner */
function trouble(miner) {
  const words =
    miner.status === 'down' ? 'it is down' : 'it gets no tasks for a while, because its last attempts failed';
  return h(
    'p',
    { class: 'note', 'data-tone': 'warn' },
    h('strong', {}, foreign(miner.id)),
    ': ',
    foreign(miner.reason || words),
  );
}

/**
 * The first steps with a router.
 * @param {import('./start.js').Caller} caller
 * @param {boolean} lonely Whether nothing but the built-in echo answers.
 * @param {boolean} echoes
 */
function firstSteps(caller, lonely, echoes) {
  const token = caller.id === 'dev' ? 'default-dev-token' : '$CORTENSOR_TOKEN';
  const curl = `curl -sN ${origin()}/v1/chat/completions -H "Authorization: Bearer ${token}" -H "Content-Type: application/json" -d '{"messages":[{"role":"user","content":"Hello, router!"}],"stream":true}'`;
  const card = h(
    'section',
    { class: 'card', 'aria-labelledby': 'first-steps' },
    h('h2', { id: 'first-steps' }, lonely ? 'This router has no model yet' : 'This router is ready'),
    h(
      'ol',
      { class: 'steps' },
      h(
        'li',
        {},
        h(
          'p',
          {},
          'Send it a prompt, ',
          h('a', { href: '#/chat' }, 'in the chat'),
          echoes && lonely
            ? ' or by this command. Until a model is there, an echo answers with your own words:'
            : ' or by this command:',
        ),
        command(curl),
      ),
      lonely &&
        h(
          'li',
          {},
          h('p', {}, 'Start it in front of a model server that has OpenAI’s API, such as llama.cpp, Ollama or vLLM:'),
          command('cortensor-router serve --upstream http://127.0.0.1:8080/v1'),
        ),
      h(
        'li',
        {},
        h(
          'p',
          {},
          'Give each program a key of its own. The first key with the scope admin ends the development token:',
        ),
        command('cortensor-router key create --name app'),
      ),
      h(
        'li',
        {},
        h('p', {}, 'Point any client of OpenAI’s API at this address:'),
        command(`${origin()}/v1`, 'Copy the address'),
      ),
    ),
  );
  return card;
}

/**
 * The short words beside the name of a view.
 * @param {HTMLElement} element
 */
export function showLoad(element) {
  return watch(() => {
    const { event } = now();
    const busy = event ? event.status.running_tasks + event.status.queued_tasks : 0;
    say(element, busy > 0 ? count(busy) : '');
    element.setAttribute('aria-label', busy > 0 ? plural(busy, 'task') : '');
  });
}
