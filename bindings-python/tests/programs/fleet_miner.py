"""A router of a fleet whose callback serves prompts of the others, until its input ends."""

import sys

from cortensor_router import SyncRouter

with SyncRouter({"name": "serves", "storage": {"url": sys.argv[1], "lease_ms": 2000}}) as router:
    router.add_miner("shout", lambda job: job.prompt.upper())
    print("ready", flush=True)
    sys.stdin.read()
print("closed", flush=True)
