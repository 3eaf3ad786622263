"""The examples in the docstrings run, and nothing public is without one line of them."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import cortensor_router

MODULES = [
    f"cortensor_router.{one.name}"
    for one in pkgutil.iter_modules(cortensor_router.__path__)
    if one.name not in ("_native", "__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = [one for name in MODULES for one in finder.find(importlib.import_module(name)) if one.examples]
    assert len(found) >= 6, [one.name for one in found]


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for name in cortensor_router.__all__:
        one = getattr(cortensor_router, name)
        if not inspect.isclass(one):
            continue
        members = {f"{name}.{key}": value for key, value in vars(one).items() if not key.startswith("_")}
        for where, value in {name: one, **members}.items():
            told = value.fget if isinstance(value, property) else value
            if (inspect.isfunction(told) or inspect.isclass(told) or isinstance(value, classmethod)) and not (
                inspect.getdoc(told)
            ):
                silent.append(where)
    assert silent == []
