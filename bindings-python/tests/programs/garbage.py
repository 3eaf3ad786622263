"""Objects let go in every order."""

import gc
import itertools
import threading

from cortensor_router import SyncRouter


def words(job):
    yield from job.prompt.split()


for order in itertools.permutations(("router", "session", "task", "stream", "miner", "listener"), 6):
    router = SyncRouter().open()
    miner = router.add_miner("words", words, capacity=2)
    session = router.create_session("chat")
    task = session.submit("a b c")
    stream = iter(task)
    next(stream)
    things = {"router": router, "session": session, "task": task, "stream": stream, "miner": miner}
    if order[0] == "listener":
        things["listener"] = router.listen(port=0)
    # A cycle, so that the collector finds them all at once in some orders.
    if order[1] == "listener":
        things["self"] = things
    del router, miner, session, task, stream
    for name in order:
        things.pop(name, None)
    del things
    if order[2] == "listener":
        gc.collect()
gc.collect()
kept = [SyncRouter().open() for _ in range(3)]
threads = threading.enumerate()
print("done")
