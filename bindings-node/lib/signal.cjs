'use strict';

// One listener for each signal, however many tasks it serves: Node warns of a leak from the eleventh on.

const followers = new WeakMap();

/** Calls `follow` once the signal is aborted. Gives a function that undoes this. */
function onAbort(signal, follow) {
  let set = followers.get(signal);
  if (!set) {
    set = new Set();
    followers.set(signal, set);
    const told = set;
    signal.addEventListener('abort', () => told.forEach((one) => one()), { once: true });
  }
  set.add(follow);
  return () => set.delete(follow);
}

/** Whether a value is an abort signal, of this realm or of another. */
const isSignal = (value) => typeof value?.throwIfAborted === 'function' && typeof value.addEventListener === 'function';

module.exports = { isSignal, onAbort };
