"""The bridge between the router's threads and Python's.

No thread of the router touches Python. Its messages wait in a mailbox, one for each event loop, until the loop
takes it; the bridge thread, a thread of Python's own, calls the loops. A native call that puts a message into the
mailbox of its own thread's loop calls the loop itself. Another thread brings the log to `logging`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from . import _native
from ._errors import RouterError

EXIT_SECONDS = 5.0
"""The longest time, in seconds, for which the end of the interpreter waits for routers that were not closed."""

_TRACE = 5
_LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": _TRACE,
}

logger = logging.getLogger("cortensor_router")
logger.addHandler(logging.NullHandler())


class Loop:
    """The router's messages for one event loop."""

    __slots__ = ("__weakref__", "_handlers", "_loop", "_tokens", "_waiting", "mailbox")

    def __init__(self, loop: asyncio.AbstractEventLoop, mailbox: _native.Mailbox) -> None:
        self._loop = weakref.ref(loop)
        self.mailbox = mailbox
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._handlers: dict[int, Callable[[Any], None]] = {}

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop, while it is there."""
        return self._loop()

    async def answer(self, call: _native.Call) -> Any:
        """Awaits a call's answer. Cancelling the wait takes back a call that only waits."""
        try:
            return await self.told(call.then)
        except asyncio.CancelledError:
            call.cancel()
            raise

    async def told(self, start: Callable[[_native.Mailbox, int], object]) -> Any:
        """Starts an operation that notifies the mailbox at its end, and awaits that."""
        token = next(self._tokens)
        future = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        try:
            start(self.mailbox, token)
            return await future
        finally:
            self._waiting.pop(token, None)

    def handle(self, handler: Callable[[Any], None]) -> int:
        """Gives a number. Calls `handler` in the loop with every message under that number."""
        token = next(self._tokens)
        self._handlers[token] = handler
        return token

    def forget(self, token: int) -> None:
        """Drops every further message under that number."""
        self._handlers.pop(token, None)

    def soon(self) -> None:
        """Makes the loop take the waiting messages in its next turn. A native call of Python calls this at its end."""
        loop = asyncio._get_running_loop()
        if loop is not None and loop is self._loop():
            loop.call_soon(self._take)
        else:
            self.wake()

    def wake(self) -> None:
        """Makes the loop take the waiting messages. The bridge thread calls this."""
        loop = self._loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._take)
                return
        except RuntimeError:
            # The loop was closed and will not take the waiting messages.
            pass
        self.mailbox.close()

    def _take(self) -> None:
        for token, value in self.mailbox.take():
            future = self._waiting.pop(token, None)
            if future is not None:
                if future.done():
                    continue
                if isinstance(value, BaseException):
                    future.set_exception(value)
                else:
                    future.set_result(value)
            elif (handler := self._handlers.get(token)) is not None:
                handler(value)


Closing = _native.Router | _native.MinerClient
"""The objects that the end of the interpreter closes."""


class _Process:
    """The state that exists once in a process. A forked child gets its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.bridge = _native.Bridge()
        self.log = _native.LogQueue()
        self.threads: dict[str, threading.Thread] = {}
        self.loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = weakref.WeakKeyDictionary()
        self.by_id: weakref.WeakValueDictionary[int, Loop] = weakref.WeakValueDictionary()
        self.last: Callable[[], Loop | None] = lambda: None
        self.ids = itertools.count(1)
        self.routers: weakref.WeakSet[Closing] = weakref.WeakSet()
        self.at_exit: weakref.WeakSet[Any] = weakref.WeakSet()

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Starts one of the two threads, once."""
        if name not in self.threads:
            thread = threading.Thread(target=run, name=f"cortensor-router-{name}", daemon=True)
            self.threads[name] = thread
            thread.start()

    def run_bridge(self) -> None:
        with contextlib.suppress(RouterError):
            while (ids := self.bridge.wait()) is not None:
                for one in ids:
                    loop = self.by_id.get(one)
                    if loop is not None:
                        loop.wake()
                    del loop

    def run_log(self) -> None:
        with contextlib.suppress(RouterError):
            while (lines := self.log.wait()) is not None:
                for line in lines:
                    _log(*line)


def _log(time_ms: int, level: str, target: str, message: str) -> None:
    name = target.replace("::", ".")
    here = logging.getLogger(name if name.startswith("cortensor_router") else f"cortensor_router.{name}")
    number = _LEVELS.get(level, logging.INFO)
    # A handler that raises must not end the log.
    with contextlib.suppress(Exception):
        if here.isEnabledFor(number):
            record = here.makeRecord(here.name, number, target, 0, message, (), None)
            record.created = time_ms / 1000
            record.msecs = float(time_ms % 1000)
            here.handle(record)


_process = _Process()


def current() -> Loop:
    """The post of the running event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        message = "no event loop runs here: call this from async code, or use SyncRouter and SyncMinerClient"
        raise RuntimeError(message) from None
    # A program has one loop as a rule, and the table of weak references is slow.
    last = _process.last()
    if last is not None and last.loop() is loop:
        return last
    found = _process.loops.get(loop)
    if found is None:
        with _process.lock:
            one = next(_process.ids)
            found = Loop(loop, _native.Mailbox(_process.bridge, one))
            _process.loops[loop] = found
            _process.by_id[one] = found
            _process.start("bridge", _process.run_bridge)
    _process.last = weakref.ref(found)
    return found


def answer(call: _native.Call) -> Coroutine[Any, Any, Any]:
    """Awaits a call's answer in the running event loop."""
    return current().answer(call)


def _soon(one: int) -> None:
    """Makes the loop with that number take its messages, if it still exists."""
    loop = _process.by_id.get(one)
    if loop is not None:
        loop.soon()


_native.set_soon(_soon)


def log_queue() -> _native.LogQueue:
    """The logger of all routers."""
    with _process.lock:
        _process.start("log", _process.run_log)
        return _process.log


def opened(router: Closing) -> None:
    """Registers the object, so that the end of the interpreter closes it if the program did not."""
    with _process.lock:
        _process.routers.add(router)


def closed(router: Closing) -> None:
    """Removes the object, which is closed already."""
    with _process.lock:
        _process.routers.discard(router)


def stop_at_exit(one: Any) -> None:
    """Calls the object's `stop_at_exit()` when the interpreter ends, if the object still exists."""
    with _process.lock:
        _process.at_exit.add(one)


def _at_exit() -> None:
    """Ends the bridge. After this, no thread of the router is about to enter Python."""
    here = _process
    if os.getpid() != here.pid:
        return
    deadline = time.monotonic() + EXIT_SECONDS
    _native.begin_exit()
    here.log.close()
    for router in list(here.routers):
        with contextlib.suppress(RouterError):
            router.shutdown_at_exit(max(0.0, deadline - time.monotonic()))
    for one in list(here.at_exit):
        one.stop_at_exit(max(0.0, deadline - time.monotonic()))
    here.bridge.close()
    while _native.blocked() and time.monotonic() < deadline:
        pass
    for thread in here.threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))


def _after_fork() -> None:
    """Resets a forked child, which has none of the parent's threads and must not touch the parent's routers."""
    global _process  # noqa: PLW0603 - the child's own
    _native.renew()
    abandoned.append(_process)
    _process = _Process()


abandoned: list[object] = []
"""The state of a parent process. It is kept, because releasing it would touch locks that are held for ever."""

atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
