"""The unmodified `anthropic` package, as its users write it: only `base_url` and the key are ours."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anthropic
import pytest
from anthropic import Anthropic

from router import TOKEN, Router
from upstream import MODEL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anthropic.types import MessageParam, ToolParam

HELLO: list[MessageParam] = [{"role": "user", "content": "hello there"}]
ADD: ToolParam = {
    "name": "add",
    "description": "Adds numbers.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


def saying(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(router: Router) -> Iterator[Anthropic]:
    with Anthropic(base_url=router.url, api_key=TOKEN, max_retries=0, timeout=20) as made:
        yield made


def test_message(client: Anthropic) -> None:
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", MODEL)
    assert answer.id.startswith("msg_")
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": "You said: hello there"}]
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 4)
    assert answer._request_id  # noqa: SLF001 - the package documents it so


def test_a_request_becomes_a_chat(client: Anthropic, upstream: Upstream) -> None:
    client.messages.create(
        model=MODEL,
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "first"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I add."},
                    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "2"}]},
                    {"type": "text", "text": "thanks"},
                ],
            },
        ],
        tools=[ADD],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        metadata={"user_id": "me"},
        extra_body={"temperature": 0.25},
    )
    sent = upstream.received[-1].body
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {
            "role": "assistant",
            "content": "I add.",
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "toolu_1"},
        {"role": "user", "content": "thanks"},
    ]
    function = {"name": "add", "description": "Adds numbers.", "parameters": ADD["input_schema"]}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert (sent["tool_choice"], sent["parallel_tool_calls"], sent["stop"]) == ("required", False, ["END"])
    assert (sent["max_tokens"], sent["temperature"], sent["user"]) == (50, 0.25, "me")
    assert "cache_control" not in str(sent)


def test_stream(client: Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    grammar = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
    assert [kind for kind in dict.fromkeys(kinds) if kind != "text"] == [*grammar, "message_delta", "message_stop"]
    whole = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert final.content[0].to_dict()["text"] == whole.content[0].to_dict()["text"]
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert final.usage.input_tokens == whole.usage.input_tokens


def test_tools(client: Anthropic) -> None:
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=saying("tools"), tools=[ADD])
    assert answer.stop_reason == "tool_use"
    call = answer.content[0]
    assert call.type == "tool_use"
    assert (call.id, call.name, call.input) == ("call_1", "add", {"a": 1})
    with client.messages.stream(model=MODEL, max_tokens=100, messages=saying("tools"), tools=[ADD]) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].to_dict() == answer.content[0].to_dict()
    assert streamed.stop_reason == "tool_use"


def test_structured_output(client: Anthropic, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    form = {"format": {"type": "json_schema", "schema": schema}}
    answer = client.messages.create(
        model=MODEL, max_tokens=50, messages=saying('{"total": 2}'), extra_body={"output_config": form}
    )
    assert json.loads(str(answer.content[0].to_dict()["text"])) == {"total": 2}
    sent = upstream.received[-1].body["response_format"]
    assert (sent["type"], sent["json_schema"]["schema"]) == ("json_schema", schema)


def test_limits_are_told_in_the_words_of_the_api(router: Router) -> None:
    token = router.post("/api/v1/keys", {"name": "few", "limits": {"requests_per_minute": 1}})["token"]
    with Anthropic(base_url=router.url, api_key=token, max_retries=0) as client:
        raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=10, messages=HELLO)
        assert raw.headers["anthropic-ratelimit-requests-limit"] == "1"
        assert raw.headers["anthropic-ratelimit-requests-remaining"] == "0"
        with pytest.raises(anthropic.RateLimitError) as refused:
            client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
        assert int(refused.value.response.headers["retry-after"]) >= 1


def test_count_tokens(client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=HELLO)
    longer = client.messages.count_tokens(model=MODEL, messages=HELLO, tools=[ADD], system="Be brief.")
    assert 0 < counted.input_tokens < longer.input_tokens


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, anthropic.BadRequestError), (422, anthropic.BadRequestError)],
)
def test_errors_of_the_upstream(client: Anthropic, status: int, error: type[anthropic.APIStatusError]) -> None:
    with pytest.raises(error, match=f"refused with {status}"):
        client.messages.create(model=MODEL, max_tokens=10, messages=saying(f"status {status}"))


def test_errors_of_the_router(client: Anthropic, router: Router) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="no-such-model", max_tokens=10, messages=HELLO)
    with (
        Anthropic(base_url=router.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    search = {"type": "web_search_20250305", "name": "web_search"}
    reply = router.call("POST", "/v1/messages", {"max_tokens": 5, "messages": HELLO, "tools": [search]})
    assert reply.status == 400
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "tools[0].type")
    assert "web_search_20250305" in error["message"]


def test_hanging_up_stops_the_work(client: Anthropic, upstream: Upstream) -> None:
    with client.messages.stream(model=MODEL, max_tokens=100, messages=saying("slow")) as stream:
        next(iter(stream.text_stream))
        left = time.monotonic()
    assert upstream.hung_up() - left < 5


def test_an_error_in_the_stream_is_raised(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError),
        client.messages.stream(model=MODEL, max_tokens=100, messages=saying("break")) as stream,
    ):
        stream.until_done()


def test_models(router: Router) -> None:
    with Anthropic(base_url=router.url, api_key=TOKEN, max_retries=0) as client:
        listed = list(client.models.list())
        assert MODEL in [model.id for model in listed]
        model = client.models.retrieve(MODEL)
        assert (model.type, model.id) == ("model", MODEL)
