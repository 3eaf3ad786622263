"""The router for asyncio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _bridge, _native
from ._asgi import AsgiApp
from ._base import CLOSE_SECONDS, RouterBase
from ._completion import Completion, Embeddings
from ._json import config_of, fields_of
from ._listener import Listener
from ._miner import Miner
from ._miners import LoopWork, ThreadWork, runs_in_loop
from ._options import KeyOptions, MinerOptions, RequestOptions, SessionOptions
from ._record import Page, page_of
from ._records import ApiKey, NewKey, SessionRecord, TaskRecord, UsagePart
from ._request import check_name, embedding_of, key_of, miner_of, request_of, session_of
from ._session import Session
from ._task import Task
from ._work import AsyncMinerFunction, SyncMinerFunction

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

F = TypeVar("F", bound="AsyncMinerFunction | SyncMinerFunction")


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
        """Opens the router, as `async with` does."""
        if not self._is_there():
            self._keep(await _bridge.answer(_native.Router.open(self._config, _bridge.log_queue())))
        return self

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the router: listeners stop, running tasks are cancelled, the store is closed.

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

    def __enter__(self) -> None:
        raise TypeError("Router is for asyncio: `async with Router() as router:`; programs that block use SyncRouter")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def usage(
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
        return page_of(UsagePart, "usage", await _bridge.answer(self._handle.usage(query)))

    async def drain(self, timeout: float) -> bool:
        """Takes no new tasks and waits until the present ones have ended; `False`: not all did in that time."""
        return bool(await _bridge.answer(self._handle.drain(timeout)))

    def miner(self, name: str, **options: Unpack[MinerOptions]) -> Callable[[F], F]:
        """Makes the function below it a miner of that name.

        An async generator gives pieces, a coroutine gives an answer; both run in the event loop that runs now.
        A generator or a function may block: it runs on threads.
        """
        check_name(name)

        def add(function: F) -> F:
            self.add_miner(name, function, **options)
            return function

        return add

    def add_miner(
        self, name: str, function: AsyncMinerFunction | SyncMinerFunction, **options: Unpack[MinerOptions]
    ) -> Miner:
        """Adds a miner of that name. See `miner`."""
        handle = self._handle
        spec = miner_of(name, options)
        work: LoopWork | ThreadWork
        if runs_in_loop(function):
            loop = _bridge.current()
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
        return Miner(self, name, native, work)

    async def create_key(self, name: str, **options: Unpack[KeyOptions]) -> NewKey:
        """Makes an API key for listeners. Its token cannot be read again later."""
        return NewKey._parse(await _bridge.answer(self._handle.create_key(key_of(name, options))))

    async def keys(self) -> Page[ApiKey]:
        """The API keys, without their tokens."""
        return page_of(ApiKey, "keys", await _bridge.answer(self._handle.keys()))

    async def delete_key(self, key_id: str) -> None:
        """Revokes an API key: listeners refuse it from now on and end its open requests."""
        await _bridge.answer(self._handle.delete_key(key_id))

    async def create_session(self, name: str, **options: Unpack[SessionOptions]) -> Session:
        """Opens a session: tasks of one session share its model, limits and weight."""
        text = await _bridge.answer(self._handle.create_session(session_of(name, options)))
        return Session(self, SessionRecord._parse(text))

    def session(self, session_id: int) -> Session:
        """An existing session."""
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
        """Submits a task, and returns when it is durable. Session 0 always exists."""
        call = self._handle.submit(session_id, request_of(prompt, options, stream=True))
        return Task(self._handle, await _bridge.answer(call), owned=not options.get("detach", False))

    async def complete(
        self, prompt: str | None = None, *, session_id: int = 0, **options: Unpack[RequestOptions]
    ) -> Completion:
        """Submits a task and waits for its answer. Cancelling the wait cancels the task.

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
        return Completion._parse(await _bridge.answer(call))

    async def embed(
        self,
        input: str | Sequence[str],
        /,
        *,
        session_id: int = 0,
        **options: Unpack[RequestOptions],
    ) -> Embeddings:
        """Gives the vectors of a text, or of several, in their order.

        Whoever is cancelled while it waits cancels the task.
        """
        call = self._handle.embed(session_id, embedding_of(input, options))
        return Embeddings._parse(await _bridge.answer(call))

    async def task(self, session_id: int, task_id: int) -> TaskRecord:
        """A task's record."""
        return TaskRecord._parse(await _bridge.answer(self._handle.task(session_id, task_id)))

    async def tasks(
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
        return page_of(TaskRecord, "tasks", await _bridge.answer(self._handle.tasks(session_id, query)))

    async def cancel(self, session_id: int, task_id: int) -> TaskRecord:
        """Cancels a task, waits until that is durable, and gives its record."""
        return TaskRecord._parse(await _bridge.answer(self._handle.cancel(session_id, task_id)))

    async def attach(self, session_id: int, task_id: int) -> Task:
        """Joins a task, running or ended."""
        return Task(self._handle, await _bridge.answer(self._handle.attach(session_id, task_id)), owned=False)

    async def listen(self, config: Mapping[str, Any] | str | None = None, **settings: Any) -> Listener:
        """Starts the HTTP listener; `settings` as in the configuration's `listen`: `await router.listen(port=0)`."""
        text = config_of("listen", config if isinstance(config, str) else {**(config or {}), **settings} or None)
        return Listener(await _bridge.answer(self._handle.listen(text)))

    def asgi(self, config: Mapping[str, Any] | str | None = None) -> AsgiApp:
        """The REST API as an ASGI application, to be mounted in FastAPI, Starlette or any other."""
        return AsgiApp(self._handle, config_of("listen", config))
