"""Forks in the middle: the child is told, and may open a router of its own; the parent goes on unharmed."""

import os
import sys
import threading
import warnings

from cortensor_router import ClosedError, SyncRouter

warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork with threads, which is the point here


def words(job):
    yield from job.prompt.split()


router = SyncRouter().open()
router.add_miner("words", words, capacity=4)
stop = threading.Event()


def load():
    while not stop.is_set():
        assert router.complete("a b c").text == "abc"


workers = [threading.Thread(target=load) for _ in range(3)]
for worker in workers:
    worker.start()
task = router.submit("x y")
stream = iter(router.submit("p q"))
session = router.create_session("chat")

for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        try:
            for call in (
                router.status,
                lambda: router.complete("x"),
                lambda: router.submit("x"),
                lambda: session.submit("x"),
                lambda: task.result(),
                lambda: list(task),
                lambda: next(stream),
                lambda: router.add_miner("late", words),
                lambda: router.close(),
            ):
                try:
                    call()
                except ClosedError as error:
                    assert error.code == "forked", error.code
                else:
                    raise AssertionError("the child was not told")
            with SyncRouter() as own:
                own.add_miner("words", words)
                assert "".join(own.submit("p q")) == "pq"
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        sys.exit(0)  # with all hooks: they leave the parent's things alone
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert router.complete("still here").text == "stillhere"
stop.set()
for worker in workers:
    worker.join()
router.close()
print("parent done")
