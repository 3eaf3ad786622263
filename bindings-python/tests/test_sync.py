"""`SyncRouter`: the same, blocking."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from cortensor_router import (
    ClosedError,
    InvalidArgumentError,
    MinerFailedError,
    NotFoundError,
    Router,
    RouterTimeoutError,
    Session,
    SyncJob,
    SyncRouter,
    SyncSession,
    SyncTask,
    Task,
    TaskCancelledError,
)
from support import SOON, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from cortensor_router import Job


def test_a_session_from_create_to_close() -> None:
    with SyncRouter() as router:

        @router.miner("words", models=["tiny"], capacity=2)
        def words(job: SyncJob) -> Iterator[str]:
            for word in job.prompt.split():
                yield word + " "

        session = router.create_session("chat", model="tiny")
        task = session.submit("one two")
        assert list(task) == ["one ", "two "]
        assert task.result(SOON).text == "one two "
        assert [event.seq for event in task.events() if hasattr(event, "seq")] == [1, 2]
        assert session.complete("three").text == "three "
        assert session.tasks().count == 2
        assert session.task(task.id).ended
        assert session.attach(task.id).record().ended
        assert session.update(name="talk").name == "talk"
        assert session.close().state == "closed"


def test_async_miners_run_on_a_loop_of_their_own() -> None:
    places: set[str] = set()
    with SyncRouter() as router:

        @router.miner("agen", models=["agen"], capacity=8)
        async def agen(job: Job) -> AsyncIterator[str]:
            places.add(threading.current_thread().name)
            await asyncio.sleep(0)
            yield job.prompt.upper()

        assert "".join(router.submit("x", model="agen")) == "X"
        router.add_miner("agen2", agen, models=["agen2"]).remove()
    assert places == {"cortensor-router-loop"}


def test_as_many_threads_as_run_at_a_time() -> None:
    barrier = threading.Barrier(3)

    def meet(_: SyncJob) -> str:
        barrier.wait(SOON)
        return threading.current_thread().name

    with SyncRouter() as router:
        router.add_miner("meet", meet, capacity=3)
        tasks = [router.submit("x") for _ in range(3)]
        assert len({task.result(SOON).text for task in tasks}) == 3


def test_a_generator_is_closed_when_nobody_wants_more() -> None:
    closed = threading.Event()

    def endless(_: SyncJob) -> Iterator[str]:
        try:
            while True:
                yield "x"
        except GeneratorExit:
            closed.set()
            raise

    with SyncRouter() as router:
        router.add_miner("endless", endless)
        task = router.submit("go")
        for _ in task:
            break
        assert closed.wait(SOON)
        with pytest.raises(TaskCancelledError):
            task.result(SOON)


def test_a_task_whose_tokens_were_restarted_goes_on() -> None:
    closed = threading.Event()
    with SyncRouter() as router:

        def one(job: SyncJob) -> None:
            job.emit("void")
            closed.wait(SOON)

        def two(job: SyncJob) -> None:
            job.emit("well")
            closed.wait(SOON)

        router.add_miner("one", one)
        task = router.submit("x", on_failure="restart")
        texts = iter(task)
        assert next(texts) == "void"
        router.add_miner("two", two)
        router.remove_miner("one")
        with pytest.raises(MinerFailedError) as failed:
            next(texts)
        assert failed.value.code == "stream_restarted"
        del texts
        closed.set()
        assert task.result(SOON).text == "well"


def test_a_time_out_lets_the_task_go_on() -> None:
    release = threading.Event()

    def hold(_: SyncJob) -> str:
        release.wait(SOON)
        return "done"

    with SyncRouter() as router:
        router.add_miner("hold", hold)
        task = router.submit("x")
        with pytest.raises(RouterTimeoutError) as late:
            task.result(0.05)
        assert late.value.code == "wait_timeout"
        assert isinstance(late.value, TimeoutError)
        release.set()
        assert task.result(SOON).text == "done"
        with pytest.raises(InvalidArgumentError, match="timeout"):
            task.result(-1)


def test_a_miner_may_use_the_router() -> None:
    with SyncRouter() as router:
        router.add_miner("inner", lambda job: job.prompt + "!", models=["inner"])
        router.add_miner("outer", lambda job: router.complete(job.prompt, model="inner").text + "?", models=["outer"])
        assert router.complete("x", model="outer").text == "x!?"


def test_a_miner_that_closes_the_router_does_not_hang() -> None:
    router = SyncRouter().open()
    done = threading.Event()

    def suicidal(_: SyncJob) -> str:
        router.close(timeout=SOON)
        done.set()
        return ""

    router.add_miner("suicidal", suicidal)
    task = router.submit("x")
    assert done.wait(SOON)
    with pytest.raises((ClosedError, TaskCancelledError)):
        task.result(SOON)


def test_a_miner_waits_until_it_is_cancelled() -> None:
    seen: list[bool] = []

    def hold(job: SyncJob) -> None:
        seen.append(job.wait_cancelled(0.01))
        seen.append(job.wait_cancelled())

    with SyncRouter() as router:
        router.add_miner("hold", hold)
        with router.submit("x") as task:
            assert task.record().state in ("queued", "assigned", "acked")
            eventually(lambda: bool(seen), "the miner has waited")
    assert seen == [False, True]


def test_both_routers_have_the_same_names() -> None:
    def names(of: type) -> set[str]:
        return {name for name in dir(of) if not name.startswith("_")}

    assert names(Router) - names(SyncRouter) == {"asgi"}
    assert names(SyncRouter) <= names(Router)
    assert names(Session) == names(SyncSession)
    assert names(Task) == names(SyncTask)


def test_a_miner_with_more_capacity_takes_more_at_once() -> None:
    release = threading.Event()
    with SyncRouter() as router:

        def block(job: SyncJob) -> str:
            if job.prompt == "first":
                release.wait(SOON)
            return job.prompt

        miner = router.add_miner("block", block)
        first = router.submit("first")
        eventually(lambda: router.status().running_tasks == 1, "the first task runs")
        second = router.submit("second")
        miner.set_capacity(2)
        assert second.result(SOON).text == "second"
        release.set()
        assert first.result(SOON).text == "first"


def test_a_miner_that_is_removed_by_its_name_leaves_no_thread() -> None:
    with SyncRouter() as router:
        for _ in range(3):
            router.add_miner("swapped", lambda job: job.prompt)
            assert router.complete("x").text == "x"
            router.remove_miner("swapped")
        eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("swapped")], "they end")


def test_a_router_that_was_closed_lets_its_directory_go(tmp_path: Path) -> None:
    config = {"storage": {"data_dir": str(tmp_path)}}
    for _ in range(2):
        router = SyncRouter(config)
        with router:
            router.add_miner("words", lambda job: job.prompt)
            for _ in range(200):
                router.submit("x", detach=True)


def test_keys_are_made_listed_and_revoked() -> None:
    with SyncRouter() as router:
        made = router.create_key("ci", scopes=["read"], limits={"requests_per_minute": 5})
        assert made.token.startswith(f"ctr_{made.id}_")
        assert made.limits == {"requests_per_minute": 5}
        (listed,) = router.keys()
        assert (listed.id, listed.name, listed.scopes) == (made.id, "ci", ["read"])
        router.delete_key(made.id)
        assert router.keys().count == 0
        with pytest.raises(NotFoundError):
            router.delete_key(made.id)
        with pytest.raises(InvalidArgumentError) as told:
            router.create_key("ci", scope="read")  # type: ignore[call-arg]
        assert told.value.param == "scope"
