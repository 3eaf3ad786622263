"""An event loop on a thread of its own, for async miners of programs that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from . import _bridge

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
        """Runs a coroutine in the loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def post(self) -> _bridge.Loop:
        """The post of the loop."""
        return self.run(_post())

    def stop(self, timeout: float) -> None:
        """Ends the loop and its thread."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout)

    stop_at_exit = stop


async def _post() -> _bridge.Loop:
    return _bridge.current()
