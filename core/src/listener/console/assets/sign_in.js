/** The way in: a token that is typed, or none where the router lets this page in without. */

import { ApiError, call, useToken } from './api.js';
import { command, failed, field } from './dialog.js';
import { fill, h } from './dom.js';

const DEVELOPMENT = 'default-dev-token';

/**
 * @typedef {'anonymous' | 'development' | 'token'} Way
 * @typedef {{ id: string, name: string, scopes: string[], sessions: number[], models: string[], expires_at: number }} Rights
 */

/** The way in that the router offers this page. @returns {Way} */
export function offered() {
  const word = document.documentElement.dataset.signIn;
  return word === 'anonymous' || word === 'development' ? word : 'token';
}

/**
 * Tries a way in.
 * @param {string | null} token
 * @returns {Promise<Rights>}
 */
async function enter(token) {
  useToken(token);
  try {
    return await call('api/v1/whoami', { quiet: true });
  } catch (error) {
    useToken(null);
    throw error;
  }
}

/**
 * Lets the user in and gives the rights of the token. Without `error` it tries first what needs no typing.
 * @param {Error | null} error Why the user was signed out.
 * @param {boolean} asks Whether the user shall be asked in any case.
 * @returns {Promise<Rights>}
 */
export async function signIn(error, asks) {
  const way = offered();
  const open = way === 'anonymous' ? null : DEVELOPMENT;
  let trouble = error;
  if (way !== 'token' && !asks) {
    try {
      return await enter(open);
    } catch (refusal) {
      trouble = refusal instanceof Error ? refusal : new Error(String(refusal));
    }
  }
  return new Promise((resolve) => show(resolve, trouble, way === 'token' ? undefined : open));
}

/**
 * @param {(rights: Rights) => void} done
 * @param {Error | null} trouble
 * @param {string | null | undefined} open The way in without typing; `undefined`: there is none.
 */
function show(done, trouble, open) {
  const said = h('div', {}, trouble && failed(trouble));
  const token = h('input', {
    type: 'password',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    placeholder: 'ctr_…',
  });
  const submit = h('button', { class: 'primary' }, 'Sign in');
  const other =
    open !== undefined &&
    h(
      'button',
      { type: 'button', onclick: () => go(open) },
      open === null ? 'Go on without a token' : 'Use the development token',
    );

  /** @param {string | null} with_token */
  async function go(with_token) {
    submit.disabled = true;
    try {
      done(await enter(with_token));
    } catch (error) {
      fill(said, failed(error));
      if (error instanceof ApiError && error.status === 401) token.select();
      submit.disabled = false;
    }
  }

  fill(
    document.body,
    h(
      'main',
      { class: 'alone stack' },
      h(
        'div',
        { class: 'row' },
        h('img', { src: new URL('icon.svg', import.meta.url).pathname, alt: '', width: 40, height: 40 }),
        h('h1', { tabindex: '-1' }, 'cortensor-router'),
      ),
      h(
        'p',
        { class: 'soft' },
        'Sign in with a token of this router. What the console shows and does is what the token allows.',
      ),
      said,
      h(
        'form',
        {
          class: 'stack',
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            go(token.value.trim());
          },
        },
        field(
          'Token',
          token,
          'The page keeps it in memory alone, so that nothing on this computer can read it later. A reload asks again.',
        ),
        h('div', { class: 'row' }, submit, other),
      ),
      h(
        'details',
        {},
        h('summary', {}, 'I have no token'),
        h(
          'div',
          { class: 'stack' },
          h(
            'p',
            { class: 'small soft' },
            'Make one on the machine of the router. For one that only looks, leave out the scope admin:',
          ),
          command('cortensor-router key create --name me --scope admin'),
        ),
      ),
    ),
  );
  token.focus();
}
