"""Ends in the middle of everything, without closing anything. The argument says how."""

import asyncio
import contextlib
import os
import sys
import threading
import time

from cortensor_router import Router, RouterError, SyncRouter

how = sys.argv[1]


async def endless(job):
    while True:
        yield "x"
        await asyncio.sleep(0)


def endless_on_threads(job):
    while True:
        yield "x"


def streaming(router, count=4):
    """Tasks whose tokens are read on threads of their own."""
    tasks = [router.submit("go") for _ in range(count)]
    read = threading.Semaphore(0)

    def follow(task):
        with contextlib.suppress(RouterError):
            for _ in task:
                read.release()

    for task in tasks:
        threading.Thread(target=follow, args=(task,), daemon=True).start()
    for _ in range(50):
        read.acquire()
    return tasks


if how == "async":

    async def main():
        router = await Router({"runtime": {"log_level": "trace"}}).open()
        router.add_miner("endless", endless, capacity=4)
        tasks = [await router.submit("go") for _ in range(4)]

        streaming = asyncio.Event()

        async def follow(task):
            count = 0
            async for _ in task:
                count += 1
                if count == 10:
                    streaming.set()

        for task in tasks:
            globals().setdefault("kept", []).append(asyncio.ensure_future(follow(task)))
        await streaming.wait()
        globals()["router"] = router

    asyncio.run(main())
elif how == "loop-dropped":

    async def main():
        router = await Router().open()
        router.add_miner("endless", endless, capacity=4)
        globals()["kept"] = [router, await router.submit("go"), task := await router.submit("go")]
        await anext(task.tokens())

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    # Neither closed nor run any more.
elif how == "threads":
    router = SyncRouter().open()
    router.add_miner("endless", endless_on_threads, capacity=4)
    tasks = streaming(router)
elif how == "sync-async":
    router = SyncRouter().open()
    router.add_miner("endless", endless, capacity=4)
    tasks = streaming(router)
elif how == "blocked":
    router = SyncRouter().open()
    works = threading.Event()
    router.add_miner("sleeps", lambda job: (works.set(), time.sleep(1000)))
    task = router.submit("x")
    listener = router.listen(port=0)
    waits = threading.Semaphore(0)

    def block(wait):
        waits.release()
        with contextlib.suppress(RouterError):
            wait()

    for wait in (task.result, listener.ended):
        threading.Thread(target=block, args=(wait,), daemon=True).start()
        waits.acquire()
    works.wait()
elif how == "spinning":
    router = SyncRouter().open()
    works = threading.Event()

    def spin(job):
        works.set()
        while True:
            pass

    router.add_miner("spin", spin)
    task = router.submit("x")
    works.wait()
elif how == "exit":
    router = SyncRouter().open()
    router.add_miner("endless", endless_on_threads, capacity=4)
    tasks = streaming(router)
    sys.exit(0)
elif how == "raise":
    router = SyncRouter().open()
    router.add_miner("endless", endless_on_threads, capacity=4)
    tasks = streaming(router)
    sys.stderr.close()
    raise SystemExit(0)
elif how == "os-exit":
    router = SyncRouter().open()
    router.add_miner("endless", endless_on_threads, capacity=4)
    tasks = streaming(router)
    os._exit(0)
else:
    raise ValueError(how)
