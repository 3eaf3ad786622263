"""Many tasks at once, and many tokens."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from cortensor_router import Router, SyncRouter
from support import resident_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cortensor_router import Job, SyncJob

TASKS = 10_000
TOKENS = 1_000_000
SECONDS = 280
"""The time that a test gets on a slow machine."""
PATIENT = {"limits": {"default_timeout_secs": SECONDS}, "dispatch": {"progress_timeout_ms": SECONDS * 1000}}


@pytest.mark.timeout(300)
def test_ten_thousand_tasks_at_once() -> None:
    async def main() -> None:
        async with Router(PATIENT) as router:
            everyone = asyncio.Event()
            running = 0

            async def meet(job: Job) -> str:
                nonlocal running
                running += 1
                if running == TASKS:
                    everyone.set()
                await everyone.wait()
                return job.prompt

            router.add_miner("meet", meet, capacity=TASKS)
            answers = await asyncio.gather(*(router.complete(str(index)) for index in range(TASKS)))
            assert [answer.text for answer in answers] == [str(index) for index in range(TASKS)]

    asyncio.run(main())


PIECE = "token "


@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_tokens_in_flat_memory_for_asyncio() -> None:
    async def flood(_: Job) -> AsyncIterator[str]:
        for _number in range(TOKENS):
            yield PIECE

    async def main() -> None:
        async with Router(PATIENT) as router:
            router.add_miner("flood", flood)
            task = await router.submit("go")
            count, grown, base = 0, 0, 0
            async for _ in task:
                count += 1
                if count % 50_000 == 0:
                    base = base or resident_bytes()
                    grown = max(grown, resident_bytes() - base)
            assert count == TOKENS
            # The text and its numbers are kept, for readers that come later; nothing else is.
            assert grown < 40 * TOKENS, grown

    asyncio.run(main())


@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_tokens_in_flat_memory_for_threads() -> None:
    def flood(_: SyncJob) -> Iterator[str]:
        for _number in range(TOKENS):
            yield PIECE

    with SyncRouter(PATIENT) as router:
        router.add_miner("flood", flood)
        count, grown, base = 0, 0, 0
        for _ in router.submit("go"):
            count += 1
            if count % 50_000 == 0:
                base = base or resident_bytes()
                grown = max(grown, resident_bytes() - base)
        assert count == TOKENS
        assert grown < 40 * TOKENS, grown
