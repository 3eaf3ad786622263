"""Waits in some way for something that does not come, says that it does, and tells whether Ctrl-C came through."""

import asyncio
import sys
import threading

from cortensor_router import Router, SyncRouter

how = sys.argv[1]
hold = threading.Event()


def ready():
    print("ready", flush=True)


def block(wait):
    try:
        ready()
        wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)


if how == "async":

    async def main():
        async def never(job):
            await asyncio.Event().wait()

        async with Router() as router:
            router.add_miner("never", never)
            task = await router.submit("x")
            ready()
            async for _ in task:
                pass

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
else:
    with SyncRouter() as router:
        router.add_miner("never", lambda job: job.wait_cancelled() and "", capacity=4)
        if how == "result":
            block(lambda: router.submit("x").result())
        elif how == "complete":
            block(lambda: router.complete("x"))
        elif how == "stream":
            block(lambda: list(router.submit("x")))
        elif how == "listener":
            block(lambda: router.listen(port=0).ended())
        elif how == "drain":
            task = router.submit("x")
            block(lambda: router.drain(1000))
        else:
            raise ValueError(how)
print("closed", flush=True)
