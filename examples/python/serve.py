"""A program that embeds a router and serves its REST API and OpenAI's until Ctrl-C.

python examples/python/serve.py, then call it as it says.
"""

import os
from collections.abc import Iterator

from cortensor_router import SyncJob, SyncRouter


def echo(job: SyncJob) -> Iterator[str]:
    for word in job.prompt.split():
        yield word + " "


with SyncRouter() as router:
    router.add_miner("echo", echo, models=["echo"], capacity=8)
    listener = router.listen(port=int(os.environ.get("PORT", "0")))
    print(f"curl -H 'Authorization: Bearer default-dev-token' {listener.url}/api/v1/status", flush=True)
    try:
        listener.ended()
    except KeyboardInterrupt:
        print("stopping")
