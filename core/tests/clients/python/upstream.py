"""An OpenAI-compatible server under the tests' control: the prompt says how it behaves.

| prompt | behaviour |
|---|---|
| `slow` | streams a token every 20 ms until the caller hangs up |
| `hold` | answers nothing until the caller hangs up |
| `leak` | answers with special tokens around the text |
| `tools` | calls the tool `add` |
| `call NAME {...}` | calls that tool with these arguments |
| `think` | reasons before it answers |
| `refuse` | refuses, with a reason |
| `cut` | answers up to the limit of tokens |
| `status N` | refuses with that HTTP status |
| `break` | hangs up after three tokens |
| `{...}` | answers with that object |
| anything else | answers `You said: ` and the prompt |
"""

from __future__ import annotations

import json
import queue
import re
import select
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "mock-1"
TOKEN_SECONDS = 0.02
PICTURE = "iVBORw0KGgo="
# The routes with one answer each: its type and its bytes.
SMALL: dict[str, tuple[str, bytes]] = {
    "/v1/audio/transcriptions": ("application/json", b'{"text":"Hello there."}'),
    "/v1/audio/speech": ("audio/mpeg", bytes(range(256))),
    "/v1/images/generations": (
        "application/json",
        json.dumps({"created": 1, "data": [{"b64_json": PICTURE}]}).encode(),
    ),
    "/v1/moderations": (
        "application/json",
        b'{"id":"modr-1","model":"mock-1","results":[{"flagged":true,"categories":{},"category_scores":{}}]}',
    ),
}


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes = b""


class Upstream:
    """The server, in a thread of its own."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.hang_ups: queue.Queue[float] = queue.Queue()
        handler = type("Handler", (_Handler,), {"upstream": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def forget(self) -> None:
        """Drops what earlier tests left."""
        self.received.clear()
        while not self.hang_ups.empty():
            self.hang_ups.get_nowait()

    def hung_up(self, within: float = 10.0) -> float:
        """Waits until a caller hangs up; gives the moment (`time.monotonic`)."""
        return self.hang_ups.get(timeout=within)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)]


class _Handler(BaseHTTPRequestHandler):
    upstream: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Says nothing: the tests do."""

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "tests"}]})
        else:
            self._json(404, {"error": {"message": "no such route"}})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_form = headers.get("content-type", "").startswith("multipart/")
        body = {} if is_form else json.loads(raw)
        self.upstream.received.append(Received(self.path, headers, body, raw))
        if self.path == "/v1/embeddings":
            inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25]} for i in range(len(inputs))]
            usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
            self._json(200, {"object": "list", "data": data, "model": MODEL, "usage": usage})
        elif self.path in SMALL:
            self._bytes(200, *SMALL[self.path])
        elif self.path in ("/v1/chat/completions", "/v1/completions"):
            self._complete(body, chat=self.path == "/v1/chat/completions")
        else:
            self._json(404, {"error": {"message": "no such route"}})

    def _complete(self, body: dict[str, Any], *, chat: bool) -> None:
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if not isinstance(prompt, str):
            prompt = str(prompt[0] if isinstance(prompt[0], str) else prompt[-1]["text"])
        if chat and body["messages"][-1]["role"] == "tool":
            # The words of a tool are no order, whatever they begin with.
            prompt = f" {prompt}" if prompt.startswith("{") else prompt
        if prompt.startswith("status "):
            status = int(prompt.split()[1])
            error = {"message": f"refused with {status}", "type": "invalid_request_error", "code": "odd", "param": None}
            self._json(status, {"error": error})
        elif prompt == "hold":
            self._wait_for_hang_up()
        elif body.get("stream"):
            self._stream(prompt, body, chat=chat)
        elif prompt == "slow":
            self._wait_for_hang_up()
        else:
            self._json(200, self._answer(prompt, chat=chat))

    def _answer(self, prompt: str, *, chat: bool) -> dict[str, Any]:
        text = _text(prompt)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if not chat:
            choice["text"] = text
        else:
            choice |= {"finish_reason": _finish(prompt)}
            choice["message"] = {"role": "assistant", "content": None} | _said(prompt, text)
        return {
            "id": "upstream-1",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": MODEL,
            "choices": [choice],
            "usage": _usage(prompt, len(_pieces(text))),
        }

    def _stream(self, prompt: str, body: dict[str, Any], *, chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sent = 0
        try:
            if chat:
                self._event(_chunk(None, None, chat=True, role=True))
            if chat and (call := _call(prompt)):
                self._stream_call(call)
                return
            if chat and prompt in ("think", "refuse"):
                name = "reasoning_content" if prompt == "think" else "refusal"
                for piece in _pieces("Well, well." if prompt == "think" else "I must not."):
                    self._event(_delta({name: piece}))
            for piece in () if chat and prompt == "refuse" else self._tokens(prompt):
                self._event(_chunk(piece, None, chat=chat))
                sent += 1
                if prompt == "break" and sent == 3:
                    return
            self._event(_chunk("", _finish(prompt), chat=chat))
            if (body.get("stream_options") or {}).get("include_usage"):
                self._event(_chunk(None, None, chat=chat) | {"choices": [], "usage": _usage(prompt, sent)})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.upstream.hang_ups.put(time.monotonic())

    def _stream_call(self, call: dict[str, Any]) -> None:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        half = len(arguments) // 2
        for piece in (
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}},
            {"index": 0, "function": {"arguments": arguments[:half]}},
            {"index": 0, "function": {"arguments": arguments[half:]}},
        ):
            self._event(_delta({"tool_calls": [piece]}))
        self._event(_chunk(None, "tool_calls", chat=True))
        self.wfile.write(b"data: [DONE]\n\n")

    def _tokens(self, prompt: str) -> Iterator[str]:
        if prompt != "slow":
            yield from _pieces(_text(prompt))
            return
        for index in range(3000):
            yield f"t{index} "
            if self._caller_is_gone(TOKEN_SECONDS):
                raise ConnectionResetError

    def _wait_for_hang_up(self) -> None:
        self.close_connection = True
        for _ in range(3000):
            if self._caller_is_gone(TOKEN_SECONDS):
                self.upstream.hang_ups.put(time.monotonic())
                return

    def _caller_is_gone(self, within: float) -> bool:
        readable, _, _ = select.select([self.connection], [], [], within)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._bytes(status, "application/json", json.dumps(value).encode())

    def _bytes(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _call(prompt: str) -> dict[str, Any] | None:
    """The call of a tool for which the prompt asks."""
    if prompt == "tools":
        prompt = 'call add {"a":1}'
    if not (asked := re.fullmatch(r"call (\S+) (\{.*\})", prompt)):
        return None
    return {"id": "call_1", "type": "function", "function": {"name": asked[1], "arguments": asked[2]}}


def _text(prompt: str) -> str:
    """The words that answer the prompt."""
    if prompt == "leak":
        return " \nHello.<|eot_id|></s>"
    return prompt if prompt.startswith("{") else f"You said: {prompt}"


def _said(prompt: str, text: str) -> dict[str, Any]:
    """The message that answers the prompt."""
    if call := _call(prompt):
        return {"tool_calls": [call]}
    if prompt == "refuse":
        return {"refusal": "I must not."}
    return {"content": text} | ({"reasoning_content": "Well, well."} if prompt == "think" else {})


def _finish(prompt: str) -> str:
    return "tool_calls" if _call(prompt) else "length" if prompt == "cut" else "stop"


def _usage(prompt: str, completion: int) -> dict[str, int]:
    tokens = len(prompt.split())
    return {"prompt_tokens": tokens, "completion_tokens": completion, "total_tokens": tokens + completion}


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    chunk = _chunk(None, None, chat=True)
    chunk["choices"][0]["delta"] = delta
    return chunk


def _chunk(piece: str | None, finish: str | None, *, chat: bool, role: bool = False) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
    if chat:
        choice["delta"] = {"content": piece} if piece else {"role": "assistant", "content": ""} if role else {}
    else:
        choice["text"] = piece or ""
    kind = "chat.completion.chunk" if chat else "text_completion"
    return {"id": "upstream-1", "object": kind, "created": int(time.time()), "model": MODEL, "choices": [choice]}
