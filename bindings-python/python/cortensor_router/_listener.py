"""The HTTP listener, started by the program."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from . import _bridge, _native

if TYPE_CHECKING:
    from typing_extensions import Self


class ListenerBase:
    """The address of a listener, and its protection."""

    def __init__(self, native: _native.Listener) -> None:
        self._native = native

    @property
    def host(self) -> str:
        """The address on which it listens."""
        return self._native.address[0]

    @property
    def port(self) -> int:
        """Its port."""
        return self._native.address[1]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:5010`."""
        host, port = self._native.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def posture(self) -> list[str]:
        """Every open surface and how it is protected, a line each."""
        return self._native.posture

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class Listener(ListenerBase):
    """A listener that serves until it is stopped or its router is closed."""

    async def stop(self) -> None:
        """Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`."""
        await _bridge.answer(self._native.stop())

    async def ended(self) -> None:
        """Waits until the listener has ended, for any reason."""
        await _bridge.answer(self._native.ended())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class SyncListener(ListenerBase):
    """A listener that serves until it is stopped or its router is closed."""

    def stop(self) -> None:
        """Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`."""
        self._native.stop().wait()

    def ended(self, timeout: float | None = None) -> None:
        """Waits until the listener has ended, for any reason. Raises after `timeout` seconds."""
        self._native.ended().wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
