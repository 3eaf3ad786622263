# Made from the schema by `cargo xtask gen`; do not edit.
"""The exceptions: one class a kind of error, each of which says what to do."""

from __future__ import annotations

from ._error import RouterError

__all__ = [
    "ClosedError",
    "ConflictError",
    "IdempotencyMismatchError",
    "InternalError",
    "InvalidArgumentError",
    "MinerFailedError",
    "NotFoundError",
    "OverloadedError",
    "PanicError",
    "PermissionDeniedError",
    "RouterError",
    "RouterTimeoutError",
    "TaskCancelledError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "WouldDeadlockError",
]


class InvalidArgumentError(RouterError, ValueError):
    """A field or an argument is missing, of the wrong type or out of its range: correct the one that is named."""

    kind = "invalid_argument"


class UnauthenticatedError(RouterError, PermissionError):
    """There is no token, or one that is not known: send a valid one."""

    kind = "unauthenticated"


class PermissionDeniedError(RouterError, PermissionError):
    """The token is valid but does not carry the scope: use one that does."""

    kind = "permission_denied"


class NotFoundError(RouterError, LookupError):
    """There is no such session, task, miner, model or key that this caller may see: check the id."""

    kind = "not_found"


class ConflictError(RouterError, RuntimeError):
    """The thing is not in a state that allows this: look at its present state first."""

    kind = "conflict"


class IdempotencyMismatchError(RouterError, ValueError):
    """The idempotency key was used before with another request: use a new one."""

    kind = "idempotency_mismatch"


class TooLargeError(RouterError, ValueError):
    """The request, or what it asks for, is over a limit: send less."""

    kind = "too_large"


class OverloadedError(RouterError, RuntimeError):
    """The router is at one of its bounds: retry after the time given."""

    kind = "overloaded"
    retryable = True


class UnavailableError(RouterError, ConnectionError):
    """Nothing is there to do the work at present: retry after the time given."""

    kind = "unavailable"
    retryable = True


class RouterTimeoutError(RouterError, TimeoutError):
    """The deadline passed: a task that goes on can be polled by its ids."""

    kind = "timeout"
    retryable = True


class TaskCancelledError(RouterError, RuntimeError):
    """Somebody cancelled the task: nothing is to be done."""

    kind = "cancelled"


class MinerFailedError(RouterError, RuntimeError):
    """Every miner that was tried failed: read the message, which is the last one's."""

    kind = "miner_failed"
    retryable = True


class ClosedError(RouterError, RuntimeError):
    """The router is shut down or draining, the job was answered, or the stream is over: begin a new one."""

    kind = "closed"


class InternalError(RouterError, RuntimeError):
    """A defect of the router itself: report it with its message."""

    kind = "internal"


class WouldDeadlockError(RouterError, RuntimeError):
    """The call waits for something that this very thread has to do first: make it from outside of a callback."""

    kind = "would_deadlock"


class PanicError(RouterError, RuntimeError):
    """Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable."""

    kind = "panic"
