"""Tokens as they come.

python examples/python/stream.py
"""

import asyncio
from collections.abc import AsyncIterator

from cortensor_router import Job, Router


async def words(job: Job) -> AsyncIterator[str]:
    for word in job.prompt.split():
        yield word + " "
        await asyncio.sleep(0.05)  # stands for a model that thinks


async def main() -> None:
    async with Router() as router:
        router.add_miner("words", words, models=["tiny"], capacity=4)
        session = await router.create_session("chat", model="tiny")
        task = await session.submit("every word comes on its own")
        async for token in task:  # breaking out cancels
            print(token, end="", flush=True)
        print()
        print((await task.result()).usage)


asyncio.run(main())
