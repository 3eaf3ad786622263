'use strict';

// Programs write camelCase; the router's one schema has snake_case. Both are understood, records come back as they are.

const { RouterError, invalid } = require('./error.cjs');

/** Maps whose keys are the program's own: they stay as they are. */
const FREE = new Set(['aliases']);

const snake = (name) => (/[A-Z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name);

const isRecord = (value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && typeof value.toJSON !== 'function';

/** The names of one record; what is in its fields stays. */
function shallow(record) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [snake(name), value]));
}

/** The names of a record and of all records in it. */
function deep(value) {
  if (Array.isArray(value)) return value.map(deep);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [snake(name), FREE.has(name) ? inner : deep(inner)]),
  );
}

/** JSON of a record that was given as `what`. */
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

/** A whole number as an id. */
function id(what, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(what, `${what} must be a whole number, not ${String(value)}`);
  return value;
}

/** A time that is waited for. */
function milliseconds(value) {
  if (typeof value !== 'number' || !(value >= 0)) throw invalid('timeoutMs', 'timeoutMs must be a number of milliseconds');
  return value;
}

/** How many tasks a miner takes at a time. */
function capacity(tasks) {
  if (!Number.isInteger(tasks) || tasks < 0 || tasks > 65_536) {
    throw invalid('capacity', 'capacity must be a whole number from 0 to 65536');
  }
  return tasks;
}

module.exports = { capacity, deep, id, isRecord, json, milliseconds, shallow, snake };
