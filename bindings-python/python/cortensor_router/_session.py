"""Sessions, to which tasks are submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _bridge
from ._options import RequestOptions, SessionChanges
from ._record import Page, table
from ._records import SessionRecord, TaskRecord
from ._request import changes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from ._base import RouterBase
    from ._completion import Completion, Embeddings
    from ._router import Router
    from ._sync import SyncRouter
    from ._task import SyncTask, Task


class SessionBase:
    """The identity of a session."""

    def __init__(self, router: RouterBase, record: SessionRecord) -> None:
        self._base = router
        self._record = record

    @property
    def id(self) -> int:
        """The session's id."""
        return self._record.id

    @property
    def name(self) -> str:
        """The session's name."""
        return self._record.name

    @property
    def record(self) -> SessionRecord:
        """The record as this object last read or changed it."""
        return self._record

    def refresh(self) -> SessionRecord:
        """Reads the record anew."""
        self._record = SessionRecord._parse(self._base._handle.session(self.id))
        return self._record

    def _repr_html_(self) -> str:
        return table(f"Session {self.id}: {self.name}", self._record.to_dict().items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.name!r}>"


class Session(SessionBase):
    """A session, to which tasks are submitted."""

    def __init__(self, router: Router, record: SessionRecord) -> None:
        super().__init__(router, record)
        self._router = router

    async def submit(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Task:
        """Submits a task, and returns when it is durable."""
        return await self._router.submit(prompt, session_id=self.id, **options)

    async def complete(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Completion:
        """Submits a task and waits for its answer."""
        return await self._router.complete(prompt, session_id=self.id, **options)

    async def embed(self, input: str | Sequence[str], /, **options: Unpack[RequestOptions]) -> Embeddings:
        """Gives the vectors of a text, or of several, in their order."""
        return await self._router.embed(input, session_id=self.id, **options)

    async def update(self, **changes: Unpack[SessionChanges]) -> SessionRecord:
        """Changes the given fields."""
        native = self._router._handle
        text = await _bridge.answer(native.update_session(self.id, changes_of(changes)))
        self._record = SessionRecord._parse(text)
        return self._record

    async def close(self) -> SessionRecord:
        """Closes the session: it takes no new tasks, and running ones end."""
        text = await _bridge.answer(self._router._handle.close_session(self.id))
        self._record = SessionRecord._parse(text)
        return self._record

    async def task(self, task_id: int) -> TaskRecord:
        """The record of one of the session's tasks."""
        return await self._router.task(self.id, task_id)

    async def tasks(
        self,
        *,
        state: str | None = None,
        key: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order: str | None = None,
    ) -> Page[TaskRecord]:
        """A page of the session's tasks, oldest first inside it: the newest page, or from `offset` on."""
        return await self._router.tasks(self.id, state=state, key=key, limit=limit, offset=offset, order=order)

    async def attach(self, task_id: int) -> Task:
        """Joins one of the session's tasks, running or ended."""
        return await self._router.attach(self.id, task_id)

    async def cancel(self, task_id: int) -> TaskRecord:
        """Cancels one of the session's tasks."""
        return await self._router.cancel(self.id, task_id)


class SyncSession(SessionBase):
    """A session, to which tasks are submitted."""

    def __init__(self, router: SyncRouter, record: SessionRecord) -> None:
        super().__init__(router, record)
        self._router = router

    def submit(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> SyncTask:
        """Submits a task, and returns when it is durable."""
        return self._router.submit(prompt, session_id=self.id, **options)

    def complete(self, prompt: str | None = None, **options: Unpack[RequestOptions]) -> Completion:
        """Submits a task and waits for its answer."""
        return self._router.complete(prompt, session_id=self.id, **options)

    def embed(self, input: str | Sequence[str], /, **options: Unpack[RequestOptions]) -> Embeddings:
        """Gives the vectors of a text, or of several, in their order."""
        return self._router.embed(input, session_id=self.id, **options)

    def update(self, **changes: Unpack[SessionChanges]) -> SessionRecord:
        """Changes the given fields."""
        native = self._router._handle
        text = native.update_session(self.id, changes_of(changes)).wait()
        self._record = SessionRecord._parse(text)
        return self._record

    def close(self) -> SessionRecord:
        """Closes the session: it takes no new tasks, and running ones end."""
        text = self._router._handle.close_session(self.id).wait()
        self._record = SessionRecord._parse(text)
        return self._record

    def task(self, task_id: int) -> TaskRecord:
        """The record of one of the session's tasks."""
        return self._router.task(self.id, task_id)

    def tasks(
        self,
        *,
        state: str | None = None,
        key: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order: str | None = None,
    ) -> Page[TaskRecord]:
        """A page of the session's tasks, oldest first inside it: the newest page, or from `offset` on."""
        return self._router.tasks(self.id, state=state, key=key, limit=limit, offset=offset, order=order)

    def attach(self, task_id: int) -> SyncTask:
        """Joins one of the session's tasks, running or ended."""
        return self._router.attach(self.id, task_id)

    def cancel(self, task_id: int) -> TaskRecord:
        """Cancels one of the session's tasks."""
        return self._router.cancel(self.id, task_id)
