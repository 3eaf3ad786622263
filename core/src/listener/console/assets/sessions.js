/** The sessions: list, create, close. */

import { call } from './api.js';
import { ask, dialog, empty, failed, field, select } from './dialog.js';
import { fill, h } from './dom.js';
import { whenTasksMove } from './live.js';
import { pager, table } from './table.js';
import { ago, exact, foreign, plural, state } from './text.js';

/** @typedef {import('records').SessionRecord} Session */

/** The sessions that are listed at a time. */
const PAGE = 50;

/** @type {import('./start.js').View} */
export const sessions = {
  name: 'sessions',
  title: 'Sessions',
  about: 'The accounts that tasks belong to. They share the miners by their weights.',
  needs: 'read',
  open(root, { caller, signal }) {
    const list = h('div', { class: 'stack' });
    const shown = select(
      [
        ['', 'All'],
        ['open', 'Open'],
        ['closed', 'Closed'],
      ],
      '',
      turn,
    );
    const pages = h('div', { class: 'row' });
    const may = caller.may('submit') && caller.sessions.length === 0;
    const create = may && h('button', { type: 'button', class: 'primary', onclick: make }, 'Create a session');
    root.append(
      h(
        'div',
        { class: 'stack' },
        h('div', { class: 'row apart end' }, h('div', { class: 'filters' }, field('Show', shown)), create),
        list,
        pages,
      ),
    );
    let offset = 0;

    function turn() {
      offset = 0;
      look();
    }

    /** @param {number} by */
    function step(by) {
      offset = Math.max(0, offset + by);
      look();
    }

    async function look() {
      try {
        const page = await call(`api/v1/sessions?limit=${PAGE}&offset=${offset}&state=${shown.value}`, { signal });
        show(page.sessions, page.count);
      } catch (error) {
        if (!signal.aborted) fill(list, failed(error));
      }
    }

    async function make() {
      if (await createSession()) look();
    }

    /**
     * @param {Session[]} found
     * @param {number} all
     */
    function show(found, all) {
      if (found.length === 0) {
        fill(
          list,
          empty(
            shown.value ? 'No such session' : 'No session was used yet',
            'Sessions 0 and 1 are always there and are listed once a task uses them. A session of its own gives a program a fair share of the miners.',
          ),
        );
        fill(pages);
        return;
      }
      const columns = /** @type {import('./table.js').Column<Session>[]} */ ([
        {
          label: 'Session',
          kind: 'tight',
          cell: (session) => h('a', { href: `#/tasks/${session.id}` }, String(session.id)),
        },
        { label: 'Name', kind: 'long', cell: (session) => foreign(session.name) },
        {
          label: 'State',
          kind: 'tight',
          cell: (session) => (session.active ? state('open', 'good') : state('closed')),
        },
        {
          label: 'Model',
          cell: (session) =>
            session.model ? foreign(session.model, 'mono short') : h('span', { class: 'soft' }, 'any'),
        },
        { label: 'At work', kind: 'number', cell: (session) => exact(session.active_tasks) },
        { label: 'Tasks', kind: 'number', cell: (session) => exact(session.total_tasks) },
        { label: 'Owner', cell: (session) => foreign(session.owner, 'short') },
        { label: 'Changed', kind: 'tight', cell: (session) => ago(session.updated_at) },
        {
          label: '',
          kind: 'tight',
          cell: (session) =>
            closes(session) &&
            h(
              'button',
              { type: 'button', class: 'plain danger', onclick: () => close(session) },
              'Close',
              h('span', { class: 'visually-hidden' }, ` session ${session.id}`),
            ),
        },
      ]);
      fill(list, table('Sessions', columns, found));
      const words = `${offset + 1} to ${offset + found.length} of ${plural(all, 'session')}`;
      fill(pages, all > PAGE && pager({ offset, size: PAGE, all }, ['Back', 'Further'], words, step));
    }

    /** @param {Session} session */
    function closes(session) {
      return session.active && session.id !== 0 && caller.may(session.id === 1 ? 'admin' : 'submit');
    }

    /** @param {Session} session */
    async function close(session) {
      const done = await ask(
        `Close session ${session.id}?`,
        'Its tasks finish, and new ones are refused. A closed session cannot be opened again.',
        'Close the session',
        async () => {
          await call(`api/v1/sessions/${session.id}`, { method: 'DELETE' });
        },
      );
      if (done) look();
    }

    return whenTasksMove(look);
  },
};

/** Shows the form of a new session. Gives whether one was made. */
async function createSession() {
  let made = false;
  const models = await call('v1/models').then(
    (page) => page.data.map((/** @type {{ id: string }} */ model) => model.id),
    () => [],
  );
  await dialog('Create a session', (close) => {
    const name = h('input', { required: true, maxlength: 256, autocomplete: 'off' });
    const model = select([['', 'Any'], ...models.map((/** @type {string} */ id) => [id, id])], '');
    const priority = select(
      [
        ['', 'The usual one'],
        ...Array.from({ length: 10 }, (_, band) => /** @type {[string, string]} */ ([String(band), String(band)])),
      ],
      '',
    );
    const trouble = h('div');
    const submit = h('button', { class: 'primary' }, 'Create it');
    /** @param {Event} event */
    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      try {
        await call('api/v1/sessions', {
          method: 'POST',
          body: {
            name: name.value,
            ...(model.value && { model: model.value }),
            ...(priority.value && { priority: Number(priority.value) }),
          },
        });
        made = true;
        close();
      } catch (error) {
        fill(trouble, failed(error));
        submit.disabled = false;
      }
    }
    return [
      h(
        'form',
        { onsubmit: send },
        field('Name', name),
        field('Model', model, 'The model of its tasks where they name none.'),
        field('Priority', priority, '0 to 9. A session of a higher priority is served first.'),
        trouble,
        h('div', { class: 'row' }, submit, h('button', { type: 'button', onclick: close }, 'Leave')),
      ),
    ];
  });
  return made;
}
