"""Submitted tasks and their tokens."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _bridge, _native
from ._completion import Completion, End, Event, Restart, Token
from ._errors import MinerFailedError, RouterError
from ._records import TaskRecord

if TYPE_CHECKING:
    from typing_extensions import Self


class TaskBase:
    """The identity of a task, and everything that does not wait."""

    def __init__(self, router: _native.Router, native: _native.Task, *, owned: bool) -> None:
        # The router stays open while one of its tasks exists.
        self._router = router
        self._native = native
        # Whether leaving the task cancels it, even if other callers wait for it.
        self._owned = owned and not native.joined

    @property
    def session_id(self) -> int:
        """The session."""
        return self._native.session_id

    @property
    def id(self) -> int:
        """The task's id in its session."""
        return self._native.task_id

    @property
    def gid(self) -> int:
        """The task's id among all sessions."""
        return self._native.gid

    @property
    def joined(self) -> bool:
        """Whether an idempotency key led to a task that existed already."""
        return self._native.joined

    def cancel(self) -> None:
        """Cancels the task, even if other callers wait for it."""
        self._native.cancel()

    def detach(self) -> None:
        """Detaches the task: from now on, no caller that leaves cancels it."""
        self._native.detach()
        self._owned = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of session {self.session_id}>"


class Task(TaskBase):
    """A submitted task.

    `async for` gives its tokens. Breaking out of it, or being cancelled in it, cancels the task: read `tokens()` where
    it should not. Letting go of the last handle of it cancels it, too. Neither does where it was submitted with
    `detach=True`, or by somebody else.
    """

    async def record(self) -> TaskRecord:
        """The task's present record."""
        return TaskRecord._parse(await _bridge.answer(self._native.record()))

    async def result(self) -> Completion:
        """Waits for the end and gives the answer, any number of times. `await task` does that too."""
        return Completion._parse(await _bridge.answer(self._native.result()))

    def __await__(self) -> Generator[Any, None, Completion]:
        return self.result().__await__()

    def __aiter__(self) -> TokenStream:
        return TokenStream(self._native, cancels=self._owned)

    def tokens(self, after: int = 0) -> TokenStream:
        """The tokens after that number. Leaving this loop early cancels nothing."""
        return TokenStream(self._native, after, cancels=False)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """The tokens after that number with their numbers, restarts, and the end.

        An end without an answer raises what there is in its place.
        """
        stream = self._native.stream(after)
        while (batch := await _batch(stream, texts=False)) is not None:
            for one in batch:
                yield event_of(one)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.cancel()


class SyncTask(TaskBase):
    """A submitted task.

    `for` gives its tokens, and breaking out of it cancels the task: read `tokens()` where it should not. Letting go of
    the last handle of it cancels it, too. Neither does where it was submitted with `detach=True`, or by somebody else.
    """

    def record(self) -> TaskRecord:
        """The task's present record."""
        return TaskRecord._parse(self._native.record().wait())

    def result(self, timeout: float | None = None) -> Completion:
        """Waits for the end and gives the answer; after `timeout` seconds it raises, and the task goes on."""
        return Completion._parse(self._native.result().wait(timeout))

    def __iter__(self) -> SyncTokenStream:
        return SyncTokenStream(self._native, cancels=self._owned)

    def tokens(self, after: int = 0) -> SyncTokenStream:
        """The tokens after that number. Leaving this loop early cancels nothing."""
        return SyncTokenStream(self._native, after, cancels=False)

    def events(self, after: int = 0) -> Iterator[Event]:
        """The tokens after that number with their numbers, restarts, and the end.

        An end without an answer raises what there is in its place.
        """
        stream = self._native.stream(after)
        while (batch := stream.wait(texts=False)) is not None:
            for one in batch:
                yield event_of(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.cancel()


def event_of(one: Any) -> Event:
    """Converts an event of the native part. Raises if it is an end without an answer."""
    if isinstance(one, tuple):
        if len(one) == 1:  # pyright: ignore[reportUnknownArgumentType]
            return End(Completion._parse(one[0]))  # pyright: ignore[reportUnknownArgumentType]
        return Token(*one)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(one, BaseException):
        raise one
    return Restart(one)


async def _batch(stream: _native.Stream, *, texts: bool) -> list[Any] | None:
    """The events that are ready, at least one; `None` after the end."""
    ready = stream.take_ready(texts)
    while ready is not None and not ready:
        await _bridge.current().told(stream.notify)
        ready = stream.take_ready(texts)
    return ready


class _TokensBase:
    """The tokens that were taken and not read yet."""

    __slots__ = ("_cancels", "_ready", "_spoke", "_stream", "_task")

    def __init__(self, task: _native.Task, after: int = 0, *, cancels: bool) -> None:
        self._task = task
        self._stream = task.stream(after)
        self._ready: deque[Any] = deque()
        self._spoke = after > 0
        self._cancels = cancels

    def _leave(self) -> None:
        """Releases the stream, which is not read any further."""
        if self._cancels:
            self._cancels = False
            self._task.cancel()

    def _next(self) -> str | None:
        """The next text that is ready. Raises on an end without an answer, and on a restart after text was read."""
        while self._ready:
            one = self._ready.popleft()
            if isinstance(one, str):
                self._spoke = True
                return one
            if isinstance(one, int):
                if self._spoke:
                    self._cancels = False
                    message = "another miner starts over, and what was read is void: read task.events() to go on"
                    raise MinerFailedError(message, code="stream_restarted")
                continue
            self._cancels = False
            if isinstance(one, BaseException):
                raise one
        return None

    def __del__(self) -> None:
        if getattr(self, "_cancels", False):
            with contextlib.suppress(RouterError):
                self._task.cancel()


class TokenStream(_TokensBase):
    """The tokens of a task as text, for `async for`."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            ready = self._ready
            # Nearly every event is a text.
            if ready and type(ready[0]) is str:
                self._spoke = True
                piece: str = ready.popleft()
                return piece
            text = self._next()
            if text is not None:
                return text
            try:
                batch = await _batch(self._stream, texts=True)
            except asyncio.CancelledError:
                # The reader was cancelled, as when a web server's client hangs up: this counts as leaving the loop.
                self._leave()
                raise
            if batch is None:
                self._cancels = False
                raise StopAsyncIteration
            self._ready.extend(batch)

    async def aclose(self) -> None:
        """Reads no further; cancels the task if leaving the loop does."""
        self._leave()


class SyncTokenStream(_TokensBase):
    """The tokens of a task as text, for `for`."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while True:
            text = self._next()
            if text is not None:
                return text
            batch = self._stream.wait(texts=True)
            if batch is None:
                self._cancels = False
                raise StopIteration
            self._ready.extend(batch)

    def close(self) -> None:
        """Reads no further; cancels the task if leaving the loop does."""
        self._leave()
