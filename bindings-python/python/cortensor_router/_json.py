"""Records as JSON text, in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ._errors import InvalidArgumentError

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=True).encode
_decode = json.JSONDecoder().decode


def text_of(what: str, record: object) -> str:
    """JSON text; the error for what JSON cannot carry names `what`."""
    try:
        text = _encode(record)
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{what} has half a surrogate pair in a text: it cannot be sent as UTF-8"
        raise InvalidArgumentError(message, param=what) from error
    except ValueError as error:
        raise InvalidArgumentError(f"{what} is no JSON: {error}", param=what) from error
    return text


def config_of(what: str, config: Mapping[str, Any] | str | None) -> str:
    """Settings, given as a mapping or as JSON text."""
    if config is None:
        return ""
    return config if isinstance(config, str) else text_of(what, dict(config))


def fields_of(what: str, given: Mapping[str, Any]) -> str:
    """A record of the fields that were given: `None` stands for none."""
    return text_of(what, {name: value for name, value in given.items() if value is not None})


def parsed(text: str) -> Any:
    """What JSON text of the router's says."""
    return _decode(text)
