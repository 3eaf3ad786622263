"""`Router` under asyncio."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from cortensor_router import (
    ClosedError,
    InvalidArgumentError,
    Job,
    JobError,
    MinerFailedError,
    NotFoundError,
    Router,
    RouterTimeoutError,
    TaskCancelledError,
    UnavailableError,
)
from support import SOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from cortensor_router import SyncJob


def run(main: Coroutine[Any, Any, None]) -> None:
    """With a debug loop, which tells of what is never awaited or too slow."""
    asyncio.run(asyncio.wait_for(main, 60))


async def words(job: Job) -> AsyncIterator[str]:
    for word in job.prompt.split():
        yield word + " "


def test_all_forms_of_miners_answer() -> None:
    async def coroutine(job: Job) -> str:
        await asyncio.sleep(0)
        return f"coroutine {job.prompt}"

    def generator(job: SyncJob) -> Iterator[str]:
        yield "generator "
        yield job.prompt

    class Callable:
        async def __call__(self, job: Job) -> AsyncIterator[str]:
            yield f"callable {job.prompt}"

    async def main() -> None:
        async with Router() as router:
            forms: dict[str, Any] = {
                "words": words,
                "coroutine": coroutine,
                "generator": generator,
                "function": lambda job: f"function {job.prompt}",
                "callable": Callable(),
                "answer": lambda job: {"text": job.model, "finish_reason": "length", "usage": {"prompt_tokens": 7}},
            }
            for name, form in forms.items():
                router.add_miner(name, form, models=[name])
            got = {name: (await router.complete("x", model=name)).text for name in forms}
            assert got == {
                "words": "x ",
                "coroutine": "coroutine x",
                "generator": "generator x",
                "function": "function x",
                "callable": "callable x",
                "answer": "answer",
            }
            whole = await router.complete("x", model="answer")
            assert (whole.choices[0].finish_reason, whole.usage.prompt_tokens) == ("length", 7)

    run(main())


def test_the_decorator_gives_the_function_back() -> None:
    async def main() -> None:
        async with Router() as router:
            decorated = router.miner("one", models=["tiny"], capacity=3)(words)
            assert decorated is words
            (miner,) = router.miners()
            assert (miner.id, miner.models, miner.capacity) == ("one", ["tiny"], 3)

    run(main())


def test_a_job_says_what_it_is_about() -> None:
    told: list[Any] = []

    async def curious(job: Job) -> str:
        told.append(
            (job.session_id, job.task_id, job.model, job.stream, job.request["max_tokens"], job.deadline_ms > 0)
        )
        return ""

    async def main() -> None:
        async with Router() as router:
            router.add_miner("curious", curious, models=["tiny"])
            session = await router.create_session("chat", model="tiny")
            task = await session.submit("x", max_tokens=5, extra={"grammar_root": 3})
            await task.result()
            assert told == [(session.id, task.id, "tiny", True, 5, True)]

    run(main())


def test_breaking_out_cancels_and_the_miner_sees_it() -> None:
    async def main() -> None:
        seen = asyncio.Event()

        async def endless(job: Job) -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                seen.set()
                raise

        async with Router() as router:
            router.add_miner("endless", endless)
            task = await router.submit("go")
            count = 0
            async for _ in task:
                count += 1
                if count == 3:
                    break
            await asyncio.wait_for(seen.wait(), SOON)
            with pytest.raises(TaskCancelledError):
                await task.result()

    run(main())


def test_letting_go_of_a_task_cancels_it_unless_it_is_detached() -> None:
    async def main() -> None:
        cancelled: list[str] = []
        running: asyncio.Queue[str] = asyncio.Queue()

        async def hold(job: Job) -> str:
            running.put_nowait(job.prompt)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(job.prompt)
                raise
            return ""

        async with Router() as router:
            router.add_miner("hold", hold, capacity=2)
            kept = await router.submit("detached", detach=True)
            task_id = kept.id
            lost = await router.submit("lost")
            assert {await running.get(), await running.get()} == {"detached", "lost"}
            del kept, lost
            gc.collect()
            while cancelled != ["lost"]:
                await asyncio.sleep(0.005)
            assert (await router.task(0, task_id)).state == "acked"
        assert cancelled == ["lost", "detached"]

    run(main())


def test_whoever_is_cancelled_while_it_waits_cancels_its_completion() -> None:
    async def main() -> None:
        started, seen = asyncio.Event(), asyncio.Event()

        async def hold(_: Job) -> str:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.set()
                raise
            return ""

        async with Router() as router:
            router.add_miner("hold", hold)
            waiting = asyncio.ensure_future(router.complete("x"))
            await asyncio.wait_for(started.wait(), SOON)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.wait_for(seen.wait(), SOON)

    run(main())


def test_a_miner_that_raises_fails_the_task_with_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Job) -> AsyncIterator[str]:
        yield "a"
        raise KeyError("weights")

    async def refuses(_: Job) -> str:
        raise JobError("invalid", "no such template")

    def wrong(_: SyncJob) -> Any:
        return 7

    async def main() -> None:
        async with Router({"dispatch": {"max_attempts": 1}}) as router:
            for miner in (broken, refuses, wrong):
                router.add_miner(miner.__name__, miner, models=[miner.__name__])
            with pytest.raises(MinerFailedError, match="KeyError: 'weights'"):
                await router.complete("x", model="broken")
            with pytest.raises(InvalidArgumentError, match="no such template"):
                await router.complete("x", model="refuses")
            with pytest.raises(MinerFailedError, match="not int"):
                await router.complete("x", model="wrong")

    run(main())
    assert [record.name for record in caplog.records if record.exc_info] == ["cortensor_router.miner"] * 2


def test_a_miner_that_never_ends_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        release, started = asyncio.Event(), asyncio.Event()

        async def stubborn(_: Job) -> str:
            started.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return "late"

        router = await Router().open()
        router.add_miner("stubborn", stubborn)
        task = await router.submit("x")
        await started.wait()
        await router.close(timeout=0.2)
        with pytest.raises((TaskCancelledError, ClosedError)):
            await task.result()
        release.set()

    run(main())
    assert "stubborn" in caplog.text


def test_events_carry_numbers_and_the_end() -> None:
    async def main() -> None:
        async with Router() as router:
            router.add_miner("words", words)
            task = await router.submit("a b")
            events = [event async for event in task.events()]
            assert [(event.seq, event.text) for event in events[:-1]] == [(1, "a "), (2, "b ")]  # type: ignore[union-attr]
            assert events[-1].completion == await task.result()  # type: ignore[union-attr]
            assert [token async for token in task.tokens(after=1)] == ["b "]
            assert "".join([token async for token in task]) == "a b "

    run(main())


def test_sessions_tasks_and_pages() -> None:
    async def main() -> None:
        async with Router() as router:
            router.add_miner("words", words, models=["tiny"])
            session = await router.create_session("chat", model="tiny", weight=2)
            assert (session.name, session.record.weight) == ("chat", 2)
            assert (await session.update(name="talk")).name == "talk"
            for index in range(3):
                await session.complete(f"p{index}")
            page = await session.tasks(state="ended", limit=2, order="asc")
            assert (page.count, len(page), [one.prompt for one in page]) == (3, 2, ["p0", "p1"])
            assert [one.prompt for one in await session.tasks(limit=2)] == ["p1", "p2"]
            assert page[0].usage is not None
            assert (await session.task(page[0].id)).outcome == "ok"
            joined = await session.attach(page[1].id)
            assert (await joined.result()).text == "p1 "
            assert router.sessions(state="open").count == 1
            assert (await session.close()).state == "closed"
            assert session.refresh().total_tasks == 3
            with pytest.raises(NotFoundError):
                router.session(99)

    run(main())


def test_usage_is_told_by_the_key_that_the_program_names() -> None:
    async def main() -> None:
        prices = {"prices": {"model": [{"name": "tiny", "input": 1, "output": 1}]}}
        async with Router(prices) as router:
            router.add_miner("words", words, models=["tiny"])
            for key in ("shop", "shop", "cafe"):
                await router.complete("a b", model="tiny", key_id=key)
            assert (await router.task(0, 1)).key_id == "shop"
            assert [task.id for task in await router.tasks(key="shop")] == [1, 2]
            page = await router.usage(by="key")
            assert [(part.name, part.requests) for part in page] == [("cafe", 1), ("shop", 2)]
            assert page[1].cost is not None
            assert page[1].unpriced_tokens == 0
            assert (await router.usage(key="shop", limit=1))[0].total_tokens == page[1].total_tokens
            with pytest.raises(InvalidArgumentError) as wrong:
                await router.usage(by="year")
            assert wrong.value.param == "by"

    run(main())


def test_an_idempotency_key_joins() -> None:
    async def main() -> None:
        async with Router() as router:
            router.add_miner("words", words)
            first = await router.submit("x", idempotency_key="k")
            second = await router.submit("x", idempotency_key="k")
            assert (first.gid, first.joined, second.joined) == (second.gid, False, True)

    run(main())


def test_a_removed_miner_is_called_no_more() -> None:
    async def main() -> None:
        async with Router() as router:
            miner = router.add_miner("words", words, models=["tiny"])
            miner.set_capacity(2)
            await miner.remove()
            assert list(router.miners()) == []
            with pytest.raises(UnavailableError):
                await router.complete("x", model="tiny")
            router.add_miner("words", words)
            router.remove_miner("words")
            with pytest.raises(NotFoundError):
                router.remove_miner("words")

    run(main())


def test_removing_one_that_works_on_says_so() -> None:
    async def main() -> None:
        release, started = asyncio.Event(), asyncio.Event()

        async def stubborn(_: Job) -> str:
            started.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return ""

        async with Router() as router:
            miner = router.add_miner("stubborn", stubborn)
            task = await router.submit("x")
            await started.wait()
            with pytest.raises(RouterTimeoutError, match="stubborn"):
                await miner.remove(timeout=0.05)
            release.set()
            task.cancel()

    run(main())


def test_a_slow_reader_makes_the_miner_wait() -> None:
    async def main() -> None:
        given, reads = 0, asyncio.Event()

        async def fast(_: Job) -> AsyncIterator[str]:
            nonlocal given
            # A task that is not read has no waiting caller.
            await reads.wait()
            for _number in range(20_000):
                given += 1
                yield "x" * 100

        async with Router() as router:
            router.add_miner("fast", fast)
            task = await router.submit("go")
            stream = task.tokens()
            reads.set()
            await anext(stream)
            for _ in range(200):
                await asyncio.sleep(0)
            assert given < 20_000, "the miner ran on although nobody read"
            rest = [token async for token in stream]
            assert len(rest) == 19_999

    run(main())


def test_what_is_not_open_or_closed_says_so() -> None:
    async def main() -> None:
        router = Router()
        assert not router.is_open
        with pytest.raises(ClosedError, match="async with"):
            router.status()
        await router.open()
        assert router.is_open
        await router.close()
        await router.close()
        assert not router.is_open
        with pytest.raises(ClosedError):
            await router.submit("x")

    run(main())


def test_what_is_wrong_is_named() -> None:
    async def main() -> None:
        with pytest.raises(InvalidArgumentError) as wrong:
            await Router({"limits": {"max_sesions": 1}}).open()
        assert wrong.value.param == "limits.max_sesions"
        async with Router() as router:
            router.add_miner("words", words)
            for options, param in (
                ({"max_tokens": 0}, "max_tokens"),
                ({"timeout": -1}, "timeout"),
                ({"temperature": float("nan")}, "request"),
                ({"prompt": "half a pair \ud800"}, "request"),
            ):
                with pytest.raises(InvalidArgumentError) as wrong:
                    await router.submit(**{"prompt": "x", **options})  # type: ignore[arg-type]
                assert wrong.value.param == param
            with pytest.raises(TypeError):
                await router.submit("x", extra={"grammar": {1, 2}})
            with pytest.raises(InvalidArgumentError, match="timeout"):
                await router.drain(float("nan"))

    run(main())
