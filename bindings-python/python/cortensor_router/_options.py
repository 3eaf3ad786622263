"""What can be given with a task, a session or a miner. All of it may be absent."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from ._errors import InvalidArgumentError
from ._json import fields_of, text_of

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


class RequestOptions(TypedDict, total=False):
    """What can be given with a prompt: the fields of `POST /api/v1/completions`."""

    messages: Sequence[Mapping[str, Any]]
    """The messages of a chat, in place of a prompt."""
    input: str | Sequence[str]
    """The input of an embedding, in place of a prompt."""
    model: str
    """The model that is wanted; the session's where it is absent."""
    max_tokens: int
    """The most tokens to generate."""
    max_completion_tokens: int
    """The same under OpenAI's newer name."""
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    stop: str | Sequence[str]
    seed: int
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    logit_bias: Mapping[str, float]
    logprobs: bool | int
    top_logprobs: int
    reasoning_effort: str
    user: str
    dimensions: int
    """How long a vector is to be."""
    tools: Sequence[Mapping[str, Any]]
    tool_choice: str | Mapping[str, Any]
    parallel_tool_calls: bool
    response_format: Mapping[str, Any]
    prompt_type: int
    """0: the model's chat template is applied; 1: the prompt goes to the model as it is."""
    prompt_template: str
    """A text with `{prompt}` in it, put around the prompt."""
    stream: bool
    """Whether tokens are wanted as they come; `submit` asks for it, `complete` does not."""
    timeout: float
    """Seconds until the task is given up."""
    precommit_timeout: float
    """Seconds within which a miner must have answered."""
    client_reference: str
    """The caller's own reference."""
    max_miners: int
    """How many miners answer, each on its own."""
    on_failure: str
    """What follows when the miner is lost after tokens were seen: `fail`, `continue` or `restart`."""
    validation_policy: str
    """What decides where several miners answer: `first`, `quorum`, `medoid` or `all`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical` or `embedding`."""
    min_score: float
    """From this score on two answers match, 0 to 1."""
    tie_break: bool
    """Whether one more miner is asked where the answers do not agree."""
    match_tolerance: float
    """How much two numbers of JSON may differ, as a share of the greater one."""
    match_pointers: Sequence[str]
    """The only places of JSON that are compared."""
    match_model: str
    """The model that embeds the answers."""
    priority: int
    """0 to 9; a higher band is served first."""
    raw: bool
    """Whether special tokens and leading blanks stay in the text."""
    idempotency_key: str
    """The same key joins the task that is there."""
    detach: bool
    """Whether the task goes on when nobody waits for it."""
    extra: Mapping[str, Any]
    """Any other field: it reaches the miner untouched."""


class SessionOptions(TypedDict, total=False):
    """What a session can be created with: the fields of `POST /api/v1/sessions`."""

    metadata: str
    owner: str
    mode: int
    redundant: int
    min_num_of_nodes: int
    max_num_of_nodes: int
    num_of_validator_nodes: int
    reserve_ephemeral_nodes: bool
    reserve_period: int
    sla: int
    model: str
    model_identifier: str
    max_task_execution_count: int
    priority: int
    weight: int
    validation_policy: str
    """What decides where several miners answer: `first`, `quorum`, `medoid` or `all`."""
    match: str
    """When two answers match: `exact`, `normalized`, `json`, `lexical` or `embedding`."""
    min_score: float
    """From this score on two answers match, 0 to 1."""
    tie_break: bool
    """Whether one more miner is asked where the answers do not agree."""
    match_tolerance: float
    """How much two numbers of JSON may differ, as a share of the greater one."""
    match_pointers: Sequence[str]
    """The only places of JSON that are compared."""
    match_model: str
    """The model that embeds the answers."""
    affinity: bool
    retention: str


class SessionChanges(TypedDict, total=False):
    """What of a session can be changed later."""

    name: str
    metadata: str
    model: str
    redundant: int
    min_num_of_nodes: int
    max_num_of_nodes: int
    sla: int
    validation_policy: str
    match: str
    min_score: float
    tie_break: bool
    max_task_execution_count: int
    priority: int
    weight: int
    affinity: bool
    retention: str


class MinerOptions(TypedDict, total=False):
    """What a miner says of itself."""

    models: Sequence[str]
    """The models it serves; none: any that is asked for."""
    capacity: int
    """How many tasks it works on at a time. Default 1."""
    weight: int
    """Its share among equals, 1 to 100."""
    owner: str
    """Who runs it."""
    dedicated: bool
    embeddings: bool
    """Whether it embeds, beside or instead of generating."""
    max_context_tokens: int
    """The most tokens of prompt and answer together."""
    features: Sequence[str]
    agent: str
    hardware: Mapping[str, Any]
    model_details: Sequence[Mapping[str, Any]]


_REQUEST = frozenset(RequestOptions.__annotations__)
_SESSION = frozenset(SessionOptions.__annotations__)
_CHANGES = frozenset(SessionChanges.__annotations__)
_MINER = frozenset(MinerOptions.__annotations__)


def _check_names(what: str, given: Iterable[str], known: frozenset[str], hint: str) -> None:
    """A name that was mistyped would change nothing, or reach the miner as a field of its own."""
    unknown = set(given) - known
    if known is _REQUEST:
        unknown -= {"clientReference"}
    else:
        # The router takes the names that Cortensor published, too: `minNumOfNodes`.
        unknown = {name for name in unknown if _in_snake_case(name) not in known}
    if unknown:
        name = min(unknown)
        near = difflib.get_close_matches(_in_snake_case(name), known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InvalidArgumentError(f"{name} is no option of a {what}: {meant}{hint}", param=name)


def _in_snake_case(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name)


def session_of(name: str, options: SessionOptions) -> str:
    """The session as JSON."""
    _check_names("session", options, _SESSION, "SessionOptions lists all of them")
    return fields_of("session", {"name": name, **options})


def changes_of(changes: SessionChanges) -> str:
    """The changes as JSON."""
    _check_names("session", changes, _CHANGES, "SessionChanges lists what can be changed")
    return fields_of("session", changes)


def miner_of(name: str, options: MinerOptions) -> str:
    """What a miner says of itself, as JSON."""
    check_name(name)
    _check_names("miner", options, _MINER, "MinerOptions lists all of them")
    return fields_of("miner", {"name": name, **options})


def check_name(name: Any) -> None:
    """`@router.miner` without its parentheses has the function where the name belongs."""
    if callable(name):
        raise TypeError('a miner needs a name: @router.miner("name"), or router.add_miner("name", function)')


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str):
        message = f"prompt is a text, not {type(prompt).__name__}: a chat goes into messages=[...]"
        raise InvalidArgumentError(message, param="prompt")


def embedding_of(texts: str | Sequence[str], options: RequestOptions) -> str:
    """The request of vectors as JSON."""
    if isinstance(texts, (bytes, bytearray)) or not isinstance(texts, (str, Sequence)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"input is a text or a list of texts, not {type(texts).__name__}"
        raise InvalidArgumentError(message, param="input")
    given: RequestOptions = {**options, "input": texts if isinstance(texts, str) else list(texts)}
    return request_of(None, given, stream=False)


def request_of(prompt: str | None, options: RequestOptions, *, stream: bool) -> str:
    """The request as JSON."""
    _check_names("request", options, _REQUEST, "what is only for the miner goes into extra={...}")
    fields: dict[str, Any] = {"stream": stream, **{name: value for name, value in options.items() if name != "extra"}}
    fields.update(options.get("extra") or {})
    if prompt is not None:
        _check_prompt(prompt)
        fields["prompt"] = prompt
    return text_of("request", {name: value for name, value in fields.items() if value is not None})
