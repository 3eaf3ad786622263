# Made from the schema by `cargo xtask gen`; do not edit.
"""The options of a task, a session or a miner, and the answers of miners. All members may be absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

FailCode = Literal[
    "overloaded",
    "context",
    "invalid",
    "model",
    "refused",
    "credentials",
    "unreadable",
    "internal",
    "unreachable",
    "cancelled",
]
"""The reason why an attempt failed. It decides whether another miner is tried and whether this one is blamed."""


class RequestOptions(TypedDict, total=False):
    """The options beside a prompt. Members for the miner alone go into `extra`."""

    messages: Sequence[Mapping[str, Any]]
    """The conversation so far."""
    model: str
    """The model, as `/v1/models` lists it; given back in the answer.

    Under `/v1`, `session-<id>` stands for that session and its model, and a model that no miner offers is a 404; under
    `/api` such a model stands for any.
    """
    max_tokens: int
    """The most tokens to generate; what is over the router's limit is cut to it."""
    max_completion_tokens: int
    """Newer name of `max_tokens`, which wins where both are given; what is over the router's limit is cut to it."""
    temperature: float
    """Passes through: the sampling temperature."""
    top_p: float
    """Passes through: nucleus sampling, from 0 to 1."""
    top_k: int
    """Passes through: the number of candidates."""
    min_p: float
    """Passes through: the least share of the likeliest token's probability."""
    stop: str | Sequence[str]
    """Passes through: the texts at which the answer stops."""
    seed: int
    """Passes through: the seed of the sampling."""
    presence_penalty: float
    """Passes through: a penalty for tokens that came before."""
    frequency_penalty: float
    """Passes through: a penalty for tokens that came often."""
    repetition_penalty: float
    """Passes through: a factor against tokens that came before."""
    logit_bias: Mapping[str, Any]
    """Passes through: what is added to the scores of tokens."""
    logprobs: bool | int
    """Passes through: whether, or how many, log probabilities are wanted."""
    top_logprobs: int
    """Passes through: how many candidates each token tells."""
    tools: Sequence[Mapping[str, Any]]
    """Passes through: the tools that the model may call."""
    tool_choice: str | Mapping[str, Any]
    """Passes through: which tool to call."""
    parallel_tool_calls: bool
    """Passes through: whether several tools may be called at once."""
    reasoning_effort: str
    """Passes through: how long the model may think before it speaks."""
    response_format: Mapping[str, Any]
    """Passes through: the form of the answer."""
    user: str
    """Passes through: who asks."""
    dimensions: int
    """Passes through: how many numbers a vector has."""
    prompt_type: int
    """0: the model's chat template is applied; 1: the prompt goes to the model as it is."""
    prompt_template: str
    """A text with `{prompt}` in it, put around the prompt."""
    stream: bool
    """Whether the answer is wanted as it comes, as server-sent events."""
    timeout: float
    """Seconds until the task is given up; what is over the router's limit is cut to it."""
    precommit_timeout: float
    """Seconds within which several answers must be in.

    Then those that are in are compared; what is over the router's limit is cut to it.
    """
    max_miners: int
    """The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`."""
    on_failure: str
    """How the task goes on when the miner is lost after tokens were seen."""
    priority: int
    """The band: a higher one is served first. Missing: the session's."""
    client_reference: str
    """The caller's own reference, given back in the task."""
    raw: bool
    """Whether special tokens and leading blanks stay in the text."""
    webhook: str | Mapping[str, Any]
    """Where the end of the task is sent: `{"url": "https://...", "secret": "whsec_..."}`, or the URL alone."""
    input: str | Sequence[str]
    """The text to embed, or several, in place of a prompt."""
    idempotency_key: str
    """A request with an equal key and equal content joins the task that is there."""
    key_id: str
    """The name of the caller for whom the task is counted, as the usage shows it."""
    detach: bool
    """Whether the task goes on when nobody waits for it."""
    extra: Mapping[str, Any]
    """Any other members: they reach the miner untouched."""
    validation_policy: str
    """The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.

    Default `normalized`.
    """
    min_score: float
    """From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1."""
    tie_break: bool
    """Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`."""
    match_tolerance: float
    """How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001."""
    match_pointers: Sequence[str]
    """The only places of JSON that are compared (RFC 6901), at most 32; none: the whole."""
    match_model: str
    """The model that embeds the answers; none: any that a miner embeds with."""


class SessionOptions(TypedDict, total=False):
    """A session to be created.

    Only `name` is required; Cortensor's published camelCase names, such as `minNumOfNodes`, are taken too.
    """

    validation_policy: str
    """The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.

    Default `normalized`.
    """
    min_score: float
    """From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1."""
    tie_break: bool
    """Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`."""
    match_tolerance: float
    """How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001."""
    match_pointers: Sequence[str]
    """The only places of JSON that are compared (RFC 6901), at most 32; none: the whole."""
    match_model: str
    """The model that embeds the answers; none: any that a miner embeds with."""
    metadata: str
    """Anything of the caller's, up to 64 KiB of text or JSON."""
    owner: str
    """The owner; the token's id where it is empty."""
    mode: int
    """Which miners serve it: 0 ephemeral, 1 dedicated, 2 both."""
    redundant: int
    """How many miners answer each task (0 and 1: one)."""
    min_num_of_nodes: int
    """The fewest miners that must be there for the session to be served; while there are fewer, new tasks are refused
    (`too_few_miners`); 0: no demand.
    """
    max_num_of_nodes: int
    """The most miners that work for it at a time; 0: no limit."""
    num_of_validator_nodes: int
    """How many answers are validated."""
    reserve_ephemeral_nodes: bool
    """Whether ephemeral miners are kept for it alone: as many as `min_num_of_nodes` or `redundant` say, at least one.
    """
    reserve_period: int
    """Seconds that a reservation holds after the session's last task; 0: `dispatch.reserve_period_secs`."""
    sla: int
    """The service class, by what is measured of miners.

    0: any. 1: at most 10 % errors. 2: at most 5 % errors, 10 tokens/s and 2 s to the first token. 3 and above: at most
    2 % errors, 25 tokens/s and 1 s. While no miner meets it, any will do.
    """
    model: str
    """The model of its tasks where they name none."""
    model_identifier: str
    """Cortensor's number for a model; kept and given back."""
    max_task_execution_count: int
    """The most tasks it ever takes; 0: no limit."""
    priority: int
    """The band of its tasks, 0 to 9; a higher band is served first."""
    weight: int
    """Its share within a band, 1 to 1000; 0 means the default of 1."""
    affinity: bool
    """Whether its tasks prefer the miner that served the last one; on by default."""
    retention: str
    """The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`."""
    limits: Mapping[str, Any]
    """The most that its tasks may use together, whoever submits them."""
    models: Sequence[str]
    """The models that its tasks may use; empty: all."""
    expires_at: int
    """Unix seconds from which on it takes no new tasks; 0: it does not expire."""


class SessionChanges(TypedDict, total=False):
    """A change of a session. Members that are missing stay as they are."""

    name: str
    """Its name, 1 to 256 bytes."""
    metadata: str
    """Anything of the caller's, up to 64 KiB."""
    model: str
    """The model of its tasks where they name none; empty: none."""
    redundant: int
    """How many miners answer each task (0 and 1: one)."""
    max_task_execution_count: int
    """The most tasks it ever takes; 0: no limit."""
    priority: int
    """The band of its tasks, 0 to 9; a higher band is served first."""
    weight: int
    """Its share within a band, 1 to 1000."""
    affinity: bool
    """Whether its tasks prefer the miner that served the last one."""
    retention: str
    """The part of ended tasks that is kept: `all`, `result` (no prompt) or `none`."""
    min_num_of_nodes: int
    """The fewest miners that must be there for the session to be served; 0: no demand."""
    max_num_of_nodes: int
    """The most miners that work for it at a time; 0: no limit."""
    sla: int
    """The service class."""
    validation_policy: str
    """The rule that decides if several miners answer: `first`, `quorum`, `medoid` or `all`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`."""
    min_score: float
    """From this score on two answers match, 0 to 1."""
    tie_break: bool
    """Whether one more miner is asked where the answers do not agree."""
    limits: Mapping[str, Any]
    """The most that its tasks may use together, by the names of `SessionQuota`.

    A missing member keeps its limit, and `null` lifts it.
    """
    models: Sequence[str]
    """The models that its tasks may use; empty: all."""
    expires_at: int
    """Unix seconds from which on it takes no new tasks; 0: it does not expire."""


class MinerOptions(TypedDict, total=False):
    """A miner, as it describes itself when it joins."""

    models: Sequence[str]
    """The models it serves; empty means any model that is asked for."""
    capacity: int
    """How many tasks it works on at a time, 1 to 65536."""
    weight: int
    """Its share among equals, 1 to 100."""
    owner: str
    """The person or company that runs the miner.

    Answers that are compared come from different owners if there are any.
    """
    dedicated: bool
    """Whether it is dedicated to sessions rather than ephemeral."""
    embeddings: bool
    """Whether it embeds, beside or instead of generating."""
    max_context_tokens: int
    """The most tokens of prompt and answer together; 0 where it does not say."""
    features: Sequence[str]
    """The optional abilities of the miner: with `continue` it goes on from a partial answer of another miner.

    An upstream with `messages` or `responses` takes the bodies of these APIs as they are.
    """
    agent: str
    """Its software and version, in its own words."""
    hardware: Mapping[str, Any]
    """Its hardware, in its own words."""
    model_details: Sequence[Mapping[str, Any]]
    """The details of its models beyond their names, as the miner states them."""


class MinerClientSettings(TypedDict, total=False):
    """The settings of a miner that works for a distant router."""

    models: Sequence[str]
    """The models that the miner serves; empty: any model."""
    model_details: Sequence[Mapping[str, Any]]
    """Details of the models, by their id."""
    continues: bool
    """Whether the miner can continue a partial answer of another miner."""
    dedicated: bool
    """Whether the miner is dedicated instead of ephemeral."""
    owner: str
    """The person or company that runs the miner."""
    hardware: Mapping[str, Any]
    """The miner's hardware."""
    token: str
    """A token of the scope `miner`.

    With `key_file`: the one-time token that enrols the key, which is needed only once.
    """
    key_file: str
    """The file of the miner's own key. The miner makes the file if it does not exist."""
    ca_file: str
    """A file of certificates (PEM) to trust instead of the public ones."""
    cert_file: str
    """A file with the miner's certificate chain (PEM), for routers that ask for one."""
    cert_key_file: str
    """A file with the private key of that certificate (PEM)."""
    connect_timeout_ms: int
    """The time in milliseconds within which the router must have welcomed the miner. Default 10000."""
    reconnect_base_ms: int
    """The first window of the wait before a reconnect, in milliseconds.

    Each further window is twice as long. Default 1000.
    """
    reconnect_max_ms: int
    """The longest window of that wait, in milliseconds. Default 64000."""
    max_frame_bytes: int
    """The maximum size of a frame of the router, in bytes. A larger frame ends the connection. Default 64 MiB."""
    write_buffer_bytes: int
    """The maximum bytes that may wait to be sent to the router. Default 64 MiB."""
    runtime: Mapping[str, Any]
    """The threads of the miner, as in the section `runtime` of a router's configuration."""


class Answer(TypedDict, total=False):
    """The answer that a miner gives at the end of a job. Every member may be absent."""

    text: str
    """The text. Pieces that were emitted are the text instead."""
    reasoning: str
    """The model's reasoning before its answer."""
    tool_calls: Sequence[Mapping[str, Any]]
    """The tools that the model calls."""
    finish_reason: str
    """The reason for the end of the text; missing: `tool_calls` if the model calls tools, else `stop`."""
    usage: Mapping[str, Any]
    """The token counts. Missing counts are estimated."""
    model: str
    """The model that answered."""
    embedding: Sequence[float] | Sequence[Sequence[float]]
    """The vector of the input, or one vector for each of several inputs."""


class PieceParts(TypedDict, total=False):
    """A piece of an answer with its text, reasoning and tool calls."""

    text: str
    """A piece of the text."""
    reasoning: str
    """A piece of the model's reasoning."""
    tool_calls: Sequence[Mapping[str, Any]]
    """Pieces of the tools that the model calls."""


class KeyOptions(TypedDict, total=False):
    """A key to be made: the body of `POST /api/v1/keys` and the flags of `key create`."""

    scopes: Sequence[str]
    """The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. Empty: `submit` and `read`."""
    sessions: Sequence[int]
    """The only sessions that the key may use; empty: all sessions."""
    ttl_secs: int
    """The seconds until the key expires; 0: never, except after one day for the scope `enrol`."""
    models: Sequence[str]
    """The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models."""
    owner: str
    """For a key of miners: the person or company that runs the miner."""
    limits: Mapping[str, Any]
    """The key's limits."""
