"""`multiprocessing` with new interpreters, from a process with an open router."""

import multiprocessing
import pickle

from cortensor_router import NotFoundError, SyncRouter


def work(prompt):
    with SyncRouter() as router:
        router.add_miner("shout", lambda job: job.prompt.upper())
        try:
            router.session(7)
        except NotFoundError as error:
            return router.complete(prompt).text, error
    raise AssertionError


if __name__ == "__main__":
    with SyncRouter() as router:
        router.add_miner("shout", lambda job: job.prompt.upper())
        assert router.complete("parent").text == "PARENT"
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            answers = pool.map(work, ["a", "b"])
            pool.close()
            pool.join()
        assert [text for text, _ in answers] == ["A", "B"]
        assert all(type(error) is NotFoundError and error.code == "session_not_found" for _, error in answers)
        try:
            pickle.dumps(router)
        except TypeError as error:
            assert "stays in its process" in str(error), error
        else:
            raise AssertionError("a router was pickled")
    print("done")
