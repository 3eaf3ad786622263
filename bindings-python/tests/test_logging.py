"""The router's log comes to `logging`."""

from __future__ import annotations

import logging
import socket

import pytest

from cortensor_router import SyncRouter
from support import eventually, program


def refusing_port() -> int:
    """A port without a listener."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_what_the_router_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cortensor_router")
    with SyncRouter({"runtime": {"log_level": "debug"}}) as router:
        router.add_upstream(f"http://127.0.0.1:{refusing_port()}/v1")
        eventually(lambda: bool(caplog.records), "nothing was logged")
    record = caplog.records[0]
    assert record.name.startswith("cortensor_router.")
    assert record.levelno in (logging.DEBUG, logging.INFO, logging.WARNING)
    assert abs(record.created - __import__("time").time()) < 60


def test_a_handler_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.name)

    broken = Broken()
    logger = logging.getLogger("cortensor_router")
    logger.addHandler(broken)
    try:
        for _ in range(2):
            caplog.clear()
            with SyncRouter({"runtime": {"log_level": "debug"}}) as router:
                router.add_upstream(f"http://127.0.0.1:{refusing_port()}/v1")
                eventually(lambda: bool(caplog.records) or broken.level == 0, "nothing was logged")
    finally:
        logger.removeHandler(broken)


def test_the_level_off_is_silent() -> None:
    # All routers of a process share one way to `logging`, on which records of other tests' routers may still be.
    assert program("silent").stdout == "[]\n"
