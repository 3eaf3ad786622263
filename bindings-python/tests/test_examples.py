"""The examples and the package's README run as they are."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbclient
import nbformat
import pytest

from support import REPOSITORY, environment

EXAMPLES = REPOSITORY / "examples/python"
README = REPOSITORY / "bindings-python/README.md"


def run(path: Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hello", "HELLO\n"),
        ("stream", "every word comes on its own \nUsage("),
        ("own_miner", "1 2 3 4 5 \n1 2 3 (nobody waits any more)\n"),
    ],
)
def test_an_example_says_what_it_should(name: str, said: str, tmp_path: Path) -> None:
    out = run(EXAMPLES / f"{name}.py", tmp_path)
    assert out.startswith(said) or sorted(out.split()) == sorted(said.split()), out


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "pattern"), [("serve", r"(http://\S+)/api"), ("fastapi_app", r"(http://[\d.:]+)")])
def test_a_server_answers_until_it_is_interrupted(name: str, pattern: str) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment() | {"PORT": "0"},
    ) as process:
        assert process.stdout is not None
        try:
            url = None
            while url is None:
                line = process.stdout.readline()
                assert line, "it ended"
                url = re.search(pattern, line)
            base = url[1]
            prefix = "" if name == "serve" else "/ai"
            request = urllib.request.Request(f"{base}{prefix}/api/v1/status")  # noqa: S310 - our own
            request.add_header("Authorization", "Bearer default-dev-token")
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own
                assert answer.status == 200
            if name == "fastapi_app":
                with urllib.request.urlopen(f"{base}/ask?q=a+b", timeout=20) as answer:  # noqa: S310 - our own
                    assert answer.read() == b"a b "
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode in (0, -signal.SIGINT, 130)


def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "every word comes on its own" in "".join(output.get("text", "") for output in outputs)
    shown = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert len(shown) == 2
    assert "Router" in shown[1]


def test_every_block_of_the_readme_runs(tmp_path: Path) -> None:
    # A block behind a comment needs something that is not there.
    blocks = re.findall(r"(?<!-->\n)```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for index, block in enumerate(blocks):
        path = tmp_path / f"block_{index}.py"
        path.write_text(block)
        run(path, tmp_path)
