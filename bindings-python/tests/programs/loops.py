"""Event loops that come and go around one router."""

import asyncio
import gc
import sys
import threading

from cortensor_router import MinerFailedError, Router, RouterError

how = sys.argv[1]
if how == "uvloop":
    import uvloop

    new_loop = uvloop.new_event_loop
else:
    new_loop = asyncio.new_event_loop


def run(work):
    loop = new_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def words(job):
    for word in job.prompt.split():
        yield word
        await asyncio.sleep(0)


async def use(router, count):
    for index in range(count):
        task = await router.submit(f"a b {index}")
        assert "".join([token async for token in task]) == f"ab{index}"
        assert (await router.complete("x y")).text == "xy"


if how in ("asyncio", "uvloop"):

    async def main():
        async with Router() as router:
            router.add_miner("words", words, capacity=8)
            await asyncio.gather(*(use(router, 20) for _ in range(8)))

    for _ in range(3):
        run(main())
elif how == "two":
    # Two loops in two threads share a router; the miner lives in a third.
    opened, done = threading.Event(), threading.Event()
    shared = []

    async def serve():
        async with Router() as router:
            router.add_miner("words", words, capacity=8)
            shared.append(router)
            opened.set()
            while not done.is_set():
                await asyncio.sleep(0.005)

    server = threading.Thread(target=lambda: run(serve()))
    server.start()
    opened.wait()
    failures = []

    def user():
        try:
            run(use(shared[0], 40))
        except BaseException as error:
            failures.append(error)

    users = [threading.Thread(target=user) for _ in range(2)]
    for one in users:
        one.start()
    for one in users:
        one.join()
    done.set()
    server.join()
    assert not failures, failures
elif how == "closed-early":
    # The miner's loop is closed while it has work; the router goes on with another miner.
    router = Router({"dispatch": {"max_attempts": 3}})

    async def first():
        await router.open()

        async def never(job):
            await asyncio.Event().wait()

        router.add_miner("never", never, capacity=4)
        return [await router.submit("x y", detach=True) for _ in range(2)]

    loop = new_loop()
    tasks = loop.run_until_complete(first())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del loop
    gc.collect()

    async def second():
        router.add_miner("words", words, capacity=4)
        try:
            # It may still be offered to the loop that is gone, which gives it back.
            assert (await asyncio.wait_for(router.complete("a b"), 20)).text == "ab"
        finally:
            await router.close()
        for task in tasks:
            try:
                await asyncio.wait_for(task.result(), 20)
            except (MinerFailedError, RouterError):
                pass

    run(second())
else:
    raise ValueError(how)
print("done")
