"""Answers, and the events of their streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._records import CompletionRecord, EmbeddingsRecord


class Completion(CompletionRecord):
    """A finished task's answer."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.choices[0].text if self.choices else ""

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The calls of tools, as in OpenAI's API; empty if there is none."""
        return list(self._message.get("tool_calls") or [])

    @property
    def reasoning(self) -> str:
        """The model's reasoning before its answer, if it is known."""
        return str(self._message.get("reasoning_content") or "")

    @property
    def _message(self) -> dict[str, Any]:
        return (self.choices[0].message if self.choices else None) or {}


class Embeddings(EmbeddingsRecord):
    """Vectors of texts, in the order of the texts."""

    __slots__ = ()

    @property
    def vectors(self) -> list[list[float]]:
        """The numbers alone."""
        return [one.embedding for one in self.data]


@dataclass(slots=True)
class Token:
    """A piece of the text."""

    seq: int
    """Its number, one more than that of the event before it; the first is 1, and 2**32 more at each later start of the
    store."""
    text: str
    """The text."""


@dataclass(slots=True)
class Restart:
    """All pieces before this one are void.

    Another miner or a later start begins anew, or the number to resume from is none of this text.
    """

    seq: int
    """The number of this mark."""


@dataclass(slots=True)
class End:
    """The end, exactly one and last."""

    completion: Completion
    """The answer, whole."""


Event = Token | Restart | End
"""The events of a task's stream."""
