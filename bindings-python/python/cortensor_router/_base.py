"""The common part of `Router` and `SyncRouter`: everything that does not wait."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from . import _bridge, _native
from ._errors import ClosedError, RouterError
from ._json import config_of, fields_of, parsed
from ._record import Page, page_of, table
from ._records import MinerInfo, ModelInfo, NodeInfo, NodeStatus

if TYPE_CHECKING:
    from ._miners import LoopWork, ThreadWork

logger = logging.getLogger("cortensor_router")

CLOSE_SECONDS = 10.0
"""The default time, in seconds, for which `close` waits for miners that do not stop."""


class RouterBase:
    """A router of this process: it owns its threads, its store and its miners."""

    def __init__(self, config: Mapping[str, Any] | str | None = None) -> None:
        self._config = config_of("config", config)
        self._opened: _native.Router | None = None
        self._work: dict[str, LoopWork | ThreadWork] = {}

    @property
    def _handle(self) -> _native.Router:
        if self._opened is None:
            name = type(self).__name__
            how = "async with Router(...) as router:" if name == "Router" else f"with {name}(...) as router:"
            raise ClosedError(f"the router is not open: {how}")
        return self._opened

    def _is_there(self) -> bool:
        """Whether the router was opened. Raises if it was closed since."""
        if self._opened is None:
            return False
        self._opened.info()
        return True

    def _keep(self, opened: _native.Router) -> None:
        self._opened = opened
        _bridge.opened(opened)

    @property
    def is_open(self) -> bool:
        """Whether the router was opened and not closed since."""
        if self._opened is None:
            return False
        try:
            self._opened.info()
        except RouterError:
            return False
        return True

    def config(self) -> dict[str, Any]:
        """The configuration with every default; without secrets."""
        return dict(parsed(self._handle.config()))

    def info(self) -> NodeInfo:
        """The router's identity and abilities."""
        return NodeInfo._parse(self._handle.info())

    def status(self) -> NodeStatus:
        """The router's state."""
        return NodeStatus._parse(self._handle.status())

    def metrics(self) -> str:
        """All metrics in Prometheus' text format."""
        return self._handle.metrics()

    def miners(self) -> Page[MinerInfo]:
        """The miners, of any kind."""
        return page_of(MinerInfo, "miners", self._handle.miners())

    def models(self) -> Page[ModelInfo]:
        """The models that can be asked for."""
        return page_of(ModelInfo, "models", self._handle.models())

    def add_upstream(self, url: str, **settings: Any) -> None:
        """Adds an OpenAI-compatible server (llama.cpp, vLLM, Ollama ...).

        `settings` are those of the configuration's `upstreams`. Its models are asked for in the background.
        """
        self._handle.add_upstream(fields_of("upstream", {"url": url, **settings}))

    def remove_miner(self, name: str) -> None:
        """Removes a miner of any kind by its name. Its tasks go to other miners."""
        self._handle.remove_miner(name)
        work = self._work.pop(name, None)
        if work is not None:
            work.forget()

    def _told_unfinished(self, names: list[str]) -> None:
        if names:
            logger.warning("miners that did not stop when the router was closed: %s", ", ".join(names))

    def _repr_html_(self) -> str:
        if not self.is_open:
            return table("Router", [("state", "not open")])
        status, info = self.status(), self.info()
        rows: list[tuple[str, object]] = [
            ("state", status.status),
            ("store", f"{status.store}, durability {status.durability}"),
            ("sessions", f"{info.active_sessions} open of {info.total_sessions}"),
            ("tasks", f"{status.running_tasks} running, {status.queued_tasks} queued"),
            ("models", ", ".join(info.models) or "any"),
        ]
        rows.extend(
            (one.id, f"{one.kind}, {one.status}, {one.in_flight} of {one.capacity}, {one.completed} done")
            for one in self.miners()
        )
        return table("Router", rows)

    def __repr__(self) -> str:
        state = "not open"
        with contextlib.suppress(RouterError):
            status = self.status()
            state = f"{status.miner_count} miners, {status.running_tasks} running, {status.queued_tasks} queued"
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} stays in its process: open one in the other process")
