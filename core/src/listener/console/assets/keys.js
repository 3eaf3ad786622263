/** The keys: list, make, revoke. */

import { call } from './api.js';
import { ask, command, dialog, empty, failed, field, select } from './dialog.js';
import { fill, h } from './dom.js';
import { table } from './table.js';
import { ago, foreign, moment, plural, visible } from './text.js';

/** @typedef {import('records').ApiKey} Key */

const SCOPES = /** @type {[string, string][]} */ ([
  ['submit', 'submit: send prompts, make sessions'],
  ['read', 'read: see tasks, sessions, miners, usage'],
  ['admin', 'admin: everything, also keys'],
  ['miner', 'miner: answer prompts as a worker'],
]);
const LIVES = /** @type {[string, string][]} */ ([
  ['', 'For ever'],
  ['3600', 'An hour'],
  ['86400', 'A day'],
  ['2592000', '30 days'],
  ['31536000', 'A year'],
]);

/** @type {import('./start.js').View} */
export const keys = {
  name: 'keys',
  title: 'Keys',
  about: 'A key for each program: what it may do, and for how long.',
  needs: 'admin',
  open(root, { caller, signal }) {
    const list = h('div', { class: 'stack' });
    root.append(
      h(
        'div',
        { class: 'stack' },
        h('div', { class: 'row' }, h('button', { type: 'button', class: 'primary', onclick: make }, 'Make a key')),
        list,
      ),
    );

    async function look() {
      try {
        const page = await call('api/v1/keys', { signal });
        show(page.keys);
      } catch (error) {
        if (!signal.aborted) fill(list, failed(error));
      }
    }

    async function make() {
      await makeKey();
      look();
    }

    /** @param {Key[]} found */
    function show(found) {
      if (found.length === 0) {
        fill(
          list,
          empty(
            'There is no key yet',
            'Make one here, or by the command on the router’s own machine. The first key with the scope admin ends the development token.',
            command('cortensor-router key create --name app'),
          ),
        );
        return;
      }
      const now = Date.now() / 1_000;
      const columns = /** @type {import('./table.js').Column<Key>[]} */ ([
        {
          label: 'Name',
          kind: 'long',
          cell: (key) => [
            foreign(key.name || key.id),
            key.id === caller.id && h('span', { class: 'soft' }, ' (this one)'),
          ],
        },
        { label: 'Id', kind: 'tight', cell: (key) => foreign(key.id, 'mono') },
        {
          label: 'Scopes',
          cell: (key) =>
            h(
              'ul',
              { class: 'tags' },
              key.scopes.map((scope) => h('li', { class: 'tag' }, scope)),
            ),
        },
        {
          label: 'Only',
          cell: (key) => [
            key.sessions.length > 0 && `sessions ${key.sessions.join(', ')} `,
            (key.models ?? []).length > 0 && foreign((key.models ?? []).join(', '), 'mono'),
          ],
        },
        { label: 'Made', kind: 'tight', cell: (key) => ago(key.created_at) },
        {
          label: 'Ends',
          kind: 'tight',
          cell: (key) =>
            key.expires_at === 0
              ? 'never'
              : key.expires_at < now
                ? h('span', { class: 'soft' }, 'has ended')
                : moment(key.expires_at),
        },
        {
          label: '',
          kind: 'tight',
          cell: (key) =>
            h(
              'button',
              { type: 'button', class: 'plain danger', onclick: () => revoke(key) },
              'Revoke',
              h('span', { class: 'visually-hidden' }, ' ', visibleName(key)),
            ),
        },
      ]);
      fill(list, h('p', { class: 'soft' }, plural(found.length, 'key')), table('Keys', columns, found));
    }

    /** @param {Key} key */
    async function revoke(key) {
      const own = key.id === caller.id ? ' You are signed in with this key.' : '';
      const done = await ask(
        `Revoke the key ${visibleName(key)}?`,
        `Programs that use it are refused at once, and its running requests end.${own}`,
        'Revoke the key',
        async () => {
          await call(`api/v1/keys/${encodeURIComponent(key.id)}`, { method: 'DELETE' });
        },
      );
      if (done) look();
    }

    look();
  },
};

/** @param {Key} key */
function visibleName(key) {
  return visible(key.name || key.id);
}

/** Shows the form of a new key, and the key's token once. */
async function makeKey() {
  await dialog('Make a key', (close) => {
    const name = h('input', { required: true, maxlength: 256, autocomplete: 'off' });
    const scopes = SCOPES.map(([value, words]) => ({
      value,
      box: h('input', { type: 'checkbox', checked: value === 'submit' || value === 'read' }),
      words,
    }));
    const life = select(LIVES, '');
    const sessions = h('input', { placeholder: 'all', autocomplete: 'off', inputmode: 'numeric' });
    const models = h('input', { placeholder: 'all', autocomplete: 'off', spellcheck: 'false' });
    const trouble = h('div');
    const submit = h('button', { class: 'primary' }, 'Make it');
    const form = h(
      'form',
      { onsubmit: send },
      field('Name', name, 'For people: the program or the person that gets the key.'),
      h(
        'fieldset',
        { class: 'field' },
        h('legend', {}, 'Scopes'),
        scopes.map(({ box, words }) => h('label', { class: 'check' }, box, words)),
      ),
      field('Valid', life),
      field('Only these sessions', sessions, 'Numbers, with commas between them.'),
      field('Only these models', models, 'Names, with commas between them.'),
      trouble,
      h('div', { class: 'row' }, submit, h('button', { type: 'button', onclick: close }, 'Leave')),
    );
    const parts = (/** @type {HTMLInputElement} */ input) =>
      input.value
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean);
    /** @param {Event} event */
    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      try {
        const made = await call('api/v1/keys', {
          method: 'POST',
          body: {
            name: name.value,
            scopes: scopes.filter(({ box }) => box.checked).map(({ value }) => value),
            ...(life.value && { ttl_secs: Number(life.value) }),
            sessions: parts(sessions).map(Number),
            models: parts(models),
          },
        });
        const told = h(
          'p',
          { tabindex: '-1' },
          'Keep the token now: it is never shown again. The router keeps a hash of it alone.',
        );
        form.replaceWith(
          told,
          command(made.token, 'Copy the token'),
          h(
            'div',
            { class: 'row' },
            h('button', { type: 'button', class: 'primary', onclick: close }, 'I have kept it'),
          ),
        );
        told.focus();
      } catch (error) {
        fill(trouble, failed(error));
        submit.disabled = false;
      }
    }
    return [form];
  });
}
