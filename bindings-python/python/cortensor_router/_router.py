"""The router for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _bridge, _native
from ._asgi import AsgiApp
from ._base import CLOSE_SECONDS, RouterBase
from ._errors import MinerFailedError, RouterError, RouterTimeoutError
from ._json import config_of, fields_of
from ._miners import LoopWork, ThreadWork, runs_in_loop
from ._options import (
    AsyncMinerFunction,
    MinerOptions,
    RequestOptions,
    SessionChanges,
    SessionOptions,
    SyncMinerFunction,
    request_of,
)
from ._records import (
    Completion,
    End,
    Event,
    Page,
    Restart,
    SessionRecord,
    TaskRecord,
    Token,
    page_of,
    table,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

F = TypeVar("F", bound="AsyncMinerFunction | SyncMinerFunction")


async def _answer(call: _native.Call) -> Any:
    return await _bridge.current().answer(call)


class Router(RouterBase):
    """A router for AI inference inside this program, for asyncio.

    `config` is the router's configuration as a mapping or as JSON text; without one the store is in memory.

    >>> import asyncio
    >>> from cortensor_router import Router
    >>> async def main():
    ...     async with Router() as router:
    ...         @router.miner("shout")
    ...         async def shout(job):
    ...             for word in job.prompt.upper().split():
    ...                 yield word + " "
    ...         task = await router.submit("hello there")
    ...         async for token in task:
    ...             print(token, end="")
    ...         print((await task.result()).usage.completion_tokens > 0)
    >>> asyncio.run(main())
    HELLO THERE True
    """

    async def open(self) -> Self:
        """Opens it. `async with` does, too."""
        if self._opened is None:
            self._keep(await _answer(_native.Router.open(self._config, _bridge.log_queue())))
        return self

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends it: listeners stop, what runs is cancelled, the store is closed.

        Miners get `timeout` seconds to stop. One that does not is left behind, and the log says which.
        """
        if self._opened is None:
            return
        native, deadline = self._handle, time.monotonic() + timeout
        await _bridge.current().told(lambda mailbox, token: native.shutdown_then(mailbox, token, timeout))
        _bridge.closed(native)
        work, self._work = self._work, {}
        unfinished: list[str] = []
        for name, one in work.items():
            inside = isinstance(one, ThreadWork) and one.is_inside()
            if not inside and not await one.ended(max(0.0, deadline - time.monotonic())):
                unfinished.append(name)
            if isinstance(one, LoopWork):
                one.forget()
        self._told_unfinished(unfinished)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def drain(self, timeout: float) -> bool:
        """Takes no new tasks and waits until those that are there have ended; `False`: not all did in that time."""
        return bool(await _answer(self._handle.drain(timeout)))

    def miner(self, name: str, **options: Unpack[MinerOptions]) -> Callable[[F], F]:
        """Makes the function below it a miner of that name.

        An async generator gives pieces, a coroutine gives an answer; both run in the event loop that runs now.
        A generator or a function may block: it runs on threads.
        """

        def add(function: F) -> F:
            self.add_miner(name, function, **options)
            return function

        return add

    def add_miner(
        self, name: str, function: AsyncMinerFunction | SyncMinerFunction, **options: Unpack[MinerOptions]
    ) -> Miner:
        """Adds a miner of that name. See `miner`."""
        spec = fields_of("miner", {"name": name, **options})
        work: LoopWork | ThreadWork
        if runs_in_loop(function):
            loop = _bridge.current()
            work = LoopWork(name, function, loop)
            try:
                native = self._handle.add_loop_miner(spec, loop.mailbox, work.token)
            except BaseException:
                work.forget()
                raise
        else:
            native, queue = self._handle.add_thread_miner(spec)
            work = ThreadWork(name, function, options.get("capacity") or 1)
            work.start(queue)
        self._work[name] = work
        return Miner(self, name, native, work)

    async def create_session(self, name: str, **options: Unpack[SessionOptions]) -> Session:
        """Opens a session: tasks of one session share its model, limits and weight."""
        text = await _answer(self._handle.create_session(fields_of("session", {"name": name, **options})))
        return Session(self, SessionRecord._parse(text))

    def session(self, session_id: int) -> Session:
        """A session that is there."""
        return Session(self, SessionRecord._parse(self._handle.session(session_id)))

    def sessions(
        self, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[SessionRecord]:
        """A page of sessions; `state` is `open` or `closed`."""
        query = fields_of("query", {"state": state, "limit": limit, "offset": offset})
        return page_of(SessionRecord, "sessions", self._handle.sessions(query))

    async def submit(
        self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]
    ) -> Task:
        """Submits a task, and comes back when it is durable. Session 0 is always there."""
        call = self._handle.submit(session_id, request_of(prompt, options, stream=True))
        return Task(self._handle, await _answer(call), owned=not options.get("detach", False))

    async def complete(
        self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]
    ) -> Completion:
        """Submits a task and waits for its answer. Whoever is cancelled while it waits cancels the task.

        >>> import asyncio
        >>> from cortensor_router import Router
        >>> async def main():
        ...     async with Router() as router:
        ...         router.add_miner("reverse", lambda job: job.prompt[::-1])
        ...         return await router.complete("abc")
        >>> asyncio.run(main()).text
        'cba'
        """
        call = self._handle.complete(session_id, request_of(prompt, options, stream=False))
        return Completion._parse(await _answer(call))

    async def task(self, session_id: int, task_id: int) -> TaskRecord:
        """A task's record."""
        return TaskRecord._parse(await _answer(self._handle.task(session_id, task_id)))

    async def tasks(
        self, session_id: int = 0, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[TaskRecord]:
        """A page of a session's tasks, oldest first; `state` is `active`, `queued` ... or `ended`."""
        query = fields_of("query", {"state": state, "limit": limit, "offset": offset})
        return page_of(TaskRecord, "tasks", await _answer(self._handle.tasks(session_id, query)))

    async def cancel(self, session_id: int, task_id: int) -> TaskRecord:
        """Cancels a task, waits until that is durable, and gives its record."""
        return TaskRecord._parse(await _answer(self._handle.cancel(session_id, task_id)))

    async def attach(self, session_id: int, task_id: int) -> Task:
        """Joins a task, running or ended."""
        return Task(self._handle, await _answer(self._handle.attach(session_id, task_id)), owned=False)

    async def listen(self, config: Mapping[str, Any] | str | None = None, **settings: Any) -> Listener:
        """Starts the HTTP listener; `settings` as in the configuration's `listen`: `await router.listen(port=0)`."""
        text = config if isinstance(config, str) else config_of("listen", {**(config or {}), **settings} or None)
        return Listener(await _answer(self._handle.listen(text)))

    def asgi(self, config: Mapping[str, Any] | str | None = None) -> AsgiApp:
        """The REST API as an ASGI application, to be mounted in FastAPI, Starlette or any other."""
        return AsgiApp(self._handle, config_of("listen", config))


class Miner:
    """A miner that was added."""

    def __init__(self, router: Router, name: str, native: _native.Miner, work: LoopWork | ThreadWork) -> None:
        self._router = router
        self._native = native
        self._work = work
        self.name = name
        """Its name."""

    def drain(self) -> None:
        """It gets no new tasks and finishes those that it has."""
        self._native.drain()

    def set_capacity(self, tasks: int) -> None:
        """How many tasks it takes at a time from now on."""
        self._native.set_capacity(tasks)
        if isinstance(self._work, ThreadWork):
            self._work.set_capacity(tasks)

    async def remove(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends it: what it was working on goes to others. Waits until its functions have ended.

        Raises `RouterTimeoutError` when they had not within `timeout` seconds.
        """
        self._native.remove()
        work = self._router._work
        if work.get(self.name) is self._work:
            del work[self.name]
        if not await self._work.ended(timeout):
            raise RouterTimeoutError(f"the miner {self.name} works on although it was told to stop", code="miner_busy")
        if isinstance(self._work, LoopWork):
            self._work.forget()

    def __repr__(self) -> str:
        return f"<Miner {self.name!r}>"


class Session:
    """A session: what tasks are submitted to."""

    def __init__(self, router: Router, record: SessionRecord) -> None:
        self._router = router
        self._record = record

    @property
    def id(self) -> int:
        """Its id."""
        return self._record.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.name

    @property
    def record(self) -> SessionRecord:
        """The record as it was when this object was made or last changed it."""
        return self._record

    def refresh(self) -> SessionRecord:
        """Reads the record anew."""
        self._record = self._router.session(self.id).record
        return self._record

    async def submit(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Task:
        """Submits a task, and comes back when it is durable."""
        return await self._router.submit(prompt, session_id=self.id, **options)

    async def complete(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Completion:
        """Submits a task and waits for its answer."""
        return await self._router.complete(prompt, session_id=self.id, **options)

    async def update(self, **changes: Unpack[SessionChanges]) -> SessionRecord:
        """Changes what is given."""
        native = self._router._handle
        text = await _answer(native.update_session(self.id, fields_of("session", changes)))
        self._record = SessionRecord._parse(text)
        return self._record

    async def close(self) -> SessionRecord:
        """Closes it: it takes no new tasks, running ones end."""
        text = await _answer(self._router._handle.close_session(self.id))
        self._record = SessionRecord._parse(text)
        return self._record

    async def task(self, task_id: int) -> TaskRecord:
        """The record of one of its tasks."""
        return await self._router.task(self.id, task_id)

    async def tasks(
        self, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[TaskRecord]:
        """A page of its tasks, oldest first."""
        return await self._router.tasks(self.id, state=state, limit=limit, offset=offset)

    async def attach(self, task_id: int) -> Task:
        """Joins one of its tasks, running or ended."""
        return await self._router.attach(self.id, task_id)

    async def cancel(self, task_id: int) -> TaskRecord:
        """Cancels one of its tasks."""
        return await self._router.cancel(self.id, task_id)

    def _repr_html_(self) -> str:
        return table(f"Session {self.id}: {self.name}", self._record.to_dict().items())

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.name!r}>"


class Task:
    """A submitted task.

    `async for` gives its tokens. Breaking out of it, or being cancelled in it, cancels the task: read `tokens()` where
    it should not. Letting go of the last handle of it cancels it, too. Neither does where it was submitted with
    `detach=True`, or by somebody else.
    """

    def __init__(self, router: _native.Router, native: _native.Task, *, owned: bool) -> None:
        # The router stays open while a task of it is there.
        self._router = router
        self._native = native
        # Whether leaving it cancels it, whoever else waits for it.
        self._owned = owned and not native.joined

    @property
    def session_id(self) -> int:
        """The session."""
        return self._native.session_id

    @property
    def id(self) -> int:
        """The task in its session."""
        return self._native.task_id

    @property
    def gid(self) -> int:
        """The task among all sessions."""
        return self._native.gid

    @property
    def joined(self) -> bool:
        """Whether an idempotency key led to a task that was there already."""
        return self._native.joined

    async def record(self) -> TaskRecord:
        """The task's record as it stands."""
        return TaskRecord._parse(await _answer(self._native.record()))

    async def result(self) -> Completion:
        """Waits for the end and gives the answer."""
        return Completion._parse(await _answer(self._native.result()))

    def __aiter__(self) -> TokenStream:
        return TokenStream(self._native, cancels=self._owned)

    def tokens(self, after: int = 0) -> TokenStream:
        """The tokens after that number; whoever stops reading them cancels nothing."""
        return TokenStream(self._native, after, cancels=False)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """The tokens after that number with their numbers, restarts, and the end.

        An end without an answer raises what there is in its place.
        """
        stream = self._native.stream(after)
        while (batch := await _batch(stream, texts=False)) is not None:
            for one in batch:
                yield event_of(one)

    def cancel(self) -> None:
        """Cancels it, whoever else waits for it."""
        self._native.cancel()

    def detach(self) -> None:
        """From now on nobody's leaving cancels it."""
        self._native.detach()
        self._owned = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.cancel()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of session {self.session_id}>"


def event_of(one: Any) -> Event:
    """An event as the native part tells it. Raises where it is an end without an answer."""
    if isinstance(one, tuple):
        if len(one) == 1:  # pyright: ignore[reportUnknownArgumentType]
            return End(Completion._parse(one[0]))  # pyright: ignore[reportUnknownArgumentType]
        return Token(*one)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(one, BaseException):
        raise one
    return Restart(one)


async def _batch(stream: _native.Stream, *, texts: bool) -> list[Any] | None:
    """All that is ready, at least one; `None` once all is over."""
    ready = stream.take_ready(texts)
    while ready is not None and not ready:
        await _bridge.current().told(stream.notify)
        ready = stream.take_ready(texts)
    return ready


def started_over() -> MinerFailedError:
    """What a reader of plain text gets when the text that it has read is void."""
    message = "another miner starts over, and the text that was read is void: read task.events() to go on"
    return MinerFailedError(message, code="restarted")


class TokenStream:
    """The tokens of a task as text, for `async for`."""

    __slots__ = ("_cancels", "_ready", "_spoke", "_stream", "_task")

    def __init__(self, task: _native.Task, after: int = 0, *, cancels: bool) -> None:
        self._task = task
        self._stream = task.stream(after)
        self._ready: deque[Any] = deque()
        self._spoke = after > 0
        self._cancels = cancels

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            while self._ready:
                one = self._ready.popleft()
                if isinstance(one, str):
                    self._spoke = True
                    return one
                self._end(one)
            try:
                batch = await _batch(self._stream, texts=True)
            except asyncio.CancelledError:
                # The reader is taken away, as when a web server's client hangs up: that is breaking out, too.
                await self.aclose()
                raise
            if batch is None:
                self._cancels = False
                raise StopAsyncIteration
            self._ready.extend(batch)

    def _end(self, one: Any) -> None:
        """Raises an end without an answer, and a restart where text was read."""
        if isinstance(one, int):
            if self._spoke:
                raise started_over()
            return
        self._cancels = False
        if isinstance(one, BaseException):
            raise one

    async def aclose(self) -> None:
        """Reads no further; cancels the task where breaking out of it does."""
        if self._cancels:
            self._cancels = False
            self._task.cancel()

    def __del__(self) -> None:
        if getattr(self, "_cancels", False):
            with contextlib.suppress(RouterError):
                self._task.cancel()


class Listener:
    """A listener that serves until it is stopped or its router is closed."""

    def __init__(self, native: _native.Listener) -> None:
        self._native = native

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._native.address[0]

    @property
    def port(self) -> int:
        """Its port."""
        return self._native.address[1]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:5010`."""
        host, port = self._native.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def posture(self) -> list[str]:
        """Every open surface and how it is protected, a line each."""
        return self._native.posture

    async def stop(self) -> None:
        """Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`."""
        await _answer(self._native.stop())

    async def ended(self) -> None:
        """Waits until it has ended, for whatever reason."""
        await _answer(self._native.ended())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
