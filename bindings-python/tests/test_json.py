"""The writer of small records gives the text that the encoder gives."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from typing import Any

import pytest

from cortensor_router import InvalidArgumentError
from cortensor_router._json import text_of


class Text(str):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 3


RECORDS: list[Any] = [
    {},
    {"prompt": "hello", "stream": False},
    {"prompt": 'a "quoted"\n\t\\ line \x00\x1f\x7f\u2028 \u00e9\U0001f600', "stream": True},
    {"max_tokens": 12, "seed": -(10**30), "n": 0},
    {"temperature": 0.5, "prompt": "x"},
    {"messages": [{"role": "user", "content": "hi"}], "prompt": "x"},
    {"nothing": None},
    {"extra": {"deep": [1, {"a": "b"}]}},
    {'odd "name"': "x"},
    {1: "x", False: "y"},
    {"text": Text("sub"), "level": Level.HIGH},
    OrderedDict(b="2", a="1"),
    ["a", 1],
    "text",
]


@pytest.mark.parametrize("record", RECORDS, ids=repr)
def test_a_record_is_written_as_the_encoder_writes_it(record: Any) -> None:
    assert text_of("record", record) == json.dumps(record, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("wrong", [{"a": "\ud800"}, {"a": float("nan")}, {"\udfff": "x"}], ids=repr)
def test_what_is_no_json_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="record"):
        text_of("record", wrong)
