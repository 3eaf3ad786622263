from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

import llama
from router import Router, running
from upstream import MODEL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llama import Llama, Stack


@pytest.fixture(scope="session")
def mock() -> Iterator[Upstream]:
    """The controllable server; use `upstream` in tests."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="session")
def router(mock: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """A router in front of the controllable server."""
    data = tmp_path_factory.mktemp("router")
    with running(data, "--upstream", mock.url) as started:
        _await_model(started)
        yield started


@pytest.fixture
def upstream(mock: Upstream) -> Upstream:
    """The controllable server, without what earlier tests left in it."""
    mock.forget()
    return mock


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """A router with nothing but its built-in echo miner."""
    with running(tmp_path_factory.mktemp("echo")) as started:
        yield started


@pytest.fixture(scope="session")
def smol(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """A real model in llama.cpp's own server."""
    if (why := llama.absent()) is not None:
        if os.environ.get("CORTENSOR_REQUIRE_MODEL"):
            pytest.fail(why)
        pytest.skip(why)
    with llama.running(tmp_path_factory.mktemp("llama") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def stack(smol: Llama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A router in front of the real model, whose server is known to speak chats."""
    with llama.behind(smol, tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture(scope="session")
def own(smol: Llama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A router in front of the real model, whose server is known to speak the other APIs, too."""
    with llama.behind(smol, tmp_path_factory.mktemp("own"), also=["anthropic", "responses"]) as started:
        yield started


@pytest.fixture
def session(router: Router) -> int:
    """A session of the test's own."""
    created = router.post("/api/v1/create", {"name": "test"})
    assert isinstance(created["session_id"], int)
    return created["session_id"]


def _await_model(started: Router) -> None:
    """The router asks the upstream for its models in the background."""
    deadline = time.monotonic() + 20
    while MODEL not in started.get("/api/v1/info")["models"]:
        assert time.monotonic() < deadline, started.log
        time.sleep(0.01)
