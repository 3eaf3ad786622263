"""Two real models behind two `cortensor-router miner` processes: streams, killed miners, a cut network, a restart."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import llama
from proxy import Proxy
from router import BINARY, TOKEN, Router, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llama import Llama

WHY = llama.absent()
pytestmark = pytest.mark.timeout(180)
STORY = "Tell me a long story about a cat and a dog."


@dataclass
class Process:
    """A `cortensor-router miner`."""

    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    def await_line(self, pattern: str, within: float = 30) -> str:
        deadline = time.monotonic() + within
        while True:
            for line in list(self.log):
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


@contextlib.contextmanager
def miner(router_port: int, backend: str, name: str, *arguments: str) -> Iterator[Process]:
    command = [str(BINARY), "miner", "--router", f"ws://127.0.0.1:{router_port}", "--backend", backend, "--name", name]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CORTENSOR_")}
    process = subprocess.Popen(
        [*command, "--health-every", "1s", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    made = Process(process)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            made.log.append(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()


@dataclass(frozen=True)
class Models:
    """Two model servers."""

    one: Llama
    two: Llama


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    if WHY is not None:
        if os.environ.get("CORTENSOR_REQUIRE_MODEL"):
            pytest.fail(WHY)
        pytest.skip(WHY)
    directory: Path = tmp_path_factory.mktemp("models")
    # One thread each: their threads wait for each other by turning, which a machine with few processors pays for.
    alone = ("--threads", "1")
    with llama.running(directory / "one.log", *alone) as one, llama.running(directory / "two.log", *alone) as two:
        yield Models(one, two)


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    with running(tmp_path, "--set", "dispatch.no_miner_grace_ms=20000", "--set", "miners.grace_ms=8000") as started:
        yield started


def active(router: Router, names: set[str], within: float = 30) -> None:
    """Waits until exactly these remote miners get work."""
    deadline = time.monotonic() + within
    while True:
        now = {m["id"] for m in router.get("/api/v1/miners")["miners"] if m["kind"] == "remote" and m["active"]}
        if now == names:
            return
        assert time.monotonic() < deadline, (now, names)
        time.sleep(0.02)


@dataclass
class Read:
    """A stream that was read to its end."""

    pieces: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    last: Any = None
    restarts: int = 0
    started: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def stream(router: Router, body: dict[str, object], into: Read) -> None:
    connection = router.connect(timeout=120)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/completions", json.dumps(body | {"stream": True, "timeout": 120}), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    for line in answer:
        if line.startswith(b"id: "):
            into.ids.append(int(line[4:]))
        if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
            continue
        event = json.loads(line[6:])
        into.last = event
        if event.get("restart"):
            into.restarts += 1
            into.pieces.clear()
        if "choices" in event and event["choices"][0]["text"]:
            into.pieces.append(event["choices"][0]["text"])
            if len(into.pieces) >= 3:
                into.started.set()
    connection.close()


def whole(read: Read) -> str:
    """The text of a stream without a gap, whose end says the same."""
    assert read.last["choices"][0]["finish_reason"] in ("stop", "length"), read.last
    assert read.last["text"] == read.text, "nothing twice, nothing lost"
    assert read.ids == sorted(set(read.ids)), "each event once, in order"
    return read.text


def test_two_miners_stream_and_share_the_work(router: Router, models: Models) -> None:
    health = free_port()
    with (
        miner(router.port, models.one.url, "one", "--capacity", "2", "--health-addr", f"127.0.0.1:{health}") as first,
        miner(router.port, models.two.url, "two", "--capacity", "2"),
    ):
        active(router, {"one", "two"})
        reads = [Read() for _ in range(4)]
        body = {"prompt": STORY, "max_tokens": 32, "temperature": 0, "seed": 1}
        threads = [threading.Thread(target=stream, args=(router, body, read)) for read in reads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        # The words of two miners may part: the model's sums depend on the requests that share a batch.
        assert len({whole(read)[:12] for read in reads}) == 1, "one model and one seed begin alike"
        assert all(len(read.pieces) > 20 for read in reads), "token by token"
        shown = {m["id"]: m for m in router.get("/api/v1/miners")["miners"] if m["kind"] == "remote"}
        assert {name: m["completed"] for name, m in shown.items()} == {"one": 2, "two": 2}
        for m in shown.values():
            assert m["tokens_per_second"] > 0
            assert m["model_details"][0]["context"] > 0
            assert (m["breaker"], m["error_rate"]) == ("closed", 0)
        first.await_line(r"miner one: connected to ws://.*; 0 of 2 busy, 2 done, 0 failed")
        with urllib.request.urlopen(f"http://127.0.0.1:{health}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert "cortensor_miner_connected 1\n" in metrics
        assert "cortensor_miner_answers_committed_total 2\n" in metrics
        with urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=10) as answer:
            assert json.load(answer) == {"status": "ok"}
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(20) == 0
        active(router, {"two"})


def test_the_network_is_cut_for_two_seconds_in_the_middle_of_an_answer(router: Router, models: Models) -> None:
    proxy = Proxy(router.port)
    try:
        with miner(proxy.port, models.one.url, "far"):
            active(router, {"far"})
            body = {"prompt": STORY, "max_tokens": 64, "temperature": 0, "seed": 2}
            undisturbed = Read()
            stream(router, body, undisturbed)
            read = Read()
            thread = threading.Thread(target=stream, args=(router, body, read))
            thread.start()
            assert read.started.wait(60)
            proxy.cut()
            time.sleep(2)
            proxy.mend()
            thread.join(120)
            assert whole(read) == whole(undisturbed)
            [shown] = [m for m in router.get("/api/v1/miners")["miners"] if m["id"] == "far"]
            assert (shown["completed"], shown["failed"]) == (2, 0), "one attempt each: it went on where it was"
    finally:
        proxy.close()


def test_a_miner_that_is_killed_in_the_middle_of_an_answer_is_replaced(tmp_path: Path, models: Models) -> None:
    body = {"prompt": STORY, "max_tokens": 32, "temperature": 0, "seed": 3, "on_failure": "restart"}
    with (
        running(tmp_path, "--set", "miners.grace_ms=1000") as router,
        miner(router.port, models.one.url, "one") as one,
        miner(router.port, models.two.url, "two") as two,
    ):
        active(router, {"one", "two"})
        read = Read()
        thread = threading.Thread(target=stream, args=(router, body, read))
        thread.start()
        assert read.started.wait(60)
        busy = [m["id"] for m in router.get("/api/v1/miners")["miners"] if m["kind"] == "remote" and m["in_flight"]]
        doomed = {"one": one, "two": two}[busy[0]]
        doomed.process.kill()
        doomed.process.wait()
        thread.join(120)
        assert whole(read), "the other one answered from the start, and the stream said so"
        assert read.restarts == 1


def test_a_miner_that_is_killed_before_its_first_token_loses_its_task_to_the_other(
    router: Router, models: Models
) -> None:
    """After the first token the session's policy decides; before it, no client notices."""
    with miner(router.port, models.one.url, "doomed") as doomed:
        active(router, {"doomed"})
        answers: list[Any] = []
        body = {"prompt": "one two three " * 80, "prompt_type": 1, "max_tokens": 24, "timeout": 120}
        thread = threading.Thread(target=lambda: answers.append(router.post("/api/v1/completions", body)))
        thread.start()
        router.eventually("/api/v1/status", "running_tasks", 1)
        doomed.process.kill()
        doomed.process.wait()
        with miner(router.port, models.two.url, "heir"):
            thread.join(120)
            assert answers, "no answer"
            assert answers[0]["choices"][0]["text"]
            task = router.get(f"/api/v1/tasks/{answers[0]['session_id']}/{answers[0]['task_id']}")
            assert len(task["assigned_miners"]) == 2


def test_miners_are_back_within_ten_seconds_of_a_restart_under_load(tmp_path: Path, models: Models) -> None:
    port = free_port()
    arguments = ("--set", f"listen.port={port}", "--set", "dispatch.no_miner_grace_ms=20000")
    with miner(port, models.one.url, "one"), miner(port, models.two.url, "two"):
        with running(tmp_path, *arguments, ends=-signal.SIGKILL) as before:
            active(before, {"one", "two"})
            ids = [
                before.post("/api/v1/completions", {"prompt": STORY, "max_tokens": 32, "async": True, "timeout": 120})
                for _ in range(8)
            ]
            before.process.kill()
            before.process.wait()
        stopped = time.monotonic()
        with running(tmp_path, *arguments) as after:
            active(after, {"one", "two"}, within=10 - (time.monotonic() - stopped))
            for one in ids:
                path = f"/api/v1/tasks/{one['session_id']}/{one['task_id']}"
                after.eventually(path, "status", 4, within=90)
                assert after.get(path)["outcome"] == "ok"
