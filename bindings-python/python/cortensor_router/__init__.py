"""A router for AI inference that lives inside your program.

Sessions, tasks, and miners (inference workers) that do the work: functions of your program, OpenAI-compatible servers,
or workers that dial in. `Router` is for asyncio, `SyncRouter` for programs that block; both have the same names.
"""

from __future__ import annotations

from ._asgi import AsgiApp
from ._client import MinerClient, SyncMinerClient, run_miner
from ._completion import Completion, Embeddings, End, Event, Restart, Token
from ._error import RouterError
from ._errors import (
    ClosedError,
    ConflictError,
    IdempotencyMismatchError,
    InternalError,
    InvalidArgumentError,
    MinerFailedError,
    NotFoundError,
    OverloadedError,
    PanicError,
    PermissionDeniedError,
    RouterTimeoutError,
    TaskCancelledError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    WouldDeadlockError,
)
from ._job import Job, JobError, SyncJob
from ._listener import Listener, SyncListener
from ._miner import Miner, SyncMiner
from ._native import VERSION as __version__  # noqa: N811 - its name in Python
from ._options import (
    Answer,
    FailCode,
    KeyOptions,
    MinerClientSettings,
    MinerOptions,
    PieceParts,
    RequestOptions,
    SessionChanges,
    SessionOptions,
)
from ._record import Page, Record
from ._records import (
    ApiKey,
    Choice,
    Embedding,
    Hardware,
    KeyLimits,
    MinerClientStats,
    MinerInfo,
    MinerVerdict,
    ModelDetails,
    ModelInfo,
    NewKey,
    NodeInfo,
    NodeStats,
    NodeStatus,
    SessionRecord,
    TaskRecord,
    TaskResults,
    Usage,
    UsagePart,
    Verdict,
)
from ._router import Router
from ._session import Session, SyncSession
from ._sync import SyncRouter
from ._task import SyncTask, SyncTokenStream, Task, TokenStream

__all__ = [
    "Answer",
    "ApiKey",
    "AsgiApp",
    "Choice",
    "ClosedError",
    "Completion",
    "ConflictError",
    "Embedding",
    "Embeddings",
    "End",
    "Event",
    "FailCode",
    "Hardware",
    "IdempotencyMismatchError",
    "InternalError",
    "InvalidArgumentError",
    "Job",
    "JobError",
    "KeyLimits",
    "KeyOptions",
    "Listener",
    "Miner",
    "MinerClient",
    "MinerClientSettings",
    "MinerClientStats",
    "MinerFailedError",
    "MinerInfo",
    "MinerOptions",
    "MinerVerdict",
    "ModelDetails",
    "ModelInfo",
    "NewKey",
    "NodeInfo",
    "NodeStats",
    "NodeStatus",
    "NotFoundError",
    "OverloadedError",
    "Page",
    "PanicError",
    "PermissionDeniedError",
    "PieceParts",
    "Record",
    "RequestOptions",
    "Restart",
    "Router",
    "RouterError",
    "RouterTimeoutError",
    "Session",
    "SessionChanges",
    "SessionOptions",
    "SessionRecord",
    "SyncJob",
    "SyncListener",
    "SyncMiner",
    "SyncMinerClient",
    "SyncRouter",
    "SyncSession",
    "SyncTask",
    "SyncTokenStream",
    "Task",
    "TaskCancelledError",
    "TaskRecord",
    "TaskResults",
    "Token",
    "TokenStream",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "Usage",
    "UsagePart",
    "Verdict",
    "WouldDeadlockError",
    "__version__",
    "run_miner",
]
