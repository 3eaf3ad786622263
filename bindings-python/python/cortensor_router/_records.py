"""The records of the router, as dataclasses: the same names as in the REST API."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from typing_extensions import Self

from ._json import parsed

R = TypeVar("R", bound="Record")
T = TypeVar("T")


class Record:
    """What all records can do."""

    __slots__ = ()

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Self:
        """The record that `data` is. Fields that this version does not know are left out."""
        known = _FIELDS.get(cls)
        if known is None:
            known = _FIELDS[cls] = [one.name for one in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: data[name] for name in known if name in data})

    @classmethod
    def _parse(cls, text: str) -> Self:
        return cls._of(parsed(text))

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it.

        >>> from cortensor_router import Usage
        >>> Usage(completion_tokens=2, prompt_tokens=3, total_tokens=5).to_dict()["total_tokens"]
        5
        """
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self.to_dict().items())


_FIELDS: dict[type, list[str]] = {}


def table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """Two columns, for notebooks."""
    lines = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows)
    return f"<table><caption>{html.escape(title)}</caption><tbody>{lines}</tbody></table>"


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
    """What decided: `quorum`, `medoid` or `all`."""
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
    """The text as a message, where a client of the REST API asks for it."""
    miner_address: str | None = None
    """Who gave it, where several miners answered."""


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
    """Who gave the answer that was taken."""
    verdict: Verdict | None = None
    """How several answers compare."""

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.choices[0].text if self.choices else ""

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Completion:
        data["choices"] = [Choice._of(one) for one in data["choices"]]
        data["usage"] = Usage._of(data.get("usage") or {})
        if data.get("verdict"):
            data["verdict"] = Verdict._of(data["verdict"])
        return super(Completion, cls)._of(data)


@dataclass(slots=True, kw_only=True)
class TaskRecord(Record):
    """A task: what was asked for and what became of it."""

    id: int
    """In its session."""
    task_id: int
    """The same."""
    gid: int
    """Among all sessions."""
    session_id: int
    """The session."""
    client_reference: str | None = None
    """The caller's own reference."""
    status: int
    """0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended."""
    state: str
    """The same as a word."""
    outcome: str | None = None
    """`ok`, `disputed`, `failed`, `cancelled` or `expired`; `None` until it ended."""
    ended: bool
    """Whether it is over, for good."""
    created_at: int
    """Unix seconds."""
    started_at: int
    """Unix seconds; 0 while no miner took it."""
    last_precommit_at: int
    """Unix seconds; 0 until then."""
    last_commit_at: int
    """Unix seconds; 0 until then."""
    finished_at: int
    """Unix seconds; 0 until then."""
    execution_time: float
    """Seconds."""
    assigned_miners: list[str]
    """Addresses of the miners that got it, in order."""
    prompt: str
    """The whole text that the model was to read."""
    text: str
    """The text so far, or the whole of it."""
    response: str
    """The same."""
    model: str | None = None
    """The model that was asked for, or that answered."""
    finish_reason: str | None = None
    """`stop`, `length` ..."""
    usage: Usage | None = None
    """Tokens of the answer."""
    attempts: int
    """How many times a miner got it."""
    verdict: Verdict | None = None
    """How several answers compare."""
    failure: str | None = None
    """Why it failed, where it did."""
    queue_position: int | None = None
    """Its place in the queue, from 0, while it is queued."""
    results: dict[str, Any] | list[str] = field(default_factory=dict[str, Any])
    """The miners' answers: `data` and `miners`; in a list of tasks one text a miner."""
    results_hash: list[str] = field(default_factory=list[str])
    """SHA-256 of each answer."""

    @classmethod
    def _of(cls, data: dict[str, Any]) -> TaskRecord:
        if data.get("usage"):
            data["usage"] = Usage._of(data["usage"])
        if data.get("verdict"):
            data["verdict"] = Verdict._of(data["verdict"])
        return super(TaskRecord, cls)._of(data)


@dataclass(slots=True, kw_only=True)
class SessionRecord(Record):
    """A session as the router keeps it."""

    id: int
    """The id."""
    sid: str
    """0x and 64 hexadecimal digits; accepted wherever an id is."""
    name: str
    """A name for people."""
    metadata: str
    """Anything of the caller's."""
    owner: str
    """The owner."""
    mode: int
    """0 ephemeral, 1 dedicated, 2 hybrid."""
    redundant: int
    """How many miners answer each task (0 and 1: one)."""
    min_num_of_nodes: int
    """The fewest miners that must be connected for it to be served."""
    max_num_of_nodes: int
    """The most miners that serve it at a time; 0: no limit."""
    num_of_validator_nodes: int
    """How many answers are validated."""
    reserve_ephemeral_nodes: bool
    """Whether ephemeral miners are reserved for it."""
    reserve_period: int
    """Seconds that a reservation holds."""
    sla: int
    """The service class, 0 the best effort."""
    model: str
    """The model of its tasks where they name none."""
    model_identifier: str
    """Cortensor's number for a model."""
    max_task_execution_count: int
    """The most tasks it ever takes; 0: no limit."""
    priority: int
    """The band of its tasks, 0 to 9; a higher band is served first."""
    weight: int
    """Its share within a band."""
    validation_policy: str
    """What decides where several miners answer: `first`, `quorum`, `medoid` or `all`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical` or `embedding`."""
    min_score: float | None = None
    """From this score on two answers match, 0 to 1."""
    tie_break: bool | None = None
    """Whether one more miner is asked where the answers do not agree."""
    match_tolerance: float | None = None
    """How much two numbers of JSON may differ, as a share of the greater one."""
    match_pointers: list[str] | None = None
    """The only places of JSON that are compared."""
    match_model: str | None = None
    """The model that embeds the answers."""
    affinity: bool | None = None
    """Whether its tasks prefer the miner that served the last one."""
    retention: str
    """What is kept of ended tasks: `all`, `result` or `none`."""
    address: str
    """An address that stands for the session."""
    active: bool
    """Whether it takes tasks."""
    state: str
    """`open` or `closed`."""
    created_at: int
    """Unix seconds."""
    updated_at: int
    """Unix seconds."""
    ephemeral_nodes: list[str]
    """Miners that serve it and come and go."""
    dedicated_nodes: list[str]
    """Miners that are dedicated to it."""
    reserved_nodes: list[str] = field(default_factory=list[str])
    """Miners that are kept for it alone now."""
    miners_count: int
    """How many miners can serve it now."""
    total_tasks: int
    """Tasks that were ever submitted to it."""
    active_tasks: int
    """Tasks that have not ended."""


@dataclass(slots=True, kw_only=True)
class MinerInfo(Record):
    """A miner as the router sees it now."""

    id: str
    """The name."""
    miner_id: str
    """The same."""
    address: str
    """The address that stands for it."""
    active: bool
    """Whether it gets work."""
    status: str
    """`idle`, `busy`, `draining`, `cooling`, `set_aside` or `down`."""
    kind: str
    """`local`, `upstream` or `remote`."""
    node_type: str
    """`ephemeral` or `dedicated`."""
    models: list[str]
    """The models it serves."""
    capacity: int
    """How many tasks it takes at a time, as it said."""
    credits: int
    """How many it may take now."""
    in_flight: int
    """How many it works on."""
    owner: str
    """Who runs it."""
    embeddings: bool
    """Whether it embeds."""
    max_context_tokens: int
    """The most tokens of prompt and answer together; 0 where it does not say."""
    features: list[str]
    """What it can do beyond the least."""
    agent: str
    """Its software and version, in its own words."""
    hardware: dict[str, Any] | None = None
    """Its hardware, in its own words."""
    model_details: list[dict[str, Any]]
    """What it says of its models beyond their names."""
    load: float
    """Tasks in flight as a share of those that it may have now."""
    error_rate: float
    """Attempts that failed by its fault, as a share of those that ended."""
    reputation: float
    """How often its answers agree with others'; 1 where they always did or none was compared."""
    service_class: int
    """The greatest service class whose demands it meets, 0 to 3."""
    reserved_for: int | None = None
    """The session that it is kept for."""
    tokens_per_second: float
    """Measured tokens a second of one task."""
    first_token_ms: float
    """Measured milliseconds to the first token."""
    completed: int
    """Tasks it finished."""
    failed: int
    """Attempts that failed by its fault."""
    breaker: str
    """`closed`, `open` or `half_open`."""
    connected_at: int
    """Unix seconds."""
    last_seen: int
    """Unix seconds."""


@dataclass(slots=True, kw_only=True)
class ModelInfo(Record):
    """A model that can be asked for."""

    id: str
    """Its name."""
    created: int
    """Unix seconds."""
    owned_by: str
    """Who serves it."""
    miners: int
    """How many miners serve it."""
    embeddings: bool
    """Whether it embeds."""


@dataclass(slots=True, kw_only=True)
class NodeInfo(Record):
    """Who the router is and what it offers."""

    active_sessions: int
    """Sessions that take tasks."""
    address: str
    """The address that stands for the router."""
    ip_address: str
    """The address under which it is reached from outside, as configured."""
    name: str
    """Its configured name."""
    node_stats: dict[str, int]
    """How many miners of each sort there are."""
    total_sessions: int
    """All sessions."""
    version: str
    """The version of the product."""
    models: list[str]
    """Models that can be asked for."""
    capabilities: list[str]
    """What it can do."""
    max_context_tokens: int
    """The greatest context of its miners; 0 where none says."""


@dataclass(slots=True, kw_only=True)
class NodeStatus(Record):
    """How the router is doing."""

    status: str
    """`ok`, or `draining`."""
    active_sessions: int
    """Sessions that take tasks."""
    connected_miners: int
    """Miners that are there."""
    miner_count: int
    """The same."""
    active_miners: int
    """Miners that get work."""
    cpu_usage: float
    """Per cent of the machine's processors that this process uses; 0 without the listener."""
    memory_usage: float
    """Resident memory of this process in MiB; 0 without the listener."""
    uptime: int
    """Seconds since the router was opened."""
    version: str
    """The version of the product."""
    queued_tasks: int
    """Tasks that wait for a miner."""
    running_tasks: int
    """Tasks that a miner works on."""
    durability: str
    """`full`, `relaxed` or `memory`."""
    store: str
    """`sqlite`, `memory` ..."""
    block_height: int
    """Always 0: there is no chain."""


@dataclass(slots=True, kw_only=True)
class MinerClientStats(Record):
    """What a miner that works for a distant router has done since it started."""

    miner_id: str
    """Its id: its key's, else its name."""
    connected: bool
    """Whether a router has it."""
    router: str
    """That router; the last one while none has it."""
    last_error: str
    """Why the last connection ended or could not be made; empty while all is well."""
    draining: bool
    """Whether it takes no new tasks."""
    capacity: int
    """How many tasks it takes at a time."""
    in_flight: int
    """Attempts that it holds."""
    connections: int
    """Connections that were welcomed."""
    accepted: int
    """Offers that it took."""
    rejected: int
    """Offers that it did not take."""
    finished: int
    """Answers that were finished here."""
    committed: int
    """Answers that became results."""
    failed: int
    """Attempts that failed."""
    cancelled: int
    """Attempts that were cancelled."""
    frames: int
    """Pieces that were sent."""


@dataclass(slots=True)
class Token:
    """A piece of the text."""

    seq: int
    """Its number, from 1, without gaps."""
    text: str
    """The text."""


@dataclass(slots=True)
class Restart:
    """What came before is void: another miner starts over."""

    seq: int
    """The number of the last piece that is void."""


@dataclass(slots=True)
class End:
    """The end, exactly one and last."""

    completion: Completion
    """The answer, whole."""


Event = Token | Restart | End


class Page(Generic[T]):
    """A part of a list, and how long the whole list is."""

    __slots__ = ("_rows", "count")

    def __init__(self, rows: list[T], count: int) -> None:
        self._rows = rows
        self.count = count
        """How many there are in all."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self._rows[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Page({self._rows!r}, count={self.count})"


def page_of(of: type[R], rows: str, text: str) -> Page[R]:
    """The page that JSON text is; its rows stand under the name `rows`."""
    data = parsed(text)
    return Page([of._of(row) for row in data[rows]], data["count"])
