"""Prints what a router with `log_level = "off"` logs while its upstream refuses all connections."""

from __future__ import annotations

import logging
import socket
import time

from cortensor_router import SyncRouter


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


def refusing_port() -> int:
    """A port without a listener."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> None:
    kept = Kept()
    logger = logging.getLogger("cortensor_router")
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    silent, loud = refusing_port(), refusing_port()
    with SyncRouter({"runtime": {"log_level": "off"}}) as router:
        router.add_upstream(f"http://127.0.0.1:{silent}/v1")
        router.add_miner("one", lambda _: "done")
        assert router.complete("x").text == "done"
    # All records of a process come in one row, so a record of a later router comes after all of the first.
    before = [line for line in kept.lines if not line.startswith("cortensor_router.miner:")]
    with SyncRouter({"runtime": {"log_level": "debug"}}) as router:
        router.add_upstream(f"http://127.0.0.1:{loud}/v1")
        deadline = time.monotonic() + 20
        while not any(str(loud) in line for line in kept.lines):
            assert time.monotonic() < deadline, "the second router logs nothing"
            time.sleep(0.005)
    print(before + [line for line in kept.lines if str(silent) in line])


if __name__ == "__main__":
    main()
