'use strict';

const { receiver } = require('./bridge.cjs');
const { invalid } = require('./error.cjs');

/** The number of a log sink; 0 if there is none. */
function logSink(log) {
  if (log === undefined || log === null) return 0;
  if (typeof log !== 'function') throw invalid('log', 'log must be a function that takes a record');
  return receiver(([time, level, target, message]) => log({ time: new Date(Number(time)), level, target, message }));
}

module.exports = { logSink };
