"""The real `cortensor-router`, started for the tests, and the plainest possible client of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "default-dev-token"  # noqa: S105 - the product's own, for loopback only
REPOSITORY = Path(__file__).resolve().parents[4]
BINARY = Path(os.environ.get("CORTENSOR_ROUTER_BIN", REPOSITORY / "target/debug/cortensor-router"))


def free_port() -> int:
    """A port that is free now, for programs that cannot choose one themselves."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(self.body)


@dataclass
class Router:
    """A running router."""

    process: subprocess.Popen[str]
    port: int
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request; `body` is sent as JSON unless it is bytes, or a list of them, which is sent in chunks."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        sent |= headers or {}
        chunks = isinstance(body, list) and all(isinstance(one, bytes) for one in body)
        data: Any = body if body is None or isinstance(body, bytes) or chunks else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, data, sent, encode_chunked=chunks)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON is anything
        reply = self.call("GET", path)
        assert reply.status == 200, (path, reply)
        return reply.json()

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON is anything
        reply = self.call("POST", path, body)
        assert reply.status in (200, 201, 202), (path, reply)
        return reply.json()

    def eventually(self, path: str, key: str, value: object, within: float = 10) -> None:
        """Asks until the answer's `key` is `value`."""
        deadline = time.monotonic() + within
        while (now := self.get(path)[key]) != value:
            assert time.monotonic() < deadline, f"{path}: {key} is still {now!r}, not {value!r}"
            time.sleep(0.01)


@contextlib.contextmanager
def running(data: Path, *arguments: str, ends: int = 0) -> Iterator[Router]:
    """Starts the router on a free port, and ends it as an operator would: with SIGTERM. `ends`: its status then."""
    command = [str(BINARY), "serve", "--port", "0", "--data-dir", str(data), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("API_", "ROUTER_", "LLM_", "CORTENSOR_"))}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=data
    )
    router = Router(process, 0)
    found = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            router.log.append(line)
            address = re.search(r"listens on http://127\.0\.0\.1:(\d+)", line)
            if address and not router.port:
                router.port = int(address[1])
                found.set()
        found.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert found.wait(20), f"{command} said no address: {router.log}"
        assert router.port, f"{command} ended: {router.log}"
        _await_ready(router)
        yield router
    finally:
        process.terminate()
        try:
            status = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            reader.join()
            if process.stdout is not None:
                process.stdout.close()
    assert status == ends, f"{command} ended with {status}: {router.log}"


def _await_ready(router: Router) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            if router.call("GET", "/readyz", token=None).status == 200:
                return
        assert router.process.poll() is None, f"the router ended: {router.log}"
        assert time.monotonic() < deadline, f"the router is not ready: {router.log}"
        time.sleep(0.01)
