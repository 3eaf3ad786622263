"""The exceptions are the table of `core/model/src/error.rs`."""

from __future__ import annotations

import builtins
import pickle

import pytest

import cortensor_router
from cortensor_router import RouterError, RouterTimeoutError, SyncRouter, _error, _native


def test_every_kind_has_its_class() -> None:
    table = {code: (base, retryable) for code, base, _, retryable in _native.kinds()}
    assert set(_error.KINDS) == set(table)
    for code, (base, retryable) in table.items():
        one = _error.KINDS[code]
        assert one.kind == code
        assert one.retryable is retryable
        assert issubclass(one, getattr(builtins, base)), code
        assert issubclass(one, RouterError)
        assert getattr(cortensor_router, one.__name__) is one


def test_an_error_says_all_that_is_known() -> None:
    with SyncRouter() as router, pytest.raises(LookupError) as missing:
        router.session(12)
    error = missing.value
    assert isinstance(error, RouterError)
    assert (error.kind, error.code, error.retryable) == ("not_found", "session_not_found", False)
    assert "12" in str(error)
    assert str(error) == error.message


@pytest.mark.parametrize("one", list(_error.KINDS.values()), ids=list(_error.KINDS))
def test_errors_survive_pickling(one: type[RouterError]) -> None:
    error = one("what", code="fine", param="p", retry_after_ms=5, session_id=1, task_id=2)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(copy) is one
    assert (copy.message, copy.code, copy.details) == (error.message, error.code, error.details)
    assert copy.details == {"param": "p", "retry_after_ms": 5, "session_id": 1, "task_id": 2}


def test_they_are_caught_as_the_built_in_ones() -> None:
    with pytest.raises(TimeoutError):
        raise RouterTimeoutError("late")
    assert RouterTimeoutError("late").retryable
