"""The package in processes of their own: how they end, are interrupted, fork and spawn."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support import PROGRAMS, command, environment, eventually, program

RUNS = int(os.environ.get("CORTENSOR_PYTHON_EXIT_RUNS") or ("200" if "CI" in os.environ else "18"))
"""How often a program ends in mid-stream."""

ENDINGS = ["async", "loop-dropped", "threads", "sync-async", "blocked", "exit", "raise", "os-exit", "spinning"]


def end(how: str) -> tuple[str, int | str, str]:
    try:
        done = program("exit_in_mid_stream", how, timeout=60, check=False)
    except subprocess.TimeoutExpired as late:
        return how, "hangs", str(late.stderr)
    return how, done.returncode, done.stderr


@pytest.mark.timeout(60 + 20 * RUNS)
def test_a_program_that_ends_in_mid_stream_neither_crashes_nor_hangs() -> None:
    endings = [ENDINGS[index % len(ENDINGS)] for index in range(RUNS)]
    with ThreadPoolExecutor(2) as pool:
        wrong = [(how, status, said) for how, status, said in pool.map(end, endings) if status != 0 or said]
    assert not wrong, f"{len(wrong)} of {RUNS}: {wrong[:3]}"


@pytest.mark.parametrize("how", ["async", "result", "complete", "stream", "listener", "drain"])
def test_ctrl_c_comes_through(how: str) -> None:
    with subprocess.Popen(
        command("ctrl_c", how), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        try:
            out, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, out, said) == (0, "interrupted\nclosed\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_told_and_the_parent_unharmed() -> None:
    assert program("fork", "5").stdout == "parent done\n"


def test_multiprocessing_spawns() -> None:
    assert program("spawn").stdout == "done\n"


@pytest.mark.parametrize("how", ["asyncio", "two", "closed-early"])
def test_event_loops_come_and_go(how: str) -> None:
    assert program("loops", how).stdout == "done\n"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is for POSIX")
def test_uvloop() -> None:
    assert program("loops", "uvloop").stdout == "done\n"


@pytest.mark.timeout(300)
def test_objects_go_in_any_order() -> None:
    assert program("garbage", timeout=280).stdout == "done\n"


def test_a_sub_interpreter_is_refused() -> None:
    assert program("subinterpreter").stdout == "done\n"


def test_the_command_is_the_same_as_the_binary() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "cortensor_router", *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=environment())

    assert run("--version").stdout.startswith("cortensor-router ")
    assert "serve" in run("--help").stdout
    wrong = run("serve", "--no-such-flag")
    assert wrong.returncode == 2
    assert "--no-such-flag" in wrong.stderr


def serving(data: Path) -> list[str]:
    """The line that starts a router on a free port."""
    return [sys.executable, "-m", "cortensor_router", "serve", "--port", "0", "--data-dir", str(data)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(how: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        serving(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        said = ""
        for text in process.stdout:
            said += text
            if "listens on http://" in text:
                break
        process.send_signal(how)
        try:
            said += process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, said


def lives(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_starts_a_model_server_that_ends_with_it(how: signal.Signals, tmp_path: Path) -> None:
    there = tmp_path / "process"
    run = shlex.join([sys.executable, str(PROGRAMS / "model_server.py"), str(there), "{port}"])
    output = tmp_path / "output"
    with (
        output.open("w") as told,
        subprocess.Popen(
            [*serving(tmp_path / "data"), "--run", run, "--log", "info"],
            stdout=told,
            stderr=subprocess.STDOUT,
            env=environment(),
        ) as process,
    ):
        try:
            eventually(lambda: "listens on http://" in output.read_text(), "the address of the router")
            url = output.read_text().split("listens on ")[1].split()[0]
            chat = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"authorization": "Bearer default-dev-token"}
            answer = httpx.post(f"{url}/v1/chat/completions", json=chat, headers=headers, timeout=30)
            assert answer.json()["choices"][0]["message"]["content"] == "from the server", answer.text
            server = int(there.read_text())
            assert lives(server)
            process.send_signal(how)
            status = process.wait(30)
        finally:
            process.kill()
    said = output.read_text()
    assert status == (0 if how == signal.SIGTERM else -how), said
    assert "the model is loaded" in said, "the output of the server is in the log"
    eventually(lambda: not lives(server), "the end of the server")
