"""The official SDK of the Model Context Protocol, unmodified: over HTTP, and over standard input and output in front of
a router of its own (`stdio`) and of one that runs already (`bridge`); with a handshake and without."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import httpx2
import pytest
from mcp import MCPError, StdioServerParameters
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent, TextResourceContents

from router import BINARY, TOKEN, Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp.client.client import ConnectMode
    from mcp_types import CallToolResult

    from upstream import Upstream

VERSIONS: dict[ConnectMode, str] = {"legacy": "2025-11-25", "auto": "2026-07-28"}
ANSWER = "You said: hello there"
PATIENCE = 30

Use: TypeAlias = Callable[[Callable[[Client], Awaitable[None]]], None]


@asynccontextmanager
async def over_http(router: Router, mode: ConnectMode, token: str = TOKEN) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{router.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.fixture(params=[f"{door}-{mode}" for door in ("http", "stdio", "bridge") for mode in VERSIONS])
def use(request: pytest.FixtureRequest, router: Router, upstream: Upstream, tmp_path: Path) -> Use:
    """Runs a test's body with a client of each kind."""
    door, mode = request.param.split("-")

    @asynccontextmanager
    async def connected() -> AsyncIterator[Client]:
        if door == "http":
            async with over_http(router, mode) as client:
                yield client
            return
        own = ["--upstream", upstream.url, "--durability", "memory"]
        arguments = ["mcp", *(own if door == "stdio" else ["--url", router.url])]
        server = StdioServerParameters(command=str(BINARY), args=arguments, env={"HOME": str(tmp_path)})
        async with Client(server, mode=mode) as client:
            yield client

    def run(body: Callable[[Client], Awaitable[None]]) -> None:
        async def whole() -> None:
            with anyio.fail_after(PATIENCE):
                async with connected() as client:
                    assert client.protocol_version == VERSIONS[mode]
                    await body(client)

        asyncio.run(whole())

    return run


def text_of(result: CallToolResult) -> dict[str, Any]:
    """The text of a result, which is JSON."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    found: dict[str, Any] = json.loads(block.text)
    return found


def test_tools_are_listed_with_both_schemas(use: Use) -> None:
    async def body(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools][:9] == [
            "cortensor_completions",
            "cortensor_create_session",
            "cortensor_tasks",
            "cortensor_miners",
            "cortensor_sessions",
            "cortensor_status",
            "cortensor_about",
            "cortensor_ping",
            "cortensor_info",
        ]
        for tool in tools:
            assert tool.description
            assert tool.input_schema["type"] == "object"
            assert tool.output_schema is not None

    use(body)


def test_every_tool_answers_and_its_answer_fits_its_schema(use: Use) -> None:
    async def body(client: Client) -> None:
        # The client compares each result with the schema.
        made = await client.call_tool("cortensor_create_session", {"name": "mcp"})
        assert made.structured_content is not None
        session = made.structured_content["session_id"]
        done = await client.call_tool("cortensor_completions", {"prompt": "hello there", "session_id": session})
        assert done.structured_content == text_of(done)
        assert done.structured_content["choices"][0]["text"] == ANSWER
        task = done.structured_content["task_id"]
        for name, arguments in [
            ("tasks", {"session_id": session}),
            ("tasks", {"session_id": session, "task_id": task}),
            ("sessions", {}),
            ("sessions", {"id": session}),
            ("miners", {}),
            ("status", {}),
            ("about", {}),
            ("ping", {}),
            ("info", {}),
        ]:
            result = await client.call_tool(f"cortensor_{name}", arguments)
            assert not result.is_error
            assert result.structured_content == text_of(result)
        for name, asked in [
            ("delegate", {"objective": "hello there"}),
            ("validate", {"claim": "hello there"}),
            ("factcheck", {"claim": "hello there"}),
        ]:
            result = await client.call_tool(f"cortensor_{name}", asked)
            assert result.structured_content == text_of(result)
        later = await client.call_tool("cortensor_completions", {"prompt": "hello there", "async": True})
        assert later.structured_content is not None
        assert later.structured_content["status"] == "accepted"

    use(body)


def test_progress_has_the_pieces(use: Use) -> None:
    async def body(client: Client) -> None:
        told: list[tuple[float, str]] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            assert total is None
            told.append((progress, message or ""))

        done = await client.call_tool("cortensor_completions", {"prompt": "hello there"}, progress_callback=note)
        assert done.structured_content is not None
        assert done.structured_content["choices"][0]["text"] == ANSWER
        assert "".join(text for _, text in told) == ANSWER
        numbers = [number for number, _ in told]
        assert numbers == sorted(set(numbers))

    use(body)


def test_errors_are_results_or_the_protocols_own(use: Use) -> None:
    async def body(client: Client) -> None:
        result = await client.call_tool("cortensor_completions", {})
        assert result.is_error
        assert (text_of(result)["code"], text_of(result)["param"]) == ("invalid_argument", "prompt")
        result = await client.call_tool("cortensor_completions", {"prompt": "status 400"})
        assert result.is_error
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("nothing", {})
        with pytest.raises(MCPError, match="999999"):
            await client.read_resource("cortensor://sessions/999999")

    use(body)


def received(upstream: Upstream) -> None:
    """Waits until the upstream has a request."""
    deadline = time.monotonic() + PATIENCE
    while not upstream.received:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("prompt", ["hold", "slow"])
def test_a_call_that_is_given_up_stops_the_miner(use: Use, upstream: Upstream, prompt: str) -> None:
    async def body(client: Client) -> None:
        begun = asyncio.Event()

        async def note(progress: float, total: float | None, message: str | None) -> None:
            assert (progress > 0, total, message is not None) == (True, None, True)
            begun.set()

        call = asyncio.create_task(
            client.call_tool(
                "cortensor_completions",
                {"prompt": prompt},
                progress_callback=note if prompt == "slow" else None,
            )
        )
        if prompt == "slow":
            await begun.wait()
        else:
            await asyncio.to_thread(received, upstream)
        call.cancel()
        await asyncio.to_thread(upstream.hung_up)
        # The connection serves on.
        assert not (await client.call_tool("cortensor_ping", {})).is_error

    use(body)


def test_resources_are_sessions_and_tasks(use: Use) -> None:
    async def body(client: Client) -> None:
        made = await client.call_tool("cortensor_create_session", {"name": "mcp"})
        assert made.structured_content is not None
        session = made.structured_content["session_id"]
        await client.call_tool("cortensor_completions", {"prompt": "hello there", "session_id": session})
        listed, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            listed += [str(resource.uri) for resource in page.resources]
            if (cursor := page.next_cursor) is None:
                break
        own = f"cortensor://sessions/{session}"
        assert own in listed
        assert f"{own}/tasks" in listed
        for uri in (own, f"{own}/tasks/1"):
            (contents,) = (await client.read_resource(uri)).contents
            assert isinstance(contents, TextResourceContents)
            assert json.loads(contents.text)["id"] in (session, 1)
        templates = (await client.list_resource_templates()).resource_templates
        assert len(templates) == 3

    use(body)


def test_a_session_is_none_for_another_token(router: Router) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    session = router.call("POST", "/mcp", hello).headers["mcp-session-id"]
    other = router.post("/api/v1/keys", {"name": "other"})["token"]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for token, status in ((other, 404), (TOKEN, 200)):
        reply = router.call("POST", "/mcp", ping, token=token, headers={"Mcp-Session-Id": session})
        assert reply.status == status

    async def own() -> None:
        async with over_http(router, "legacy", other) as client:
            assert not (await client.call_tool("cortensor_ping", {})).is_error

    asyncio.run(own())
