"""A miner that was written from docs/miner-protocol.md alone, with `websockets`."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from miner import Frame, Key, Miner, RefusedError
from router import REPOSITORY, TOKEN, Router, running

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

SCHEMA = json.loads((REPOSITORY / "docs/miner-protocol.schema.json").read_text())
DOCUMENT = (REPOSITORY / "docs/miner-protocol.md").read_text()


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with running(tmp_path_factory.mktemp("miner"), "--set", "dispatch.no_miner_grace_ms=10000") as started:
        yield started


def url(router: Router) -> str:
    return f"ws://127.0.0.1:{router.port}"


def echo(task: Frame, _: threading.Event) -> Iterable[str]:
    yield from re.findall(r"\s*\S+", task["prompt"])


def events(router: Router, body: Frame) -> Generator[Any, None, None]:
    """The data events of a stream, as they come."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with contextlib.closing(router.connect()) as connection:
        connection.request("POST", "/api/v1/completions", json.dumps(body | {"stream": True}), headers)
        with connection.getresponse() as answer:
            assert answer.status == 200, answer.read()
            for line in answer:
                if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                    yield json.loads(line[6:])


def test_it_answers_and_every_frame_keeps_to_the_schema(served: Router) -> None:
    with Miner(url(served), echo, token=TOKEN) as miner:
        miner.await_welcome()
        answer = served.post("/api/v1/completions", {"prompt": "one two three", "model": "tiny", "temperature": 0})
        assert answer["choices"][0]["text"] == "one two three"
        assert answer["usage"] == {"completion_tokens": 3, "prompt_tokens": 1, "total_tokens": 4}
        pieces = [event["choices"][0]["text"] for event in events(served, {"prompt": "a b  ö", "model": "tiny"})]
        assert pieces == ["a", " b", "  ö", ""]
        shown = next(one for one in served.get("/api/v1/miners")["miners"] if one["id"] == "by-the-book")
        assert (shown["kind"], shown["agent"], shown["models"]) == ("remote", "by-the-book/1", ["tiny"])
        assert shown["completed"] == 2
        assert shown["model_details"][0]["context"] == 2048
        deadline = time.monotonic() + 10
        while sum(frame["type"] == "final" for frame in miner.seen) < 2:
            assert time.monotonic() < deadline, miner.seen
            time.sleep(0.01)
    said = validator("RouterFrame")
    for frame in miner.seen:
        assert not list(said.iter_errors(frame)), frame
    assert {frame["type"] for frame in miner.seen} >= {"challenge", "welcome", "task", "final"}
    tasks = [frame for frame in miner.seen if frame["type"] == "task"]
    assert [task["params"]["temperature"] for task in tasks[:1]] == [0]


def test_a_broken_connection_is_resumed_without_a_gap(served: Router) -> None:
    go = threading.Semaphore(1)

    def stepped(_: Frame, cancelled: threading.Event) -> Iterable[str]:
        for number in range(6):
            assert go.acquire(timeout=20)
            if cancelled.is_set():
                return
            yield f"w{number} "

    with Miner(url(served), stepped, token=TOKEN, name="cut") as miner:
        miner.await_welcome()
        stream = events(served, {"prompt": "x", "model": "tiny", "timeout": 60})
        pieces = [next(stream)["choices"][0]["text"]]
        for step in range(5):
            if step == 2:
                miner.cut()
            go.release()
            if step == 3:
                miner.await_welcome()
        pieces += [event["choices"][0]["text"] for event in stream]
        assert pieces == ["w0 ", "w1 ", "w2 ", "w3 ", "w4 ", "w5 ", ""]
        assert miner.welcomes == 2


def test_a_hang_up_cancels(served: Router) -> None:
    stopped = threading.Event()

    def endless(_: Frame, cancelled: threading.Event) -> Iterable[str]:
        yield "first"
        assert cancelled.wait(20)
        stopped.set()

    with Miner(url(served), endless, token=TOKEN, name="endless") as miner:
        miner.await_welcome()
        stream = events(served, {"prompt": "x", "model": "tiny"})
        assert next(stream)["choices"][0]["text"] == "first"
        stream.close()
        assert stopped.wait(20), "the miner was never told"


def test_a_key_is_enrolled_once_and_signs_from_then_on(served: Router) -> None:
    made = served.post("/api/v1/miners/enrolments", {"name": "keyed", "models": ["tiny"], "ttl_secs": 60})
    key, thief = Key(), Key()
    with Miner(url(served), echo, token=made["token"], key=key, name="keyed") as miner:
        miner.await_welcome()
    with Miner(url(served), echo, key=key, name="keyed") as again:
        again.await_welcome()
        assert served.post("/api/v1/completions", {"prompt": "hi", "model": "tiny"})["choices"][0]["text"] == "hi"
    stranger = Miner(url(served), echo, token=made["token"], key=thief, name="thief")
    with pytest.raises(RefusedError) as refused, stranger as spent:
        spent.thread.join(10)
    assert refused.value.code == "unauthorized"
    known = served.get("/api/v1/miners/identities")["identities"]
    assert [(one["id"], one["name"], one["models"], one["revoked"]) for one in known] == [
        (key.id, "keyed", ["tiny"], False)
    ]
    assert served.get("/api/v1/miners/enrolments")["count"] == 0


def frames_of_the_document() -> list[tuple[str, Frame]]:
    found = re.findall(r"^([<>]) (\{.*\})$", DOCUMENT, re.MULTILINE)
    return [(side, json.loads(text)) for side, text in found if "..." not in text]


def test_the_transcript_of_the_document_keeps_to_the_schema() -> None:
    frames = frames_of_the_document()
    assert len(frames) > 15
    for side, frame in frames:
        name = "RouterFrame" if side == "<" else "MinerFrame"
        assert not list(validator(name).iter_errors(frame)), frame


def test_the_document_names_every_frame_and_field_of_the_schema() -> None:
    for name in ("RouterFrame", "MinerFrame"):
        for variant in SCHEMA["$defs"][name]["oneOf"]:
            text = json.dumps(variant)
            for kind in re.findall(r'"type": \{[^}]*"enum": \["(\w+)"\]', text):
                assert f"`{kind}`" in DOCUMENT, kind
    for name, definition in SCHEMA["$defs"].items():
        for field in definition.get("properties", {}):
            assert re.search(rf"\b{field}\b", DOCUMENT), f"{name}.{field}"
