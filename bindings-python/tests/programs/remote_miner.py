"""A miner that works for a distant router until it is told to stop."""

import sys

from cortensor_router import run_miner


def words(job):
    yield from job.prompt.split()


done = run_miner(
    words, sys.argv[1], name="distant", token="default-dev-token", models=["far"], capacity=4, reconnect_base_ms=10
)
print(f"committed {done.committed}")
