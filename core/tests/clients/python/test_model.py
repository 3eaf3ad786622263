"""A real model behind the router: llama.cpp with SmolLM2-135M-Instruct."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

import llama
import router
from router import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.chat import ChatCompletionMessageParam

    from llama import Llama, Stack

pytestmark = pytest.mark.timeout(120)
QUESTION = "What is the capital of France? Answer with one word."
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
STORY = "Tell me a long story about a cat and a dog."


@pytest.fixture
def client(stack: Stack) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.router.url}/v1", api_key=TOKEN, max_retries=0, timeout=60) as made:
        yield made


def test_chat(stack: Stack, client: OpenAI) -> None:
    answer = client.chat.completions.create(model=stack.model, messages=MESSAGES, max_tokens=16, temperature=0, seed=1)
    text = answer.choices[0].message.content
    assert text is not None
    assert "Paris" in text
    assert "<|" not in text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 10, "counted by the model, with its template"
    assert 1 <= answer.usage.completion_tokens <= 16


def test_chat_streamed_says_the_same(stack: Stack, client: OpenAI) -> None:
    unary = client.chat.completions.create(model=stack.model, messages=MESSAGES, max_tokens=16, temperature=0, seed=1)
    with client.chat.completions.create(
        model=stack.model, messages=MESSAGES, max_tokens=16, temperature=0, seed=1, stream=True
    ) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == unary.choices[0].message.content


def test_completion_under_api(stack: Stack) -> None:
    body = {"prompt": QUESTION, "max_tokens": 16, "temperature": 0, "timeout": 60}
    answer = stack.router.post("/api/v1/completions", body)
    assert "Paris" in answer["choices"][0]["text"], "the model's own chat template was applied"
    assert answer["usage"]["completion_tokens"] >= 1
    detail = stack.router.get(f"/api/v1/tasks/{answer['session_id']}/{answer['task_id']}")
    assert detail["results"]["data"] == [answer["text"]]


def test_a_raw_prompt_is_continued(stack: Stack) -> None:
    body = {"prompt": "The capital of France is", "prompt_type": 1, "max_tokens": 8, "temperature": 0}
    answer = stack.router.post("/api/v1/completions", body)
    assert "Paris" in answer["choices"][0]["text"]


def test_the_length_is_kept(stack: Stack, client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=stack.model, messages=[{"role": "user", "content": STORY}], max_tokens=5, temperature=0
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/completions"])
def test_tokens_arrive_one_by_one(stack: Stack, path: str) -> None:
    moments, started, ended = read_stream(stack, path, tokens=32)
    assert len(moments) >= 26, "a token an event"
    # Held back, they would come together at the end.
    assert moments[-1] - moments[0] > 0.6 * (ended - started)
    middle = [moment for moment in moments if moments[0] + 0.25 * (ended - started) < moment]
    assert middle[0] - moments[0] < 0.6 * (ended - started), "no gap as long as the generation"


@pytest.mark.parametrize("path", ["/v1/completions", "/api/v1/completions"])
def test_a_hang_up_stops_the_generation(stack: Stack, path: str) -> None:
    """Of a stream: llama.cpp itself looks at a unary call's connection only when it has the answer."""
    stack.llama.becomes_idle(30)
    _, started, ended = read_stream(stack, path, tokens=32)
    whole = (ended - started) * 400 / 32
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = {"prompt": STORY, "max_tokens": 400, "stream": True, "model": stack.model}
    with contextlib.closing(stack.router.connect()) as connection:
        connection.request("POST", path, json.dumps(body), headers)
        deadline = time.monotonic() + 20
        while not stack.llama.generating():
            assert time.monotonic() < deadline, "llama.cpp does not generate"
            time.sleep(0.01)
    assert stack.llama.becomes_idle(60) < whole / 2, "not all 400 tokens were generated"
    stack.router.eventually("/api/v1/status", "running_tasks", 0)


def test_the_router_starts_the_server_and_stops_it(smol: Llama, tmp_path: Path) -> None:
    assert smol.generating() == 0
    command = [str(llama.SERVER), "-m", str(llama.WEIGHTS), "--port", "{port}", "--threads", "1"]
    upstream = {
        "command": command,
        "env": {"LD_LIBRARY_PATH": str(llama.SERVER.parent)},
        "models": ["smol"],
        "idle_stop_ms": 1,
    }
    with router.running(tmp_path, "--set", f"upstream={json.dumps([upstream])}", "--log", "info") as started:
        for turn in (1, 2):
            assert [model["id"] for model in started.get("/v1/models")["data"]] == ["smol"]
            body = {"model": "smol", "messages": MESSAGES, "max_tokens": 16, "temperature": 0}
            answer = started.post("/v1/chat/completions", body)
            assert "Paris" in answer["choices"][0]["message"]["content"]
            deadline = time.monotonic() + 20
            while (status := started.get("/api/v1/miners")["miners"][0]["status"]) != "stopped":
                assert time.monotonic() < deadline, status
                time.sleep(0.01)
            assert len([line for line in started.log if "a model server is ready" in line]) == turn
    assert any("listening on" in line for line in started.log), "its output is in the log"


def read_stream(stack: Stack, path: str, tokens: int) -> tuple[list[float], float, float]:
    """The moments at which pieces of text came, and when the request was sent and the stream ended."""
    prompt: dict[str, object] = {"prompt": STORY}
    if path.startswith("/v1/chat"):
        prompt = {"messages": [{"role": "user", "content": STORY}], "model": stack.model}
    body = json.dumps(prompt | {"max_tokens": tokens, "stream": True, "temperature": 0})
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    moments = []
    with contextlib.closing(stack.router.connect()) as connection:
        started = time.monotonic()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        assert answer.status == 200
        while line := answer.readline():
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and (choices[0].get("text") or choices[0].get("delta", {}).get("content")):
                    moments.append(time.monotonic())
    return moments, started, time.monotonic()
