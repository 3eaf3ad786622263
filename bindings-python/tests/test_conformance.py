"""The scenarios of `core/tests/conformance`, played with both routers: they have the same names."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cortensor_router import (
    End,
    Job,
    JobError,
    RequestOptions,
    Restart,
    Router,
    RouterError,
    SyncJob,
    SyncRouter,
    Token,
)
from support import REPOSITORY, SOON

SCENARIOS = [
    pytest.param(scenario, id=f"{file.stem}: {scenario['name']}")
    for file in sorted((REPOSITORY / "core/tests/conformance").glob("*.json"))
    for scenario in json.loads(file.read_text())
]


@dataclass
class Seen:
    """The jobs that a miner saw."""

    jobs: int = 0
    cancelled: int = 0


def mismatch(expected: Any, actual: Any, path: str = "") -> str | None:
    """Where and why `actual` is not what is expected."""
    wrong = f"{path}: expected {expected!r}, got {actual!r}"
    if isinstance(expected, str) and expected.startswith("$"):
        holds = {
            "$any": actual is not None,
            "$number": isinstance(actual, (int, float)) and not isinstance(actual, bool),
            "$text": isinstance(actual, str) and actual != "",
            "$absent": actual is None,
        }[expected]
        return None if holds else wrong
    if isinstance(expected, dict):
        if "$contains" in expected:
            return None if isinstance(actual, str) and expected["$contains"] in actual else wrong
        if not isinstance(actual, dict):
            return wrong
        found = (mismatch(value, actual.get(name), f"{path}.{name}") for name, value in expected.items())
        return next((one for one in found if one), None)
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return wrong
        found = (mismatch(e, a, f"{path}[{i}]") for i, (e, a) in enumerate(zip(expected, actual, strict=True)))
        return next((one for one in found if one), None)
    return None if expected == actual and isinstance(expected, bool) == isinstance(actual, bool) else wrong


def words_of(prompt: str) -> list[str]:
    """The words, each with the blank behind it."""
    parts = prompt.split(" ")
    return [one for one in [f"{part} " for part in parts[:-1]] + parts[-1:] if one]


def pieces_of(given: list[Any] | None) -> list[str | bytes]:
    return [bytes(one["bytes"]) if isinstance(one, dict) else one for one in given or []]


def failing(behaviour: str, given: dict[str, Any], number: int, job: Job | SyncJob) -> bool:
    """Whether this job is answered without an answer; done here."""
    if behaviour == "flaky" and number < given["times"]:
        raise JobError(given["code"], "not this time")
    if behaviour == "reject":
        job.reject(given["reason"])
        return True
    if behaviour == "drop":
        raise JobError("internal", "dropped")
    return False


def in_loop(behaviour: str, given: dict[str, Any], seen: Seen) -> Callable[[Job], AsyncIterator[str | bytes]]:
    """The behaviour as an async generator; one that is silent is a function."""

    async def silent(_: Job) -> None:
        seen.jobs += 1

    if behaviour == "silent":
        return silent  # type: ignore[return-value] # it gives nothing: that is the point

    async def play(job: Job) -> AsyncIterator[str | bytes]:
        number, seen.jobs = seen.jobs, seen.jobs + 1
        if failing(behaviour, given, number, job):
            return
        for piece in words_of(job.prompt) if behaviour in ("words", "flaky") else pieces_of(given.get("pieces")):
            yield piece
        for part in given.get("parts") or []:
            yield part
        if behaviour == "fail":
            raise JobError(given["code"], given["message"])
        if behaviour == "hold":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.cancelled += 1
                raise
        if given.get("answer") is not None:
            job.finish(**given["answer"])

    return play


def on_threads(behaviour: str, given: dict[str, Any], seen: Seen) -> Callable[[SyncJob], Iterator[str | bytes]]:
    """The behaviour as a generator; one that is silent is a function."""

    def silent(_: SyncJob) -> None:
        seen.jobs += 1

    if behaviour == "silent":
        return silent  # type: ignore[return-value] # it gives nothing: that is the point

    def play(job: SyncJob) -> Iterator[str | bytes]:
        number, seen.jobs = seen.jobs, seen.jobs + 1
        if failing(behaviour, given, number, job):
            return
        yield from words_of(job.prompt) if behaviour in ("words", "flaky") else pieces_of(given.get("pieces"))
        yield from given.get("parts") or []
        if behaviour == "fail":
            raise JobError(given["code"], given["message"])
        if behaviour == "hold":
            seen.cancelled += job.wait_cancelled()
        if given.get("answer") is not None:
            job.finish(**given["answer"])

    return play


async def given_by(value: Any) -> Any:
    """The result of a call, whether it must be awaited or not."""
    return await value if inspect.isawaitable(value) else value


def options(request: dict[str, Any]) -> dict[str, Any]:
    """A request as Python has it: what the router does not know goes as `extra`."""
    known = {"prompt", *RequestOptions.__annotations__}
    extra = {name: value for name, value in request.items() if name not in known}
    return {**{name: value for name, value in request.items() if name in known}, "extra": extra}


def plain(record: Any) -> Any:
    return record.to_dict()


def details(error: RouterError) -> dict[str, Any]:
    return {
        "kind": error.kind,
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        **error.details,
    }


class Stage:
    """One scenario under way."""

    def __init__(self, router: Any, form: Callable[..., Any]) -> None:
        self.router = router
        self.form = form
        self.kept: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}
        self.seen: dict[str, Seen] = {}

    def add_miner(self, miner: dict[str, Any]) -> None:
        spec, seen = dict(miner["spec"]), Seen()
        name = spec.pop("name", None)
        self.router.add_miner(name, self.form(miner["behaviour"], miner.get("with") or {}, seen), **spec)
        self.seen[name] = seen

    def resolved(self, value: Any) -> Any:
        """The step with every `"$name.path"` put in."""
        if isinstance(value, str) and value.startswith("$") and "." in value:
            name, _, path = value[1:].partition(".")
            if name in self.kept:
                found = self.kept[name]
                for part in path.split("."):
                    found = found.get(part)
                return found
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if isinstance(value, dict):
            return {name: self.resolved(one) for name, one in value.items()}
        return value

    def task(self, step: dict[str, Any]) -> Any:
        return self.tasks[step["task"].removeprefix("$")]

    async def play(self, step: dict[str, Any]) -> Any:
        router, do = self.router, step["do"]
        if do in ("info", "status"):
            return plain(getattr(router, do)())
        if do in ("miners", "models"):
            page = getattr(router, do)()
            return {"count": page.count, do: [plain(one) for one in page]}
        if do == "metrics":
            return {"text": router.metrics()}
        if do == "create_session":
            spec = dict(step["spec"])
            return plain((await given_by(router.create_session(spec.pop("name", None), **spec))).record)
        if do == "session":
            return plain(router.session(step["session"]).record)
        if do == "close_session":
            return plain(await given_by(router.session(step["session"]).close()))
        if do == "update_session":
            return plain(await given_by(router.session(step["session"]).update(**step["patch"])))
        if do == "sessions":
            page = router.sessions(**step["query"])
            return {"count": page.count, "sessions": [plain(one) for one in page]}
        if do == "submit":
            return await given_by(router.submit(session_id=step["session"], **options(step["request"])))
        if do == "submit_prompt":
            return await given_by(router.submit(step["prompt"], session_id=step["session"], **step["options"]))
        if do == "embed":
            return plain(await given_by(router.embed(step["input"], session_id=step["session"])))
        if do == "text":
            return {"text": (await given_by(self.task(step).result())).text}
        if do == "attach":
            return await given_by(router.attach(step["session"], step["task_id"]))
        if do in ("task", "cancel"):
            return plain(await given_by(getattr(router, do)(step["session"], step["task_id"])))
        if do == "tasks":
            page = await given_by(router.tasks(step["session"], **step["query"]))
            return {"count": page.count, "tasks": [plain(one) for one in page]}
        if do in ("record", "result"):
            return plain(await given_by(getattr(self.task(step), do)()))
        if do in ("cancel_task", "detach"):
            return getattr(self.task(step), do.removesuffix("_task"))()
        if do == "release":
            del self.tasks[step["task"].removeprefix("$")]
            return None
        if do == "stream":
            return await read(self.task(step), step.get("after", 0), step.get("take"))
        if do == "add_miner":
            return self.add_miner(step["miner"])
        if do == "remove_miner":
            return router.remove_miner(step["name"])
        if do == "miner_saw":
            return vars(self.seen[step["name"]])
        if do == "drain":
            return {"drained": await given_by(router.drain(step["timeout_ms"] / 1000))}
        assert do == "shutdown", f"no such step: {do}"
        return await given_by(router.close())

    async def attempt(self, step: dict[str, Any]) -> str | None:
        """Plays a step once; the text says what is wrong."""
        try:
            outcome = await self.play(step)
        except TypeError as error:
            # Python itself refuses what a function does not take.
            assert "unexpected keyword argument" in str(error), error
            return mismatch(step.get("error"), {"kind": "invalid_argument"})
        except RouterError as error:
            if "error" not in step:
                return f"failed: {details(error)}"
            return mismatch(step["error"], details(error))
        if "error" in step:
            return f"expected the error {step['error']}, got {outcome}"
        task = None
        if hasattr(outcome, "gid"):
            task, outcome = (
                outcome,
                {"session_id": outcome.session_id, "task_id": outcome.id, "gid": outcome.gid, "joined": outcome.joined},
            )
        wrong = mismatch(step.get("expect"), outcome) if "expect" in step else None
        if wrong is None and "as" in step:
            self.kept[step["as"]] = outcome
            if task is not None:
                self.tasks[step["as"]] = task
        return wrong

    async def perform(self, step: dict[str, Any]) -> str | None:
        """Plays a step as often as it wants."""
        step = self.resolved(step)
        deadline = time.monotonic() + SOON
        while True:
            wrong = await self.attempt(step)
            if wrong is None or not step.get("until") or time.monotonic() > deadline:
                return wrong
            await asyncio.sleep(0.005)


async def read(task: Any, after: int, take: int | None) -> dict[str, Any]:
    events = task.events(after)
    tokens: list[dict[str, Any]] = []
    text, restarts, end = "", 0, None
    try:
        while take is None or len(tokens) < take:
            event = await anext(events, None) if hasattr(events, "__anext__") else next(events, None)
            if event is None:
                break
            if isinstance(event, Token):
                text += event.text
                tokens.append({"seq": event.seq, "text": event.text})
            elif isinstance(event, Restart):
                text, restarts = "", restarts + 1
            else:
                assert isinstance(event, End)
                end = plain(event.completion)
    except RouterError as error:
        end = {"error": details(error)}
    finally:
        await given_by(events.aclose() if hasattr(events, "aclose") else events.close())
    return {"tokens": tokens, "text": text, "restarts": restarts, "end": end}


async def play(stage: Stage, scenario: dict[str, Any]) -> None:
    for miner in scenario["miners"]:
        stage.add_miner(miner)
    for index, step in enumerate(scenario["steps"]):
        wrong = await stage.perform(step)
        assert wrong is None, f"step {index + 1} {step}\n    {wrong}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_holds_for_asyncio(scenario: dict[str, Any]) -> None:
    async def main() -> None:
        async with Router(scenario["config"]) as router:
            await play(Stage(router, in_loop), scenario)

    asyncio.run(main())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_holds_for_threads(scenario: dict[str, Any]) -> None:
    with SyncRouter(scenario["config"]) as router:
        asyncio.run(play(Stage(router, on_threads), scenario))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 40


def test_a_matcher_finds_what_is_wrong() -> None:
    assert mismatch({"a": [1, "$text"], "b": "$absent"}, {"a": [1.0, "x"], "c": 0}) is None
    assert mismatch({"a": {"$contains": "el"}}, {"a": "hello"}) is None
    for expected, actual in (
        ({"a": [1]}, {"a": [1, 2]}),
        ({"a": "$any"}, {}),
        ({"a": "$number"}, {"a": "1"}),
        ({"a": None}, {"a": 0}),
        ({"a": True}, {"a": 1}),
        ({"a": {"$contains": "x"}}, {"a": "hello"}),
    ):
        assert mismatch(expected, actual), (expected, actual)
