"""The base of all exceptions of the package, and the conversion of the router's errors."""

from __future__ import annotations

import json
from typing import Any, ClassVar

KINDS: dict[str, type[RouterError]] = {}
"""The class of each kind: the first class that names the kind."""


class RouterError(Exception):
    """An error of the router: a refusal or a failure.

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
    """The finest code of the error: one below the kind (`no_miner`), or the kind's if there is none."""
    param: str | None
    """The field or argument at fault."""
    retry_after_ms: int | None
    """Milliseconds after which a retry may succeed."""
    session_id: int | None
    """The session that the error is about."""
    task_id: int | None
    """The task that the error is about; it can be polled."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        KINDS.setdefault(cls.kind, cls)

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


def error_of(text: str) -> RouterError:
    """Makes the exception for an error from its JSON."""
    record: dict[str, Any] = json.loads(text)
    return KINDS.get(record["kind"], RouterError)(
        record["message"],
        code=record["code"],
        param=record.get("param"),
        retry_after_ms=record.get("retry_after_ms"),
        session_id=record.get("session_id"),
        task_id=record.get("task_id"),
    )
