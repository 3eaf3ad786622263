"""`schemathesis` makes up requests from `/openapi.json`: the router must never fail, and answer as it documents.

Bounded: so many examples an operation, the same on every run (schemathesis.toml).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router import TOKEN, Router, running

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Router]:
    """A router that waits a second and no longer, for example for more miners than there are."""
    data = tmp_path / "data"
    data.mkdir()
    # The requests make keys of their own, with which the development token would end.
    settings = ("limits.default_timeout_secs=1", "limits.max_timeout_secs=1", "listen.dev_token=true")
    with running(data, *(word for setting in settings for word in ("--set", setting))) as started:
        yield started


@pytest.mark.timeout(600)
def test_the_documented_api_holds(impatient: Router, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(CONFIGURATION)),
        *("run", f"{impatient.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--checks", ",".join(CHECKS)),
        "--no-color",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=540, check=False)
    assert ended.returncode == 0, ended.stdout[-20000:] + ended.stderr[-2000:]
    assert impatient.process.poll() is None, "the router is still there"
    assert impatient.call("GET", "/readyz", token=None).status == 200
