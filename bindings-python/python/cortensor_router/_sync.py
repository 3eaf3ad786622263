"""The router for programs that block, with the names of `Router` and without `await`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _bridge, _native
from ._base import CLOSE_SECONDS, RouterBase
from ._completion import Completion, Embeddings
from ._json import config_of, fields_of
from ._listener import SyncListener
from ._loop_thread import LoopThread
from ._miner import SyncMiner
from ._miners import LoopWork, ThreadWork, runs_in_loop
from ._options import KeyOptions, MinerOptions, RequestOptions, SessionOptions
from ._record import Page, page_of
from ._records import ApiKey, NewKey, SessionRecord, TaskRecord, UsagePart
from ._request import check_name, embedding_of, key_of, miner_of, request_of, session_of
from ._session import SyncSession
from ._task import SyncTask
from ._work import AsyncMinerFunction, SyncMinerFunction

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

F = TypeVar("F", bound="AsyncMinerFunction | SyncMinerFunction")
T = TypeVar("T")


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
        """Opens the router, as `with` does."""
        if not self._is_there():
            self._keep(_native.Router.open(self._config, _bridge.log_queue()).wait())
        return self

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the router: listeners stop, running tasks are cancelled, the store is closed.

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

    async def __aenter__(self) -> None:
        raise TypeError("SyncRouter blocks: in async code use `async with Router() as router:`")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def usage(
        self,
        *,
        by: str | None = None,
        from_day: str | None = None,
        to_day: str | None = None,
        key: str | None = None,
        session_id: int | None = None,
        model: str | None = None,
        miner: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[UsagePart]:
        """The usage by `day`, `key`, `model`, `session` or `miner`; this month where no days are given."""
        query = fields_of(
            "query",
            {
                "by": by,
                "from": from_day,
                "to": to_day,
                "key": key,
                "session": session_id,
                "model": model,
                "miner": miner,
                "limit": limit,
                "offset": offset,
            },
        )
        return page_of(UsagePart, "usage", self._handle.usage(query).wait())

    def drain(self, timeout: float) -> bool:
        """Takes no new tasks and waits until the present ones have ended; `False`: not all did in that time."""
        return bool(self._handle.drain(timeout).wait())

    def miner(self, name: str, **options: Unpack[MinerOptions]) -> Callable[[F], F]:
        """Makes the function below it a miner of that name.

        A generator gives pieces, a function gives an answer; both run on threads and may block. Async generators and
        coroutines run in an event loop on a thread of its own.
        """
        check_name(name)

        def add(function: F) -> F:
            self.add_miner(name, function, **options)
            return function

        return add

    def add_miner(
        self, name: str, function: AsyncMinerFunction | SyncMinerFunction, **options: Unpack[MinerOptions]
    ) -> SyncMiner:
        """Adds a miner of that name. See `miner`."""
        handle = self._handle
        spec = miner_of(name, options)
        work: LoopWork | ThreadWork
        if runs_in_loop(function):
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
            loop = self._loop_thread.post()
            work = LoopWork(name, function, loop)
            try:
                native = handle.add_loop_miner(spec, loop.mailbox, work.token)
            except BaseException:
                work.forget()
                raise
        else:
            native, queue = handle.add_thread_miner(spec)
            work = ThreadWork(name, function, options.get("capacity") or 1)
            work.start(queue)
        self._work[name] = work
        return SyncMiner(self, name, native, work)

    def create_key(self, name: str, **options: Unpack[KeyOptions]) -> NewKey:
        """Makes an API key for listeners. Its token cannot be read again later."""
        return NewKey._parse(self._handle.create_key(key_of(name, options)).wait())

    def keys(self) -> Page[ApiKey]:
        """The API keys, without their tokens."""
        return page_of(ApiKey, "keys", self._handle.keys().wait())

    def delete_key(self, key_id: str) -> None:
        """Revokes an API key: listeners refuse it from now on and end its open requests."""
        self._handle.delete_key(key_id).wait()

    def create_session(self, name: str, **options: Unpack[SessionOptions]) -> SyncSession:
        """Opens a session: tasks of one session share its model, limits and weight."""
        text = self._handle.create_session(session_of(name, options)).wait()
        return SyncSession(self, SessionRecord._parse(text))

    def session(self, session_id: int) -> SyncSession:
        """An existing session."""
        return SyncSession(self, SessionRecord._parse(self._handle.session(session_id)))

    def sessions(
        self, *, state: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[SessionRecord]:
        """A page of sessions; `state` is `open` or `closed`."""
        query = fields_of("query", {"state": state, "limit": limit, "offset": offset})
        return page_of(SessionRecord, "sessions", self._handle.sessions(query))

    def submit(self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]) -> SyncTask:
        """Submits a task, and returns when it is durable. Session 0 always exists."""
        call = self._handle.submit(session_id, request_of(prompt, options, stream=True))
        return SyncTask(self._handle, call.wait(), owned=not options.get("detach", False))

    def complete(
        self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]
    ) -> Completion:
        """Submits a task and waits for its answer. Ctrl-C cancels the task."""
        call = self._handle.complete(session_id, request_of(prompt, options, stream=False))
        return Completion._parse(call.wait())

    def embed(
        self,
        input: str | Sequence[str],
        /,
        *,
        session_id: int = 0,
        **options: Unpack[RequestOptions],
    ) -> Embeddings:
        """Gives the vectors of a text, or of several, in their order."""
        call = self._handle.embed(session_id, embedding_of(input, options))
        return Embeddings._parse(call.wait())

    def task(self, session_id: int, task_id: int) -> TaskRecord:
        """A task's record."""
        return TaskRecord._parse(self._handle.task(session_id, task_id).wait())

    def tasks(
        self,
        session_id: int = 0,
        *,
        state: str | None = None,
        key: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order: str | None = None,
    ) -> Page[TaskRecord]:
        """A page of a session's tasks, oldest first inside it: the newest page, or from `offset` on.

        `state` is `active`, `queued` ... or `ended`; `order` is `asc` (from the oldest on) or `desc` (newest first).
        `key` selects the tasks of one key.
        """
        query = fields_of("query", {"state": state, "key": key, "limit": limit, "offset": offset, "order": order})
        return page_of(TaskRecord, "tasks", self._handle.tasks(session_id, query).wait())

    def cancel(self, session_id: int, task_id: int) -> TaskRecord:
        """Cancels a task, waits until that is durable, and gives its record."""
        return TaskRecord._parse(self._handle.cancel(session_id, task_id).wait())

    def attach(self, session_id: int, task_id: int) -> SyncTask:
        """Joins a task, running or ended."""
        return SyncTask(self._handle, self._handle.attach(session_id, task_id).wait(), owned=False)

    def listen(self, config: Mapping[str, Any] | str | None = None, **settings: Any) -> SyncListener:
        """Starts the HTTP listener; `settings` as in the configuration's `listen`: `router.listen(port=0)`."""
        text = config_of("listen", config if isinstance(config, str) else {**(config or {}), **settings} or None)
        return SyncListener(self._handle.listen(text).wait())
