# frozen_string_literal: true

# Made from the schema by `cargo xtask gen`; do not edit.

module CortensorRouter
  # A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.
  class InvalidArgumentError < RouterError
    KIND = "invalid_argument"
  end

  # There is no token, or one that is not known: send a valid one.
  class UnauthenticatedError < RouterError
    KIND = "unauthenticated"
  end

  # The token is valid but does not carry the scope: use one that does.
  class PermissionDeniedError < RouterError
    KIND = "permission_denied"
  end

  # There is no such session, task, miner, model or key that this caller may see: check the id.
  class NotFoundError < RouterError
    KIND = "not_found"
  end

  # The thing is not in a state that allows this: look at its present state first.
  class ConflictError < RouterError
    KIND = "conflict"
  end

  # The idempotency key was used before with another request: use a new one.
  class IdempotencyMismatchError < RouterError
    KIND = "idempotency_mismatch"
  end

  # The request, or what it asks for, is over a limit: send less.
  class TooLargeError < RouterError
    KIND = "too_large"
  end

  # The router is at one of its bounds: retry after the time given.
  class OverloadedError < RouterError
    KIND = "overloaded"
    RETRYABLE = true
  end

  # Nothing is there to do the work at present: retry after the time given.
  class UnavailableError < RouterError
    KIND = "unavailable"
    RETRYABLE = true
  end

  # The deadline passed: a task that goes on can be polled by its ids.
  class RouterTimeoutError < RouterError
    KIND = "timeout"
    RETRYABLE = true
  end

  # Somebody cancelled the task: nothing is to be done.
  class TaskCancelledError < RouterError
    KIND = "cancelled"
  end

  # Every miner that was tried failed: read the message, which is the last one's.
  class MinerFailedError < RouterError
    KIND = "miner_failed"
    RETRYABLE = true
  end

  # The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
  class ClosedError < RouterError
    KIND = "closed"
  end

  # A defect of the router itself: report it with its message.
  class InternalError < RouterError
    KIND = "internal"
  end

  # The call waits for something that this very thread has to do first: make it from outside of a callback.
  class WouldDeadlockError < RouterError
    KIND = "would_deadlock"
  end

  # Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
  class PanicError < RouterError
    KIND = "panic"
  end

  # The class of each kind.
  KINDS = {
    "invalid_argument" => InvalidArgumentError,
    "unauthenticated" => UnauthenticatedError,
    "permission_denied" => PermissionDeniedError,
    "not_found" => NotFoundError,
    "conflict" => ConflictError,
    "idempotency_mismatch" => IdempotencyMismatchError,
    "too_large" => TooLargeError,
    "overloaded" => OverloadedError,
    "unavailable" => UnavailableError,
    "timeout" => RouterTimeoutError,
    "cancelled" => TaskCancelledError,
    "miner_failed" => MinerFailedError,
    "closed" => ClosedError,
    "internal" => InternalError,
    "would_deadlock" => WouldDeadlockError,
    "panic" => PanicError,
  }.freeze
end
