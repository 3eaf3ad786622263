/** Starts the console: the theme, the way in, then the frame with its views. */

import { onRefusal } from './api.js';
import { signIn } from './sign_in.js';
import { start } from './start.js';
import { startTheme } from './theme.js';

startTheme();

/** @type {() => void} */
let end = () => {};

/**
 * @param {Error | null} error
 * @param {boolean} asks
 */
async function begin(error, asks) {
  end();
  end = () => {};
  const rights = await signIn(error, asks);
  let over = false;
  end = start(rights, (again) => leave(null, again));
  onRefusal((refusal) => leave(refusal, true));

  /**
   * @param {Error | null} why
   * @param {boolean} again
   */
  function leave(why, again) {
    if (over) return;
    over = true;
    onRefusal(() => {});
    begin(why, again);
  }
}

begin(null, false);
