"""The listener and the ASGI application, with the clients that people use, all in one process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import fastapi
import httpx
import openai
import pytest
import uvicorn
from fastapi.responses import StreamingResponse
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from cortensor_router import Job, Router, SyncJob, SyncRouter
from support import SOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, MutableMapping

TOKEN = "default-dev-token"  # noqa: S105 - the product's own, for loopback only
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def words(job: SyncJob) -> Iterator[str]:
    for word in job.prompt.split():
        yield word + " "


@pytest.fixture
def router() -> Iterator[SyncRouter]:
    with SyncRouter() as one:
        one.add_miner("words", words, models=["tiny"], capacity=4)
        yield one


def test_the_openai_sdk_against_the_listener(router: SyncRouter) -> None:
    with router.listen(port=0) as listener, openai.OpenAI(base_url=f"{listener.url}/v1", api_key=TOKEN) as client:
        assert listener.posture
        assert [model.id for model in client.models.list()] == ["tiny"]
        answer = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "a b"}])
        assert answer.choices[0].message.content == "a b "
        pieces = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "a b"}], stream=True
        )
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "a b "


def test_langchain_against_the_listener(router: SyncRouter) -> None:
    with router.listen(port=0) as listener:
        model = ChatOpenAI(base_url=f"{listener.url}/v1", api_key=SecretStr(TOKEN), model="tiny")
        assert model.invoke("a b").content == "a b "
        assert "".join(str(piece.content) for piece in model.stream("a b")) == "a b "
        model.root_client.close()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A real server around the application, and a client of it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="on", ws="none"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        assert not serving.done(), serving
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=SOON) as client:
            yield client
    finally:
        server.should_exit = True
        await serving


def test_a_fastapi_app_streams_to_the_browser_and_mounts_the_api() -> None:
    cancelled = asyncio.Event()

    async def endless(_: Job) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def main() -> None:
        router = Router()

        @contextlib.asynccontextmanager
        async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
            async with router:
                router.add_miner("words", words, models=["tiny"])
                router.add_miner("endless", endless, models=["endless"])
                app.mount("/ai", router.asgi())
                yield

        app = fastapi.FastAPI(lifespan=lifespan)

        @app.get("/ask")
        async def ask(q: str, model: str = "tiny") -> StreamingResponse:
            task = await router.submit(q, model=model)
            return StreamingResponse(task, media_type="text/plain")

        async with served(app) as client:
            assert (await client.get("/ask", params={"q": "one two"})).text == "one two "

            status = await client.get("/ai/api/v1/status")
            assert status.status_code == 200
            assert status.json()["status"] == "ok"

            body = {"model": "tiny", "messages": [{"role": "user", "content": "a b"}], "stream": True}
            text = ""
            async with client.stream("POST", "/ai/v1/chat/completions", json=body) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        piece = json.loads(line.removeprefix("data: "))
                        text += piece["choices"][0]["delta"].get("content") or "" if piece["choices"] else ""
            assert text == "a b "

            refused = await client.get("/ai/api/v1/status", headers={"Authorization": "Bearer wrong"})
            assert refused.status_code == 401
            missing = await client.get("/ai/no/such/route")
            assert missing.status_code == 404

            # A client that hangs up cancels the work.
            hung = {"prompt": "go", "model": "endless", "stream": True}
            async with client.stream("POST", "/ai/api/v1/completions", json=hung) as answer:
                async for _ in answer.aiter_bytes():
                    break
            await asyncio.wait_for(cancelled.wait(), SOON)
            cancelled.clear()
            async with client.stream("GET", "/ask", params={"q": "go", "model": "endless"}) as answer:
                async for _ in answer.aiter_bytes():
                    break
            await asyncio.wait_for(cancelled.wait(), SOON)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    async def main() -> None:
        limits = {"max_request_bytes": 4096, "max_upload_bytes": 4096}
        async with Router({"limits": limits}) as router:
            app = router.asgi()
            read = 0
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                nonlocal read
                read += 1
                if read > 8:
                    await asyncio.Event().wait()
                return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/api/v1/completions",
                "query_string": b"",
                "headers": [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")],
                "client": ("127.0.0.1", 5),
            }
            await app(scope, receive, send)
            assert sent[0]["status"] == 413
            assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
            # The last call waits for the client to hang up.
            assert read <= 9

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_scope_with_lists_in_the_place_of_pairs() -> None:
    async def main() -> None:
        async with Router() as router:
            sent: list[dict[str, Any]] = []
            received: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

            async def receive() -> dict[str, Any]:
                if not received:
                    await asyncio.sleep(SOON)
                return received.pop()

            async def send(message: MutableMapping[str, Any]) -> None:
                sent.append(dict(message))

            scope = {
                "type": "http",
                "method": "GET",
                "path": "/v1/models",
                "headers": [[b"authorization", f"Bearer {TOKEN}".encode()]],
                "client": ["127.0.0.1", 4711],
            }
            await router.asgi()(scope, receive, send)
            assert sent[0]["status"] == 200

    asyncio.run(main())
