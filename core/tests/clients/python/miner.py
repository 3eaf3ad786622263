"""A miner, written from docs/miner-protocol.md alone: nothing of the product's code is used."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self
    from websockets.sync.connection import Connection

Frame = dict[str, Any]


class RefusedError(Exception):
    """The router sent a fatal error."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame["message"])
        self.code: str = frame["code"]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Key:
    """An Ed25519 key and its id (section 1.3)."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def id(self) -> str:
        return "mk_" + hashlib.sha256(self.public).hexdigest()[:32]

    def auth(self, challenge: Frame) -> Frame:
        lines = ["cortensor-miner.v1", challenge["nonce"], challenge["server_time"], challenge["router"]]
        message = "".join(f"{line}\n" for line in [*lines, self.id, "none"])
        signature = self.private.sign(message.encode())
        return {"public_key": b64(self.public), "signature": b64(signature), "binding": "none"}


@dataclass
class Attempt:
    """The miner's state of one attempt."""

    attempt: int
    fence: int
    frames: list[Frame] = field(default_factory=list)
    text: str = ""
    done: Frame | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def held(self) -> Frame:
        return {"attempt": self.attempt, "fence": self.fence, "sent_seq": len(self.frames)}


@dataclass
class Miner:
    """Connects, takes tasks, answers them with what `answer` yields; goes on after a broken connection."""

    url: str
    answer: Callable[[Frame, threading.Event], Iterable[str]]
    token: str | None = None
    key: Key | None = None
    name: str = "by-the-book"
    models: list[Frame] = field(default_factory=lambda: [{"id": "tiny", "context": 2048, "warm": True}])
    slots: int = 2
    seen: list[Frame] = field(default_factory=list)
    """Every frame of the router, in order."""

    def __post_init__(self) -> None:
        self.epoch = secrets.randbits(52)
        self.attempts: dict[tuple[int, int], Attempt] = {}
        self.lock = threading.Lock()
        self.socket: Connection | None = None
        self.stopping = threading.Event()
        self.welcomed = threading.Event()
        self.welcomes = 0
        self.failure: BaseException | None = None
        self.newest = 0

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(ConnectionClosed, OSError):
            self._send({"type": "bye", "reason": "the test is over"})
        socket = self.socket
        if socket is not None:
            socket.close(1001)
        self.thread.join(10)
        if self.failure is not None:
            raise self.failure

    def cut(self) -> None:
        """Breaks the connection without a word."""
        self.welcomed.clear()
        assert self.socket is not None
        self.socket.socket.shutdown(2)

    def await_welcome(self) -> None:
        assert self.welcomed.wait(20), f"not welcomed: {self.failure!r}"

    def _run(self) -> None:
        try:
            for _ in itertools.count():
                with contextlib.suppress(ConnectionClosed, OSError):
                    self._connection()
                if self.stopping.wait(0.05):
                    return
        except BaseException as failure:  # noqa: BLE001 - it is given to the test
            self.failure = failure

    def _connection(self) -> None:
        with connect(
            self.url + "/miner/v1",
            subprotocols=[Subprotocol("cortensor-miner.v1")],
            max_size=None,
            compression=None,
            ping_interval=None,
            proxy=None,
        ) as socket:
            challenge = self._read(socket)
            assert challenge["type"] == "challenge"
            socket.send(json.dumps(self._hello(challenge)))
            welcome = self._read(socket)
            if welcome["type"] == "error":
                raise RefusedError(welcome)
            assert welcome["type"] == "welcome"
            self._go_on(socket, welcome)
            pinger = threading.Thread(target=self._ping, args=(socket, welcome["intervals"]["ping_ms"] / 1000))
            pinger.start()
            try:
                while True:
                    self._take(self._read(socket))
            finally:
                with self.lock:
                    self.socket = None
                pinger.join(5)

    def _hello(self, challenge: Frame) -> Frame:
        assert 1 in challenge["versions"]
        auth: Frame = {} if self.token is None else {"token": self.token}
        if self.key is not None:
            auth |= self.key.auth(challenge)
        return {
            "type": "hello",
            "v": 1,
            "miner_id": self.name if self.key is None else self.key.id,
            "name": self.name,
            "auth": auth,
            "epoch": self.epoch,
            "agent": "by-the-book/1",
            "max_concurrency": self.slots,
            "models": self.models,
            "resume": {"inflight": [one.held() for one in self.attempts.values()]},
        }

    def _go_on(self, socket: Connection, welcome: Frame) -> None:
        adopted = {(one["attempt"], one["fence"]): one["ack_seq"] for one in welcome["adopt"]}
        with self.lock:
            self.socket = socket
            for key in [key for key in self.attempts if key not in adopted]:
                self.attempts.pop(key).cancelled.set()
            self.newest = max((attempt for attempt, _ in self.attempts), default=0)
            free = self.slots - len(self.attempts)
            socket.send(json.dumps({"type": "credit", "gen": 1, "free": {"*": free}, "seen": self.newest}))
            for key, one in self.attempts.items():
                for frame in one.frames[adopted[key] :]:
                    socket.send(json.dumps(frame))
                if one.done is not None:
                    socket.send(json.dumps(one.done))
        self.welcomes += 1
        self.welcomed.set()

    def _ping(self, socket: Connection, every: float) -> None:
        due = time.monotonic() + every
        while self.socket is socket:
            time.sleep(0.02)
            if time.monotonic() >= due:
                due += every
                held = [one.held() for one in list(self.attempts.values())]
                with contextlib.suppress(ConnectionClosed, OSError):
                    socket.send(json.dumps({"type": "ping", "t": int(due), "inflight": held}))

    def _read(self, socket: Connection) -> Frame:
        frame: Frame = json.loads(socket.recv())
        self.seen.append(frame)
        return frame

    def _send(self, frame: Frame) -> None:
        with self.lock:
            if self.socket is not None:
                with contextlib.suppress(ConnectionClosed, OSError):
                    self.socket.send(json.dumps(frame))

    def _take(self, frame: Frame) -> None:
        key = (frame.get("attempt", 0), frame.get("fence", 0))
        held = self.attempts.get(key)
        match frame["type"]:
            case "task":
                self.newest = max(self.newest, key[0])
                one = Attempt(*key)
                self.attempts[key] = one
                self._send({"type": "accept", "attempt": key[0], "fence": key[1]})
                threading.Thread(target=self._work, args=(frame, one), daemon=True).start()
            case "cancel" if held is not None:
                held.cancelled.set()
            case "final" | "drop" if held is not None:
                held.cancelled.set()
                del self.attempts[key]
            case "ping":
                inflight = [one.held() for one in self.attempts.values()]
                self._send({"type": "pong", "t": frame["t"], "inflight": inflight})
            case "error" if frame["fatal"]:
                raise RefusedError(frame)

    def _work(self, task: Frame, one: Attempt) -> None:
        names = {"attempt": one.attempt, "fence": one.fence}
        for piece in self.answer(task, one.cancelled):
            if one.cancelled.is_set():
                break
            off = len(one.text.encode())
            frame = {"type": "tokens", **names, "seq": len(one.frames) + 1, "off": off, "ch": "content", "data": piece}
            with self.lock:
                one.frames.append(frame)
                one.text += piece
            self._send(frame)
        if one.cancelled.is_set():
            if self.attempts.pop((one.attempt, one.fence), None) is not None:
                self._send({"type": "fail", **names, "class": "cancelled", "message": "as asked"})
            return
        words = len(one.frames)
        one.done = {
            "type": "done",
            **names,
            "seq": len(one.frames),
            "sha256": hashlib.sha256(one.text.encode()).hexdigest(),
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1},
        }
        self._send(one.done)
