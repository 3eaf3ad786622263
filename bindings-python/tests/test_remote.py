"""Miners of this program that work for a distant router."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from cortensor_router import (
    InvalidArgumentError,
    Job,
    MinerClient,
    SyncJob,
    SyncMinerClient,
    SyncRouter,
)
from support import SOON, command, environment, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TOKEN = "default-dev-token"  # noqa: S105 - the product's own, for loopback only


@pytest.fixture
def router() -> Iterator[SyncRouter]:
    with SyncRouter() as one:
        yield one


@pytest.fixture
def url(router: SyncRouter) -> str:
    return router.listen(port=0).url.replace("http", "ws", 1)


async def words(job: Job) -> AsyncIterator[str]:
    for word in job.prompt.split():
        yield word + " "


def test_a_miner_dials_out_from_an_event_loop(router: SyncRouter, url: str) -> None:
    async def main() -> None:
        async with MinerClient(words, url, name="far", token=TOKEN, models=["far"], capacity=2) as client:
            while not client.stats().connected:
                await asyncio.sleep(0.005)
            whole = await asyncio.to_thread(router.complete, "a b", model="far")
            assert whole.text == "a b "
            (miner,) = router.miners()
            assert (miner.id, miner.kind, miner.capacity) == ("far", "remote", 2)
            client.set_capacity(1)
            assert await client.drain(SOON)
            assert client.stats().committed == 1

    asyncio.run(asyncio.wait_for(main(), 60))
    eventually(lambda: not list(router.miners()), "the miner is gone")


@pytest.mark.parametrize("form", ["generator", "async generator"])
def test_a_miner_dials_out_from_threads(router: SyncRouter, url: str, form: str) -> None:
    def count(job: SyncJob) -> Iterator[str]:
        yield from (f"{word} " for word in job.prompt.split())

    function = count if form == "generator" else words
    with SyncMinerClient(function, [url], name="far", token=TOKEN, capacity=4) as client:
        eventually(lambda: client.stats().connected, "it connects")
        assert [router.complete(f"{n} x").text for n in range(5)] == [f"{n} x " for n in range(5)]


def test_a_distant_miner_sees_that_nobody_waits(router: SyncRouter, url: str) -> None:
    seen: list[bool] = []

    def hold(job: SyncJob) -> Iterator[str]:
        yield "x"
        seen.append(job.wait_cancelled(SOON))

    with SyncMinerClient(hold, url, name="far", token=TOKEN) as client:
        eventually(lambda: client.stats().connected, "it connects")
        for _ in router.submit("go"):
            break
        eventually(lambda: bool(seen), "it is told")
    assert seen == [True]


def test_what_is_wrong_with_a_client_is_named() -> None:
    for settings, param in (({"name": ""}, "name"), ({"name": "a", "tokn": "x"}, "tokn"), ({"name": "a"}, "token")):
        with pytest.raises(InvalidArgumentError) as wrong:
            SyncMinerClient(words, "ws://127.0.0.1:1", **settings)  # type: ignore[arg-type]
        assert param in (wrong.value.param or str(wrong.value))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_mines_ends_when_it_is_told(router: SyncRouter, url: str, how: signal.Signals) -> None:
    with subprocess.Popen(
        command("remote_miner", url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        eventually(lambda: bool(list(router.miners())), "it connects")
        assert router.complete("a b", model="far").text == "ab"
        process.send_signal(how)
        try:
            out, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, out, said) == (0, "committed 1\n", "")
