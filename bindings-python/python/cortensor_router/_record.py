"""The common part of all records, pages of them, and their display in notebooks."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from ._json import parsed

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R", bound="Record")
T = TypeVar("T")


class Record:
    """The methods of all records."""

    __slots__ = ()

    _parts: ClassVar[Mapping[str, type[Record]]] = {}
    """The fields that are records themselves, or lists of them."""

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Self:
        """Makes a record from `data`. Fields that this version does not know are left out."""
        for name, part in cls._parts.items():
            told = data.get(name)
            if isinstance(told, list):
                data[name] = [part._of(one) for one in cast("list[dict[str, Any]]", told)]
            elif told is not None:
                data[name] = part._of(told)
        known = _FIELDS.get(cls)
        if known is None:
            known = _FIELDS[cls] = frozenset(one.name for one in dataclasses.fields(cls))  # type: ignore[arg-type]
        if not known.issuperset(data):
            data = {name: value for name, value in data.items() if name in known}
        return cls(**data)

    @classmethod
    def _parse(cls, text: str) -> Self:
        return cls._of(parsed(text))

    def to_dict(self) -> dict[str, Any]:
        """The record as a dictionary of JSON values.

        >>> from cortensor_router import Usage
        >>> Usage(completion_tokens=2, prompt_tokens=3, total_tokens=5).to_dict()["total_tokens"]
        5
        """
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self.to_dict().items())


_FIELDS: dict[type, frozenset[str]] = {}


def table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """Two columns, for notebooks."""
    lines = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows)
    return f"<table><caption>{html.escape(title)}</caption><tbody>{lines}</tbody></table>"


class Page(Generic[T]):
    """A part of a list, and how long the whole list is."""

    __slots__ = ("_rows", "corrupt", "count")

    def __init__(self, rows: list[T], count: int, corrupt: list[int] | None = None) -> None:
        self._rows = rows
        self.count = count
        """The number of rows on all pages."""
        self.corrupt = corrupt or []
        """The ids of tasks of this page whose rows in the store are damaged; they are not among its rows."""

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
    """Reads a page from JSON text, whose rows stand under the name `rows`."""
    data = parsed(text)
    return Page([of._of(row) for row in data[rows]], data["count"], data.get("corrupt"))
