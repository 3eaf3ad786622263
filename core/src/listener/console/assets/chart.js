/** Draws live curves as SVG. */

import { fill, h, say, svg } from './dom.js';
import { clock } from './text.js';

const HEIGHT = 136;
const [TOP, BOTTOM] = [14, 20];
/** The seconds between the edges: at first, and once there are as many. */
const [LEAST, MOST] = [60, 300];
/** The milliseconds without a sample over which no line is drawn. */
const GAP = 3_500;

/**
 * @typedef {import('./live.js').Sample} Sample
 * @typedef {{ label: string, of: (sample: Sample) => number | null }} Series
 */

/**
 * The least round number that is not below a value.
 * @param {number} value
 */
export function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

/**
 * A card with one or two curves over the last minutes.
 * @param {object} shape
 * @param {string} shape.title
 * @param {Series[]} shape.series The first one is filled and names the value.
 * @param {(value: number) => string} shape.words
 */
export function chart({ title, series, words }) {
  const value = h('span', { class: 'now' });
  const when = h('span', { class: 'small soft' });
  const picture = svg('svg', { role: 'img', onpointermove: point, onpointerleave: () => point(null) });
  const legend = h(
    'span',
    { class: 'legend' },
    series.map(({ label }, at) => h('span', { class: at ? 'second' : '' }, label)),
  );
  const element = h(
    'figure',
    { class: 'card chart' },
    h('figcaption', {}, h('h2', {}, title), series.length > 1 && legend),
    h('div', { class: 'row' }, value, when),
    picture,
  );
  /** @type {Sample[]} */
  let samples = [];
  /** @type {number | null} */
  let pointed = null;
  new ResizeObserver(paint).observe(picture);

  /** @param {PointerEvent | null} event */
  function point(event) {
    pointed = event ? event.offsetX / Math.max(1, picture.clientWidth) : null;
    paint();
  }

  function paint() {
    const width = picture.clientWidth || 320;
    const values = series.map(({ of }) => samples.map(of));
    const most = Math.max(0, ...values.flat().map((known) => known ?? 0));
    const top = ceiling(most);
    const last = samples.at(-1)?.time ?? 0;
    const span = Math.min(MOST, Math.max(LEAST, (last - (samples[0]?.time ?? 0)) / 1_000));
    const x = (/** @type {number} */ at) => (1 - (last - samples[at].time) / (span * 1_000)) * width;
    const y = (/** @type {number} */ known) => HEIGHT - BOTTOM - (known / top) * (HEIGHT - TOP - BOTTOM);
    picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const at = pointed === null ? samples.length - 1 : nearest(last - (1 - pointed) * span * 1_000);
    const shown = values[0][at] ?? null;
    say(value, shown === null ? '–' : words(shown));
    say(when, pointed !== null && samples[at] ? `at ${clock(new Date(samples[at].time))}` : '');
    const present = values[0].at(-1) ?? null;
    picture.setAttribute(
      'aria-label',
      `${title}: ${present === null ? 'no value' : words(present)} now, at most ${words(most)} in the last minutes`,
    );
    const lines = values.map((known) => pieces(samples, known, x, y));
    const rules = [0, top / 2, top].map((known) =>
      svg('line', { class: 'rule', x1: 0, x2: width, y1: y(known), y2: y(known) }),
    );
    fill(
      picture,
      ...rules,
      svg('text', { class: 'label', x: 0, y: y(top) - 4 }, words(top)),
      svg(
        'text',
        { class: 'label', x: 0, y: HEIGHT - 4 },
        span < 110 ? `${Math.round(span)} s ago` : `${Math.round(span / 60)} min ago`,
      ),
      svg('text', { class: 'label', x: width, y: HEIGHT - 4, 'text-anchor': 'end' }, 'now'),
      svg('path', { class: 'area', d: area(lines[0], y(0)) }),
      ...lines.map((line, nth) => svg('path', { class: nth ? 'curve second' : 'curve', d: curve(line) })).reverse(),
      ...(pointed !== null && samples[at]
        ? [svg('line', { class: 'rule', x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM })]
        : []),
      ...(shown === null ? [] : [svg('circle', { class: 'dot', cx: x(at), cy: y(shown), r: 3.5 })]),
    );
  }

  /** @param {number} time */
  function nearest(time) {
    return samples.reduce(
      (best, { time: known }, at) => (Math.abs(known - time) < Math.abs(samples[best].time - time) ? at : best),
      0,
    );
  }

  /** @param {Sample[]} next */
  function draw(next) {
    samples = next;
    paint();
  }

  return { element, draw };
}

/**
 * The points of a curve, in pieces where samples or their values are missing.
 * @param {Sample[]} samples
 * @param {(number | null)[]} values
 * @param {(at: number) => number} x
 * @param {(value: number) => number} y
 */
function pieces(samples, values, x, y) {
  /** @type {[string, string][][]} */
  const found = [];
  let before = -Infinity;
  values.forEach((value, at) => {
    if (value === null) {
      before = -Infinity;
      return;
    }
    if (samples[at].time - before > GAP) found.push([]);
    before = samples[at].time;
    found[found.length - 1].push([x(at).toFixed(1), y(value).toFixed(1)]);
  });
  return found;
}

/** @param {[string, string][][]} all */
function curve(all) {
  // A piece of one point is drawn as a dot, by the round end of a line without a length.
  return all.map((points) => `M${points.length > 1 ? points.join('L') : `${points[0]}l0,0`}`).join('');
}

/**
 * @param {[string, string][][]} all
 * @param {number} ground
 */
function area(all, ground) {
  return all
    .map((points) => `M${points[0][0]},${ground}L${points.join('L')}L${points[points.length - 1][0]},${ground}Z`)
    .join('');
}

/**
 * A bar that shows a share.
 * @param {number} share 0 to 1
 * @param {string} label
 * @param {'warn'} [tone]
 */
export function bar(share, label, tone) {
  const filled = h('span', { 'data-tone': tone });
  filled.style.width = `${Math.min(1, Math.max(0, share)) * 100}%`;
  return h('span', { class: 'bar', role: 'img', 'aria-label': label }, filled);
}
