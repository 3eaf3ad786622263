"""The Responses API through the unmodified `openai` package: only `base_url` and the key are ours."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

import open_responses
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


class Noted(httpx2.SyncByteStream):
    """The bytes of an answer as the client reads them."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self.stream = stream
        self.read = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        for data in self.stream:
            self.read += data
            yield data

    def close(self) -> None:
        self.stream.close()


class Wire(httpx2.HTTPTransport):
    """Notes every answer to the client, for a check against the Open Responses API."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, str, Noted]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = super().handle_request(request)
        assert isinstance(answer.stream, httpx2.SyncByteStream)
        noted = Noted(answer.stream)
        if answer.is_success:
            self.noted.append((request.url.path, answer.headers["content-type"], noted))
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=noted, extensions=answer.extensions)

    def faults(self) -> list[str]:
        found = []
        for path, kind, noted in self.noted:
            text = noted.read.decode()
            if kind.startswith("text/event-stream"):
                found += open_responses.faults_of_stream(text)
            elif not path.endswith("/input_items"):
                found += open_responses.faults_of_response(json.loads(text))
        return found


@pytest.fixture
def client(router: Router) -> Iterator[OpenAI]:
    """A client, all of whose answers and events are checked."""
    wire = Wire()
    http = httpx2.Client(transport=wire)
    with OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20, http_client=http) as made:
        yield made
    assert wire.faults() == []


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


SCHEMA = {"type": "json_schema", "name": "sum", "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "status", "items"),
    [
        ({"input": "hello"}, "completed", ["message"]),
        ({"input": "refuse"}, "completed", ["message"]),
        ({"input": "think"}, "completed", ["reasoning", "message"]),
        ({"input": "think", "reasoning": {"effort": "minimal"}}, "completed", ["reasoning", "message"]),
        ({"input": "think", "reasoning": {"summary": "auto"}}, "completed", ["reasoning", "message"]),
        ({"input": "cut"}, "incomplete", ["message"]),
        ({"input": "tools", "tools": [ADD]}, "completed", ["function_call"]),
        ({"input": "tools", "tools": [{"type": "function", "name": "add"}]}, "completed", ["function_call"]),
        ({"input": "tools", "tools": [{"type": "custom", "name": "add"}]}, "completed", ["custom_tool_call"]),
        ({"input": "hello", "text": {"verbosity": "low"}}, "completed", ["message"]),
        ({"input": "hello", "text": {"format": SCHEMA}}, "completed", ["message"]),
        ({"input": "hello", "text": {"format": {"type": "json_object"}, "verbosity": None}}, "completed", ["message"]),
        ({"input": "hello", "instructions": [{"role": "developer", "content": "a"}]}, "completed", ["message"]),
        ({"input": "hello", "tool_choice": {"type": "allowed_tools", "tools": []}}, "completed", ["message"]),
        ({"input": "hello", "store": False, "safety_identifier": "s", "user": "u"}, "completed", ["message"]),
    ],
)
def test_every_answer_has_the_shape_of_open_responses(
    client: OpenAI, asked: dict[str, Any], status: str, items: list[str], *, stream: bool
) -> None:
    if stream:
        with client.responses.create(model=MODEL, stream=True, **asked) as events:
            last = list(events)[-1]
        assert last.type == f"response.{status}"
        answer = last.response
    else:
        answer = client.responses.create(model=MODEL, **asked)
    assert (answer.status, [item.type for item in answer.output]) == (status, items)


def test_a_failure_has_the_shape_of_open_responses(client: OpenAI) -> None:
    with client.responses.create(model=MODEL, input="break", stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    with client.responses.retrieve(last.response.id, stream=True, starting_after=99) as events:
        assert [event.type for event in events] == ["error"]
    failed = client.responses.retrieve(last.response.id)
    assert (failed.status, failed.error is None) == ("failed", False)


def test_the_check_finds_faults(client: OpenAI) -> None:
    answer = json.loads(client.responses.create(model=MODEL, input="think").to_json())
    assert open_responses.faults_of_response(answer) == []
    reasoning, message = answer["output"]
    wrong: dict[str, Any]
    for wrong in (
        {"usage": {}},
        {"status": "done"},
        {"output": [{**reasoning, "summary": None}]},
        {"output": [{**message, "status": None}]},
        {"output": [{**message, "content": [{"type": "output_text", "text": "x"}]}]},
        {"output": [{"type": "unknown"}]},
        {"tools": [{"type": "function", "name": "f"}]},
    ):
        assert open_responses.faults_of_response(answer | wrong) != [], wrong
    event = {"type": "response.output_text.delta", "sequence_number": 0, "item_id": "m", "output_index": 0}
    assert open_responses.faults_of_stream(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n") != []


def test_parse(client: OpenAI, upstream: Upstream) -> None:
    class Sum(BaseModel):
        total: int

    with pytest.raises(ValueError, match=r"total|JSON"):
        client.responses.parse(model=MODEL, input="hello there", text_format=Sum)
    assert client.responses.parse(model=MODEL, input='{"total": 2}', text_format=Sum).output_parsed == Sum(total=2)
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


def test_compact_needs_a_server_of_the_api(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="responses"):
        client.responses.compact(model=MODEL, input="long")


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
