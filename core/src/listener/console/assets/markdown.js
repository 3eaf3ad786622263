/**
 * Shows an answer's Markdown: headings, lists, quotes, code, emphasis and links. It builds nodes and never markup, so
 * that an answer can hold anything; whatever it does not know stays text.
 */

import { h } from './dom.js';
import { visible } from './text.js';

/** Code, strong and stressed words, and links to the web. */
const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\[([^\]\n]+)\]\((https?:\/\/[^\s()]+)\)/g;
const ITEM = /^\s*(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const FENCE = /^\s*(`{3,}|~{3,})(.*)$/;

/**
 * The nodes of a text.
 * @param {string} text
 * @returns {HTMLElement[]}
 */
export function markdown(text) {
  const lines = visible(text).split('\n');
  /** @type {HTMLElement[]} */
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = /^(#{1,6})\s+(.+)$/.exec(line);
    if (line.trim() === '') {
      at += 1;
    } else if (fence) {
      const code = [];
      for (at += 1; at < lines.length && !lines[at].trim().startsWith(fence[1]); at += 1) code.push(lines[at]);
      at += 1;
      blocks.push(h('pre', { tabindex: '0', role: 'group', 'aria-label': 'Code' }, h('code', {}, code.join('\n'))));
    } else if (heading) {
      // The page has headings of its own above these.
      blocks.push(h('p', {}, h('strong', {}, inline(heading[2]))));
      at += 1;
    } else if (ITEM.test(line)) {
      const items = [];
      const ordered = Boolean(ITEM.exec(line)?.[1]);
      const first = Number(ITEM.exec(line)?.[1] ?? 1);
      for (let item = ITEM.exec(line); item && Boolean(item[1]) === ordered; item = ITEM.exec(lines[at] ?? '')) {
        items.push(h('li', {}, inline(item[2])));
        at += 1;
      }
      blocks.push(ordered ? h('ol', { start: first }, items) : h('ul', {}, items));
    } else if (line.startsWith('>')) {
      const quoted = [];
      for (; at < lines.length && lines[at].startsWith('>'); at += 1) quoted.push(lines[at].replace(/^>\s?/, ''));
      blocks.push(h('blockquote', {}, inline(quoted.join('\n'))));
    } else {
      const words = [];
      for (; at < lines.length && lines[at].trim() !== '' && !FENCE.test(lines[at]) && !ITEM.test(lines[at]); at += 1)
        words.push(lines[at]);
      blocks.push(h('p', { dir: 'auto' }, inline(words.join('\n'))));
    }
  }
  return blocks;
}

/**
 * @param {string} text
 * @returns {import('./dom.js').Child[]}
 */
function inline(text) {
  /** @type {import('./dom.js').Child[]} */
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, code, strong, stressed, name, address] = found;
    nodes.push(...broken(text.slice(from, found.index)));
    if (code !== undefined) nodes.push(h('code', {}, code));
    else if (strong !== undefined) nodes.push(h('strong', {}, strong));
    else if (stressed !== undefined) nodes.push(h('em', {}, stressed));
    else nodes.push(h('a', { href: address, target: '_blank', rel: 'noopener noreferrer', title: address }, name));
    from = found.index + whole.length;
  }
  nodes.push(...broken(text.slice(from)));
  return nodes;
}

/**
 * A text whose lines stay lines.
 * @param {string} text
 */
function broken(text) {
  return text.split('\n').flatMap((line, at) => (at === 0 ? [line] : [h('br'), line]));
}
