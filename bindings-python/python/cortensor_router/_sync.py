"""The router for programs that block: the same names as in `Router`, without `await`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _bridge, _native
from ._base import CLOSE_SECONDS, RouterBase
from ._errors import RouterError, RouterTimeoutError
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
from ._records import Completion, Event, Page, SessionRecord, TaskRecord, page_of, table
from ._router import event_of, started_over

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

F = TypeVar("F", bound="AsyncMinerFunction | SyncMinerFunction")
T = TypeVar("T")


class LoopThread:
    """An event loop on a thread of its own, for miners that are async."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="cortensor-router-loop", daemon=True)
        self.thread.start()
        _bridge.stop_at_exit(self)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def post(self) -> _bridge.Loop:
        """The post of its loop."""
        return self.run(_post())

    def stop(self, timeout: float) -> None:
        """Ends it."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout)

    stop_at_exit = stop


async def _post() -> _bridge.Loop:
    return _bridge.current()


class SyncRouter(RouterBase):
    """A router for AI inference inside this program, for programs that block.

    >>> from cortensor_router import SyncRouter
    >>> with SyncRouter() as router:
    ...     router.add_miner("shout", lambda job: job.prompt.upper())
    ...     task = router.submit("hello")
    ...     print("".join(task), task.result().usage.total_tokens > 0)
    <SyncMiner 'shout'>
    HELLO True
    """

    def __init__(self, config: Mapping[str, Any] | str | None = None) -> None:
        super().__init__(config)
        self._loop_thread: LoopThread | None = None

    def open(self) -> Self:
        """Opens it. `with` does, too."""
        if self._opened is None:
            self._keep(_native.Router.open(self._config, _bridge.log_queue()).wait())
        return self

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends it: listeners stop, what runs is cancelled, the store is closed.

        Miners get `timeout` seconds to stop. One that does not is left behind, and the log says which.
        """
        if self._opened is None:
            return
        deadline = time.monotonic() + timeout
        self._handle.shutdown(timeout)
        _bridge.closed(self._handle)
        work, self._work = self._work, {}
        left = [name for name, one in work.items() if not self._ended(one, max(0.0, deadline - time.monotonic()))]
        self._told_unfinished(left)
        thread, self._loop_thread = self._loop_thread, None
        if thread is not None:
            thread.stop(max(0.0, deadline - time.monotonic()))

    def _ended(self, work: LoopWork | ThreadWork, timeout: float) -> bool:
        if isinstance(work, ThreadWork):
            return work.is_inside() or work.wait(timeout)
        thread = self._loop_thread
        return thread is None or thread.thread is threading.current_thread() or thread.run(work.ended(timeout))

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def drain(self, timeout: float) -> bool:
        """Takes no new tasks and waits until those that are there have ended; `False`: not all did in that time."""
        return bool(self._handle.drain(timeout).wait())

    def miner(self, name: str, **options: Unpack[MinerOptions]) -> Callable[[F], F]:
        """Makes the function below it a miner of that name.

        A generator gives pieces, a function gives an answer; both run on threads and may block. Async generators and
        coroutines run in an event loop on a thread of its own.
        """

        def add(function: F) -> F:
            self.add_miner(name, function, **options)
            return function

        return add

    def add_miner(
        self, name: str, function: AsyncMinerFunction | SyncMinerFunction, **options: Unpack[MinerOptions]
    ) -> SyncMiner:
        """Adds a miner of that name. See `miner`."""
        spec = fields_of("miner", {"name": name, **options})
        work: LoopWork | ThreadWork
        if runs_in_loop(function):
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
            loop = self._loop_thread.post()
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
        return SyncMiner(self, name, native, work)

    def create_session(self, name: str, **options: Unpack[SessionOptions]) -> SyncSession:
        """Opens a session: tasks of one session share its model, limits and weight."""
        text = self._handle.create_session(fields_of("session", {"name": name, **options})).wait()
        return SyncSession(self, SessionRecord._parse(text))

    def session(self, session_id: int) -> SyncSession:
        """A session that is there."""
        return SyncSession(self, SessionRecord._parse(self._handle.session(session_id)))

    def sessions(
        self, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[SessionRecord]:
        """A page of sessions; `state` is `open` or `closed`."""
        query = fields_of("query", {"state": state, "limit": limit, "offset": offset})
        return page_of(SessionRecord, "sessions", self._handle.sessions(query))

    def submit(self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]) -> SyncTask:
        """Submits a task, and comes back when it is durable. Session 0 is always there."""
        call = self._handle.submit(session_id, request_of(prompt, options, stream=True))
        return SyncTask(self._handle, call.wait(), owned=not options.get("detach", False))

    def complete(
        self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]
    ) -> Completion:
        """Submits a task and waits for its answer. Ctrl-C cancels the task."""
        call = self._handle.complete(session_id, request_of(prompt, options, stream=False))
        return Completion._parse(call.wait())

    def task(self, session_id: int, task_id: int) -> TaskRecord:
        """A task's record."""
        return TaskRecord._parse(self._handle.task(session_id, task_id).wait())

    def tasks(
        self, session_id: int = 0, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[TaskRecord]:
        """A page of a session's tasks, oldest first; `state` is `active`, `queued` ... or `ended`."""
        query = fields_of("query", {"state": state, "limit": limit, "offset": offset})
        return page_of(TaskRecord, "tasks", self._handle.tasks(session_id, query).wait())

    def cancel(self, session_id: int, task_id: int) -> TaskRecord:
        """Cancels a task, waits until that is durable, and gives its record."""
        return TaskRecord._parse(self._handle.cancel(session_id, task_id).wait())

    def attach(self, session_id: int, task_id: int) -> SyncTask:
        """Joins a task, running or ended."""
        return SyncTask(self._handle, self._handle.attach(session_id, task_id).wait(), owned=False)

    def listen(self, config: Mapping[str, Any] | str | None = None, **settings: Any) -> SyncListener:
        """Starts the HTTP listener; `settings` as in the configuration's `listen`: `router.listen(port=0)`."""
        text = config if isinstance(config, str) else config_of("listen", {**(config or {}), **settings} or None)
        return SyncListener(self._handle.listen(text).wait())


class SyncMiner:
    """A miner that was added."""

    def __init__(self, router: SyncRouter, name: str, native: _native.Miner, work: LoopWork | ThreadWork) -> None:
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

    def remove(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends it: what it was working on goes to others. Waits until its functions have ended.

        Raises `RouterTimeoutError` when they had not within `timeout` seconds.
        """
        self._native.remove()
        work = self._router._work
        if work.get(self.name) is self._work:
            del work[self.name]
        if not self._router._ended(self._work, timeout):
            raise RouterTimeoutError(f"the miner {self.name} works on although it was told to stop", code="miner_busy")
        if isinstance(self._work, LoopWork):
            self._work.forget()

    def __repr__(self) -> str:
        return f"<SyncMiner {self.name!r}>"


class SyncSession:
    """A session: what tasks are submitted to."""

    def __init__(self, router: SyncRouter, record: SessionRecord) -> None:
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

    def submit(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> SyncTask:
        """Submits a task, and comes back when it is durable."""
        return self._router.submit(prompt, session_id=self.id, **options)

    def complete(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Completion:
        """Submits a task and waits for its answer."""
        return self._router.complete(prompt, session_id=self.id, **options)

    def update(self, **changes: Unpack[SessionChanges]) -> SessionRecord:
        """Changes what is given."""
        native = self._router._handle
        text = native.update_session(self.id, fields_of("session", changes)).wait()
        self._record = SessionRecord._parse(text)
        return self._record

    def close(self) -> SessionRecord:
        """Closes it: it takes no new tasks, running ones end."""
        text = self._router._handle.close_session(self.id).wait()
        self._record = SessionRecord._parse(text)
        return self._record

    def task(self, task_id: int) -> TaskRecord:
        """The record of one of its tasks."""
        return self._router.task(self.id, task_id)

    def tasks(
        self, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[TaskRecord]:
        """A page of its tasks, oldest first."""
        return self._router.tasks(self.id, state=state, limit=limit, offset=offset)

    def attach(self, task_id: int) -> SyncTask:
        """Joins one of its tasks, running or ended."""
        return self._router.attach(self.id, task_id)

    def cancel(self, task_id: int) -> TaskRecord:
        """Cancels one of its tasks."""
        return self._router.cancel(self.id, task_id)

    def _repr_html_(self) -> str:
        return table(f"Session {self.id}: {self.name}", self._record.to_dict().items())

    def __repr__(self) -> str:
        return f"<SyncSession {self.id} {self.name!r}>"


class SyncTask:
    """A submitted task.

    `for` gives its tokens, and breaking out of it cancels the task: read `tokens()` where it should not. Letting go of
    the last handle of it cancels it, too. Neither does where it was submitted with `detach=True`, or by somebody else.
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

    def record(self) -> TaskRecord:
        """The task's record as it stands."""
        return TaskRecord._parse(self._native.record().wait())

    def result(self, timeout: float | None = None) -> Completion:
        """Waits for the end and gives the answer; after `timeout` seconds it raises, and the task goes on."""
        return Completion._parse(self._native.result().wait(timeout))

    def __iter__(self) -> SyncTokenStream:
        return SyncTokenStream(self._native, cancels=self._owned)

    def tokens(self, after: int = 0) -> SyncTokenStream:
        """The tokens after that number; whoever stops reading them cancels nothing."""
        return SyncTokenStream(self._native, after, cancels=False)

    def events(self, after: int = 0) -> Iterator[Event]:
        """The tokens after that number with their numbers, restarts, and the end.

        An end without an answer raises what there is in its place.
        """
        stream = self._native.stream(after)
        while (batch := stream.wait(texts=False)) is not None:
            for one in batch:
                yield event_of(one)

    def cancel(self) -> None:
        """Cancels it, whoever else waits for it."""
        self._native.cancel()

    def detach(self) -> None:
        """From now on nobody's leaving cancels it."""
        self._native.detach()
        self._owned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.cancel()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of session {self.session_id}>"


class SyncTokenStream:
    """The tokens of a task as text, for `for`."""

    __slots__ = ("_cancels", "_ready", "_spoke", "_stream", "_task")

    def __init__(self, task: _native.Task, after: int = 0, *, cancels: bool) -> None:
        self._task = task
        self._stream = task.stream(after)
        self._ready: deque[Any] = deque()
        self._spoke = after > 0
        self._cancels = cancels

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while True:
            while self._ready:
                one = self._ready.popleft()
                if isinstance(one, str):
                    self._spoke = True
                    return one
                self._end(one)
            batch = self._stream.wait(texts=True)
            if batch is None:
                self._cancels = False
                raise StopIteration
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

    def close(self) -> None:
        """Reads no further; cancels the task where breaking out of it does."""
        if self._cancels:
            self._cancels = False
            self._task.cancel()

    def __del__(self) -> None:
        if getattr(self, "_cancels", False):
            with contextlib.suppress(RouterError):
                self._task.cancel()


class SyncListener:
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

    def stop(self) -> None:
        """Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`."""
        self._native.stop().wait()

    def ended(self, timeout: float | None = None) -> None:
        """Waits until it has ended, for whatever reason; after `timeout` seconds it raises."""
        self._native.ended().wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
