"""The exceptions: one class a kind of error, each of which says what to do."""

from __future__ import annotations

import json
from typing import Any, ClassVar

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


class RouterError(Exception):
    """Anything that the router refuses or that went wrong in it.

    >>> from cortensor_router import InvalidArgumentError, RouterError
    >>> error = InvalidArgumentError("max_tokens must be 1 or more", param="max_tokens")
    >>> error.code, error.retryable, error.param, isinstance(error, (RouterError, ValueError))
    ('invalid_argument', False, 'max_tokens', True)
    """

    kind: ClassVar[str] = "internal"
    """The kind of the error, by the same word in every language."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later, unchanged."""

    message: str
    """The problem and how to mend it."""
    code: str
    """The finest code there is: that of the kind, or one below it (`no_miner`)."""
    param: str | None
    """The field or argument at fault."""
    retry_after_ms: int | None
    """Milliseconds after which a retry may succeed."""
    session_id: int | None
    """The session that the error is about."""
    task_id: int | None
    """The task that the error is about; it can be polled."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_ms: int | None = None,
        session_id: int | None = None,
        task_id: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.kind
        self.param = param
        self.retry_after_ms = retry_after_ms
        self.session_id = session_id
        self.task_id = task_id

    def __str__(self) -> str:
        return self.message

    @property
    def details(self) -> dict[str, Any]:
        """The known details beside the message; unknown ones are absent."""
        known = {
            "param": self.param,
            "retry_after_ms": self.retry_after_ms,
            "session_id": self.session_id,
            "task_id": self.task_id,
        }
        return {name: value for name, value in known.items() if value is not None}

    def __reduce__(self) -> tuple[Any, ...]:
        known = {"kind": self.kind, "code": self.code, "message": self.message, **self.details}
        return error_of, (json.dumps(known),)


class InvalidArgumentError(RouterError, ValueError):
    """A field or an argument is missing, of the wrong type or out of its range: correct the one that is named."""

    kind = "invalid_argument"


class UnauthenticatedError(RouterError, PermissionError):
    """No token, or one that is not known: send a valid one."""

    kind = "unauthenticated"


class PermissionDeniedError(RouterError, PermissionError):
    """The token is valid but does not carry the scope: use one that does."""

    kind = "permission_denied"


class NotFoundError(RouterError, LookupError):
    """No such session, task, miner, model or key: check the id."""

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
    """The router is at one of its bounds: retry after `retry_after_ms`."""

    kind = "overloaded"
    retryable = True


class UnavailableError(RouterError, ConnectionError):
    """Nothing is there to do the work at present: retry after `retry_after_ms`."""

    kind = "unavailable"
    retryable = True


class RouterTimeoutError(RouterError, TimeoutError):
    """The time passed. A task that goes on can be polled by its ids."""

    kind = "timeout"
    retryable = True


class TaskCancelledError(RouterError, RuntimeError):
    """The task was cancelled, as somebody asked for."""

    kind = "cancelled"


class MinerFailedError(RouterError, RuntimeError):
    """Every miner that was tried failed; the message is the last one's."""

    kind = "miner_failed"
    retryable = True


class ClosedError(RouterError, RuntimeError):
    """The router is shut down or draining: open a new one."""

    kind = "closed"


class InternalError(RouterError, RuntimeError):
    """A defect of the router itself: report it with its message."""

    kind = "internal"


class WouldDeadlockError(RouterError, RuntimeError):
    """The call waits for something that this very thread has to do first."""

    kind = "would_deadlock"


class PanicError(RouterError, RuntimeError):
    """Code of the router panicked: report it."""

    kind = "panic"


KINDS: dict[str, type[RouterError]] = {
    one.kind: one
    for one in (
        InvalidArgumentError,
        UnauthenticatedError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        IdempotencyMismatchError,
        TooLargeError,
        OverloadedError,
        UnavailableError,
        RouterTimeoutError,
        TaskCancelledError,
        MinerFailedError,
        ClosedError,
        InternalError,
        WouldDeadlockError,
        PanicError,
    )
}


def error_of(text: str) -> RouterError:
    """The exception that an error is, out of its JSON."""
    record: dict[str, Any] = json.loads(text)
    return KINDS.get(record["kind"], RouterError)(
        record["message"],
        code=record["code"],
        param=record.get("param"),
        retry_after_ms=record.get("retry_after_ms"),
        session_id=record.get("session_id"),
        task_id=record.get("task_id"),
    )
