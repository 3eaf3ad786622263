/** Places that show what the router answers, and are made anew only when that has changed. */

import { failed } from './dialog.js';
import { fill } from './dom.js';

/** @typedef {import('./dom.js').Child | import('./dom.js').Child[]} Shown */

/**
 * Gives a function that asks the router, and shows its answer or its refusal in a place.
 * @template T
 * @param {Element} place
 * @param {AbortSignal} signal The end of the view.
 * @param {() => Promise<T>} ask
 * @param {(answer: T) => Shown} show
 * @param {(answer: T) => unknown} [mark] Whatever of the answer is shown, and by whose change the place is made anew.
 */
export function renewed(place, signal, ask, show, mark = (answer) => answer) {
  /** @type {string | null} */
  let known = null;
  return async () => {
    try {
      const answer = await ask();
      const found = JSON.stringify(mark(answer));
      if (found === known) return;
      known = found;
      fill(place, show(answer));
    } catch (error) {
      if (!signal.aborted) fill(place, failed(error));
      known = null;
    }
  };
}
