"""Requests, sessions and miners as JSON, with their options checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ._errors import InvalidArgumentError
from ._json import fields_of
from ._options import KeyOptions, MinerOptions, RequestOptions, SessionChanges, SessionOptions

_REQUEST = frozenset(RequestOptions.__annotations__)
_SESSION = frozenset(SessionOptions.__annotations__)
_CHANGES = frozenset(SessionChanges.__annotations__)
_MINER = frozenset(MinerOptions.__annotations__)
_KEY = frozenset(KeyOptions.__annotations__)


def _check_names(what: str, given: Iterable[str], known: frozenset[str], hint: str) -> None:
    """Refuses unknown options: a mistyped name would have no effect, or reach the miner as an unknown field."""
    if known.issuperset(given):
        return
    unknown = set(given) - known
    if known is _REQUEST:
        unknown -= {"clientReference"}
    else:
        # The router also accepts the names that Cortensor published, such as `minNumOfNodes`.
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


def key_of(name: str, options: KeyOptions) -> str:
    """The key to be made as JSON."""
    _check_names("key", options, _KEY, "KeyOptions lists all of them")
    return fields_of("key", {"name": name, **options})


def changes_of(changes: SessionChanges) -> str:
    """The changes as JSON."""
    _check_names("session", changes, _CHANGES, "SessionChanges lists what can be changed")
    return fields_of("session", changes)


def miner_of(name: str, options: MinerOptions) -> str:
    """The description of a miner as JSON."""
    check_name(name)
    _check_names("miner", options, _MINER, "MinerOptions lists all of them")
    return fields_of("miner", {"name": name, **options})


def check_name(name: Any) -> None:
    """Refuses `@router.miner` without parentheses, which has the function in the place of the name."""
    if callable(name):
        raise TypeError('a miner needs a name: @router.miner("name"), or router.add_miner("name", function)')


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str):
        message = f"prompt is a text, not {type(prompt).__name__}: a chat goes into messages=[...]"
        raise InvalidArgumentError(message, param="prompt")


def embedding_of(texts: str | Sequence[str], options: RequestOptions) -> str:
    """The request for vectors as JSON."""
    if isinstance(texts, (bytes, bytearray)) or not isinstance(texts, (str, Sequence)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"input is a text or a list of texts, not {type(texts).__name__}"
        raise InvalidArgumentError(message, param="input")
    given: RequestOptions = {**options, "input": texts if isinstance(texts, str) else list(texts)}
    return request_of(None, given, stream=False)


def request_of(prompt: str | None, options: RequestOptions, *, stream: bool) -> str:
    """The request as JSON."""
    _check_names("request", options, _REQUEST, "what is only for the miner goes into extra={...}")
    fields: dict[str, Any] = {"stream": stream, **options}
    extra: Mapping[str, Any] = fields.pop("extra", None) or {}
    known = next((name for name in extra if name in _REQUEST), None)
    if known is not None:
        raise InvalidArgumentError(f"extra: {known} is an option of a request: give it beside extra", param="extra")
    fields.update(extra)
    if prompt is not None:
        _check_prompt(prompt)
        fields["prompt"] = prompt
    return fields_of("request", fields)
