'use strict';

// Programs write camelCase; the router's one schema has snake_case. Both are accepted; records come back unchanged.

const { RouterError, invalid } = require('./error.cjs');

/** Maps whose keys belong to the program and stay unchanged. */
const FREE = new Set(['aliases']);

const snake = (name) => (/[A-Z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name);

const isRecord = (value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && typeof value.toJSON !== 'function';

/** Converts the names of one record, but not those inside of its fields. */
function shallow(record) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [snake(name), value]));
}

/** Converts the names of a record and of all records in it. */
function deep(value) {
  if (Array.isArray(value)) return value.map(deep);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [snake(name), FREE.has(name) ? inner : deep(inner)]),
  );
}

/** The JSON text of a record; errors name it as `what`. */
function json(what, record, names = deep) {
  if (record === undefined || record === null) return '';
  if (!isRecord(record)) throw invalid(what, `${what} must be an object, not ${JSON.stringify(record) ?? typeof record}`);
  try {
    return JSON.stringify(names(record));
  } catch (cause) {
    if (cause instanceof RouterError) throw cause;
    throw invalid(what, `${what} cannot be written as JSON: ${cause.message}`);
  }
}

/** Checks that an id is a whole number. */
function id(what, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(what, `${what} must be a whole number, not ${String(value)}`);
  return value;
}

/** Checks the time limit of a wait. */
function milliseconds(value) {
  if (typeof value !== 'number' || !(value >= 0)) throw invalid('timeoutMs', 'timeoutMs must be a number of milliseconds');
  return value;
}

/** Checks the number of tasks that a miner takes at a time. */
function capacity(tasks) {
  if (!Number.isInteger(tasks) || tasks < 0 || tasks > 65_536) {
    throw invalid('capacity', 'capacity must be a whole number from 0 to 65536');
  }
  return tasks;
}

module.exports = { capacity, deep, id, isRecord, json, milliseconds, shallow, snake };
