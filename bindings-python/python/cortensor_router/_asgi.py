"""The REST API as an ASGI application (https://asgi.readthedocs.io, HTTP, version 3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from . import _bridge, _native
from ._errors import RouterError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiApp:
    """Answers requests as the listener would: the same routes, tokens and limits.

    Mount it: `app.mount("/ai", router.asgi())`.
    """

    def __init__(self, router: _native.Router, config: str) -> None:
        self._router = router
        self._config = config
        self._handler: _native.HttpHandler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection, as ASGI specifies."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            # The server answers with 403.
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = _bridge.current()
        handler = self._handler
        if handler is None:
            made: _native.HttpHandler = await loop.answer(self._router.http_handler(self._config))
            self._handler = handler = made
        body = await _body(receive, handler.max_body_bytes)
        if body is None:
            return
        # ASGI allows any iterable for each of these pairs.
        client = scope.get("client")
        headers = [tuple(line) for line in scope["headers"]]
        call = handler.handle(scope["method"], _target(scope), headers, client and tuple(client), body)
        answering = asyncio.ensure_future(self._answer(loop, call, send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (answering, leaving):
                one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
        with contextlib.suppress(asyncio.CancelledError):
            await answering

    async def _answer(self, loop: _bridge.Loop, call: _native.Call, send: Send) -> None:
        response: _native.HttpResponse = await loop.answer(call)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        with contextlib.suppress(RouterError):
            # The only sign of an answer that breaks off is its missing end.
            while (piece := await loop.answer(response.next_piece())) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _target(scope: Scope) -> str:
    """The path inside of the application, as it was sent, with its query."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :]
    target = quote(path or "/", safe="/:@!$&'()*+,;=~-._")
    query: bytes = scope.get("query_string", b"")
    return f"{target}?{query.decode('latin-1')}" if query else target


async def _body(receive: Receive, most: int) -> bytes | None:
    """The body, read no further than one byte over the limit; `None`: the client hung up."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece: bytes = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        if size > most:
            return b"".join(pieces)[: most + 1]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
