"""Official clients through the router to servers of their own API, whose words must pass as they are."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from router import TOKEN, Router, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY: dict[str, Any] = {"type": "object"}
MESSAGE: dict[str, Any] = {
    "id": "msg_server",
    "type": "message",
    "role": "assistant",
    "model": "claude-real",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "proof"},
        {"type": "text", "text": "Two."},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 7, "service_tier": "standard"},
}
MESSAGE_EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "proof"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Two."}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]
RESPONSE: dict[str, Any] = {
    "id": "resp_server",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-real",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [{"type": "web_search"}],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Two.", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 8,
    },
}
ITEM: dict[str, Any] = RESPONSE["output"][2]
PART: dict[str, Any] = ITEM["content"][0]
AT: dict[str, Any] = {"output_index": 2, "content_index": 0, "item_id": "msg_1"}
RESPONSE_EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": RESPONSE | {"status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": RESPONSE["output"][0]},
    {"type": "response.output_item.done", "output_index": 0, "item": RESPONSE["output"][0]},
    {"type": "response.output_item.added", "output_index": 1, "item": RESPONSE["output"][1]},
    {"type": "response.output_item.done", "output_index": 1, "item": RESPONSE["output"][1]},
    {"type": "response.output_item.added", "output_index": 2, "item": ITEM | {"content": []}},
    {"type": "response.content_part.added", **AT, "part": PART | {"text": ""}},
    {"type": "response.output_text.delta", **AT, "delta": "Two.", "logprobs": []},
    {"type": "response.output_text.done", **AT, "text": "Two.", "logprobs": []},
    {"type": "response.content_part.done", **AT, "part": PART},
    {"type": "response.output_item.done", "output_index": 2, "item": ITEM},
    {"type": "response.completed", "response": RESPONSE},
]


COMPACTED: dict[str, Any] = {
    "id": "resp_compact",
    "object": "response.compaction",
    "created_at": 1,
    "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"}],
    "usage": RESPONSE["usage"],
}


class Scripted(BaseHTTPRequestHandler):
    """A server of both APIs. It keeps the bodies that it gets."""

    protocol_version = "HTTP/1.1"
    bodies: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._answer("application/json", json.dumps({"data": [{"id": "m"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.bodies.append(body)
        if self.path == "/v1/responses/compact":
            return self._answer("application/json", json.dumps(COMPACTED).encode())
        messages = self.path == "/v1/messages"
        if body.get("stream"):
            events = MESSAGE_EVENTS if messages else RESPONSE_EVENTS
            numbered = [event | ({} if messages else {"sequence_number": i}) for i, event in enumerate(events)]
            text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered)
            self._answer("text/event-stream", text.encode())
        else:
            self._answer("application/json", json.dumps(MESSAGE if messages else RESPONSE).encode())
        return None

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(params=["anthropic", "responses"])
def family(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[str, Router, list[dict[str, Any]]]]:  # noqa: ANN401
    bodies: list[dict[str, Any]] = []
    handler = type("Handler", (Scripted,), {"bodies": bodies})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    upstream = {"url": f"http://127.0.0.1:{server.server_port}/v1", "api": request.param, "models": ["m"]}
    try:
        with running(tmp_path, "--set", f"upstream={json.dumps([upstream])}") as router:
            yield request.param, router, bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_word_passes(family: tuple[str, Router, list[dict[str, Any]]]) -> None:
    api, router, bodies = family
    if api == "anthropic":
        client = Anthropic(base_url=router.url, api_key=TOKEN, max_retries=0, timeout=20)
        asked: dict[str, Any] = {
            "model": "m",
            "max_tokens": 99,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "add", "input_schema": ANY}],
            "messages": [{"role": "user", "content": "1 + 1?"}],
        }
        whole = client.messages.create(**asked)
        assert bodies[-1] == asked
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        for message in (whole, streamed):
            assert [block.to_dict() for block in message.content] == MESSAGE["content"]
            assert (message.model, message.stop_reason) == ("claude-real", "tool_use")
            assert message.usage.cache_creation_input_tokens == 7
            assert message.id.startswith("msg_")
            assert message.id != "msg_server"
    else:
        openai = OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20)
        wanted: dict[str, Any] = {
            "model": "m",
            "input": "1 + 1?",
            "tools": [
                {"type": "web_search"},
                {"type": "function", "name": "add", "parameters": ANY, "strict": False},
            ],
            "include": ["reasoning.encrypted_content"],
        }
        response = openai.responses.create(**wanted)
        assert bodies[-1] == wanted | {"store": False}
        with openai.responses.stream(**wanted) as events:
            final = events.get_final_response()
        for one in (response, final, openai.responses.retrieve(response.id)):
            assert one.output_text == "Two."
            assert one.output[0].to_dict()["encrypted_content"] == "sealed"
            assert [item.type for item in one.output] == ["reasoning", "web_search_call", "message"]
            assert one.id.startswith("resp_")
            assert one.id != "resp_server"


def test_tools_of_the_server_alone(family: tuple[str, Router, list[dict[str, Any]]]) -> None:
    api, router, bodies = family
    search: Any
    if api == "anthropic":
        client = Anthropic(base_url=router.url, api_key=TOKEN, max_retries=0, timeout=20)
        search = {"type": "web_search_20250305", "name": "web_search"}
        asked: dict[str, Any] = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "q"}]}
        headers = client.messages.with_raw_response.create(**asked, tools=[search]).headers
    else:
        openai = OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20)
        search = {"type": "web_search"}
        headers = openai.responses.with_raw_response.create(model="m", input="q", tools=[search]).headers
    assert bodies[-1]["tools"] == [search]
    assert "x-cortensor-left-out-tools" not in headers


@pytest.mark.parametrize("family", ["responses"], indirect=True)
def test_a_long_input_is_compacted_and_goes_on(family: tuple[str, Router, list[dict[str, Any]]]) -> None:
    _, router, bodies = family
    client = OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20)
    compacted = client.responses.compact(model="m", input=[{"role": "user", "content": "long"}])
    assert compacted.object == "response.compaction"
    items = [item.to_dict() for item in compacted.output]
    assert items[0]["encrypted_content"] == "sealed"
    following: Any = [*items, {"role": "user", "content": "and?"}]
    assert client.responses.create(model="m", input=following).output_text == "Two."
    assert bodies[-1]["input"] == following
