"""A real model behind all families: translated to a chat, and in the words of its own server where that speaks them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

import llama
from llama import Stack
from router import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from llama import Llama

pytestmark = pytest.mark.timeout(120)
QUESTION = "What is the capital of France? Answer with one word."
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
ADD: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.fixture(params=["stack", "own"])
def way(request: pytest.FixtureRequest) -> Stack:
    """The two ways to the model: by a chat, and by the words of the caller's API."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stack)
    return found


def openai(stack: Stack) -> OpenAI:
    return OpenAI(base_url=f"{stack.router.url}/v1", api_key=TOKEN, max_retries=0, timeout=60)


def anthropic(stack: Stack) -> Anthropic:
    return Anthropic(base_url=stack.router.url, api_key=TOKEN, max_retries=0, timeout=60)


def test_response(way: Stack) -> None:
    asked: dict[str, Any] = {"model": way.model, "input": QUESTION, "max_output_tokens": 16, "temperature": 0}
    with openai(way) as client:
        whole = client.responses.create(**asked)
        assert "Paris" in whole.output_text
        assert whole.usage is not None
        assert whole.usage.input_tokens > 10, "counted by the model, with its template"
        assert 1 <= whole.usage.output_tokens <= 16
        with client.responses.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert final.output_text == whole.output_text
        assert kinds[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ]
        assert kinds.count("response.output_text.delta") >= 1
        assert client.responses.retrieve(whole.id).output_text == whole.output_text
        more = client.responses.create(**asked | {"input": "And of Italy?", "previous_response_id": whole.id})
        assert more.usage is not None
        assert more.usage.input_tokens > whole.usage.input_tokens, "the conversation goes on"


def test_a_response_in_the_background_is_streamed_later(way: Stack) -> None:
    with openai(way) as client:
        made = client.responses.create(model=way.model, input=QUESTION, max_output_tokens=8, background=True)
        assert made.status in ("queued", "in_progress")
        with client.responses.retrieve(made.id, stream=True) as events:
            numbers = [event.sequence_number for event in events]
        assert numbers == list(range(len(numbers)))
        assert client.responses.retrieve(made.id).status in ("completed", "incomplete")


def test_structured_output(stack: Stack) -> None:
    """By a chat: llama.cpp's own route for responses takes no notice of `text.format`."""
    with openai(stack) as client:
        answer = client.responses.create(
            model=stack.model,
            input="Name a city.",
            max_output_tokens=64,
            temperature=0,
            text={"format": {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}},
        )
    assert list(json.loads(answer.output_text)) == ["city"]
    with anthropic(stack) as client_of_messages:
        message = client_of_messages.messages.create(
            model=stack.model,
            max_tokens=64,
            messages=[{"role": "user", "content": "Name a city."}],
            extra_body={"temperature": 0, "output_config": {"format": {"type": "json_schema", "schema": CITY}}},
        )
    assert list(json.loads(str(message.content[0].to_dict()["text"]))) == ["city"]


def test_tools_are_offered(way: Stack) -> None:
    """This model's template has no place for tools, so that it answers in words."""
    with openai(way) as client:
        answer = client.responses.create(
            model=way.model,
            input="Add 1.",
            max_output_tokens=8,
            tools=[{"type": "function", "name": "add", "parameters": ADD, "strict": False}],
        )
    assert answer.output_text
    with anthropic(way) as client_of_messages:
        message = client_of_messages.messages.create(
            model=way.model,
            max_tokens=8,
            messages=[{"role": "user", "content": "Add 1."}],
            tools=[{"name": "add", "input_schema": ADD}],
        )
    assert message.content[0].type == "text"


def test_message(way: Stack) -> None:
    asked: dict[str, Any] = {
        "model": way.model,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": QUESTION}],
        "extra_body": {"temperature": 0},
    }
    with anthropic(way) as client:
        whole = client.messages.create(**asked)
        assert "Paris" in whole.content[0].to_dict()["text"]
        assert whole.stop_reason in ("end_turn", "max_tokens")
        with client.messages.stream(**asked) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()
        assert "".join(pieces) == final.content[0].to_dict()["text"] == whole.content[0].to_dict()["text"]
        assert final.usage.output_tokens == whole.usage.output_tokens >= 1
        cut = client.messages.create(**asked | {"max_tokens": 2, "messages": [{"role": "user", "content": "A story!"}]})
        assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)


def test_tokens_are_counted_by_the_model(way: Stack) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    reply = way.router.call("POST", "/v1/messages/count_tokens", {"model": way.model, "messages": messages})
    assert "x-cortensor-estimate" not in reply.headers
    counted = reply.json()["input_tokens"]
    answer = way.router.post("/v1/messages", {"model": way.model, "max_tokens": 1, "messages": messages})["usage"]
    used = answer["input_tokens"] + answer.get("cache_read_input_tokens", 0)
    # By `/tokenize` the text alone is counted, without the template.
    assert counted == used or 10 < counted < used


def test_legacy_completion(stack: Stack) -> None:
    asked: dict[str, Any] = {
        "model": stack.model,
        "prompt": "The capital of France is",
        "max_tokens": 8,
        "temperature": 0,
    }
    with openai(stack) as client:
        whole = client.completions.create(**asked)
        assert "Paris" in whole.choices[0].text
        with client.completions.create(**asked, stream=True) as stream:
            text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
        assert text == whole.choices[0].text


def test_a_tool_of_mcp(stack: Stack) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": "p",
    }
    arguments = {"prompt": QUESTION, "max_tokens": 16, "temperature": 0}
    params = {"name": "cortensor_completions", "arguments": arguments, "_meta": meta}
    headers = {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "cortensor_completions",
        "Accept": "application/json, text/event-stream",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    reply = stack.router.call("POST", "/mcp", body, headers=headers)
    told = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: ")]
    result = told.pop()["result"]
    assert not result["isError"]
    assert "Paris" in result["structuredContent"]["choices"][0]["text"]
    progress = "".join(note["params"]["message"] for note in told)
    assert "Paris" in progress


def test_agents(stack: Stack) -> None:
    order = {"objective": QUESTION, "policy": "fast", "execution": {"max_tokens": 16}}
    done = stack.router.post("/api/v2/delegate", order)
    assert done["result"]
    verdict = stack.router.post("/api/v2/validate", {"claim": "Paris is the capital of France.", "policy": "fast"})
    # A model of this size may give no verdict, which counts as RETRY.
    assert verdict["verdict"] in ("VALID", "INVALID", "RETRY", "NEEDS_SPEC")
    assert verdict["evidence"]


def test_embeddings(smol: Llama, tmp_path: Path) -> None:
    """By a second server of the same model, because one that makes vectors does nothing else."""
    assert smol.get("/health") == {"status": "ok"}
    with (
        llama.running(tmp_path / "log", "--embeddings", "--pooling", "mean") as server,
        llama.behind(server, tmp_path) as embedding,
        openai(embedding) as client,
    ):
        made = client.embeddings.create(model=embedding.model, input=["a cat", "a kitten", "a tax form"])
    vectors = [one.embedding for one in made.data]
    assert len(vectors) == 3
    assert len({len(vector) for vector in vectors}) == 1
    assert all(any(vector) for vector in vectors)
    assert vectors[0] != vectors[2]
