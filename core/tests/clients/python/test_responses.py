"""The Responses API through the unmodified `openai` package: only `base_url` and the key are ours."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from router import TOKEN, Router
from upstream import MODEL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.responses import FunctionToolParam, Response

ADD: FunctionToolParam = {
    "type": "function",
    "name": "add",
    "description": "Adds numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "strict": False,
}


@pytest.fixture
def client(router: Router) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20) as made:
        yield made


def without_times(response: Response) -> dict[str, Any]:
    """A response without the members that differ between two equal ones."""
    value: dict[str, Any] = json.loads(response.to_json())
    for name in ("id", "created_at", "completed_at"):
        value.pop(name, None)
    for item in value["output"]:
        item.pop("id", None)
        for part in item.get("content", []):
            # The package's own helper adds this member to what it streamed.
            part.pop("parsed", None)
    return value


def test_response(client: OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="hello there", metadata={"a": "b"}, temperature=0.25)
    assert (answer.object, answer.status, answer.model) == ("response", "completed", MODEL)
    assert answer.id.startswith("resp_")
    assert answer.output_text == "You said: hello there"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (2, 4, 6)
    assert (answer.metadata, answer.temperature) == ({"a": "b"}, 0.25)


def test_stream(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="hello there") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")] == list(range(len(events)))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    whole = client.responses.create(model=MODEL, input="hello there")
    assert without_times(final) == without_times(whole)


def test_a_request_becomes_a_chat(client: OpenAI, upstream: Upstream) -> None:
    client.responses.create(
        model=MODEL,
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "first"},
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "2"},
            {"role": "user", "content": [{"type": "input_text", "text": "thanks"}]},
        ],
        tools=[ADD],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=50,
        reasoning={"effort": "low"},
    )
    sent = upstream.received[-1].body
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "user", "content": "thanks"},
    ]
    function = {"name": "add", "description": "Adds numbers.", "parameters": ADD["parameters"], "strict": False}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert (sent["tool_choice"], sent["parallel_tool_calls"], sent["max_tokens"]) == ("required", False, 50)
    assert sent["reasoning_effort"] == "low"
    assert "responses" not in sent


def test_tools(client: OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="tools", tools=[ADD])
    call = answer.output[0]
    assert call.type == "function_call"
    assert (call.call_id, call.name, call.arguments) == ("call_1", "add", '{"a":1}')
    with client.responses.stream(model=MODEL, input="tools", tools=[ADD]) as stream:
        streamed = stream.get_final_response()
    assert streamed.output[0].to_dict()["arguments"] == '{"a":1}'


def test_parse(client: OpenAI, upstream: Upstream) -> None:
    class Sum(BaseModel):
        total: int

    with pytest.raises(ValueError, match=r"total|JSON"):
        client.responses.parse(model=MODEL, input="hello there", text_format=Sum)
    sent = upstream.received[-1].body["response_format"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Sum", True)


def test_a_conversation_goes_on(client: OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model=MODEL, instructions="Be brief.", input="one")
    second = client.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert upstream.received[-1].body["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "You said: one"},
        {"role": "user", "content": "two"},
    ]
    client.responses.create(model=MODEL, input="three", instructions="Again.", previous_response_id=second.id)
    said = [message["content"] for message in upstream.received[-1].body["messages"]]
    assert said == ["Again.", "one", "You said: one", "two", "You said: two", "three"]


def test_a_response_is_read_again(client: OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="hello there", metadata={"a": "b"})
    again = client.responses.retrieve(made.id)
    assert without_times(again) == without_times(made)
    items = client.responses.input_items.list(made.id).data
    assert [item.to_dict()["content"] for item in items] == [[{"type": "input_text", "text": "hello there"}]]
    hidden = client.responses.create(model=MODEL, input="hello there", store=False)
    for unknown in (hidden.id, "resp_0", "resp_" + "0" * 24, "nothing"):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(unknown)
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model=MODEL, input="x", previous_response_id=unknown)


def test_in_the_background(client: OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="hello there", background=True)
    assert made.status == "queued"
    deadline = time.monotonic() + 10
    while made.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        made = client.responses.retrieve(made.id)
    assert (made.status, made.output_text) == ("completed", "You said: hello there")


def test_a_stream_goes_on(client: OpenAI) -> None:
    with client.responses.create(model=MODEL, input="hello there", background=True, stream=True) as stream:
        begun = [next(stream) for _ in range(5)]
    first = begun[0]
    assert first.type == "response.created"
    with client.responses.retrieve(first.response.id, stream=True, starting_after=begun[-1].sequence_number) as stream:
        rest = list(stream)
    numbers = [event.sequence_number for event in [*begun, *rest]]
    assert numbers == list(range(len(numbers)))
    last = rest[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "You said: hello there"


def test_cancel(client: OpenAI, upstream: Upstream) -> None:
    made = client.responses.create(model=MODEL, input="hold", background=True)
    left = time.monotonic()
    assert client.responses.cancel(made.id).status == "cancelled"
    assert upstream.hung_up() - left < 5
    assert client.responses.retrieve(made.id).status == "cancelled"


def test_errors(client: OpenAI, router: Router) -> None:
    with pytest.raises(openai.BadRequestError, match="refused with 400"):
        client.responses.create(model=MODEL, input="status 400")
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="no-such-model", input="x")
    for body, param in (
        ({}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input[0].content[0].type"),
        ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "x", "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"input": "x", "conversation": "conv_1"}, "conversation"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    ):
        reply = router.call("POST", "/v1/responses", body)
        assert (reply.status, reply.json()["error"]["param"]) == (400, param), body
        assert param in reply.json()["error"]["message"]


def test_hanging_up_stops_the_work(client: OpenAI, upstream: Upstream) -> None:
    with client.responses.create(model=MODEL, input="slow", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
        left = time.monotonic()
    assert upstream.hung_up() - left < 5
