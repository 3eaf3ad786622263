"""The package in processes of their own: how they end, are interrupted, fork and spawn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import command, environment, program

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


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(how: signal.Signals, tmp_path: object) -> None:
    line = [sys.executable, "-m", "cortensor_router", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
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
