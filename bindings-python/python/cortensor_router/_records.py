# Made from the schema by `cargo xtask gen`; do not edit.
"""The records of the router, as dataclasses: the same names as in the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict

from ._record import Record


@dataclass(slots=True, kw_only=True)
class Usage(Record):
    """Tokens of one completion, as the miner counted them (or estimated where it does not count)."""

    completion_tokens: int = 0
    """Tokens that were generated."""
    prompt_tokens: int = 0
    """Tokens of the prompt."""
    total_tokens: int = 0
    """Their sum."""
    cached_tokens: int = 0
    """Tokens of the prompt that the model's server had in its cache, where the server says so."""
    reasoning_tokens: int = 0
    """Generated tokens that are not part of the answer's text, where the model's server says so."""


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

    _parts: ClassVar[Mapping[str, type[Record]]] = {"per_miner": MinerVerdict}

    verdict: str
    """`agreed`, `disputed` or `insufficient`."""
    score: float
    """How well the answers agree, 0 to 1.

    The share that match the winner (`quorum`), the mean score of the winner with the others (`medoid`), the least score
    of any two (`all`).
    """
    method: str
    """How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`."""
    policy: str = ""
    """The rule that decided: `quorum`, `medoid` or `all`."""
    winner: str
    """The address of the miner whose answer was taken; where they do not agree, of the one that is shown first."""
    per_miner: list[MinerVerdict] = field(default_factory=list[MinerVerdict])
    """Each miner's answer beside the winner's, the winner first."""


@dataclass(slots=True, kw_only=True)
class Choice(Record):
    """One answer, or the new piece of it."""

    finish_reason: str | None = None
    """`stop`, `length` ...; `null` before the end of a stream."""
    index: int
    """Its place among the choices."""
    logprobs: None = None
    """Always `null`."""
    text: str
    """The text."""
    message: dict[str, Any] | None = None
    """`text` as a message."""
    miner_address: str | None = None
    """Whose answer it is, where several miners answered."""


@dataclass(slots=True, kw_only=True)
class CompletionRecord(Record):
    """A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream."""

    _parts: ClassVar[Mapping[str, type[Record]]] = {"choices": Choice, "usage": Usage, "verdict": Verdict}

    choices: list[Choice]
    """The answers: one, unless several were asked for."""
    created: int
    """Unix seconds."""
    id: str
    """Unique among all tasks."""
    model: str
    """The model that was asked for."""
    object: str
    """`text_completion`"""
    session_id: int
    """The session."""
    task_id: int
    """The task in its session."""
    usage: Usage
    """Token counts."""
    gid: int | None = None
    """The task among all sessions."""
    miner_address: str | None = None
    """The address of the miner whose answer it is."""
    verdict: Verdict | None = None
    """How several answers compare."""


class TaskResults(TypedDict, total=False):
    """The answers to a task, where it is shown alone."""

    data: list[str]
    """The texts; while the task runs, the text so far."""
    miners: list[str]
    """The miners' addresses, aligned with `data`.

    Only once the task has ended: clients take its presence for completeness.
    """


@dataclass(slots=True, kw_only=True)
class WebhookRecord(Record):
    """The delivery of a task's end as it is shown.

    Without the secret, and without the parts of the URL that may be one.
    """

    url: str
    """The URL, without its query."""
    state: str
    """`waiting` (the task has not ended), `pending`, `delivered` or `failed`."""
    attempts: int
    """The tries so far."""
    last_status: int | None = None
    """The status of the last answer; null: there was none."""
    last_error: str | None = None
    """Why the last try failed; null: it did not."""
    next_at: int | None = None
    """Unix seconds of the next try; null: there is none."""


@dataclass(slots=True, kw_only=True)
class TaskRecord(Record):
    """A task on its way out: to REST clients and to the bindings."""

    _parts: ClassVar[Mapping[str, type[Record]]] = {"usage": Usage, "verdict": Verdict, "webhook": WebhookRecord}

    id: int
    """Its number in its session."""
    task_id: int
    """Alias of `id`, for clients that read `task_id`."""
    gid: int
    """Its number among all sessions."""
    session_id: int
    """The session."""
    key_id: str | None = None
    """The key under which it was submitted.

    A key's id, the name of a configured token, or the name that a host program gave.
    """
    client_reference: str | None = None
    """The caller's own reference."""
    status: int
    """0 queued, 1 assigned or acked, 2 precommitted, 3 committed, 4 ended."""
    state: str
    """`status` as a word: `queued`, `assigned`, `acked`, `precommitted`, `committed`, `ended`."""
    outcome: str | None = None
    """Once it has ended: `ok`, `disputed`, `failed`, `cancelled` or `expired`; never changes."""
    ended: bool
    """Whether it has ended."""
    created_at: int
    """Unix seconds at which the task was submitted."""
    started_at: int
    """Unix seconds at which a miner took the task; 0 while none has."""
    last_precommit_at: int
    """Unix seconds at which the last answer came in; 0 before."""
    last_commit_at: int
    """Unix seconds at which the verdict was written; 0 before."""
    finished_at: int
    """Unix seconds at which the task ended; 0 before."""
    execution_time: float
    """Seconds that miners took; 0 before the end."""
    assigned_miners: list[str]
    """The addresses of the miners that worked on it, in their order."""
    prompt: str
    """The whole text that the model reads."""
    text: str
    """The answer's text, or what there is so far."""
    response: str
    """Alias of `text`, for clients that read `response`."""
    model: str | None = None
    """The model that was asked for, else the one that answered."""
    finish_reason: str | None = None
    """Why the answer ends: `stop`, `length` ..."""
    usage: Usage | None = None
    """Token counts."""
    attempts: int
    """How often it was given to a miner."""
    verdict: Verdict | None = None
    """How several answers compare."""
    failure: str | None = None
    """Why it has no answer."""
    queue_position: int | None = None
    """Its place in the queue, while it waits."""
    webhook: WebhookRecord | None = None
    """The delivery of its end to its webhook, if it has one."""
    results: list[str] | TaskResults
    """The answers. In a list of tasks: the texts, aligned with `assigned_miners`."""
    results_hash: list[str]
    """SHA-256 of the answers' texts, aligned with `results`."""


@dataclass(slots=True, kw_only=True)
class Embedding(Record):
    """A vector."""

    embedding: list[float]
    """Its numbers."""
    index: int
    """The input it belongs to, from 0."""
    object: str
    """`embedding`"""


@dataclass(slots=True, kw_only=True)
class EmbeddingsRecord(Record):
    """Vectors of texts, in the order of the texts."""

    _parts: ClassVar[Mapping[str, type[Record]]] = {"data": Embedding, "usage": Usage}

    data: list[Embedding]
    """The vectors, one for each text."""
    gid: int
    """The task among all sessions."""
    miner_address: str
    """The miner that made them."""
    model: str
    """The model that made them."""
    object: str
    """`list`"""
    session_id: int
    """The session."""
    task_id: int
    """The task in its session."""
    usage: Usage
    """Tokens of the texts."""


class JobInfo(TypedDict):
    """A job as the router has it."""

    gid: int
    """The task among all sessions."""
    session_id: int
    """The session."""
    task_id: int
    """The task in its session."""
    model: str | None
    """The model to use, where one was asked for."""
    prompt: str
    """The whole text that the model must read."""
    stream: bool
    """Whether somebody reads tokens as they come."""
    deadline_ms: int
    """Milliseconds since the Unix epoch after which nobody wants the answer."""
    partial: str
    """The text that another miner gave before it was lost, if the answer must go on behind it.

    Only miners that said that they can continue get such work.
    """
    traceparent: str
    """The W3C trace context under which the miner's own work belongs, if the caller sent one."""
    tracestate: str
    """The W3C `tracestate` that belongs to `traceparent`."""
    request: dict[str, Any]
    """The caller's request."""


@dataclass(slots=True, kw_only=True)
class SessionRecord(Record):
    """A session as the router keeps and shows it."""

    validation_policy: str
    """The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.

    Default `normalized`.
    """
    min_score: float | None = None
    """From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1."""
    tie_break: bool | None = None
    """Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`."""
    match_tolerance: float | None = None
    """How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001."""
    match_pointers: list[str] | None = None
    """The only places of JSON that are compared (RFC 6901), at most 32; none: the whole."""
    match_model: str | None = None
    """The model that embeds the answers; none: any that a miner embeds with."""
    name: str
    """A name for people, 1 to 256 bytes."""
    metadata: str = ""
    """Anything of the caller's, up to 64 KiB of text or JSON."""
    owner: str = ""
    """The owner; the token's id where it is empty."""
    mode: int = 0
    """Which miners serve it: 0 ephemeral, 1 dedicated, 2 both."""
    redundant: int = 0
    """How many miners answer each task (0 and 1: one)."""
    min_num_of_nodes: int = 0
    """The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused
    (`too_few_miners`); 0: no demand.
    """
    max_num_of_nodes: int = 0
    """The most miners that work for it at a time; 0: no limit."""
    num_of_validator_nodes: int = 0
    """How many answers are validated."""
    reserve_ephemeral_nodes: bool = False
    """Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one.
    """
    reserve_period: int = 0
    """Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`."""
    sla: int = 0
    """The service class, by what is measured of miners.

    0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10 tokens/s and 2 s to the first token. 3 and above: at most
    2 % errors, 25 tokens/s and 1 s. While no miner meets it, any will do.
    """
    model: str = ""
    """The model of its tasks where they name none."""
    model_identifier: str = ""
    """Cortensor's number for a model; kept and given back."""
    max_task_execution_count: int = 0
    """The most tasks it ever takes; 0: no limit."""
    priority: int = 0
    """The band of its tasks, 0 to 9; a higher band is served first."""
    weight: int = 0
    """Its share within a band, 1 to 1000; 0 means the default of 1."""
    affinity: bool | None = None
    """Whether its tasks prefer the miner that served the last one; on by default."""
    retention: str = ""
    """The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`."""
    limits: SessionQuota
    """The most that its tasks may use together, whoever submits them."""
    models: list[str] = field(default_factory=list[str])
    """The models that its tasks may use; empty: all."""
    expires_at: int = 0
    """Unix seconds from which on it takes no new tasks; 0: it does not expire."""
    id: int
    """The id."""
    sid: str
    """The session's 0x + 64 hexadecimal digits, also its `tx_hash`; accepted wherever an id is."""
    address: str
    """An address that stands for the session."""
    active: bool
    """Whether it takes tasks."""
    state: str
    """`active` as a word."""
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


class Hardware(TypedDict):
    """The hardware of a miner, as the miner describes it."""

    gpu: str
    """The accelerator, at most 256 bytes."""
    vram: int
    """Its memory, in MiB; 0 where it does not say."""
    cpu: str
    """The processor, at most 256 bytes."""


class ModelDetails(TypedDict):
    """A model of a miner, as the miner describes it. The router checks none of it but the name."""

    id: str
    """Its name, as it is asked for; 1 to 256 bytes."""
    digest: str
    """A digest of its weights, at most 256 bytes."""
    quant: str
    """Its quantization (`Q4_1`, `fp8` ...), at most 256 bytes: answers are compared among equals."""
    context: int
    """The most tokens of prompt and answer together; 0 where it is not known."""
    max_output: int
    """The most tokens of an answer; 0 where it is not known."""
    warm: bool
    """Whether it is loaded."""
    embeddings: bool
    """Whether it embeds."""
    tools: bool
    """Whether it calls tools."""


@dataclass(slots=True, kw_only=True)
class MinerInfo(Record):
    """A miner as the router sees it now."""

    id: str
    """The name."""
    miner_id: str
    """Alias of `id`, for clients that read `miner_id`."""
    address: str
    """The address that stands for it."""
    active: bool
    """Whether it gets work."""
    status: str
    """`idle`, `busy`, `draining`, `cooling` (its breaker is open), `set_aside` (its answers are not trusted) or `down`;
    a server that the router starts may also be `stopped`, `starting`, `stopping` or `failed`.
    """
    router: str
    """The router that it is connected to, where several share a database; else empty."""
    kind: str
    """How it is reached."""
    node_type: str
    """`ephemeral` or `dedicated`."""
    models: list[str]
    """The models it serves."""
    capacity: int
    """How many tasks it takes at a time, as it said."""
    credits: int
    """How many it may take now: less than `capacity` while an upstream is throttled."""
    in_flight: int
    """How many it works on."""
    owner: str
    """The person or company that runs the miner."""
    embeddings: bool
    """Whether it embeds."""
    max_context_tokens: int
    """The most tokens of prompt and answer together; 0 where it does not say."""
    features: list[str]
    """The optional abilities of the miner: `continue`, `messages`, `responses` ..."""
    agent: str
    """Its software and version, in its own words; empty for miners that do not say."""
    hardware: Hardware | None = None
    """Its hardware, in its own words."""
    model_details: list[ModelDetails]
    """The details of its models beyond their names, as the miner states them."""
    load: float
    """Tasks in flight as a share of those that it may have now; 0 while it may have none."""
    error_rate: float
    """Attempts that failed by its fault, as a share of those that ended."""
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
    reputation: float
    """How often its answers agree with others', smoothed; 1 where they always did or none was compared."""
    service_class: int
    """The greatest service class (`sla` of a session) whose demands it meets, 0 to 3."""
    reserved_for: int | None = None
    """The session that it is kept for; `null` where it is everybody's."""
    reason: str = ""
    """Why it is down, or what is odd about it while it is up; else empty."""
    connected_at: int
    """Unix seconds."""
    last_seen: int
    """Unix seconds."""


@dataclass(slots=True, kw_only=True)
class ModelInfo(Record):
    """A model that clients can ask for."""

    id: str
    """The model's name."""
    created: int
    """The time at which the first miner of the model joined, in Unix seconds."""
    owned_by: str
    """The owner of the first miner that offers the model, or else that miner's name."""
    miners: int
    """The number of miners that offer the model."""
    embeddings: bool
    """Whether one of these miners makes embeddings."""


class NodeStats(TypedDict):
    """How many miners of each sort there are."""

    dedicated_count: int
    """Dedicated miners."""
    ephemeral_count: int
    """Miners that come and go."""
    total_count: int
    """Both."""


@dataclass(slots=True, kw_only=True)
class NodeInfo(Record):
    """The name of the router, its counts and its offers."""

    active_sessions: int
    """Sessions that take tasks."""
    address: str
    """The address that stands for the router."""
    ip_address: str
    """The address under which it is reached from outside, as configured."""
    name: str
    """Its configured name."""
    node_stats: NodeStats
    """Its miners."""
    total_sessions: int
    """All sessions."""
    version: str
    """The version of the product."""
    models: list[str]
    """Models that can be asked for."""
    capabilities: list[str]
    """The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ..."""
    max_context_tokens: int
    """The greatest context of its miners; 0 where none says."""


class FleetStatus(TypedDict):
    """How many routers share the database, and their figures together.

    All are 0 for a router with a store of its own.
    """

    members: int
    """Routers that use the database, this one too."""
    up: int
    """Those that take tasks."""
    draining: int
    """Those that take no new tasks and end soon."""
    unlinked: int
    """Those to which this router has no link."""
    miners: int
    """Miners of this router and of those to which it has a link."""
    queued_tasks: int
    """Tasks that wait for a miner there."""
    running_tasks: int
    """Tasks that a miner works on there."""


@dataclass(slots=True, kw_only=True)
class NodeStatus(Record):
    """How the router is doing."""

    status: str
    """`ok`, `draining`, or `store_unavailable` while the store refuses to write."""
    active_sessions: int
    """Sessions that take tasks."""
    connected_miners: int
    """Miners that are there."""
    miner_count: int
    """Alias of `connected_miners`, for clients that read `miner_count`."""
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
    """`sqlite`, `postgres` or `memory`."""
    fleet: FleetStatus
    """The routers that share the database."""
    block_height: int
    """Always 0: there is no chain."""


@dataclass(slots=True, kw_only=True)
class MinerClientStats(Record):
    """The counts of a miner since it started."""

    miner_id: str
    """The miner's id: the id of its key, or else its name."""
    connected: bool
    """Whether the miner is connected to a router."""
    router: str
    """The URL of the present router, or of the last one."""
    last_error: str
    """The reason why the last connection ended or failed; empty: the miner is connected."""
    draining: bool
    """Whether the miner drains and takes no new tasks."""
    capacity: int
    """The maximum number of concurrent tasks."""
    in_flight: int
    """The attempts that the miner holds, including answers that wait for their `final`."""
    connections: int
    """The number of connections that a router has welcomed."""
    accepted: int
    """The number of offers that the miner took."""
    rejected: int
    """The number of offers that the miner did not take."""
    finished: int
    """The number of answers that the backend finished."""
    committed: int
    """The number of answers that became results."""
    failed: int
    """The number of attempts that failed."""
    cancelled: int
    """The number of attempts that were cancelled."""
    frames: int
    """The number of pieces that were sent, including those sent again."""


@dataclass(slots=True, kw_only=True)
class UsagePart(Record):
    """The usage of one part."""

    requests: int
    """Tasks that ended. A request that an idempotency key repeats is no further task."""
    ok: int
    """Tasks that ended with an answer."""
    disputed: int
    """Tasks whose answers do not agree."""
    failed: int
    """Tasks that ended without an answer."""
    cancelled: int
    """Tasks that were cancelled."""
    expired: int
    """Tasks whose deadline passed."""
    prompt_tokens: int
    """Tokens of the prompts."""
    completion_tokens: int
    """Tokens that were generated."""
    cached_tokens: int
    """Tokens of the prompts that a model's server had in its cache, as far as the servers say so."""
    reasoning_tokens: int
    """Generated tokens that are not part of the answers' texts, as far as the models' servers say so."""
    bytes: int
    """Bytes of the requests and of the answers."""
    attempts: int
    """The number of times that a miner got a task."""
    name: str
    """The part: a day, a key's id, a model, a session's number or a miner's address.

    Empty: the tasks have none. `other`: tasks whose day had no row left (`retention.max_usage_rows`).
    """
    total_tokens: int
    """The sum of the tokens of prompts and answers."""
    cost: str | None = None
    """The cost of the tokens of models that have a price (`prices.model`), as an exact decimal number in a text.

    `null`: no model of the part has a price.
    """
    unpriced_tokens: int
    """The tokens of models without a price, which `cost` does not contain."""


class KeyLimits(TypedDict, total=False):
    """The limits of a key. Each limit is at least 1; a limit that is missing does not bind."""

    requests_per_minute: int
    """Requests in one minute, on any route, also those that only read."""
    tasks_per_minute: int
    """Tasks that are submitted in one minute."""
    tokens_per_minute: int
    """Tokens of prompts and answers in one minute."""
    tokens_per_day: int
    """Tokens of prompts and answers on one day in UTC."""
    tokens_per_month: int
    """Tokens of prompts and answers in one month in UTC."""
    concurrent_tasks: int
    """Tasks that have not ended."""
    concurrent_streams: int
    """Answers that are being streamed."""


class SessionQuota(TypedDict, total=False):
    """The limits of a session, which hold for all keys that use it.

    Each limit is at least 1; a limit that is missing does not bind.
    """

    requests_per_minute: int
    """Requests in one minute that submit a task to it, also those that are refused."""
    tasks_per_minute: int
    """Tasks in one minute."""
    tokens_per_minute: int
    """Tokens of prompts and answers in one minute."""
    tokens_per_day: int
    """Tokens of prompts and answers on one day in UTC."""
    tokens_per_month: int
    """Tokens of prompts and answers in one month in UTC."""
    concurrent_tasks: int
    """Tasks that have not ended."""
    concurrent_streams: int
    """Answers that a listener streams."""


@dataclass(slots=True, kw_only=True)
class ApiKey(Record):
    """A token's record. The secret is never kept, only its hash."""

    id: str
    """The public part of the token: `ctr_<id>_<secret>`."""
    name: str
    """A name for people."""
    hash: str = ""
    """SHA-256 of the secret, hexadecimal."""
    scopes: list[str]
    """The scopes: `submit`, `read`, `admin`, `miner`, `enrol`."""
    sessions: list[int]
    """The only sessions that the key may use; empty: all sessions."""
    created_at: int
    """When the key was made, in Unix seconds."""
    expires_at: int
    """The time from which on the key is refused, in Unix seconds; 0: never."""
    models: list[str] = field(default_factory=list[str])
    """The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models."""
    owner: str = ""
    """For a miner's key: the person or company that runs the miner."""
    limits: KeyLimits
    """The key's limits."""


@dataclass(slots=True, kw_only=True)
class NewKey(Record):
    """A key that was just created, with its token, which is never shown again."""

    id: str
    """The public part of the token: `ctr_<id>_<secret>`."""
    name: str
    """A name for people."""
    hash: str = ""
    """SHA-256 of the secret, hexadecimal."""
    scopes: list[str]
    """The scopes: `submit`, `read`, `admin`, `miner`, `enrol`."""
    sessions: list[int]
    """The only sessions that the key may use; empty: all sessions."""
    created_at: int
    """When the key was made, in Unix seconds."""
    expires_at: int
    """The time from which on the key is refused, in Unix seconds; 0: never."""
    models: list[str] = field(default_factory=list[str])
    """The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models."""
    owner: str = ""
    """For a miner's key: the person or company that runs the miner."""
    limits: KeyLimits
    """The key's limits."""
    token: str
    """The token: `ctr_<id>_<secret>`."""
