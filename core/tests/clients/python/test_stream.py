"""The stream of tokens, byte by byte, and read by parsers written as the published clients have them."""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from router import TOKEN, Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from upstream import Upstream

PROMPT = "hello there"
ANSWER = "You said: hello there"
PIECES = ["You", " said:", " hello", " there"]


@dataclass(frozen=True)
class Streamed:
    """A stream, read to its end."""

    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        data = re.findall(rb"^data: (\{.*\})$", self.body, re.MULTILINE)
        return [json.loads(one) for one in data]


def stream(router: Router, path: str, body: dict[str, object], **headers: str) -> Streamed:
    with contextlib.closing(router.connect()) as connection:
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), sent | headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return Streamed({k.lower(): v for k, v in answer.getheaders()}, answer.read())


@pytest.fixture
def streamed(router: Router, session: int) -> Streamed:
    return stream(router, "/api/v1/completions", {"session_id": session, "prompt": PROMPT, "stream": True})


def test_the_layout_byte_by_byte(streamed: Streamed, session: int) -> None:
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert streamed.headers["x-accel-buffering"] == "no"
    assert "no-cache" in streamed.headers["cache-control"]
    body = b"\n\n".join(part for part in streamed.body.split(b"\n\n") if not part.startswith(b":"))
    assert body.endswith(b"\n\ndata: [DONE]\n\n"[1:])
    *blocks, done, rest = body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    for block in blocks:
        match = re.fullmatch(rb"id: (\d+)\ndata: (\{.*\})", block)
        assert match, block
        assert b'": ' not in match[2], "compact"
        assert b'", "' not in match[2], "compact"
    seqs = [int(block.split(b"\n")[0].removeprefix(b"id: ")) for block in blocks]
    assert seqs == sorted(set(seqs))

    *tokens, last = streamed.events
    assert [event["choices"][0]["text"] for event in tokens] == PIECES
    assert all(event["choices"][0]["finish_reason"] is None for event in tokens)
    assert b'"delta"' not in streamed.body
    assert b'"error"' not in streamed.body
    for key, values in {"id": 1, "session_id": 1, "task_id": 1, "object": 1, "created": 1, "model": 1}.items():
        assert len({event[key] for event in streamed.events}) == values, key
    assert (last["session_id"], last["task_id"]) == (session, 1)
    assert last["object"] == "text_completion"
    assert (last["choices"][0]["text"], last["choices"][0]["finish_reason"]) == ("", "stop")
    assert last["text"] == ANSWER
    assert last["usage"] == {"completion_tokens": 4, "prompt_tokens": 2, "total_tokens": 6}
    assert not any("text" in event for event in tokens), "the whole answer comes at the end"


def test_the_stored_text_is_what_was_streamed(router: Router, streamed: Streamed, session: int) -> None:
    assert streamed.events[-1]["text"] == ANSWER
    assert router.get(f"/api/v1/tasks/{session}/1")["results"]["data"] == [ANSWER]


def test_special_tokens_do_not_leak(router: Router, session: int) -> None:
    answer = stream(router, f"/api/v1/completions/{session}", {"prompt": "leak", "stream": True})
    assert "".join(event["choices"][0]["text"] for event in answer.events) == "Hello."
    assert answer.events[-1]["text"] == "Hello."


def parser_choices_text(lines: Iterable[str]) -> str:
    """Adds up `choices[0].text`, as the Python client does."""
    out = ""
    for line in lines:
        if line.startswith("data: "):
            data = line[6:]
            if data.strip() == "[DONE]":
                break
            with contextlib.suppress(ValueError):
                out += json.loads(data).get("choices", [{}])[0].get("text", "")
    return out


def parser_delta_or_text(lines: Iterable[str]) -> str:
    """Prefers `delta.content` where there is a `delta`, else the text: why there must be none."""
    out = ""
    for line in lines:
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            choice = json.loads(line[5:])["choices"][0]
            out += choice["delta"].get("content", "") if "delta" in choice else choice["text"]
    return out


def parser_last_text(lines: Iterable[str]) -> str:
    """Keeps the last top-level `text` that is not empty."""
    out = ""
    for line in lines:
        if line.startswith("data: {"):
            out = json.loads(line[6:]).get("text") or out
    return out


def parser_by_pattern(lines: Iterable[str]) -> str:
    """Cuts the pieces out without a JSON parser."""
    pieces = []
    for line in lines:
        choices = re.search(r'"choices":\[\{(.*?)\}\]', line)
        piece = re.search(r'"text":"((?:[^"\\]|\\.)*)"', choices[1]) if choices else None
        pieces.append(json.loads(f'"{piece[1]}"') if piece else "")
    return "".join(pieces)


def parser_until_finish(lines: Iterable[str]) -> str:
    """Stops at the first `finish_reason`, and takes an `error` for the end."""
    out = ""
    for line in lines:
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        if event.get("error"):
            raise RuntimeError(event["error"])
        choice = event["choices"][0]
        out += choice.get("text") or ""
        if choice.get("finish_reason"):
            break
    return out


def parser_by_blank_line(lines: Iterable[str]) -> str:
    """Reads events as the standard has them: fields up to a blank line."""
    out, data = "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        if line == "" and data:
            text = "\n".join(data)
            data = []
            if text != "[DONE]":
                out += json.loads(text)["choices"][0]["text"]
        elif name == "data":
            data.append(value.removeprefix(" "))
    return out


@pytest.mark.parametrize(
    "parser",
    [
        parser_choices_text,
        parser_delta_or_text,
        parser_last_text,
        parser_by_pattern,
        parser_until_finish,
        parser_by_blank_line,
    ],
)
def test_published_parsers_read_it(parser: Callable[[Iterable[str]], str], streamed: Streamed) -> None:
    assert parser(streamed.body.decode().split("\n")) == ANSWER


def test_chat_streamed_under_api(router: Router, session: int) -> None:
    body: dict[str, object] = {"messages": [{"role": "user", "content": PROMPT}], "stream": True}
    answer = stream(router, f"/api/v1/chat/completions/{session}", body)
    deltas = [event["choices"][0]["delta"] for event in answer.events if event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == ANSWER
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_failure_after_the_first_byte(router: Router, session: int) -> None:
    answer = stream(router, f"/api/v1/completions/{session}", {"prompt": "break", "stream": True})
    *tokens, failure = answer.events
    assert [event["choices"][0]["text"] for event in tokens] == ["You", " said:", " break"]
    assert isinstance(failure["error"], str)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    detail = router.get(f"/api/v1/tasks/{session}/1")
    assert (detail["status"], detail["outcome"]) == (4, "failed")
    assert detail["failure"]


def test_a_hang_up_cancels_within_50_ms(router: Router, upstream: Upstream, session: int) -> None:
    """The best of a few: what else the machine does is not the router's delay."""
    body: dict[str, object] = {"prompt": "slow", "stream": True}
    delays = [hang_up_delay(router, upstream, session, body, until=b'"t2 "') for _ in range(5)]
    # The upstream looks for a hang-up every 20 ms at the latest; nothing of that is the router's.
    assert min(delays) < 0.05, delays
    router.eventually("/api/v1/status", "running_tasks", 0)
    tasks = router.get(f"/api/v1/tasks/{session}")["tasks"]
    assert [task["outcome"] for task in tasks] == ["cancelled"] * 5


def test_a_hang_up_before_the_first_token_cancels(router: Router, upstream: Upstream, session: int) -> None:
    bodies: list[dict[str, object]] = [{"prompt": "hold"}, {"prompt": "hold", "stream": True}]
    for body in bodies:
        assert hang_up_delay(router, upstream, session, body, until=b"") < 1
    router.eventually("/api/v1/status", "running_tasks", 0)


def hang_up_delay(router: Router, upstream: Upstream, session: int, body: dict[str, object], until: bytes) -> float:
    """Submits, reads until those bytes came, hangs up; gives the seconds until the upstream noticed."""
    upstream.forget()
    connection = router.connect()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", f"/api/v1/completions/{session}", json.dumps(body), headers)
    if until:
        answer = connection.getresponse()
        seen = b""
        while until not in seen:
            seen += answer.read1(65536)
        left = time.monotonic()
        answer.close()
    else:
        deadline = time.monotonic() + 10
        while not upstream.received:
            assert time.monotonic() < deadline, "the upstream was not asked"
            time.sleep(0.005)
        left = time.monotonic()
    connection.close()
    return upstream.hung_up() - left


def test_a_detached_task_outlives_its_caller(router: Router, upstream: Upstream, session: int) -> None:
    connection = router.connect()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = json.dumps({"prompt": "slow", "stream": True, "detach": True})
    connection.request("POST", f"/api/v1/completions/{session}", body, headers)
    connection.getresponse().close()
    connection.close()
    before = len(router.get(f"/api/v1/tasks/{session}/1")["text"])
    deadline = time.monotonic() + 10
    while len(router.get(f"/api/v1/tasks/{session}/1")["text"]) <= before:
        assert time.monotonic() < deadline, "the task does not go on"
        time.sleep(0.01)
    assert router.call("DELETE", f"/api/v1/tasks/{session}/1").status == 200
    upstream.hung_up()


def test_a_stream_is_joined_and_resumed(router: Router, streamed: Streamed, session: int) -> None:
    path = f"/api/v1/tasks/{session}/1/stream"
    whole = router.call("GET", path)
    assert whole.status == 200
    assert whole.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert Streamed({}, whole.body).events == streamed.events
    ids = re.findall(rb"^id: (\d+)$", whole.body, re.MULTILINE)
    rest = router.call("GET", path, headers={"Last-Event-ID": ids[1].decode()})
    assert re.findall(rb"^id: (\d+)$", rest.body, re.MULTILINE) == ids[2:]
    pieces = [event["choices"][0]["text"] for event in Streamed({}, rest.body).events]
    assert "".join(pieces) == "".join(PIECES[2:])
