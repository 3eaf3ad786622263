"""The unmodified `openai` package, as its users write it: only `base_url` and the key are ours."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import openai
import pytest
from openai import OpenAI

from router import TOKEN, Router
from upstream import MODEL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.chat import ChatCompletionMessageParam

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]


def saying(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(router: Router) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20) as made:
        yield made


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == MODEL
    assert abs(answer.created - time.time()) < 60
    assert [choice.message.content for choice in answer.choices] == ["You said: hello there"]
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (2, 4, 6)


def test_ids_are_unique(client: OpenAI) -> None:
    ids = {client.chat.completions.create(model=MODEL, messages=HELLO).id for _ in range(5)}
    assert len(ids) == 5


def test_chat_streamed(client: OpenAI) -> None:
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas if delta.content] == ["You", " said:", " hello", " there"]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all(chunk.usage is None for chunk in chunks), "usage comes only when asked for"


def test_usage_in_the_stream_when_asked_for(client: OpenAI) -> None:
    options: openai.types.chat.ChatCompletionStreamOptionsParam = {"include_usage": True}
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=options) as stream:
        *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 4
    assert all(chunk.usage is None for chunk in chunks)


def test_tools_pass_through_untouched(client: OpenAI, upstream: Upstream) -> None:
    parameters: dict[str, object] = {"type": "object", "properties": {"a": {"type": "integer"}}}
    tool: openai.types.chat.ChatCompletionToolParam = {
        "type": "function",
        "function": {"name": "add", "parameters": parameters},
    }
    answer = client.chat.completions.create(
        model=MODEL, messages=saying("tools"), tools=[tool], tool_choice="auto", temperature=0.25, seed=7
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.arguments == '{"a":1}'
    sent = upstream.received[-1].body
    assert sent["tools"] == [tool]
    assert (sent["tool_choice"], sent["temperature"], sent["seed"]) == ("auto", 0.25, 7)


def test_our_token_stays_with_us(client: OpenAI, upstream: Upstream) -> None:
    client.chat.completions.create(model=MODEL, messages=HELLO)
    assert TOKEN not in str(upstream.received[-1].headers)


def test_completion(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="hello there")
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.choices[0].text == "You said: hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 6


def test_completion_streamed(client: OpenAI) -> None:
    with client.completions.create(model=MODEL, prompt="hello there", stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "You said: hello there"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_models(client: OpenAI) -> None:
    listed = list(client.models.list())
    assert MODEL in [model.id for model in listed]
    model = client.models.retrieve(MODEL)
    assert (model.id, model.object) == (MODEL, "model")


def test_embeddings(client: OpenAI) -> None:
    answer = client.embeddings.create(model=MODEL, input=["a", "b"], encoding_format="float")
    assert [(item.index, item.embedding) for item in answer.data] == [(0, [0.5, -0.25]), (1, [0.5, -0.25])]
    assert answer.usage.total_tokens == 2


def test_embeddings_in_the_packages_own_encoding(client: OpenAI) -> None:
    """Without `encoding_format` the package asks for base64, and takes a list too."""
    answer = client.embeddings.create(model=MODEL, input="a")
    assert answer.data[0].embedding == [0.5, -0.25]


def test_wrong_key(router: Router) -> None:
    with (
        OpenAI(base_url=f"{router.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.status_code == 401
    assert caught.value.response.headers["www-authenticate"].startswith("Bearer")
    body = caught.value.body
    assert isinstance(body, dict)
    assert isinstance(body["message"], str)
    assert {"message", "type", "code", "param"} <= body.keys()


def test_unknown_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert "no-such-model" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=HELLO)


def test_unknown_route(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.get("/no-such-route", cast_to=object)


def test_a_wrong_field_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"max_tokens": "many"})
    assert caught.value.param == "max_tokens"
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": MODEL}, cast_to=object)
    assert "messages" in caught.value.message


def test_the_upstreams_refusal_reaches_the_caller(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="refused with 400"):
        client.chat.completions.create(model=MODEL, messages=saying("status 400"))
    with pytest.raises(openai.BadRequestError, match="refused with 400"):
        client.chat.completions.create(model=MODEL, messages=saying("status 400"), stream=True)


def test_an_upstream_that_breaks_off_ends_the_stream_with_an_error(client: OpenAI) -> None:
    got: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(model=MODEL, messages=saying("break"), stream=True):
            got.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)

    with pytest.raises(openai.APIError):
        read()
    assert got == ["You", " said:", " break"]


def test_a_stream_that_is_left_cancels_the_work(client: OpenAI, router: Router, upstream: Upstream) -> None:
    with client.chat.completions.create(model=MODEL, messages=saying("slow"), stream=True) as stream:
        for index, _ in enumerate(stream):
            if index == 3:
                break
        left = time.monotonic()
    assert upstream.hung_up() - left < 1
    router.eventually("/api/v1/status", "running_tasks", 0)


def test_a_call_that_times_out_cancels_the_work(client: OpenAI, router: Router, upstream: Upstream) -> None:
    with pytest.raises((openai.APITimeoutError, openai.InternalServerError)) as failed:
        client.with_options(timeout=0.5).chat.completions.create(model=MODEL, messages=saying("hold"))
    # The package tells the router its timeout, so that a router that looks at the clock first answers 504.
    assert getattr(failed.value, "status_code", 504) == 504
    left = time.monotonic()
    assert upstream.hung_up() - left < 1
    router.eventually("/api/v1/status", "running_tasks", 0)


def test_a_session_by_header_and_by_model(client: OpenAI, router: Router, session: int) -> None:
    client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers={"X-Cortensor-Session": str(session)})
    client.chat.completions.create(model=f"session-{session}", messages=HELLO)
    assert router.get(f"/api/v1/tasks/{session}")["count"] == 2


def test_the_packages_retries_do_not_repeat_work(client: OpenAI, router: Router, session: int) -> None:
    headers = {"X-Cortensor-Session": str(session), "Idempotency-Key": "once"}
    first = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=headers)
    again = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=headers)
    assert again.id == first.id
    assert again.choices[0].message.content == first.choices[0].message.content
    assert router.get(f"/api/v1/tasks/{session}")["count"] == 1


def test_a_miner_that_is_no_upstream_answers_in_the_same_shapes(echo: Router) -> None:
    with OpenAI(base_url=f"{echo.url}/v1", api_key=TOKEN, max_retries=0, timeout=20) as client:
        answer = client.chat.completions.create(model="echo", messages=HELLO)
        text = answer.choices[0].message.content
        assert text is not None
        assert text.endswith("hello there")
        with client.chat.completions.create(model="echo", messages=HELLO, stream=True) as stream:
            chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


async def _concurrently(router: Router, count: int) -> list[str | None]:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0) as client:
        calls = [client.chat.completions.create(model=MODEL, messages=saying(f"call {i}")) for i in range(count)]
        answers = await asyncio.gather(*calls)
    return [answer.choices[0].message.content for answer in answers]


def test_the_asynchronous_client_many_at_a_time(router: Router) -> None:
    assert asyncio.run(_concurrently(router, 40)) == [f"You said: call {i}" for i in range(40)]
