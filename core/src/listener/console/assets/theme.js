/** The light and the dark theme: the system's, until the user chooses one. */

import { h, say } from './dom.js';

const NAME = 'cortensor-router-theme';
const WORDS = { system: 'Theme: auto', light: 'Theme: light', dark: 'Theme: dark' };

/** @typedef {keyof typeof WORDS} Theme */

/** @returns {Theme} */
function kept() {
  try {
    const word = localStorage.getItem(NAME);
    return word === 'light' || word === 'dark' ? word : 'system';
  } catch {
    // A browser may forbid storage.
    return 'system';
  }
}

/** @param {Theme} theme */
function apply(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Applies the theme that was chosen before. */
export function startTheme() {
  apply(kept());
}

/** The button that goes from one theme to the next. */
export function themeButton() {
  const order = /** @type {Theme[]} */ (Object.keys(WORDS));
  let theme = kept();
  const button = h('button', { type: 'button', class: 'plain', onclick: next }, WORDS[theme]);
  function next() {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    apply(theme);
    say(button, WORDS[theme]);
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // The choice then holds until the page is left.
    }
  }
  return button;
}
