"""The dataclasses have the fields of the one schema: the OpenAPI description, and the records themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from cortensor_router import (
    Choice,
    Completion,
    MinerInfo,
    MinerVerdict,
    ModelInfo,
    NodeInfo,
    NodeStatus,
    Record,
    Router,
    SessionRecord,
    SyncRouter,
    TaskRecord,
    Usage,
    Verdict,
    _native,
)
from cortensor_router._options import MinerOptions, SessionChanges, SessionOptions


def fields(of: type) -> set[str]:
    return {one.name for one in dataclasses.fields(of)}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The schemas of the OpenAPI description that the router serves."""
    with SyncRouter() as router:
        handler = router._handle.http_handler("").wait()
        response = handler.handle("GET", "/openapi.json", [], ("127.0.0.1", 1), b"").wait()
        assert response.status == 200
        body = b""
        while (piece := response.next_piece().wait()) is not None:
            body += piece
    found: dict[str, Any] = json.loads(body)["components"]["schemas"]
    return found


def properties(schemas: dict[str, Any], name: str) -> set[str]:
    """The properties of a schema, those of what it is made of among them."""
    schema = schemas[name]
    found = set(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found |= properties(schemas, part["$ref"].rsplit("/", 1)[1]) if "$ref" in part else set(part["properties"])
    return found


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        (SessionRecord, "Session"),
        (MinerInfo, "MinerInfo"),
        (NodeInfo, "NodeInfo"),
        (NodeStatus, "NodeStatus"),
        (Usage, "Usage"),
        (Verdict, "Verdict"),
        (MinerVerdict, "MinerVerdict"),
    ],
)
def test_a_record_has_the_fields_of_its_schema(schemas: dict[str, Any], record: type, schema: str) -> None:
    assert fields(record) == properties(schemas, schema)


@pytest.mark.parametrize(("options", "schema"), [(SessionChanges, "SessionPatch"), (SessionOptions, "SessionSpec")])
def test_options_have_the_fields_of_their_schema(schemas: dict[str, Any], options: Any, schema: str) -> None:
    assert set(options.__annotations__) == properties(schemas, schema) - (
        {"name"} if options is SessionOptions else set()
    )


def test_records_have_every_field_that_the_router_sends() -> None:
    with SyncRouter() as router:
        router.add_miner("one", lambda job: job.prompt, models=["tiny"], capacity=2)
        task = router.submit("x", model="tiny")
        task.result()
        native: _native.Router = router._handle
        whole = json.loads(task._native.result().wait())
        assert set(whole) <= fields(Completion)
        assert set(whole["choices"][0]) <= fields(Choice)
        record = json.loads(task._native.record().wait())
        assert fields(TaskRecord) - set(record) == {"queue_position"}
        assert set(record) <= fields(TaskRecord)
        assert set(json.loads(native.models())["models"][0]) == fields(ModelInfo)


def test_a_miner_may_say_all_that_the_router_takes() -> None:
    options: dict[str, Any] = {
        "models": ["tiny"],
        "capacity": 2,
        "weight": 3,
        "owner": "me",
        "dedicated": True,
        "embeddings": True,
        "max_context_tokens": 4096,
        "features": ["continue"],
        "agent": "test/1",
        "hardware": {"gpu": "none", "vram": 0, "cpu": "this"},
        "model_details": [{"id": "tiny", "quant": "Q4_1"}],
    }
    assert set(options) == set(MinerOptions.__annotations__)
    with SyncRouter() as router:
        router.add_miner("one", lambda _: "", **options)
        (told,) = router.miners()
        assert (told.owner, told.node_type, told.agent, told.hardware) == (
            "me",
            "dedicated",
            "test/1",
            {"gpu": "none", "vram": 0, "cpu": "this"},
        )


def test_unknown_fields_are_left_out_and_records_are_plain() -> None:
    usage = Usage._of({"total_tokens": 3, "of_a_later_version": 1})
    assert usage == Usage(total_tokens=3)
    assert usage.to_dict() == {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 3}
    assert isinstance(usage, Record)


def test_notebooks_get_tables_and_no_markup_of_others() -> None:
    async def main() -> None:
        async with Router() as router:
            router.add_miner("one", lambda _: "", models=["<b>"])
            shown = router._repr_html_()
            assert shown.startswith("<table>")
            assert "&lt;b&gt;" in shown
            assert "<b>" not in shown
            session = await router.create_session("<script>alert(1)</script>")
            assert "<script>" not in session._repr_html_()
            assert "<table>" in (await router.complete("x"))._repr_html_()
        assert "not open" in router._repr_html_()

    asyncio.run(main())
