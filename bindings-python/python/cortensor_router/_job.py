"""A job in the hands of a miner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from . import _bridge, _native
from ._json import fields_of, parsed, text_of

if TYPE_CHECKING:
    from ._options import FailCode
    from ._records import JobInfo

_TAKEN, _SLOW, _CANCELLED = 0, 1, 2

Piece = str | bytes | Mapping[str, Any]
"""A piece of an answer: text, bytes that may end in the middle of a character, or a mapping as in `PieceParts`."""


class JobError(Exception):
    """An error that a miner raises to give its failure a code.

    >>> raise JobError("overloaded", "the GPU is out of memory")
    Traceback (most recent call last):
    ...
    cortensor_router._job.JobError: overloaded: the GPU is out of memory
    """

    def __init__(self, code: FailCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """The reason for the failure, in one word: `overloaded`, `internal` ..."""
        self.message = message
        """The reason for the failure."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message)


class JobBase:
    """The fields of a job, and the methods that answer it."""

    __slots__ = ("_answered", "_info", "_native", "_prompt")

    def __init__(self, native: _native.Job) -> None:
        self._native = native
        self._info: JobInfo | None = None
        self._prompt: str | None = None
        self._answered = False

    @property
    def _told(self) -> JobInfo:
        info = self._info
        if info is None:
            info = self._info = cast("JobInfo", parsed(self._native.info()))
        return info

    @property
    def prompt(self) -> str:
        """The whole text that the model is to read."""
        if self._prompt is None:
            self._prompt = self._native.prompt()
        return self._prompt

    @property
    def request(self) -> dict[str, Any]:
        """The caller's request: `messages`, `max_tokens`, `temperature` ..."""
        return dict(self._told["request"])

    @property
    def gid(self) -> int:
        """The task's id among all sessions."""
        return int(self._told["gid"])

    @property
    def session_id(self) -> int:
        """The session."""
        return int(self._told["session_id"])

    @property
    def task_id(self) -> int:
        """The task's id in its session."""
        return int(self._told["task_id"])

    @property
    def model(self) -> str:
        """The model that the caller named."""
        return str(self._told["model"] or "")

    @property
    def stream(self) -> bool:
        """Whether a client reads tokens as they come."""
        return bool(self._told["stream"])

    @property
    def deadline_ms(self) -> int:
        """The deadline of the task, in milliseconds since the Unix epoch."""
        return int(self._told["deadline_ms"])

    @property
    def partial(self) -> str | None:
        """The text that another miner gave before it was lost, if the answer must go on behind it.

        Only miners that said that they can continue get such work.
        """
        return self._told.get("partial")

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context under which the miner's own work belongs, if the caller sent one."""
        return self._told.get("traceparent")

    @property
    def tracestate(self) -> str | None:
        """The W3C `tracestate` that belongs to `traceparent`."""
        return self._told.get("tracestate")

    @property
    def is_cancelled(self) -> bool:
        """Whether the work is no longer wanted, or was answered."""
        return self._native.is_cancelled()

    def _give(self, piece: object) -> int:
        """Emits a piece of any kind. Gives the router's response."""
        if isinstance(piece, Mapping):
            return self._native.emit_parts(text_of("piece", dict(piece)))  # pyright: ignore[reportUnknownArgumentType]
        # The native part refuses everything else.
        return self._native.emit(piece)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def emit(self, piece: Piece) -> bool:
        """Gives the next piece of the answer; `False`: the answer is no longer wanted, stop.

        It does not wait for a slow reader: `send` does. The bytes of one character may be cut in two. A mapping holds
        what is no text: `{"reasoning": "..."}`, `{"tool_calls": [...]}`.
        """
        return self._give(piece) != _CANCELLED

    def finish(
        self,
        text: str | None = None,
        *,
        reasoning: str | None = None,
        tool_calls: Sequence[Mapping[str, Any]] | None = None,
        finish_reason: str | None = None,
        usage: Mapping[str, int] | None = None,
        model: str | None = None,
        embedding: Any = None,
    ) -> None:
        """Ends the work. If pieces were emitted, they are the text; usage that is not given is estimated.

        `tool_calls` are OpenAI's; their arguments may be mappings. `embedding` is a vector, or a list of them.
        """
        answer = {
            "text": text,
            "reasoning": reasoning,
            "tool_calls": tool_calls,
            "finish_reason": finish_reason,
            "usage": usage,
            "model": model,
            "embedding": embedding,
        }
        self._native.finish(fields_of("answer", answer))
        self._answered = True

    def fail(self, code: FailCode, message: str) -> None:
        """Ends the work with a failure; `code` as in `JobError`."""
        self._native.fail(code, message)
        self._answered = True

    def reject(self, reason: str) -> None:
        """Gives the job back: another miner is tried, and this one is not blamed."""
        self._native.reject(reason)
        self._answered = True

    def _finish_with(self, answer: object) -> None:
        """Ends the job with the result of the miner's function."""
        if self._answered:
            return
        if answer is None:
            self._native.finish("")
        elif isinstance(answer, str):
            self._native.finish(text_of("answer", {"text": answer}))
        elif isinstance(answer, Mapping):
            self._native.finish(text_of("answer", dict(answer)))  # pyright: ignore[reportUnknownArgumentType]
        else:
            message = (
                f"a miner gives str or a mapping (text, tool_calls, embedding, usage ...), not {type(answer).__name__}"
            )
            raise TypeError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} gid={self.gid} model={self.model!r}>"


class Job(JobBase):
    """A job of a miner that runs in an event loop."""

    __slots__ = ("_loop",)

    def __init__(self, native: _native.Job, loop: _bridge.Loop) -> None:
        super().__init__(native)
        self._loop = loop

    async def send(self, piece: Piece) -> bool:
        """Gives the next piece, and waits while the reader is slow; `False`: the answer is no longer wanted, stop."""
        return await self._sent(self._give(piece))

    async def _sent(self, state: int) -> bool:
        if state == _SLOW:
            await self._loop.told(self._native.on_writable)
            return not self._native.is_cancelled()
        return state == _TAKEN


class SyncJob(JobBase):
    """A job of a miner that runs on a thread and may block it."""

    __slots__ = ()

    def send(self, piece: Piece) -> bool:
        """Gives the next piece, and waits while the reader is slow; `False`: the answer is no longer wanted, stop."""
        state = self._give(piece)
        if state == _SLOW:
            self._native.wait_writable()
            return not self._native.is_cancelled()
        return state == _TAKEN

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Blocks until the work is no longer wanted; `False` after `timeout` seconds, or when the job was answered."""
        return self._native.wait_cancelled(timeout)
