"""Helpers of several tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PROGRAMS = HERE / "programs"

SOON = 20.0
"""Longer than anything takes that is not wrong."""


def program(name: str, *arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs one of `programs/` in a process of its own, as users run theirs."""
    done = subprocess.run(
        command(name, *arguments), capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )
    if check:
        assert done.returncode == 0, f"{name}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def command(name: str, *arguments: str) -> list[str]:
    """The command that runs a program, for tests that start it themselves."""
    return [sys.executable, "-X", "faulthandler", "-W", "error", str(PROGRAMS / f"{name}.py"), *arguments]


def environment() -> dict[str, str]:
    """The environment of a program of a user's: nothing of ours is in it."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("CORTENSOR_", "ROUTER_", "PYTEST_"))
    }


def eventually(condition: Callable[[], bool], what: str, within: float = SOON) -> None:
    """Asks until it holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def resident_bytes() -> int:
    """The memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
