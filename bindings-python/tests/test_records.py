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
    FleetStatus,
    Hardware,
    MinerInfo,
    MinerVerdict,
    ModelDetails,
    ModelInfo,
    NodeInfo,
    NodeStats,
    NodeStatus,
    Record,
    Router,
    SessionQuota,
    SessionRecord,
    SyncRouter,
    TaskRecord,
    TaskResults,
    Usage,
    Verdict,
    WebhookRecord,
    _native,
)
from cortensor_router._options import MinerOptions, RequestOptions, SessionChanges, SessionOptions


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


def properties(schemas: dict[str, Any], name: str) -> dict[str, Any]:
    """The properties of a schema, those of what it is made of among them."""
    schema = schemas[name]
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        found |= properties(schemas, part["$ref"].rsplit("/", 1)[1]) if "$ref" in part else part["properties"]
    return found


RECORDS: list[tuple[type, str, set[str]]] = [
    (SessionRecord, "Session", set()),
    (TaskRecord, "Task", set()),
    (MinerInfo, "MinerInfo", set()),
    (NodeInfo, "NodeInfo", set()),
    (NodeStatus, "NodeStatus", set()),
    # `text` is a property; `restart` is for those who read server-sent events.
    (Completion, "Completion", {"text", "restart"}),
    (Choice, "CompletionChoice", set()),
    (Usage, "Usage", set()),
    (Verdict, "Verdict", set()),
    (MinerVerdict, "MinerVerdict", set()),
    (WebhookRecord, "WebhookRecord", set()),
]


@pytest.mark.parametrize(("record", "schema", "absent"), RECORDS)
def test_a_record_has_the_fields_of_its_schema(
    schemas: dict[str, Any], record: type, schema: str, absent: set[str]
) -> None:
    assert fields(record) == set(properties(schemas, schema)) - absent


# Records in records that are dictionaries, whose members the types know.
PLAIN: list[Any] = [FleetStatus, Hardware, ModelDetails, NodeStats, SessionQuota, TaskResults]


@pytest.mark.parametrize("record", PLAIN, ids=lambda record: record.__name__)
def test_a_dictionary_has_the_members_of_its_schema(schemas: dict[str, Any], record: Any) -> None:
    assert set(record.__annotations__) == set(properties(schemas, record.__name__))


PYTHON = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "null": "None",
}


def types(schemas: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """The Python types of the values that a schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        known = [(one.__name__, of) for one, of, _ in RECORDS] + [(one.__name__, one.__name__) for one in PLAIN]
        record = next((one for one, of in known if of == name), None)
        return {record} if record else types(schemas, schemas[name])
    if several := schema.get("oneOf") or schema.get("anyOf"):
        return {one for part in several for one in types(schemas, part)}
    told = schema.get("type", "null")
    return {PYTHON[one] for one in ([told] if isinstance(told, str) else told)}


@pytest.mark.parametrize(("record", "schema"), [(record, schema) for record, schema, _ in RECORDS])
def test_its_fields_have_the_types_of_the_schema(schemas: dict[str, Any], record: type, schema: str) -> None:
    told = properties(schemas, schema)
    # A session that says nothing of them still has them, and an answer always has its usage.
    filled_in = {"validation_policy", "match", "usage"}
    for one in dataclasses.fields(record):
        found = {part.split("[")[0] for part in str(one.type).split(" | ")}
        wanted = types(schemas, told[one.name])
        if one.name in filled_in and record is not TaskRecord:
            wanted -= {"None"}
        assert found == wanted, f"{record.__name__}.{one.name}"


def test_a_request_has_the_options_of_its_schema(schemas: dict[str, Any]) -> None:
    # The first three are arguments; `submit` is what `async` asks for; a key makes it idempotent; there is one answer.
    elsewhere = {"prompt", "session_id", "extra", "async", "idempotent", "n"}
    wanted = set(properties(schemas, "PromptRequest")) | set(properties(schemas, "ChatRequest"))
    of_openai = {"logprobs", "stream_options", "user"}
    own = {"input", "dimensions", "idempotency_key", "key_id", "detach", "precommit_timeout", "extra"}
    # They pass to the miner, and the schema names few of those.
    sampling = {"presence_penalty", "frequency_penalty", "repetition_penalty", "min_p", "logit_bias", "top_logprobs"}
    passing = sampling | {"parallel_tool_calls", "reasoning_effort"}
    assert set(RequestOptions.__annotations__) - own - passing <= wanted
    assert wanted - elsewhere - of_openai <= set(RequestOptions.__annotations__)


@pytest.mark.parametrize(("options", "schema"), [(SessionChanges, "SessionPatch"), (SessionOptions, "SessionSpec")])
def test_options_have_the_fields_of_their_schema(schemas: dict[str, Any], options: Any, schema: str) -> None:
    assert set(options.__annotations__) == set(properties(schemas, schema)) - (
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
        assert fields(TaskRecord) - set(record) == {"queue_position", "webhook"}
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
    assert usage.to_dict() == {
        "completion_tokens": 0,
        "prompt_tokens": 0,
        "total_tokens": 3,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
    }
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
