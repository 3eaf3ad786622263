"""The functions that do a miner's work, and their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._job import Job, Piece, SyncJob

Answer = str | Mapping[str, Any] | None
"""An answer: its text, or `text`, `reasoning`, `tool_calls`, `finish_reason`, `usage`, `model`, `embedding`.

`None` stands for it where pieces were emitted; a miner that gave nothing at all has failed.
"""
AsyncMinerFunction = Callable[["Job"], "AsyncIterator[Piece] | Awaitable[Answer]"]
"""An async generator of pieces, or a coroutine that gives an answer."""
SyncMinerFunction = Callable[["SyncJob"], "Iterable[Piece] | Answer"]
"""A generator of pieces, or a function that gives an answer; it runs on a thread and may block it."""
