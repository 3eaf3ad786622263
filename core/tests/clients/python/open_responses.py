"""The shapes of the Open Responses API: which members an answer and an event must have, and of which types.

The source is `public/openapi/openapi.json` of the repository openresponses/openresponses, version 2026-04-24. The table
is written anew: names, types and enumerations alone.

OpenAI's own SDK wins where it differs. `OPENAI` lists the exceptions:

- the tools `custom`, `namespace` and `tool_search`, and the items that call them;
- the deltas of reasoning are `response.reasoning_text.*`, there `response.reasoning.*`;
- the event `error` has its members at its top, there in a member `error`;
- `instructions` may be a list of items, and the effort of reasoning may be `minimal`;
- `text.format.schema` is an object, there `null`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ANY: Schema = {}


def word(*words: str) -> Schema:
    return {"enum": list(words)}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def record(may: dict[str, Schema] | None = None, /, **must: Schema) -> Schema:
    return {"type": "object", "required": list(must), "properties": must | (may or {})}


def by_type(table: dict[str, Schema], *, unknown: bool = False) -> Schema:
    """An object whose `type` decides the rest of it."""
    rules = [
        {"if": {"properties": {"type": {"const": name}}}, "then": record(type=word(name)) | {"allOf": [schema]}}
        for name, schema in table.items()
    ]
    kinds = TEXT if unknown else word(*table)
    return record(type=kinds) | {"allOf": rules}


STATUS = word("in_progress", "completed", "incomplete")
TOP_LOGPROB = record(token=TEXT, logprob=NUMBER, bytes=many(WHOLE))
LOGPROB = record(token=TEXT, logprob=NUMBER, bytes=many(WHOLE), top_logprobs=many(TOP_LOGPROB))
CITATION = record(type=word("url_citation"), url=TEXT, start_index=WHOLE, end_index=WHOLE, title=TEXT)
PART = by_type(
    {
        "input_text": record(text=TEXT),
        "output_text": record({"logprobs": many(LOGPROB)}, text=TEXT, annotations=many(CITATION)),
        "text": record(text=TEXT),
        "summary_text": record(text=TEXT),
        "reasoning_text": record(text=TEXT),
        "refusal": record(refusal=TEXT),
        "input_image": record(image_url=maybe(TEXT), detail=word("low", "high", "auto")),
        "input_file": record({"filename": TEXT, "file_url": TEXT}),
    }
)

ITEMS: dict[str, Schema] = {
    "message": record(
        {"phase": word("commentary", "final_answer")},
        id=TEXT,
        status=STATUS,
        role=word("user", "assistant", "system", "developer"),
        content=many(PART),
    ),
    "function_call": record(id=TEXT, call_id=TEXT, name=TEXT, arguments=TEXT, status=STATUS),
    "function_call_output": record(id=TEXT, call_id=TEXT, output=ANY, status=STATUS),
    "reasoning": record({"content": many(PART), "encrypted_content": TEXT}, id=TEXT, summary=many(PART)),
    "compaction": record(id=TEXT, encrypted_content=TEXT),
}
TOOLS: dict[str, Schema] = {
    "function": record(name=TEXT, description=maybe(TEXT), parameters=maybe(OBJECT), strict=maybe(FLAG)),
}
CHOICES = word("none", "auto", "required")
FORMATS: dict[str, Schema] = {
    "text": OBJECT,
    "json_object": OBJECT,
    "json_schema": record(name=TEXT, description=maybe(TEXT), schema=OBJECT, strict=FLAG),
}

OPENAI: dict[str, dict[str, Schema]] = {
    "items": {
        "custom_tool_call": record(id=TEXT, call_id=TEXT, name=TEXT, input=TEXT, status=STATUS),
        "tool_search_call": record(id=TEXT, call_id=TEXT, execution=word("client"), arguments=OBJECT, status=STATUS),
    },
    "tools": {
        "custom": record({"description": TEXT, "format": OBJECT}, name=TEXT),
        "namespace": record(name=TEXT, tools=many(OBJECT)),
        "tool_search": record(execution=word("client")),
    },
}

ITEM = by_type(ITEMS | OPENAI["items"])
USAGE = record(
    input_tokens=WHOLE,
    output_tokens=WHOLE,
    total_tokens=WHOLE,
    input_tokens_details=record(cached_tokens=WHOLE),
    output_tokens_details=record(reasoning_tokens=WHOLE),
)
RESPONSE = record(
    id=TEXT,
    object=word("response"),
    created_at=WHOLE,
    completed_at=maybe(WHOLE),
    status=word("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"),
    incomplete_details=maybe(record(reason=TEXT)),
    model=TEXT,
    previous_response_id=maybe(TEXT),
    instructions={"anyOf": [TEXT, {"type": "null"}, many(OBJECT)]},
    output=many(ITEM),
    error=maybe(record(code=TEXT, message=TEXT)),
    tools=many(by_type(TOOLS | OPENAI["tools"])),
    tool_choice={
        "anyOf": [
            CHOICES,
            record({"name": TEXT}, type=word("function", "custom")),
            record(type=word("allowed_tools"), tools=many(OBJECT), mode=CHOICES),
        ]
    },
    truncation=word("auto", "disabled"),
    parallel_tool_calls=FLAG,
    text=record({"verbosity": word("low", "medium", "high")}, format=by_type(FORMATS)),
    top_p=NUMBER,
    presence_penalty=NUMBER,
    frequency_penalty=NUMBER,
    top_logprobs=WHOLE,
    temperature=NUMBER,
    reasoning=maybe(
        record(
            effort=maybe(word("none", "minimal", "low", "medium", "high", "xhigh")),
            summary=maybe(word("concise", "detailed", "auto")),
        )
    ),
    usage=maybe(USAGE),
    max_output_tokens=maybe(WHOLE),
    max_tool_calls=maybe(WHOLE),
    store=FLAG,
    background=FLAG,
    service_tier=TEXT,
    metadata=ANY,
    safety_identifier=maybe(TEXT),
    prompt_cache_key=maybe(TEXT),
)

_SNAPSHOT = record(response=RESPONSE)
_ITEM = record(output_index=WHOLE, item=ITEM)
_AT = {"item_id": TEXT, "output_index": WHOLE}
_IN_CONTENT = {**_AT, "content_index": WHOLE}
_IN_SUMMARY = {**_AT, "summary_index": WHOLE}
_SPOKEN = {"logprobs": many(LOGPROB)}
EVENTS: dict[str, Schema] = {
    **dict.fromkeys(
        [f"response.{name}" for name in ("created", "queued", "in_progress", "completed", "failed", "incomplete")],
        _SNAPSHOT,
    ),
    "response.output_item.added": _ITEM,
    "response.output_item.done": _ITEM,
    "response.content_part.added": record(**_IN_CONTENT, part=PART),
    "response.content_part.done": record(**_IN_CONTENT, part=PART),
    "response.output_text.delta": record(_SPOKEN, **_IN_CONTENT, delta=TEXT),
    "response.output_text.done": record(_SPOKEN, **_IN_CONTENT, text=TEXT),
    "response.refusal.delta": record(**_IN_CONTENT, delta=TEXT),
    "response.refusal.done": record(**_IN_CONTENT, refusal=TEXT),
    "response.reasoning_summary_part.added": record(**_IN_SUMMARY, part=PART),
    "response.reasoning_summary_part.done": record(**_IN_SUMMARY, part=PART),
    "response.reasoning_summary_text.delta": record(**_IN_SUMMARY, delta=TEXT),
    "response.reasoning_summary_text.done": record(**_IN_SUMMARY, text=TEXT),
    "response.function_call_arguments.delta": record(**_AT, delta=TEXT),
    "response.function_call_arguments.done": record(**_AT, arguments=TEXT),
}
OPENAI["events"] = {
    "response.reasoning_text.delta": record(**_IN_CONTENT, delta=TEXT),
    "response.reasoning_text.done": record(**_IN_CONTENT, text=TEXT),
    "response.custom_tool_call_input.delta": record(**_AT, delta=TEXT),
    "response.custom_tool_call_input.done": record(**_AT, input=TEXT),
    "error": record(code=maybe(TEXT), message=TEXT, param=maybe(TEXT)),
}
EVENT = record(sequence_number=WHOLE) | {"allOf": [by_type(EVENTS | OPENAI["events"])]}

_RESPONSE = Draft202012Validator(RESPONSE)
_EVENT = Draft202012Validator(EVENT)


def faults(validator: Draft202012Validator, value: object) -> Iterator[str]:
    for error in validator.iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]}"


def faults_of_response(value: object) -> list[str]:
    """The faults of a response."""
    return list(faults(_RESPONSE, value))


def faults_of_stream(text: str) -> list[str]:
    """The faults of the events of a stream, which may break off after any event."""
    found: list[str] = []
    numbers: list[int] = []
    for event in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        if lines.get("data") in (None, "[DONE]"):
            continue
        value = json.loads(lines["data"])
        found += [f"{lines.get('event')}: {fault}" for fault in faults(_EVENT, value)]
        if lines.get("event") != value.get("type"):
            found.append(f"the event {lines.get('event')} has the type {value.get('type')}")
        numbers.append(value.get("sequence_number", -1))
    if numbers != list(range(numbers[0] if numbers else 0, (numbers[0] if numbers else 0) + len(numbers))):
        found.append(f"the numbers have gaps: {numbers}")
    return found
