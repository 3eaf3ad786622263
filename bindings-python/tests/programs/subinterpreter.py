"""A sub-interpreter is refused, and the main one goes on."""

import sys

import cortensor_router

code = """
try:
    import cortensor_router
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    raise AssertionError("a sub-interpreter was let in")
"""
try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

one = interpreters.create()
path = f"import sys; sys.path[:] = {sys.path!r}\n"
failed = interpreters.run_string(one, path + code)
assert failed is None, failed
interpreters.destroy(one)
with cortensor_router.SyncRouter() as router:
    router.add_miner("shout", lambda job: job.prompt.upper())
    assert router.complete("x").text == "X"
print("done")
