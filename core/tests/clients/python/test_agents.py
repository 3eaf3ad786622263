"""Requests as the agents Codex and Claude Code send them by default, each for a loop of two turns with a tool."""

from __future__ import annotations

import json
from typing import Any

import pytest

import open_responses
from router import TOKEN, Reply, Router
from upstream import MODEL, Upstream

Body = dict[str, Any]


def events(reply: Reply) -> list[Body]:
    """The data of a stream's events."""
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8"), reply.body
    lines = [line[6:] for line in reply.body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


# --- Codex -----------------------------------------------------------------------------------------------------------

EXEC: Body = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs a command.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "additionalProperties": False},
}
PATCH: Body = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch"'},
}
MCP: Body = {
    "type": "namespace",
    "name": "mcp__docs",
    "description": "The server docs.",
    "tools": [{"type": "function", "name": "find", "description": "Finds.", "strict": False, "parameters": {}}],
}
SEARCH: Body = {"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": {}}
HOSTED: list[Body] = [
    {"type": "web_search", "external_web_access": False},
    {"type": "image_generation", "output_format": "png"},
]


def codex(*items: Body, tools: list[Body] | None = None) -> Body:
    text = [{"type": "input_text", "text": "<environment_context></environment_context>"}]
    rules = [{"type": "input_text", "text": "<permissions instructions></permissions instructions>"}]
    return {
        "model": MODEL,
        "instructions": "You are Codex.",
        "input": [
            {"type": "message", "role": "developer", "content": rules},
            {"type": "message", "role": "user", "content": text},
            *items,
        ],
        "tools": [EXEC, PATCH, MCP, SEARCH, *HOSTED] if tools is None else tools,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019f5f4e-ed9f-70d3-b218-db900fe2ea92",
        "text": {"verbosity": "medium"},
        "client_metadata": {"x-codex-installation-id": "1"},
    }


def asks(text: str) -> Body:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


CODEX_HEADERS = {
    "Accept": "text/event-stream",
    "originator": "codex_cli_rs",
    "User-Agent": "codex_cli_rs/0.150.1 (Linux; x86_64)",
    "session_id": "019f5f4e-ed9f-70d3-b218-db900fe2ea92",
    "x-client-request-id": "019f5f4e-ed9f-70d3-b218-db900fe2ea92",
}


def turn(router: Router, body: Body) -> list[Body]:
    """A turn of Codex: the items that it reads."""
    reply = router.call("POST", "/v1/responses", body, headers=CODEX_HEADERS)
    got = events(reply)
    assert open_responses.faults_of_stream(reply.body.decode()) == []
    assert got[-1]["type"] == "response.completed"
    return [event["item"] for event in got if event["type"] == "response.output_item.done"]


@pytest.mark.parametrize(
    ("said", "call", "function"),
    [
        (
            'call exec_command {"cmd":"ls"}',
            {"type": "function_call", "name": "exec_command", "arguments": '{"cmd":"ls"}'},
            "exec_command",
        ),
        (
            'call apply_patch {"input":"*** Begin Patch"}',
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch"},
            "apply_patch",
        ),
        (
            'call mcp__docs__find {"q":"x"}',
            {"type": "function_call", "namespace": "mcp__docs", "name": "find", "arguments": '{"q":"x"}'},
            "mcp__docs__find",
        ),
        (
            'call tool_search {"query":"x"}',
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "x"}},
            "tool_search",
        ),
    ],
)
def test_a_loop_of_codex(router: Router, upstream: Upstream, said: str, call: Body, function: str) -> None:
    [item] = turn(router, codex(asks(said)))
    assert {name: value for name, value in item.items() if name not in ("id", "status")} == call | {"call_id": "call_1"}

    sent = upstream.received[-1].body
    offered = [tool["function"]["name"] for tool in sent["tools"]]
    assert offered == ["exec_command", "apply_patch", "mcp__docs__find", "tool_search"]
    assert sent["tools"][0]["function"]["parameters"] == EXEC["parameters"]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("auto", True)
    assert (sent["reasoning_effort"], sent["verbosity"]) == ("medium", "medium")
    assert not {"include", "store", "prompt_cache_key", "client_metadata", "text", "reasoning"} & sent.keys()

    found = [{"type": "function", "name": "new", "parameters": {}, "defer_loading": True}]
    outputs: dict[str, Body] = {
        "function_call": {"type": "function_call_output", "output": "a.txt"},
        "custom_tool_call": {"type": "custom_tool_call_output", "output": "a.txt"},
        "tool_search_call": {"type": "tool_search_output", "execution": "client", "tools": found},
    }
    output = outputs[call["type"]]
    thought: Body = {"type": "reasoning", "summary": [], "content": None, "encrypted_content": None}
    # Codex sends an item back without its id.
    again = {name: value for name, value in item.items() if name != "id"}
    [said_then] = turn(router, codex(asks(said), thought, again, output | {"call_id": "call_1"}))
    assert said_then["content"][0]["text"].startswith("You said: ")
    sent = upstream.received[-1].body
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "system", "user", "user", "assistant", "tool"]
    called = sent["messages"][-2]["tool_calls"][0]["function"]
    assert (called["name"], json.loads(called["arguments"])) == (function, json.loads(said.split(" ", 2)[2]))
    if call["type"] == "tool_search_call":
        assert [tool["function"]["name"] for tool in sent["tools"]][-1] == "new"
    else:
        assert sent["messages"][-1]["content"] == "a.txt"


def test_codex_learns_which_tools_are_left_out(router: Router) -> None:
    reply = router.call("POST", "/v1/responses", codex(asks("hello")), headers=CODEX_HEADERS)
    assert reply.headers["x-cortensor-left-out-tools"] == "web_search, image_generation"
    shown = events(reply)[-1]["response"]["tools"]
    assert [tool["type"] for tool in shown] == ["function", "custom", "namespace", "tool_search"]
    reply = router.call("POST", "/v1/responses", codex(asks("hello"), tools=[EXEC]))
    assert "x-cortensor-left-out-tools" not in reply.headers
    alone = router.call("POST", "/v1/responses", codex(asks("hello"), tools=HOSTED))
    assert (alone.status, alone.json()["error"]["param"]) == (400, "tools[0].type")


def test_tools_that_come_with_the_input(router: Router, upstream: Upstream) -> None:
    script = {"type": "custom", "name": "exec", "description": "Runs a script."}
    more = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "namespace", "name": "functions", "tools": [script]}],
    }
    [item] = turn(router, codex(more, asks('call exec {"input":"ls"}'), tools=[]))
    assert (item["type"], item["name"], item["input"], "namespace" in item) == ("custom_tool_call", "exec", "ls", False)
    assert [tool["function"]["name"] for tool in upstream.received[-1].body["tools"]] == ["exec"]


# --- Claude Code -----------------------------------------------------------------------------------------------------

CACHED = {"cache_control": {"type": "ephemeral"}}
BASH: Body = {
    "name": "Bash",
    "description": "Runs a command.",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
        "additionalProperties": False,
    },
}
CLAUDE_HEADERS = {
    "Accept": "application/json",
    "x-api-key": TOKEN,
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
    "anthropic-dangerous-direct-browser-access": "true",
    "User-Agent": "claude-cli/2.1.69 (external, cli)",
    "x-app": "cli",
    "X-Stainless-Lang": "js",
    "X-Stainless-Retry-Count": "0",
    "X-Stainless-Timeout": "600",
}
REMINDER = {"type": "text", "text": "<system-reminder>Today is a day.</system-reminder>"}


def claude(*messages: Body) -> Body:
    return {
        "model": MODEL,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "You are Claude Code.", **CACHED},
            {"type": "text", "text": "Work in /src.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "messages": list(messages),
        "tools": [
            BASH,
            *({**BASH, "name": f"Tool{number}"} for number in range(20)),
            {**BASH, "name": "Last", **CACHED},
        ],
        "metadata": {"user_id": "user_0784_account__session_b4e5aaaa"},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
    }


def ask_claude(router: Router, path: str, body: Body) -> Reply:
    return router.call("POST", path, body, token=None, headers=CLAUDE_HEADERS)


def test_a_loop_of_claude_code(router: Router, upstream: Upstream) -> None:
    first = {"role": "user", "content": [REMINDER, {"type": "text", "text": 'call Bash {"command":"ls"}', **CACHED}]}
    reply = ask_claude(router, "/v1/messages?beta=true", claude(first))
    got = events(reply)
    assert reply.headers["request-id"]
    [begun] = [event for event in got if event["type"] == "content_block_start"]
    block = begun["content_block"]
    assert (block["type"], block["name"], block["id"]) == ("tool_use", "Bash", "call_1")
    pieces = [event["delta"]["partial_json"] for event in got if event["type"] == "content_block_delta"]
    assert json.loads("".join(pieces)) == {"command": "ls"}
    assert [event["delta"]["stop_reason"] for event in got if event["type"] == "message_delta"] == ["tool_use"]

    sent = upstream.received[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "You are Claude Code.\n\nWork in /src."}
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["Bash", *(f"Tool{n}" for n in range(20)), "Last"]
    assert sent["tools"][0]["function"]["parameters"] == BASH["input_schema"]
    assert (sent["max_tokens"], sent["reasoning_effort"]) == (32000, "medium")
    assert sent["user"] == "user_0784_account__session_b4e5aaaa"
    assert "cache_control" not in json.dumps(sent)
    assert not {"thinking", "context_management", "metadata", "output_config", "system"} & sent.keys()

    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "a.txt", "is_error": False, **CACHED}
    thought = {"type": "thinking", "thinking": "Files.", "signature": ""}
    spoken = [thought, {"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "ls"}}]
    body = claude(first, {"role": "assistant", "content": spoken}, {"role": "user", "content": [result, REMINDER]})
    got = events(ask_claude(router, "/v1/messages?beta=true", body))
    assert [event["delta"]["stop_reason"] for event in got if event["type"] == "message_delta"] == ["end_turn"]
    system, user, assistant, tool, reminder = upstream.received[-1].body["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    call = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": '{"command": "ls"}'}}
    assert (assistant["reasoning_content"], assistant["tool_calls"]) == ("Files.", [call])
    assert tool == {"role": "tool", "content": "a.txt", "tool_call_id": "call_1"}
    assert reminder == {"role": "user", "content": REMINDER["text"]}


def test_the_small_calls_of_claude_code(router: Router, upstream: Upstream) -> None:
    """The probe of the quota, the title of a conversation, the count of tokens, and the list of models."""
    quota = {"model": MODEL, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
    quota |= {"metadata": {"user_id": "u"}}
    assert ask_claude(router, "/v1/messages?beta=true", quota).status == 200

    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    title = claude({"role": "user", "content": [{"type": "text", "text": "hello"}]}) | {
        "max_tokens": 512,
        "tools": [],
        "thinking": {"type": "disabled"},
        "temperature": 1,
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    assert events(ask_claude(router, "/v1/messages?beta=true", title))[-1]["type"] == "message_stop"
    sent = upstream.received[-1].body
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert "tools" not in sent

    counted = {"model": MODEL, "messages": quota["messages"], "tools": [BASH]}
    reply = ask_claude(router, "/v1/messages/count_tokens?beta=true", counted)
    assert reply.json()["input_tokens"] > 0
    assert reply.headers["request-id"]

    listed = router.call("GET", "/v1/models?limit=1000", token=None, headers=CLAUDE_HEADERS)
    assert MODEL in [model["id"] for model in listed.json()["data"]]


def test_claude_code_searches_the_web_by_a_call_of_its_own(router: Router) -> None:
    """Its search is a request with nothing but the hosted tool: the agent must learn that there is none."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    body = claude({"role": "user", "content": "Perform a web search for x"}) | {"tools": [search]}
    alone = ask_claude(router, "/v1/messages?beta=true", body | {"tool_choice": {"type": "tool", "name": "web_search"}})
    assert (alone.status, alone.json()["error"]["param"]) == (400, "tools[0].type")
    beside = ask_claude(router, "/v1/messages?beta=true", body | {"tools": [BASH, search]})
    assert (beside.status, beside.headers["x-cortensor-left-out-tools"]) == (200, "web_search_20250305")


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_probes_of_claude_code(router: Router, path: str) -> None:
    """It opens its connection with a HEAD, and goes on whatever the answer is."""
    reply = router.call("HEAD", path, token=None)
    assert (reply.status < 500, reply.body) == (True, b"")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/x", None),
        ("POST", "/v1/messages", {}),
        ("POST", "/v1/messages/count_tokens", {}),
    ],
)
def test_a_stranger_gets_anthropics_shape(router: Router, method: str, path: str, body: Body | None) -> None:
    headers = CLAUDE_HEADERS | {"x-api-key": "nobody"}
    reply = router.call(method, path, body, token=None, headers=headers)
    error = reply.json()
    assert (reply.status, error["type"], error["error"]["type"]) == (401, "error", "authentication_error")
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    plain = router.call("GET", "/v1/models", token=None, headers={"x-api-key": "nobody"})
    assert ("type" in plain.json(), "request-id" in plain.headers) == (False, False)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/messages", {}, 400),
        ("POST", "/v1/messages", b"{", 400),
        ("POST", "/v1/messages/count_tokens", {}, 400),
        ("GET", "/v1/messages", None, 405),
        ("POST", "/v1/messages/batches", {}, 404),
        ("GET", "/v1/models/no-such-model", None, 404),
        ("POST", "/v1/models", {}, 405),
    ],
)
def test_every_error_has_an_id(router: Router, method: str, path: str, body: Any, status: int) -> None:  # noqa: ANN401
    headers = CLAUDE_HEADERS | {"x-request-id": "mine"}
    reply = router.call(method, path, body, token=None, headers=headers)
    assert (reply.status, reply.json()["type"]) == (status, "error")
    assert (reply.headers["request-id"], reply.headers["x-request-id"]) == ("mine", "mine")
