"""A PostgreSQL of the tests' own, on a socket in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "nobody"
"""Takes the place of root, as which PostgreSQL does not run."""


def installed() -> Path | None:
    """The programs of the newest PostgreSQL, from Debian's package."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((bin for bin in reversed(found) if (bin / "postgres").exists()), None)


def _as_user(*command: str) -> list[str]:
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups", "--", *command]


@contextmanager
def postgres(bin: Path) -> Iterator[str]:
    """Starts a server, gives its URL, and ends it."""
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(home, USER)
    data = home / "data"
    options = ["--no-sync", "-U", "router", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", str(data)]
    try:
        subprocess.run(_as_user(str(bin / "initdb"), *options), check=True, capture_output=True)
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        server = _as_user(str(bin / "postgres"), "-D", str(data), "-k", str(home), *settings)
        with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            try:
                ready = [str(bin / "pg_isready"), "-q", "-h", str(home)]
                deadline = time.monotonic() + 30
                while subprocess.run(ready, check=False).returncode != 0:
                    assert time.monotonic() < deadline, "PostgreSQL does not start"
                    time.sleep(0.05)
                yield f"postgres://router@{quote(str(home), safe='')}/postgres"
            finally:
                # It ends at once, whoever is connected.
                running.terminate()
                try:
                    running.wait(1)
                except subprocess.TimeoutExpired:
                    running.send_signal(3)
    finally:
        shutil.rmtree(home, ignore_errors=True)
