'use strict';

/** An error of the router: `kind` is one of the sixteen kinds, `code` the finest code, `details` all known facts. */
class RouterError extends Error {
  /** @param {object} details the router's details of an error: `kind`, `code`, `message`, `retryable`, `param` ... */
  constructor(details, options) {
    super(details.message, options);
    this.kind = details.kind;
    this.code = details.code ?? details.kind;
    this.retryable = details.retryable ?? false;
    this.details = details;
  }
}
Object.defineProperty(RouterError.prototype, 'name', { value: 'RouterError', configurable: true, writable: true });

const invalid = (param, message) => new RouterError({ kind: 'invalid_argument', code: 'invalid_argument', message, param });

/** The native part throws the details as JSON. */
function fromNative(error) {
  const text = error?.message;
  return typeof text === 'string' && text.startsWith('{') ? new RouterError(JSON.parse(text)) : error;
}

/** Calls the native part. */
function attempt(call) {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

module.exports = { RouterError, attempt, fromNative, invalid };
