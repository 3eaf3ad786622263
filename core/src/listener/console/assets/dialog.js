/** Dialogs, notes of failure, empty places, and commands to copy. */

import { h, say } from './dom.js';
import { visible } from './text.js';

/**
 * The router's words about a failure.
 * @param {unknown} error
 */
export function failed(error) {
  const words = error instanceof Error ? error.message : String(error);
  return h('p', { class: 'note', 'data-tone': 'bad', role: 'alert', dir: 'auto' }, visible(words));
}

/**
 * A place where nothing is yet, and what to do about it.
 * @param {string} title
 * @param {...(Node | string | null)} children
 */
export function empty(title, ...children) {
  const parts = children.map((child) => (typeof child === 'string' ? h('p', {}, child) : child));
  return h('div', { class: 'empty' }, h('h2', {}, title), parts);
}

/**
 * A command, with a button that copies it where the browser lets a page do so.
 * @param {string} text
 * @param {string} [label]
 */
export function command(text, label = 'Copy the command') {
  const button = h('button', { type: 'button', class: 'plain', 'aria-label': label, onclick: copy }, 'Copy');
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      say(button, 'Copied');
    } catch {
      say(button, 'Select it');
    }
    setTimeout(() => say(button, 'Copy'), 1_600);
  }
  const can = Boolean(navigator.clipboard);
  return h(
    'div',
    { class: 'command' },
    h('pre', { tabindex: '0', role: 'group', 'aria-label': 'Command' }, h('code', {}, text)),
    can && button,
  );
}

let labels = 0;

/**
 * Shows a dialog until it is closed. `fill` gets the function that closes it.
 * @param {string} title
 * @param {(close: () => void) => (Node | string | null)[]} fill
 * @returns {Promise<void>}
 */
export function dialog(title, fill) {
  return new Promise((resolve) => {
    labels += 1;
    const id = `dialog-${labels}`;
    const shown = h('dialog', { 'aria-labelledby': id, onclose: end });
    function end() {
      shown.remove();
      resolve();
    }
    shown.append(
      h(
        'div',
        { class: 'stack' },
        h('h2', { id }, title),
        fill(() => shown.close()),
      ),
    );
    document.body.append(shown);
    shown.showModal();
  });
}

/**
 * Asks before something that cannot be undone. A failure of the deed is shown in the dialog.
 * @param {string} title
 * @param {string} words
 * @param {string} verb
 * @param {() => Promise<void>} deed
 * @returns {Promise<boolean>} Whether it was done.
 */
export async function ask(title, words, verb, deed) {
  let done = false;
  await dialog(title, (close) => {
    const trouble = h('div');
    const yes = h('button', { type: 'button', class: 'danger', onclick: act }, verb);
    async function act() {
      yes.disabled = true;
      try {
        await deed();
        done = true;
        close();
      } catch (error) {
        trouble.replaceChildren(failed(error));
        yes.disabled = false;
      }
    }
    const no = h('button', { type: 'button', onclick: close }, 'Keep it');
    return [h('p', {}, words), trouble, h('div', { class: 'row' }, yes, no)];
  });
  return done;
}

let fields = 0;

/**
 * A field of a form with its label.
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input
 * @param {string} [hint]
 */
export function field(label, input, hint) {
  if (!hint) return h('label', { class: 'field' }, h('span', {}, label), input);
  fields += 1;
  const id = `hint-${fields}`;
  input.setAttribute('aria-describedby', id);
  return h(
    'div',
    { class: 'field' },
    h('label', { class: 'field' }, h('span', {}, label), input),
    h('span', { class: 'small soft', id }, hint),
  );
}

/**
 * Shows at a field why its value is refused, and leads there; without words it takes that back.
 * @param {HTMLElement} input
 * @param {string} words
 */
export function refuse(input, words) {
  const place = input.closest('div.field') ?? input.closest('.field');
  place?.querySelector('.wrong')?.remove();
  input.removeAttribute('aria-invalid');
  input.removeAttribute('aria-errormessage');
  if (words === '') return;
  fields += 1;
  const id = `wrong-${fields}`;
  place?.append(h('span', { class: 'wrong small', id, role: 'alert', dir: 'auto' }, visible(words)));
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-errormessage', id);
  input.focus();
}

/**
 * A select of these values.
 * @param {[string, string][]} options Values and their words.
 * @param {string} chosen
 * @param {() => void} [changed]
 */
export function select(options, chosen, changed) {
  const element = h(
    'select',
    { onchange: changed },
    options.map(([value, words]) => h('option', { value }, visible(words))),
  );
  element.value = chosen;
  return element;
}
