"""Answers, and the events by which they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._record import Record


@dataclass(slots=True, kw_only=True)
class Usage(Record):
    """Tokens of one completion, as the miner counted them, or estimated where it does not count."""

    completion_tokens: int = 0
    """Tokens that were generated."""
    prompt_tokens: int = 0
    """Tokens of the prompt."""
    total_tokens: int = 0
    """Their sum."""


@dataclass(slots=True, kw_only=True)
class MinerVerdict(Record):
    """How one miner's answer compares with the winner's."""

    miner: str
    """The miner's address."""
    score: float
    """Its score with the winner, 0 to 1."""
    agrees: bool
    """Whether that is enough to match."""


@dataclass(slots=True, kw_only=True)
class Verdict(Record):
    """How several answers to one task compare."""

    verdict: str
    """`agreed`, `disputed` or `insufficient`."""
    score: float
    """How well the answers agree, 0 to 1."""
    method: str
    """How they were compared: `exact`, `normalized`, `json`, `lexical` or `embedding`."""
    policy: str = ""
    """The policy that decided: `quorum`, `medoid` or `all`."""
    winner: str
    """The address of the miner whose answer was taken."""
    per_miner: list[MinerVerdict] = field(default_factory=list[MinerVerdict])
    """Each miner's answer beside the winner's, the winner first."""

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Verdict:
        told: list[dict[str, Any]] = data.get("per_miner") or []
        data["per_miner"] = [MinerVerdict._of(one) for one in told]
        return super(Verdict, cls)._of(data)


@dataclass(slots=True, kw_only=True)
class Choice(Record):
    """One answer."""

    index: int
    """Its place, from 0."""
    text: str
    """The text."""
    finish_reason: str | None = None
    """`stop`, `length` ..."""
    logprobs: None = None
    """Always absent."""
    message: dict[str, Any] | None = None
    """The answer as a message: `content`, and `tool_calls` and `reasoning_content` where there are any."""
    miner_address: str | None = None
    """The miner that gave it, if several miners answered."""


@dataclass(slots=True, kw_only=True)
class Completion(Record):
    """A finished task's answer."""

    id: str
    """Its id as OpenAI's API has it."""
    object: str
    """`text_completion`."""
    created: int
    """Unix seconds."""
    model: str
    """The model that answered."""
    session_id: int
    """The session."""
    task_id: int
    """The task in its session."""
    choices: list[Choice]
    """The answers; the first is the one that was taken."""
    usage: Usage
    """Tokens of the one that was taken."""
    gid: int | None = None
    """The task among all sessions."""
    miner_address: str | None = None
    """The miner whose answer was taken."""
    verdict: Verdict | None = None
    """How several answers compare."""

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.choices[0].text if self.choices else ""

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tools that it calls, as in OpenAI's API; empty where it calls none."""
        return list(self._message.get("tool_calls") or [])

    @property
    def reasoning(self) -> str:
        """The model's reasoning before its answer, if it is known."""
        return str(self._message.get("reasoning_content") or "")

    @property
    def _message(self) -> dict[str, Any]:
        return (self.choices[0].message if self.choices else None) or {}

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Completion:
        data["choices"] = [Choice._of(one) for one in data["choices"]]
        data["usage"] = Usage._of(data.get("usage") or {})
        if data.get("verdict"):
            data["verdict"] = Verdict._of(data["verdict"])
        return super(Completion, cls)._of(data)


@dataclass(slots=True, kw_only=True)
class Embedding(Record):
    """A vector."""

    index: int
    """Which of the inputs it is of, from 0."""
    embedding: list[float]
    """Its numbers."""
    object: str = "embedding"
    """`embedding`."""


@dataclass(slots=True, kw_only=True)
class Embeddings(Record):
    """Vectors of texts, in the order of the texts."""

    data: list[Embedding]
    """The vectors, one for each text."""
    model: str
    """The model that made them."""
    session_id: int
    """The session."""
    task_id: int
    """The task in its session."""
    usage: Usage
    """Tokens of the texts."""
    object: str = "list"
    """`list`."""
    gid: int | None = None
    """The task among all sessions."""
    miner_address: str | None = None
    """The miner that made them."""

    @property
    def vectors(self) -> list[list[float]]:
        """The numbers alone."""
        return [one.embedding for one in self.data]

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Embeddings:
        data["data"] = [Embedding._of(one) for one in data["data"]]
        data["usage"] = Usage._of(data.get("usage") or {})
        return super(Embeddings, cls)._of(data)


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
