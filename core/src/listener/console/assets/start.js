/** The frame: the places to go, the view that is open, and who is signed in. */

import { useToken } from './api.js';
import { chat, forgetChat } from './chat.js';
import { configuration } from './configuration.js';
import { command, empty } from './dialog.js';
import { fill, h, say } from './dom.js';
import { keys } from './keys.js';
import { now, startLive, stopLive, watch } from './live.js';
import { logs } from './logs.js';
import { miners } from './miners.js';
import { overview, showLoad } from './overview.js';
import { sessions } from './sessions.js';
import { tasks } from './tasks.js';
import { foreign } from './text.js';
import { themeButton } from './theme.js';
import { upstreams } from './upstreams.js';
import { usage } from './usage.js';

/**
 * @typedef {'read' | 'submit' | 'admin'} Scope
 * @typedef {import('./sign_in.js').Rights & { may: (scope: Scope) => boolean }} Caller
 *
 * @typedef {object} Context
 * @property {Caller} caller
 * @property {string[]} rest The parts of the address behind the view's name.
 * @property {AbortSignal} signal Aborted when the view is left.
 * @property {(place: string) => void} go
 * @property {(words: string) => void} title Sets the title of the view.
 *
 * @typedef {object} View
 * @property {string} name
 * @property {string} title
 * @property {string} about
 * @property {Scope} needs
 * @property {(root: HTMLElement, context: Context) => (() => void) | void} open
 */

const VIEWS = [overview, chat, tasks, miners, upstreams, sessions, usage, keys, configuration, logs];

/**
 * Shows the frame until the user signs out.
 * @param {import('./sign_in.js').Rights} rights
 * @param {(asks: boolean) => void} leave
 * @returns {() => void} Takes the frame away.
 */
export function start(rights, leave) {
  const caller = {
    ...rights,
    may: (/** @type {Scope} */ scope) => rights.scopes.includes(scope) || rights.scopes.includes('admin'),
  };
  const main = h('main', { class: 'main', id: 'main', tabindex: '-1' });
  const load = h('span', { class: 'number' });
  const body = h('div', { class: 'side-body', 'data-closed': true, id: 'places' });
  const menu = h(
    'button',
    {
      type: 'button',
      class: 'menu plain',
      'aria-expanded': 'false',
      'aria-controls': 'places',
      onclick: () => toggle(body.hasAttribute('data-closed')),
    },
    'Menu',
  );
  const links = VIEWS.map((view) =>
    h('a', { href: `#/${view.name}`, onclick: () => toggle(false) }, view.title, view === tasks && load),
  );
  const line = h('span', { class: 'state', role: 'status' });
  const name = rights.name || rights.id;
  body.append(
    h('nav', { class: 'places', 'aria-label': 'Views' }, links),
    h(
      'div',
      { class: 'side-foot' },
      h('div', { class: 'row' }, line),
      h(
        'div',
        {},
        'Signed in as ',
        h('strong', {}, foreign(name)),
        h('br'),
        caller.may('admin') ? 'admin' : rights.scopes.join(', '),
      ),
      h(
        'div',
        { class: 'row' },
        themeButton(),
        h('button', { type: 'button', class: 'plain', onclick: () => leave(true) }, 'Sign out'),
      ),
    ),
  );
  fill(
    document.body,
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to the content'),
    h(
      'div',
      { class: 'frame' },
      h(
        'header',
        { class: 'side' },
        h(
          'a',
          { class: 'brand', href: '#/overview' },
          h('img', { src: new URL('icon.svg', import.meta.url).pathname, alt: '', width: 28, height: 28 }),
          'cortensor-router',
        ),
        menu,
        body,
      ),
      main,
    ),
  );

  /** @type {AbortController | null} */
  let opened = null;
  /** @type {(() => void) | void} */
  let close;

  /** @param {boolean} open */
  function toggle(open) {
    body.toggleAttribute('data-closed', !open);
    menu.setAttribute('aria-expanded', String(open));
  }

  /** @param {Event} event */
  function skip(event) {
    // The address names the view, so that the link must not change it.
    event.preventDefault();
    main.focus();
  }

  /** @param {string} place */
  function go(place) {
    location.hash = `#/${place}`;
  }

  function route() {
    const [first, ...rest] = location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decoded);
    const view = VIEWS.find((one) => one.name === first) ?? (caller.may('read') ? overview : chat);
    close?.();
    opened?.abort();
    opened = new AbortController();
    const root = h('div');
    const heading = h('h1', { tabindex: '-1' }, view.title);
    fill(main, h('div', { class: 'head' }, h('div', {}, heading, rest.length < 2 && h('p', {}, view.about))), root);
    document.title = `${view.title} – cortensor-router`;
    VIEWS.forEach((one, at) =>
      one === view ? links[at].setAttribute('aria-current', 'page') : links[at].removeAttribute('aria-current'),
    );
    const title = (/** @type {string} */ words) => {
      say(heading, words);
      document.title = `${words} – cortensor-router`;
    };
    close = undefined;
    if (caller.may(view.needs)) close = view.open(root, { caller, rest, signal: opened.signal, go, title });
    else fill(root, closed(view.needs));
    if (!main.contains(document.activeElement)) heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  const unwatch = [watch(connection), showLoad(load)];
  function connection() {
    const { state, event } = now();
    const drains = event?.status.status === 'draining';
    const words = {
      beginning: 'connecting',
      live: drains ? 'draining' : 'live',
      away: 'no connection',
      refused: 'not live',
    }[state];
    line.dataset.tone = { beginning: 'quiet', live: drains ? 'warn' : 'good', away: 'bad', refused: 'quiet' }[state];
    say(line, words);
  }

  if (caller.may('read')) startLive();
  else line.hidden = true;
  addEventListener('hashchange', route);
  route();
  return () => {
    removeEventListener('hashchange', route);
    unwatch.forEach((end) => end());
    close?.();
    opened?.abort();
    stopLive();
    forgetChat();
    useToken(null);
    document.querySelectorAll('dialog').forEach((open) => open.close());
  };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The place of a view that the token does not open.
 * @param {Scope} scope
 */
function closed(scope) {
  const also =
    scope === 'admin'
      ? 'On the machine of the router, this command makes a key with it. The first such key ends the development token:'
      : 'This command makes a key with it:';
  return empty(
    `This needs the scope ${scope}`,
    `The token that you signed in with does not carry it. ${also}`,
    command(`cortensor-router key create --name me --scope ${scope}`),
  );
}
