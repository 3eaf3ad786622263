"""The records of the router, as dataclasses: the same names as in the REST API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._completion import Usage, Verdict
from ._record import Record


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
    reason: str = ""
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
    """The router's identity and abilities."""

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
