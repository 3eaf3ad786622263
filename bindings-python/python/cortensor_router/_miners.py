"""Miners written in Python: where their functions run, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as futures_wait
from typing import Any

from . import _bridge, _native
from ._errors import RouterError
from ._job import Job, JobError, SyncJob

logger = logging.getLogger("cortensor_router.miner")


def check_function(function: Any) -> None:
    """Checks at once for mistakes that would fail the first job."""
    if not callable(function):
        if inspect.iscoroutine(function):
            function.close()
        found = type(function).__name__
        raise TypeError(f"a miner is a function that takes a job, not {found}: give the function, do not call it")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # A function that is written in C may have no signature.
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(f"a miner's function takes one argument, the job: {error}") from None


def runs_in_loop(function: object) -> bool:
    """Whether the function is an async generator or a coroutine; any other function may block."""
    check_function(function)
    while isinstance(function, functools.partial):
        function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    candidates = (function, getattr(function, "__call__", None))  # noqa: B004 - an object may be callable and async
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in candidates)


def _failed(name: str, native: _native.Job, error: BaseException) -> None:
    """Tells the router that the miner's function raised."""
    code, message = "internal", f"{type(error).__name__}: {error}"
    if isinstance(error, JobError):
        code, message = error.code, error.message
    else:
        logger.warning("the miner %s raised", name, exc_info=error)
    try:
        native.fail(code, message)
    except RouterError:
        # The job was answered before, or the code is unknown: the job then counts as dropped.
        with contextlib.suppress(RouterError):
            native.fail("internal", message)


def _refused(name: str, native: _native.Job, error: RouterError) -> None:
    """Handles a result of the miner's function that the router refused."""
    if error.code == "no_answer":
        # The router has failed the job with this message already.
        logger.warning("%s: %s", name, error)
    elif not native.is_cancelled():
        _failed(name, native, error)


class LoopWork:
    """Functions that run as tasks of one event loop."""

    def __init__(self, name: str, function: Callable[..., Any], loop: _bridge.Loop) -> None:
        self._name = name
        self._function = function
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self.token = loop.handle(self._take)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop, while it is there."""
        return self._loop.loop()

    def forget(self) -> None:
        """Handles the end of the miner: no further job comes."""
        self._loop.forget(self.token)

    def _take(self, native: _native.Job) -> None:
        task = asyncio.get_running_loop().create_task(self._work(native))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, native: _native.Job) -> None:
        task = asyncio.current_task()

        def stop(_: object) -> None:
            if task is not None:
                task.cancel()

        token = self._loop.handle(stop)
        native.on_cancelled(self._loop.mailbox, token)
        job = Job(native, self._loop)
        try:
            made = self._function(job)
            if hasattr(made, "__aiter__"):
                wanted = await self._pull(job, native, made)
                if wanted:
                    # A generator without pieces gave an empty text; a function without a result forgot to return one.
                    job._finish_with("")
                else:
                    _gone(native)
            else:
                job._finish_with(await made)
        except asyncio.CancelledError:
            _gone(native)
            raise
        except RouterError as error:
            _refused(self._name, native, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets to know
            _failed(self._name, native, error)
        except BaseException as error:
            _failed(self._name, native, error)
            raise
        finally:
            self._loop.forget(token)

    async def _pull(self, job: Job, native: _native.Job, pieces: Any) -> bool:
        """Passes a generator's pieces on. Gives whether all of them were wanted."""
        emit = native.emit
        try:
            async for piece in pieces:
                state = emit(piece) if isinstance(piece, str) else job._give(piece)
                if state and not await job._sent(state):
                    raise asyncio.CancelledError  # noqa: TRY301 - as if the loop had raised it
        except asyncio.CancelledError:
            # The miner's function must see the cancellation, wherever it was noticed.
            await _throw(pieces)
            if native.is_cancelled():
                return False
            raise
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        return True

    def cancel(self) -> None:
        """Cancels running work. Must be called in the loop."""
        here = asyncio.current_task()
        for task in list(self._tasks):
            if task is not here:
                task.cancel()

    async def ended(self, timeout: float) -> bool:
        """Cancels running work and waits for its end; `False`: it had not ended within `timeout` seconds."""
        loop = self._loop.loop()
        if loop is None or loop.is_closed():
            return True
        if loop is asyncio.get_running_loop():
            return await self._ended(timeout)
        if not loop.is_running():
            return not self._tasks
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._ended(timeout), loop))

    async def _ended(self, timeout: float) -> bool:
        self.cancel()
        here = asyncio.current_task()
        running = [task for task in self._tasks if task is not here]
        if running:
            await asyncio.wait(running, timeout=timeout)
        return all(task.done() for task in running)


async def _throw(pieces: Any) -> None:
    throw = getattr(pieces, "athrow", None)
    if throw is not None:
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
            await throw(asyncio.CancelledError())


def _gone(native: _native.Job) -> None:
    """Releases a job whose answer is no longer wanted."""
    with contextlib.suppress(RouterError):
        native.fail("cancelled", "the miner stopped")


class ThreadWork:
    """Functions that run on threads, with one thread for each running function."""

    def __init__(self, name: str, function: Callable[..., Any], capacity: int) -> None:
        self._name = name
        self._function = function
        self._capacity = capacity
        self._lock = threading.Lock()
        self._threads: dict[int, threading.Thread] = {}
        self._idle = 0
        self._number = 0
        self.all_ended: Future[None] = Future()

    def start(self, queue: _native.JobQueue) -> None:
        """Takes jobs from now on."""
        self._queue = queue
        with self._lock:
            self._add()

    def set_capacity(self, capacity: int) -> None:
        """Sets how many threads there may be from now on."""
        with self._lock:
            self._capacity = capacity
            # Threads start when one takes a job. A job that waits now would find all of them at work.
            if self._threads and self._idle == 0 and len(self._threads) < capacity:
                self._add()

    def forget(self) -> None:
        """Handles the end of the miner: its threads end by themselves, with the queue of its jobs."""

    def _add(self) -> None:
        """Starts a thread. The caller must hold the lock."""
        self._number += 1
        thread = threading.Thread(
            target=self._run, args=(self._number,), name=f"{self._name}-{self._number}", daemon=True
        )
        self._threads[self._number] = thread
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more threads, or the interpreter ends: the present threads do the work.
            del self._threads[self._number]

    def _run(self, number: int) -> None:
        try:
            while (native := self._next()) is not None:
                self._work(native)
                del native
        finally:
            with self._lock:
                self._threads.pop(number, None)
                last = not self._threads
            if last:
                self.all_ended.set_result(None)

    def _next(self) -> _native.Job | None:
        with self._lock:
            self._idle += 1
        try:
            native = self._queue.next()
        except RouterError:
            native = None
        with self._lock:
            self._idle -= 1
            if native is not None and self._idle == 0 and len(self._threads) < self._capacity:
                self._add()
        return native

    def _work(self, native: _native.Job) -> None:
        job = SyncJob(native)
        try:
            made: Any = self._function(job)
            if made is None or isinstance(made, (str, Mapping)):
                job._finish_with(made)  # pyright: ignore[reportUnknownArgumentType]
            elif hasattr(made, "__iter__"):
                self._pull(job, native, iter(made))
            else:
                job._finish_with(made)
        except RouterError as error:
            _refused(self._name, native, error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets to know and the thread goes on
            _failed(self._name, native, error)

    def _pull(self, job: SyncJob, native: _native.Job, pieces: Any) -> None:
        answer = None
        try:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    answer = end.value
                    break
                if not job.send(piece):
                    _gone(native)
                    return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        # As in an event loop, a generator without pieces gave an empty text.
        job._finish_with("" if answer is None else answer)

    def is_inside(self) -> bool:
        """Whether the present thread is one of them."""
        return threading.current_thread() in self._threads.values()

    def wait(self, timeout: float) -> bool:
        """Waits until all threads have ended; `False`: not within `timeout` seconds."""
        return self.all_ended in futures_wait([self.all_ended], timeout).done

    async def ended(self, timeout: float) -> bool:
        """Runs the miner in an event loop."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def tell(_: object) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(told.set)

        self.all_ended.add_done_callback(tell)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(told.wait(), timeout)
        return self.all_ended.done()
