"""Miners of this program that work for a distant router: they dial out, so that they need no open port."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _bridge, _native
from ._base import CLOSE_SECONDS
from ._errors import RouterTimeoutError
from ._json import fields_of
from ._loop_thread import LoopThread
from ._miners import LoopWork, ThreadWork, runs_in_loop
from ._records import MinerClientStats
from ._work import AsyncMinerFunction, SyncMinerFunction

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._options import MinerClientSettings


def _config(routers: str | Sequence[str], settings: dict[str, Any]) -> str:
    return fields_of("config", {"routers": [routers] if isinstance(routers, str) else list(routers), **settings})


class _ClientBase:
    """The common part of both clients."""

    def __init__(self, name: str, function: AsyncMinerFunction | SyncMinerFunction, config: str, capacity: int) -> None:
        self.name = name
        """The miner's name."""
        self._function = function
        self._config = config
        self._capacity = capacity
        self._native: _native.MinerClient
        self._work: LoopWork | ThreadWork

    def _start_on_loop(self, loop: _bridge.Loop) -> None:
        work = self._work = LoopWork(self.name, self._function, loop)
        try:
            self._native = _native.MinerClient.start_on_loop(
                self._config, loop.mailbox, work.token, _bridge.log_queue()
            )
        except BaseException:
            work.forget()
            raise
        _bridge.opened(self._native)

    def _start_on_threads(self) -> None:
        self._native, queue = _native.MinerClient.start_on_threads(self._config, _bridge.log_queue())
        work = self._work = ThreadWork(self.name, self._function, self._capacity)
        work.start(queue)
        _bridge.opened(self._native)

    def stats(self) -> MinerClientStats:
        """The miner's counts, and its connection."""
        return MinerClientStats._parse(self._native.stats())

    def set_capacity(self, tasks: int) -> None:
        """Sets how many tasks the miner takes at a time from now on, at most its first `capacity`."""
        self._native.set_capacity(tasks)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class MinerClient(_ClientBase):
    """A miner of this program that works for a distant router, for asyncio.

    `async with MinerClient(function, "ws://router:5010", name="gpu-1", token=...) as client:`. It starts in the event
    loop that runs; `function` takes the same forms as in `Router.miner`. It connects, and connects again: `stats()`
    says how it is.
    `settings` are those of the miner protocol: `capacity`, `models`, `key_file`, `ca_file` and others.
    """

    def __init__(
        self,
        function: AsyncMinerFunction | SyncMinerFunction,
        routers: str | Sequence[str],
        *,
        name: str,
        capacity: int = 1,
        **settings: Unpack[MinerClientSettings],
    ) -> None:
        config = _config(routers, {"name": name, "capacity": capacity, **settings})
        super().__init__(name, function, config, capacity)
        if runs_in_loop(function):
            self._start_on_loop(_bridge.current())
        else:
            self._start_on_threads()

    async def drain(self, timeout: float) -> bool:
        """Takes no new tasks and finishes the present ones; `True`: the router has all answers."""
        return bool(await _bridge.current().answer(self._native.drain(timeout)))

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the miner's connection and cancels its work."""
        native, deadline = self._native, time.monotonic() + timeout
        await _bridge.current().told(lambda mailbox, token: native.close_then(mailbox, token, timeout))
        _bridge.closed(native)
        await self._work.ended(max(0.0, deadline - time.monotonic()))
        if isinstance(self._work, LoopWork):
            self._work.forget()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class SyncMinerClient(_ClientBase):
    """A miner of this program that works for a distant router, for programs that block."""

    def __init__(
        self,
        function: AsyncMinerFunction | SyncMinerFunction,
        routers: str | Sequence[str],
        *,
        name: str,
        capacity: int = 1,
        **settings: Unpack[MinerClientSettings],
    ) -> None:
        config = _config(routers, {"name": name, "capacity": capacity, **settings})
        super().__init__(name, function, config, capacity)
        self._thread: LoopThread | None = None
        if runs_in_loop(function):
            self._thread = LoopThread()
            self._start_on_loop(self._thread.post())
        else:
            self._start_on_threads()

    def drain(self, timeout: float) -> bool:
        """Takes no new tasks and finishes the present ones; `True`: the router has all answers."""
        return bool(self._native.drain(timeout).wait())

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the miner's connection and cancels its work."""
        deadline = time.monotonic() + timeout
        self._native.close(timeout)
        _bridge.closed(self._native)
        work, thread = self._work, self._thread
        if isinstance(work, ThreadWork):
            if not work.is_inside():
                work.wait(max(0.0, deadline - time.monotonic()))
        elif thread is not None:
            thread.run(work.ended(max(0.0, deadline - time.monotonic())))
            thread.stop(max(0.0, deadline - time.monotonic()))
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_miner(
    function: AsyncMinerFunction | SyncMinerFunction,
    routers: str | Sequence[str],
    *,
    name: str,
    capacity: int = 1,
    drain_timeout: float = 30.0,
    **settings: Unpack[MinerClientSettings],
) -> MinerClientStats:
    """Works for a distant router until Ctrl-C or SIGTERM, then finishes what it has, and gives what it did.

    ```
    run_miner(my_model, "wss://router.example", name="gpu-1", token=os.environ["CORTENSOR_TOKEN"], models=["tiny"])
    ```

    A second Ctrl-C ends it at once. In another thread than the main one nothing but the end of the program ends it.
    """
    # A signal handler can put into it, whatever locks the interrupted thread holds.
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    before: dict[signal.Signals, Any] = {}

    def tell(*_: object) -> None:
        told.put(None)
        restore()

    def restore() -> None:
        for one, handler in before.items():
            # A handler that was not set by Python cannot be restored.
            signal.signal(one, signal.SIG_DFL if handler is None else handler)

    if threading.current_thread() is threading.main_thread():
        before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        for one in before:
            signal.signal(one, tell)
    try:
        client = SyncMinerClient(function, routers, name=name, capacity=capacity, **settings)
        try:
            told.get()
            client.drain(drain_timeout)
        except BaseException:
            # It was told to end at once: what the function still does is not waited for.
            with contextlib.suppress(RouterTimeoutError):
                client.close(0)
            raise
        stats = client.stats()
        client.close()
        return stats
    finally:
        restore()
