"""The small routes through the unmodified `openai` package: only `base_url` and the key are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest
from openai import OpenAI

from router import TOKEN, Router
from upstream import MODEL, PICTURE, SMALL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

SOUND = b"RIFF\x00\xff\r\n\r\n--"


@pytest.fixture
def client(router: Router) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0, timeout=20) as made:
        yield made


def test_a_transcription(client: OpenAI, upstream: Upstream) -> None:
    answer = client.audio.transcriptions.create(model=MODEL, file=("speech.wav", SOUND), language="en")
    assert answer.text == "Hello there."
    sent = upstream.received[-1]
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    for part in (
        b'name="model"\r\n\r\n' + MODEL.encode(),
        b'name="language"\r\n\r\nen',
        b'name="file"; filename="speech.wav"\r\n',
        b"\r\n\r\n" + SOUND + b"\r\n--",
    ):
        assert part in sent.raw, part


def test_speech(client: OpenAI, upstream: Upstream) -> None:
    answer = client.audio.speech.create(model=MODEL, voice="alloy", input="Hello there.")
    kind, sound = SMALL["/v1/audio/speech"]
    assert (answer.read(), answer.response.headers["content-type"]) == (sound, kind)
    assert upstream.received[-1].body == {"model": MODEL, "voice": "alloy", "input": "Hello there."}


def test_images(client: OpenAI, upstream: Upstream) -> None:
    answer = client.images.generate(model=MODEL, prompt="a cat", n=2, size="1024x1024")
    assert answer.data is not None
    assert [image.b64_json for image in answer.data] == [PICTURE]
    assert upstream.received[-1].body == {"model": MODEL, "prompt": "a cat", "n": 2, "size": "1024x1024"}


def test_moderation(client: OpenAI, upstream: Upstream) -> None:
    answer = client.moderations.create(input=["a", "b"])
    assert [result.flagged for result in answer.results] == [True]
    # The upstream chooses the model if the caller names none.
    assert upstream.received[-1].body == {"input": ["a", "b"]}


def test_a_route_that_the_upstream_lacks(client: OpenAI, router: Router) -> None:
    with pytest.raises(openai.NotFoundError, match=r"/v1/rerank.*asked"):
        client.post("/rerank", body={"model": MODEL, "query": "q", "documents": ["a"]}, cast_to=object)
    for body, param in (({"model": MODEL, "query": "q"}, "documents"), ({"query": "q", "documents": ["a"]}, "model")):
        reply = router.call("POST", "/v1/rerank", body)
        assert (reply.status, reply.json()["error"]["param"]) == (400, param)
    with pytest.raises(openai.BadRequestError, match="input"):
        client.audio.speech.create(model=MODEL, voice="alloy", input="")
