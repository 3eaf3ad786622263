'use strict';

/** Things of which each is in one hand at a time. */
class Shelf {
  #free;
  #waiting = [];

  constructor(things) {
    this.#free = things;
  }

  /** A free thing; waits until there is one. */
  async take() {
    return this.#free.pop() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a thing to whoever has waited longest. */
  put(thing) {
    const next = this.#waiting.shift();
    if (next) next(thing);
    else this.#free.push(thing);
  }
}

module.exports = { Shelf };
