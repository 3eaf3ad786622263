"""The package as it is installed."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import cortensor_router
from support import REPOSITORY


def test_there_is_one_version() -> None:
    workspace = re.search(r'^version = "(.+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    assert workspace is not None
    assert cortensor_router.__version__ == importlib.metadata.version("cortensor-router") == workspace[1]


def test_it_is_typed() -> None:
    home = Path(cortensor_router.__file__).parent
    assert (home / "py.typed").exists()
    assert (home / "_native.pyi").exists()


def test_everything_that_is_named_is_there() -> None:
    for name in cortensor_router.__all__:
        assert hasattr(cortensor_router, name), name
