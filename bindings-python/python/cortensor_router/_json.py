"""Converts records to JSON text and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ._errors import InvalidArgumentError

_string = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=True).encode
_decode = json.JSONDecoder().decode


def text_of(what: str, record: object) -> str:
    """Writes JSON text. The error for a value that JSON cannot carry names `what`."""
    try:
        text = _written(record)
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{what} has half a surrogate pair in a text: it cannot be sent as UTF-8"
        raise InvalidArgumentError(message, param=what) from error
    except ValueError as error:
        raise InvalidArgumentError(f"{what} is no JSON: {error}", param=what) from error
    return text


def _written(record: object) -> str:
    """Writes a mapping of texts, flags and whole numbers, as most requests and answers are, without the encoder.

    The encoder is made anew for each record, which takes longer than such a record.
    """
    if type(record) is not dict:
        return _encode(record)
    fields: list[str] = []
    for name, value in cast("dict[str, Any]", record).items():
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if type(name) is not str:
            return _encode(record)
        if kind is str:
            fields.append(f"{_string(name)}:{_string(value)}")
        elif kind is bool:
            fields.append(f"{_string(name)}:{'true' if value else 'false'}")
        elif kind is int:
            fields.append(f"{_string(name)}:{value}")
        else:
            return _encode(record)
    return "{" + ",".join(fields) + "}"


def config_of(what: str, config: Mapping[str, Any] | str | None) -> str:
    """Reads settings, which are a mapping or JSON text."""
    if config is None:
        return ""
    if isinstance(config, str):
        if config.strip() and not config.lstrip().startswith("{"):
            message = (
                f"{what} is a mapping or JSON text, not {config[:40]!r}: read a file with tomllib.load or json.load"
            )
            raise InvalidArgumentError(message, param=what)
        return config
    return text_of(what, _mapping(what, config))


def _mapping(what: str, config: object) -> dict[str, Any]:
    if isinstance(config, Mapping):
        return dict(config)  # pyright: ignore[reportUnknownArgumentType]
    raise InvalidArgumentError(f"{what} is a mapping or JSON text, not {type(config).__name__}", param=what)


def fields_of(what: str, given: Mapping[str, Any]) -> str:
    """Makes a record of the fields that were given; `None` means that a field was not given."""
    return text_of(what, {name: value for name, value in given.items() if value is not None})


def parsed(text: str) -> Any:
    """Reads JSON text of the router."""
    return _decode(text)
