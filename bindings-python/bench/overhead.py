"""Measures the cost of the Python package beside Rust and beside litellm.Router, all in one run.

`cargo xtask bench python` runs it; REFERENCE is the line that `cargo bench --bench embed` prints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortensor_router import Router, SyncRouter, _native

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from cortensor_router import Job, SyncJob

GATES = {
    "rust": {"call_c1_us": 15.0},
    "asyncio": {"call_c1_us": 150.0, "call_c32_us": 30.0, "token_us": 0.6},
}
"""The most microseconds that each figure may take."""

QUIET = {"runtime": {"log_level": "off"}}
TOKENS = 200_000


async def tiny(_: Job) -> str:
    return "x"


async def flood(_: Job) -> AsyncIterator[str]:
    for _number in range(TOKENS):
        yield "tok "


def sync_flood(_: SyncJob) -> Iterator[str]:
    for _number in range(TOKENS):
        yield "tok "


async def rounds(call: Callable[[], Awaitable[object]], concurrency: int, count: int) -> float:
    """The microseconds of a call, with `concurrency` calls at a time."""

    async def worker() -> None:
        for _ in range(count // concurrency):
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return (time.perf_counter() - start) * 1e6 / (count // concurrency * concurrency)


async def turns(count: int) -> float:
    """The microseconds of a turn of the event loop that has nothing to do."""
    start = time.perf_counter()
    for _ in range(count):
        await asyncio.sleep(0)
    return (time.perf_counter() - start) * 1e6 / count


async def ours(count: int) -> dict[str, float]:
    """Measures completions and tokens through `Router`, with a miner in Python in one event loop with the caller."""
    async with Router(QUIET) as router:
        router.add_miner("tiny", tiny, models=["tiny"], capacity=256)
        router.add_miner("flood", flood, models=["flood"])

        def call() -> Awaitable[object]:
            return router.complete("hello", model="tiny")

        await rounds(call, 8, count // 10)
        figures = {"turn_us": await turns(count)}
        figures |= {f"call_c{c}_us": await rounds(call, c, count) for c in (1, 32)}
        start = time.perf_counter()
        read = 0
        async for _ in await router.submit("go", model="flood"):
            read += 1
        assert read == TOKENS
        figures["token_us"] = (time.perf_counter() - start) * 1e6 / TOKENS
        return figures


def ours_blocking(count: int) -> dict[str, float]:
    """Measures them through `SyncRouter`, with a miner on a thread."""
    with SyncRouter(QUIET) as router:
        router.add_miner("tiny", lambda _: "x", models=["tiny"], capacity=4)
        router.add_miner("flood", sync_flood, models=["flood"])
        for _ in range(count // 10):
            router.complete("hello", model="tiny")
        start = time.perf_counter()
        for _ in range(count):
            router.complete("hello", model="tiny")
        call = (time.perf_counter() - start) * 1e6 / count
        start = time.perf_counter()
        assert sum(1 for _ in router.submit("go", model="flood")) == TOKENS
        return {"call_c1_us": call, "token_us": (time.perf_counter() - start) * 1e6 / TOKENS}


async def litellm_at_once(count: int) -> dict[str, float]:
    """Measures `litellm.Router` with a provider in the program that answers at once."""
    import litellm  # noqa: PLC0415 - seconds, and not always there

    class AtOnce(litellm.CustomLLM):
        async def acompletion(self, *_: Any, **__: Any) -> Any:
            message = litellm.Message(role="assistant", content="x")
            choices = [litellm.Choices(index=0, message=message, finish_reason="stop")]
            return litellm.ModelResponse(model="tiny", choices=choices)

    litellm.suppress_debug_info = True
    litellm.custom_provider_map = [{"provider": "at-once", "custom_handler": AtOnce()}]
    parameters = {"model": "at-once/tiny"}
    router = litellm.Router(model_list=[{"model_name": "tiny", "litellm_params": parameters}])
    messages: Any = [{"role": "user", "content": "hello"}]

    def call() -> Awaitable[object]:
        return router.acompletion(model="tiny", messages=messages)

    await rounds(call, 8, max(count // 100, 16))
    return {f"call_c{c}_us": await rounds(call, c, max(count // 20, 64)) for c in (1, 32)}


def holds(count: int) -> dict[str, dict[str, float]]:
    """Measures how long each native call that does not wait holds the GIL, in microseconds from call to return."""
    taken: dict[str, list[int]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter_ns()
        result = call()
        taken.setdefault(name, []).append(time.perf_counter_ns() - start)
        return result

    bridge = _native.Bridge()
    mailbox = _native.Mailbox(bridge, 1)
    router = _native.Router.open(json.dumps(QUIET), None).wait()
    router.add_loop_miner('{"name":"one","capacity":64}', mailbox, 1)

    def until(token: int) -> Any:
        while True:
            for found, value in timed("mailbox.take", mailbox.take):
                if found == token:
                    return value
            time.sleep(0.0001)

    for number in range(count):
        token = number + 2
        call = timed("router.complete", lambda: router.complete(0, '{"prompt":"hello"}'))
        timed("call.then", lambda call=call, token=token: call.then(mailbox, token))
        job = until(1)
        for _ in range(4):
            timed("job.emit", lambda job=job: job.emit("tok "))
        timed("job.finish", lambda job=job: job.finish(""))
        until(token)
    stream_task = router.submit(0, '{"prompt":"x"}').wait()
    job = until(1)
    stream = stream_task.stream(0)
    for _ in range(count):
        for _ in range(32):
            job.emit("tok ")
        timed("stream.take_ready of 32", lambda: stream.take_ready(texts=True))
    job.finish("")
    router.shutdown()
    return {
        name: {
            "p50": statistics.median(values) / 1e3,
            "p99": statistics.quantiles(values, n=100)[98] / 1e3,
            "max": max(values) / 1e3,
        }
        for name, values in taken.items()
    }


def show_gates(results: dict[str, Any]) -> None:
    """Prints whether each gate is met."""
    for row, gates in GATES.items():
        for name, most in gates.items():
            if (measured := results.get(row, {}).get(name)) is not None:
                print(f"gate: {row} {name} {measured:.2f} <= {most}: {'met' if measured <= most else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", default="{}", help="the figures of Rust, as JSON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    count = 2_000 if arguments.quick else 20_000
    load = os.getloadavg()[0]
    results: dict[str, Any] = {"rust": json.loads(arguments.reference), "asyncio": asyncio.run(ours(count))}
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        print("uvloop is not installed: left out")
    else:
        results["uvloop"] = uvloop.run(ours(count))
    results["blocking"] = ours_blocking(count)
    try:
        results["litellm.Router"] = asyncio.run(litellm_at_once(count))
    except ImportError:
        print("litellm is not installed: left out")
    results["gil_hold_us"] = holds(count // 10)
    results["python"], results["load"] = platform.python_version(), load

    names = ("turn_us", "call_c1_us", "call_c32_us", "token_us")
    print(f"\nPython {results['python']}, microseconds each; load before the run {load:.1f}")
    print(f"{'':16}" + "".join(f"{name:>14}" for name in names))
    for row in ("rust", "asyncio", "uvloop", "blocking", "litellm.Router"):
        if row in results:
            cells = (results[row].get(name) for name in names)
            print(f"{row:16}" + "".join(f"{'-' if cell is None else format(cell, '.2f'):>14}" for cell in cells))
    rust = results["rust"]
    for row in ("asyncio", "uvloop"):
        if rust and row in results:
            over = ", ".join(f"{name} +{results[row][name] - rust[name]:.2f}" for name in names if name in rust)
            print(f"{row} over Rust: {over}")
    show_gates(results)
    if "litellm.Router" in results:
        for concurrency in (1, 32):
            name = f"call_c{concurrency}_us"
            mine, theirs = results["asyncio"][name], results["litellm.Router"][name]
            print(
                f"in-process completions a second, c={concurrency}: {1e6 / mine:.0f}, litellm.Router {1e6 / theirs:.0f}"
            )
    print("\nGIL held by a native call, microseconds")
    for name, held in results["gil_hold_us"].items():
        print(f"{name:26}" + "".join(f"{what} {held[what]:8.1f}  " for what in ("p50", "p99", "max")))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


main()
