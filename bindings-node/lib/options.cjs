'use strict';

// Checks the names of options: a mistyped one would have no effect, or reach the miner as an unknown field.

const { invalid } = require('./error.cjs');
const { snake } = require('./names.cjs');
const native = require('./native.cjs').load();

const REQUEST = {
  what: 'request',
  known: new Set(native.requestOptions()),
  hint: 'what is only for the miner goes into extra: { ... }',
  meant: (name) => native.meantOption(false, name),
};
const SESSION = {
  what: 'session',
  known: new Set(native.sessionOptions()),
  hint: 'the type SessionOptions lists all of them',
  meant: (name) => native.meantOption(true, name),
};

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** The options with the router's names. An unknown name is refused, with the name that was probably meant. */
function options({ what, known, hint, meant }, given) {
  const out = {};
  for (const [name, value] of Object.entries(given)) {
    const own = snake(name);
    if (!known.has(own)) {
      const near = meant(own);
      throw invalid(name, `${name} is no option of a ${what}: ${near ? `did you mean ${camel(near)}? ` : ''}${hint}`);
    }
    out[own] = value;
  }
  return out;
}

module.exports = { REQUEST, SESSION, options };
