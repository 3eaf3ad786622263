"""Programs that are given the same database are one fleet."""

from __future__ import annotations

import os
import subprocess

import pytest

from cortensor_router import SyncRouter
from database import installed, postgres
from support import command, environment, eventually

BIN = installed()
REQUIRED = "CORTENSOR_REQUIRE_POSTGRES" in os.environ


@pytest.mark.skipif(BIN is None and not REQUIRED, reason="PostgreSQL is not installed (apt-get install postgresql)")
def test_a_callback_of_another_program_serves_a_prompt() -> None:
    assert BIN is not None, "PostgreSQL is required and not installed"
    with (
        postgres(BIN) as url,
        subprocess.Popen(
            command("fleet_miner", url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as other,
    ):
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n", other.stderr and other.stderr.read()
            with SyncRouter({"name": "asks", "storage": {"url": url, "lease_ms": 2000}}) as router:
                eventually(lambda: len(router.miners()) == 1, "the other program's miner is not seen")
                assert [miner.router for miner in router.miners()] == ["serves"]
                assert router.complete("hello there").text == "HELLO THERE"
                assert "".join(router.submit("word by word")) == "WORD BY WORD"
            out, said = other.communicate(timeout=30)
        except BaseException:
            other.kill()
            raise
    assert (other.returncode, out, said) == (0, "closed\n", "")
