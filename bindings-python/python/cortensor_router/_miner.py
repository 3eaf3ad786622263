"""Miners that were added to a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _native
from ._base import CLOSE_SECONDS
from ._errors import RouterTimeoutError
from ._miners import ThreadWork

if TYPE_CHECKING:
    from ._base import RouterBase
    from ._miners import LoopWork
    from ._sync import SyncRouter


class MinerBase:
    """The identity of a miner, and everything that does not wait."""

    def __init__(self, router: RouterBase, name: str, native: _native.Miner, work: LoopWork | ThreadWork) -> None:
        self._base = router
        self._native = native
        self._work = work
        self.name = name
        """The miner's name."""

    def drain(self) -> None:
        """Stops new tasks for the miner, which finishes those that it has."""
        self._native.drain()

    def set_capacity(self, tasks: int) -> None:
        """Sets how many tasks the miner takes at a time from now on."""
        self._native.set_capacity(tasks)
        if isinstance(self._work, ThreadWork):
            self._work.set_capacity(tasks)

    def _remove(self) -> None:
        """Stops new tasks for the miner. Its present tasks go to other miners."""
        self._native.remove()
        work = self._base._work
        if work.get(self.name) is self._work:
            del work[self.name]

    def _removed(self, *, ended: bool) -> None:
        if not ended:
            raise RouterTimeoutError(f"the miner {self.name} works on although it was told to stop", code="miner_busy")
        self._work.forget()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Miner(MinerBase):
    """A miner that was added."""

    async def remove(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the miner. Its tasks go to other miners. Waits until its functions have ended.

        Raises `RouterTimeoutError` when they had not within `timeout` seconds.
        """
        self._remove()
        self._removed(ended=await self._work.ended(timeout))


class SyncMiner(MinerBase):
    """A miner that was added."""

    def __init__(self, router: SyncRouter, name: str, native: _native.Miner, work: LoopWork | ThreadWork) -> None:
        super().__init__(router, name, native, work)
        self._router = router

    def remove(self, timeout: float = CLOSE_SECONDS) -> None:
        """Ends the miner. Its tasks go to other miners. Waits until its functions have ended.

        Raises `RouterTimeoutError` when they had not within `timeout` seconds.
        """
        self._remove()
        self._removed(ended=self._router._ended(self._work, timeout))
