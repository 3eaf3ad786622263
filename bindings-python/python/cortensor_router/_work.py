"""The functions that do a miner's work, and their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._job import Job, Piece, SyncJob

Result = str | Mapping[str, Any] | None
"""The result of a miner: a text, or a mapping with the members of `cortensor_router.Answer`.

`None` stands for it where pieces were emitted; a miner that gave nothing at all has failed.
"""
AsyncMinerFunction = Callable[["Job"], "AsyncIterator[Piece] | Awaitable[Result]"]
"""An async generator of pieces, or a coroutine that gives an answer."""
SyncMinerFunction = Callable[["SyncJob"], "Iterable[Piece] | Result"]
"""A generator of pieces, or a function that gives an answer; it runs on a thread and may block it."""
