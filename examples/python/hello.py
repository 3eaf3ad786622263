"""A router with one miner of its own: submit a prompt, print the answer.

python examples/python/hello.py
"""

import asyncio

from cortensor_router import Job, Router


async def main() -> None:
    async with Router() as router:

        @router.miner("shout", capacity=4)
        async def shout(job: Job) -> str:
            return job.prompt.upper()

        print((await router.complete("hello")).text)


asyncio.run(main())
