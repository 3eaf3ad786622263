"""Prints what a router with `log_level = "off"` logs while its upstream refuses all connections."""

from __future__ import annotations

import logging
import socket

from cortensor_router import SyncRouter


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


def main() -> None:
    kept = Kept()
    logger = logging.getLogger("cortensor_router")
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        refusing = one.getsockname()[1]
    with SyncRouter({"runtime": {"log_level": "off"}}) as router:
        router.add_upstream(f"http://127.0.0.1:{refusing}/v1")
        router.add_miner("one", lambda _: "done")
        assert router.complete("x").text == "done"
    print([line for line in kept.lines if not line.startswith("cortensor_router.miner:")])


if __name__ == "__main__":
    main()
