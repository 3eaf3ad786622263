"""A miner that blocks its thread, and notices when its work is no longer wanted. It needs no asyncio.

python examples/python/own_miner.py
"""

import time
from collections.abc import Iterator

from cortensor_router import SyncJob, SyncRouter


def count(job: SyncJob) -> Iterator[str]:
    """Stands for a model: counts from one, as far as it is asked to."""
    try:
        for number in range(1, int(job.request.get("max_tokens", 10)) + 1):
            yield f"{number} "
            time.sleep(0.01)
    except GeneratorExit:
        print("(nobody waits any more)")
        raise


with SyncRouter() as router:
    router.add_miner("counter", count, models=["count"], capacity=2)
    print(router.complete("go", model="count", max_tokens=5).text)

    for token in router.submit("go", model="count", max_tokens=1000):
        print(token, end="", flush=True)
        if token == "3 ":
            break  # cancels, and the miner sees it
    print()
