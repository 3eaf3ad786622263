/** The tasks: a list by session, state and model. */

import { call } from './api.js';
import { empty, failed, field, select, command } from './dialog.js';
import { fill, h } from './dom.js';
import { whenTasksMove } from './live.js';
import { pager, table } from './table.js';
import { openTask } from './task.js';
import { ago, cut, duration, exact, foreign, plural, state, visible } from './text.js';
import { waitingMessages } from './webhooks.js';

/**
 * @typedef {import('records').TaskRow} TaskRow
 * @typedef {import('records').SessionRecord} Session
 */

/** The sessions whose newest tasks stand together in one list, and the tasks of each. */
const [TOGETHER, OF_EACH] = [6, 15];
/** The tasks of one session that are listed at a time. */
const PAGE = 50;

/** @type {Record<string, 'good' | 'live' | 'warn' | 'bad' | 'quiet'>} */
const TONES = { ok: 'good', disputed: 'warn', failed: 'bad', expired: 'bad', cancelled: 'quiet' };

/**
 * The word for a task's state or end.
 * @param {{ outcome?: string | null, state: string, started_at: number }} task
 */
export function taskState({ outcome, state: word, started_at }) {
  if (outcome) return state(outcome, TONES[outcome]);
  return word === 'queued' ? state('waiting') : state(started_at ? 'running' : word, 'live');
}

/** @type {import('./start.js').View} */
export const tasks = {
  name: 'tasks',
  title: 'Tasks',
  about: 'Each prompt is a task, from its admission to its end.',
  needs: 'read',
  open(root, context) {
    const [session, id] = context.rest;
    return id === undefined ? openList(root, context, session) : openTask(root, context, session, id);
  },
};

/**
 * @param {HTMLElement} root
 * @param {import('./start.js').Context} context
 * @param {string | undefined} chosen
 */
function openList(root, { caller, signal, go }, chosen) {
  const session = h('select', { onchange: () => go(session.value ? `tasks/${session.value}` : 'tasks') });
  const shown = select(
    [
      ['', 'All'],
      ['active', 'At work'],
      ['ended', 'Ended'],
    ],
    '',
    turn,
  );
  const model = h('input', {
    type: 'search',
    placeholder: 'any model',
    autocomplete: 'off',
    spellcheck: 'false',
    oninput: () => show(),
  });
  const [list, pages] = [h('div', { class: 'stack' }), h('div', { class: 'row' })];
  const stack = h(
    'div',
    { class: 'stack' },
    h('div', { class: 'filters' }, field('Session', session), field('State', shown), field('Model', model)),
    list,
    pages,
  );
  root.append(stack);
  let offset = 0;
  /** @type {TaskRow[]} */
  let found = [];
  let all = 0;
  let known = '';

  function turn() {
    offset = 0;
    look();
  }

  /** @param {number} by */
  function step(by) {
    offset = Math.max(0, offset + by);
    look();
  }

  /**
   * @param {number | string} of
   * @param {number} limit
   * @returns {Promise<{ count: number, tasks: TaskRow[] }>}
   */
  function page(of, limit) {
    return call(`api/v1/tasks/${of}?order=desc&limit=${limit}&offset=${offset}&state=${shown.value}`, { signal });
  }

  async function look() {
    try {
      const { sessions } = /** @type {{ sessions: Session[] }} */ (
        await call('api/v1/sessions?limit=1000', { signal })
      );
      offer(sessions);
      if (chosen === undefined) {
        const busy = sessions
          .filter((one) => one.total_tasks > 0)
          .toSorted((one, other) => other.active_tasks - one.active_tasks || other.updated_at - one.updated_at);
        const lists = await Promise.all(busy.slice(0, TOGETHER).map((one) => page(one.id, OF_EACH)));
        found = lists.flatMap((one) => one.tasks).toSorted((one, other) => other.gid - one.gid);
        all = found.length;
      } else {
        ({ tasks: found, count: all } = await page(chosen, PAGE));
      }
      show();
    } catch (error) {
      if (!signal.aborted) fill(list, failed(error));
      known = '';
    }
  }

  /** @param {Session[]} sessions */
  function offer(sessions) {
    const options = /** @type {[string, string][]} */ ([
      ['', 'The busiest ones'],
      ...sessions.map((one) => [String(one.id), `${one.id}  ${cut(one.name, 40)}`]),
    ]);
    if (chosen !== undefined && !options.some(([value]) => value === chosen)) options.push([chosen, chosen]);
    const mark = JSON.stringify(options);
    if (session.dataset.mark !== mark) {
      session.dataset.mark = mark;
      fill(
        session,
        options.map(([value, words]) => h('option', { value }, visible(words))),
      );
      session.value = chosen ?? '';
    }
  }

  function show() {
    const word = model.value.trim().toLowerCase();
    const rows = found.filter((task) => word === '' || (task.model ?? '').toLowerCase().includes(word));
    const mark = JSON.stringify([rows, all, offset, Math.floor(Date.now() / 10_000)]);
    if (mark === known) return;
    known = mark;
    if (rows.length === 0) {
      const chosenOne = word !== '' || shown.value !== '';
      fill(
        list,
        chosenOne
          ? empty('No task is like that', 'Choose another state, or leave the model empty.')
          : empty(
              'No task is here yet',
              'Ask something in the chat, or submit a prompt:',
              command('cortensor-router submit "Hello, router!"'),
            ),
      );
    } else {
      fill(list, table('Tasks, newest first', COLUMNS, rows));
    }
    fill(
      pages,
      chosen === undefined
        ? rows.length > 0 &&
            h(
              'span',
              { class: 'small soft' },
              `The newest tasks of ${TOGETHER} sessions at most. Choose a session to see all of its tasks.`,
            )
        : all > PAGE && pager({ offset, size: PAGE, all }, ['Newer', 'Older'], plural(all, 'task'), step),
    );
  }

  const ends = [whenTasksMove(look)];
  if (chosen === undefined && caller.may('admin')) ends.push(waitingMessages(stack, signal));
  return () => ends.forEach((end) => end());
}

/** @type {import('./table.js').Column<TaskRow>[]} */
const COLUMNS = [
  {
    label: 'Task',
    kind: 'tight',
    cell: (task) => h('a', { href: `#/tasks/${task.session_id}/${task.id}` }, `${task.session_id} / ${task.id}`),
  },
  { label: 'State', kind: 'tight', cell: taskState },
  { label: 'Prompt', kind: 'long', cell: (task) => foreign(cut(task.prompt, 300), 'clip') },
  { label: 'Model', cell: (task) => foreign(task.model, 'mono short') },
  { label: 'Tokens', kind: 'number', cell: (task) => (task.usage ? exact(task.usage.completion_tokens) : '') },
  {
    label: 'Took',
    kind: 'number',
    cell: (task) => (task.ended && task.started_at ? duration(task.execution_time * 1_000) : ''),
  },
  { label: 'Submitted', kind: 'tight', cell: (task) => ago(task.created_at) },
];
