/** Makes texts for people: numbers, times, and the texts of strangers. */

import { h } from './dom.js';

/** Characters that show nothing, or turn the direction of what follows. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/**
 * A stranger's text in which control characters can be seen. Line ends and tabs stay.
 * @param {string} text
 */
export function visible(text) {
  return text.replaceAll('\r\n', '\n').replace(UNSEEN, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/**
 * A stranger's text as an element, whose direction does not spread to its neighbours.
 * @param {string | null | undefined} text
 * @param {string} [className]
 */
export function foreign(text, className = '') {
  return h('span', { class: `foreign ${className}`.trim(), dir: 'auto' }, visible(text ?? ''));
}

/**
 * A text of at most that many characters.
 * @param {string} text
 * @param {number} most
 */
export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most).trimEnd()}…` : text;
}

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const FINE = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/**
 * A count: whole, or short from ten thousand on.
 * @param {number} value
 */
export function count(value) {
  return value >= 10_000 ? SHORT.format(value) : WHOLE.format(value);
}

/**
 * A count with every digit.
 * @param {number} value
 */
export function exact(value) {
  return WHOLE.format(value);
}

/**
 * A rate, with one digit behind the point while it is small.
 * @param {number} value
 */
export function rate(value) {
  return value >= 100 ? count(Math.round(value)) : FINE.format(value);
}

/**
 * A duration.
 * @param {number} ms
 */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const secs = ms / 1_000;
  if (secs < 60) return `${FINE.format(secs)} s`;
  const minutes = Math.floor(secs / 60);
  if (minutes < 60) return both(minutes, 'min', Math.floor(secs % 60), 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return both(hours, 'h', minutes % 60, 'min');
  return both(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/**
 * A number of a unit, and what is left in a smaller one.
 * @param {number} many
 * @param {string} unit
 * @param {number} rest
 * @param {string} smaller
 */
function both(many, unit, rest, smaller) {
  return rest === 0 ? `${many} ${unit}` : `${many} ${unit} ${rest} ${smaller}`;
}

/**
 * A moment, as an element that shows its age and tells the time.
 * @param {number} secs Unix seconds
 */
export function ago(secs) {
  const at = new Date(secs * 1_000);
  const age = Math.max(0, Date.now() - at.getTime());
  const words = age < 5_000 ? 'just now' : `${age < 60_000 ? `${Math.floor(age / 1_000)} s` : coarse(age)} ago`;
  return h('time', { datetime: at.toISOString(), title: moment(secs) }, words);
}

/** @param {number} ms */
function coarse(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/**
 * A moment in this browser's time.
 * @param {number} secs Unix seconds
 */
export function moment(secs) {
  const at = new Date(secs * 1_000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
}

/**
 * The time of day.
 * @param {Date} at
 */
export function clock(at) {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/**
 * A number and its noun.
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function plural(value, one, many = `${one}s`) {
  return `${exact(value)} ${value === 1 ? one : many}`;
}

/**
 * A word of state.
 * @param {string} word
 * @param {'good' | 'live' | 'warn' | 'bad' | 'quiet'} [tone]
 */
export function state(word, tone = 'quiet') {
  return h('span', { class: 'state', 'data-tone': tone }, visible(word.replaceAll('_', ' ')));
}
