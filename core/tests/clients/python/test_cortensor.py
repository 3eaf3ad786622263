"""Cortensor's Router API as its published clients use it: what they send, what they read, byte by byte."""

from __future__ import annotations

import re
import time

import pytest

from router import TOKEN, Reply, Router
from upstream import MODEL, Upstream

ANSWER = "You said: hello there"


def keys(names: str) -> frozenset[str]:
    return frozenset(names.split())


TASK_KEYS = keys("""
    id task_id gid session_id client_reference status state outcome ended created_at started_at last_precommit_at
    last_commit_at finished_at execution_time assigned_miners prompt text response model finish_reason usage attempts
    verdict failure results results_hash
""")
SESSION_KEYS = keys("""
    id sid name metadata owner address active state created_at updated_at mode redundant min_num_of_nodes
    max_num_of_nodes num_of_validator_nodes ephemeral_nodes dedicated_nodes reserve_ephemeral_nodes reserve_period
    sla model model_identifier max_task_execution_count miners_count total_tasks active_tasks
""")
INFO_KEYS = keys("""
    active_sessions address ip_address name node_stats total_sessions version models capabilities max_context_tokens
""")
STATUS_KEYS = keys("""
    active_sessions connected_miners cpu_usage memory_usage uptime status version active_miners miner_count
    queued_tasks running_tasks durability store block_height
""")
COMPLETION_KEYS = {"choices", "created", "id", "model", "object", "session_id", "task_id", "usage"}
ALIASES = {"text", "output", "result", "response", "content"}

# The bodies that the published clients send for one completion.
FULL = {
    "prompt": "hello there",
    "prompt_type": 1,
    "prompt_template": "",
    "stream": False,
    "timeout": 900,
    "client_reference": "user-request-1700000000000",
    "max_tokens": 64000,
    "temperature": 0.5,
    "top_p": 0.95,
    "top_k": 40,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}


def refused(reply: Reply, status: int) -> str:
    """Checks the shape of an error under `/api`, and gives its text."""
    assert reply.status == status, reply
    assert reply.headers["content-type"].startswith("application/json")
    body = reply.json()
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body["message"] == body["error"]
    assert isinstance(body["detail"], str)
    assert re.fullmatch(r"[a-z0-9_]+", body["code"])
    assert "param" in body
    return str(body["error"])


def finished(router: Router, session: int, task: int) -> dict[str, object]:
    """Polls as clients do, until `status` is 4."""
    deadline = time.monotonic() + 20
    while True:
        detail = router.get(f"/api/v1/tasks/{session}/{task}")
        assert detail["status"] in (0, 1, 2, 3, 4)
        if detail["status"] == 4:
            assert isinstance(detail, dict)
            return detail
        assert "miners" not in detail["results"], "a client takes it for complete"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_empty_router_answers_zeros_and_never_misses_a_key(echo: Router) -> None:
    info = echo.get("/api/v1/info")
    assert info.keys() >= INFO_KEYS
    assert info["node_stats"].keys() == {"dedicated_count", "ephemeral_count", "total_count"}
    status = echo.get("/api/v1/status")
    assert status.keys() >= STATUS_KEYS
    assert (status["status"], status["block_height"]) == ("ok", 0)
    miners = echo.get("/api/v1/miners")
    assert miners.keys() >= {"nodes", "stats", "miners", "count"}
    assert isinstance(miners["nodes"], dict)
    assert isinstance(miners["miners"], list)
    assert "error" not in info.keys() | status.keys() | miners.keys()


def test_what_needs_no_token(router: Router) -> None:
    for path in ("/healthz", "/readyz", "/health", "/api/v1/about", "/api/v1/ping"):
        assert router.call("GET", path, token=None).status == 200, path
    assert router.call("GET", "/api/v1/ping", token=None).json() == {"status": "ok"}
    about = router.call("GET", "/api/v1/about", token=None).json()
    assert about["x402_enabled"] is False
    assert about.keys() >= {"name", "version", "from_address", "endpoints"}
    for path in ("/api/v1/info", "/api/v1/status", "/api/v1/sessions", "/metrics"):
        refused(router.call("GET", path, token=None), 401)


def test_tokens(router: Router) -> None:
    path = "/api/v1/info"
    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN}  "):
        assert router.call("GET", path, token=None, headers={"Authorization": header}).status == 200, header
    assert router.call("GET", path, token=None, headers={"X-API-Key": TOKEN}).status == 200
    for header in (TOKEN, "Basic abc", "Bearer", ""):
        reply = router.call("GET", path, token=None, headers={"Authorization": header})
        assert refused(reply, 401) == "Invalid Authorization header format", header
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert refused(router.call("GET", path, token=None), 401) == "Invalid Authorization header format"
    assert refused(router.call("GET", path, token="wrong"), 401) == "Unauthorized"  # noqa: S106
    # Without a token, a client must not learn which sessions exist.
    refused(router.call("GET", "/api/v1/sessions/999999", token=None), 401)
    refused(router.call("GET", "/api/v1/tasks/x/y", token=None), 401)


def test_create_with_the_published_names(router: Router) -> None:
    created = router.post(
        "/api/v1/create",
        {
            "name": "published",
            "metadata": "m",
            "address": "0x0",
            "minNumOfNodes": 0,
            "maxNumOfNodes": 0,
            "redundant": 1,
            "numOfValidatorNodes": 0,
            "mode": 0,
            "reserveEphemeralNodes": False,
            "sla": 0,
            "modelIdentifier": 4,
            "reservePeriod": 0,
            "maxTaskExecutionCount": 0,
        },
    )
    assert created["status"] == "created"
    assert re.fullmatch(r"0x[0-9a-f]{64}", created["tx_hash"])
    assert created.keys() >= SESSION_KEYS
    assert "error" not in created
    session = router.get(f"/api/v1/sessions/{created['session_id']}")
    assert session.keys() >= SESSION_KEYS | {"max_context_tokens"}
    assert (session["id"], session["name"], session["active"]) == (created["session_id"], "published", True)
    # A client that knows only the hash uses it as the id.
    assert router.get(f"/api/v1/sessions/{created['tx_hash']}")["id"] == created["session_id"]
    listed = router.get("/api/v1/sessions?limit=1000")
    assert created["session_id"] in [one["id"] for one in listed["sessions"]]
    assert listed["count"] == len(listed["sessions"])


def test_session_0_exists_from_the_start(router: Router) -> None:
    assert router.get("/api/v1/sessions/0")["active"] is True


def test_a_session_is_changed_and_closed(router: Router, session: int) -> None:
    changed = router.call("PATCH", f"/api/v1/sessions/{session}", {"weight": 5})
    assert changed.status == 200
    assert changed.json()["weight"] == 5
    assert router.call("DELETE", f"/api/v1/sessions/{session}").status == 200
    assert router.get(f"/api/v1/sessions/{session}")["active"] is False
    refused(router.call("POST", f"/api/v1/completions/{session}", {"prompt": "late"}), 409)


def test_create_without_a_name(router: Router) -> None:
    reply = router.call("POST", "/api/v1/create", {})
    assert "name" in refused(reply, 400)
    assert reply.json()["param"] == "name"


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_completion(router: Router, session: int, version: str) -> None:
    answer = router.post(f"/api/{version}/completions", FULL | {"session_id": session})
    assert answer.keys() >= COMPLETION_KEYS | ALIASES
    assert "error" not in answer
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert (answer["session_id"], answer["task_id"]) == (session, 1)
    assert isinstance(answer["task_id"], int)
    (choice,) = answer["choices"]
    assert choice.keys() >= {"finish_reason", "index", "logprobs", "text"}
    assert (choice["finish_reason"], choice["index"], choice["logprobs"]) == ("stop", 0, None)
    assert {choice["text"], choice["message"]["content"], *(answer[alias] for alias in ALIASES)} == {ANSWER}
    assert choice["message"]["role"] == "assistant"
    assert answer["usage"] == {"completion_tokens": 4, "prompt_tokens": 2, "total_tokens": 6}
    assert isinstance(answer["gid"], int)
    assert re.fullmatch(r"0x[0-9a-fA-F]{40}", answer["miner_address"])


def test_json_is_compact(router: Router, session: int) -> None:
    """One client cuts the text out between `"text":"` and the next quote."""
    reply = router.call("POST", f"/api/v1/completions/{session}", {"prompt": "hello there"})
    assert f'"text":"{ANSWER}"'.encode() in reply.body
    assert b'": ' not in reply.body
    assert b'", "' not in reply.body


def test_the_path_wins_and_strings_are_ids(router: Router, session: int) -> None:
    answer = router.post(f"/api/v1/completions/{session}", {"prompt": "a", "session_id": 0})
    assert answer["session_id"] == session
    answer = router.post("/api/v1/completions", {"prompt": "a", "session_id": str(session)})
    assert (answer["session_id"], answer["task_id"]) == (session, 2)
    assert router.get(f"/api//v1/tasks/{session}/")["count"] == 2


def test_no_session_is_the_default_session(router: Router) -> None:
    assert router.post("/api/v1/completions", {"prompt": "a"})["session_id"] == 0


def test_special_tokens_do_not_leak(router: Router, session: int) -> None:
    answer = router.post(f"/api/v1/completions/{session}", {"prompt": "leak"})
    assert answer["choices"][0]["text"] == "Hello."
    detail = router.get(f"/api/v1/tasks/{session}/{answer['task_id']}")
    assert detail["results"]["data"] == ["Hello."]
    raw = router.post(f"/api/v1/completions/{session}", {"prompt": "leak", "raw": True})
    assert raw["choices"][0]["text"] == " \nHello.<|eot_id|></s>"


def test_a_prompt_template(router: Router, upstream: Upstream, session: int) -> None:
    router.post(f"/api/v1/completions/{session}", {"prompt": "why", "prompt_template": "Q: {prompt}\nA:"})
    body = upstream.received[-1].body
    assert "Q: why\nA:" in (body.get("prompt"), *(m["content"] for m in body.get("messages", [])))


def test_what_the_router_does_not_need_reaches_the_miner(router: Router, upstream: Upstream, session: int) -> None:
    router.post(f"/api/v1/completions/{session}", FULL)
    body = upstream.received[-1].body
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0.5, 0.95, 40)
    assert 1024 <= body["max_tokens"] < 64000, "capped, not refused"
    for ours in ("session_id", "prompt_type", "prompt_template", "client_reference", "timeout"):
        assert ours not in body


def test_chat(router: Router, session: int) -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello there"}]
    for path in (f"/api/v1/chat/completions/{session}", "/api/v1/chat/completions", "/api/v1/chat"):
        reply = router.call("POST", path, {"messages": messages, "session_id": session})
        answer = reply.json()
        assert answer["object"] == "chat.completion"
        assert answer["choices"][0]["message"] == {"role": "assistant", "content": ANSWER}
        assert "error" not in answer
        assert reply.headers["x-cortensor-session"] == str(session), "OpenAI's shape has no place for it"


def test_a_task_in_the_list_and_by_itself(router: Router, session: int) -> None:
    made = router.post(f"/api/v1/completions/{session}", FULL)
    listed = router.get(f"/api/v1/tasks/{session}")
    assert listed["count"] == 1
    (in_list,) = listed["tasks"]
    assert in_list.keys() >= TASK_KEYS
    assert "error" not in in_list
    miners = in_list["assigned_miners"]
    assert miners == [made["miner_address"]]
    assert in_list["results"] == [ANSWER], "strings, aligned with assigned_miners"
    assert len(in_list["results_hash"]) == 1
    assert router.get(f"/api/v1/tasks/{session}?format=array") == listed["tasks"]

    detail = router.get(f"/api/v1/tasks/{session}/1")
    assert detail.keys() >= TASK_KEYS
    assert "error" not in detail
    assert detail["results"] == {"data": [ANSWER], "miners": miners}
    assert (detail["status"], detail["state"], detail["outcome"], detail["ended"]) == (4, "ended", "ok", True)
    assert (detail["text"], detail["response"], detail["prompt"]) == (ANSWER, ANSWER, "hello there")
    assert detail["client_reference"] == FULL["client_reference"]
    assert (detail["gid"], detail["id"], detail["task_id"]) == (made["gid"], 1, 1)
    times = [detail[f"{name}_at"] for name in ("created", "started", "last_precommit", "last_commit", "finished")]
    assert times == sorted(times)
    assert all(isinstance(moment, int) and abs(moment - time.time()) < 60 for moment in times)
    assert detail["failure"] is None


def test_an_empty_list_of_tasks(router: Router, session: int) -> None:
    assert router.get(f"/api/v1/tasks/{session}") == {"count": 0, "tasks": []}


def test_pages_of_tasks(router: Router, session: int) -> None:
    for index in range(5):
        router.post(f"/api/v1/completions/{session}", {"prompt": f"p{index}"})
    pages = [
        [task["id"] for task in router.get(f"/api/v1/tasks/{session}?limit=2&offset={offset}")["tasks"]]
        for offset in (0, 2, 4, 6)
    ]
    assert pages == [[1, 2], [3, 4], [5], []]
    assert router.get(f"/api/v1/tasks/{session}?state=ended")["tasks"][0]["id"] == 1
    refused(router.call("GET", f"/api/v1/tasks/{session}?limit=many"), 400)


def test_asynchronous_submit_and_poll(router: Router, session: int) -> None:
    reply = router.call("POST", f"/api/v1/completions/{session}", {"prompt": "hello there", "async": True})
    assert reply.status == 202
    ids = reply.json()
    assert (ids["session_id"], ids["task_id"]) == (session, 1)
    assert "error" not in ids
    detail = finished(router, session, 1)
    assert detail["text"] == ANSWER


def test_a_running_task_has_no_miners_in_its_results(router: Router, upstream: Upstream, session: int) -> None:
    router.post(f"/api/v1/completions/{session}", {"prompt": "slow", "async": True, "stream": True})
    router.eventually(f"/api/v1/tasks/{session}/1", "status", 1)
    detail = router.get(f"/api/v1/tasks/{session}/1")
    assert "data" in detail["results"]
    assert "miners" not in detail["results"]
    assert (detail["finished_at"], detail["last_commit_at"], detail["ended"]) == (0, 0, False)
    in_list = router.get(f"/api/v1/tasks/{session}")["tasks"][0]
    assert in_list["results"] == [""]
    cancelled = router.call("DELETE", f"/api/v1/tasks/{session}/1")
    assert cancelled.status == 200
    upstream.hung_up()
    assert finished(router, session, 1)["outcome"] == "cancelled"


def test_a_time_out_leaves_ids_to_poll(router: Router, upstream: Upstream, session: int) -> None:
    reply = router.call("POST", f"/api/v1/completions/{session}", {"prompt": "hold", "timeout": 1})
    refused(reply, 504)
    body = reply.json()
    assert (body["session_id"], body["task_id"]) == (session, 1)
    upstream.hung_up()
    assert finished(router, session, 1)["outcome"] == "expired"


def test_an_idempotency_key_makes_one_task(router: Router, session: int) -> None:
    path, key = f"/api/v1/completions/{session}", {"Idempotency-Key": "k-1"}
    first = router.call("POST", path, {"prompt": "hello there"}, headers=key)
    again = router.call("POST", path, {"prompt": "hello there"}, headers=key)
    assert (first.status, again.status) == (200, 200)
    assert first.json()["task_id"] == again.json()["task_id"] == 1
    assert first.json()["id"] == again.json()["id"]
    refused(router.call("POST", path, {"prompt": "another"}, headers=key), 422)
    assert router.get(f"/api/v1/tasks/{session}")["count"] == 1


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"{", ""),
        (b"", ""),
        (b"[]", ""),
        ({}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "x", "max_tokens": "many"}, "max_tokens"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "timeout": -1}, "timeout"),
        ({"prompt": "x", "stream": "yes"}, "stream"),
        ({"prompt": "x", "prompt_type": 9}, "prompt_type"),
        ({"prompt": "x", "session_id": "abc"}, "session_id"),
        ({"prompt": "x", "session_id": -1}, "session_id"),
    ],
)
def test_a_wrong_body_is_refused_by_name(router: Router, body: object, names: str) -> None:
    reply = router.call("POST", "/api/v1/completions", body)
    text = refused(reply, 400)
    assert names in text
    if names:
        assert reply.json()["param"] == names


def test_refusals(router: Router, session: int) -> None:
    refused(router.call("GET", "/api/v1/nothing"), 404)
    refused(router.call("GET", "/api/v1/sessions/999999"), 404)
    refused(router.call("GET", f"/api/v1/tasks/{session}/999"), 404)
    refused(router.call("GET", "/api/v1/sessions/abc"), 400)
    refused(router.call("POST", "/api/v1/completions/999999", {"prompt": "x"}), 404)
    wrong_method = router.call("GET", "/api/v1/completions")
    refused(wrong_method, 405)
    assert "POST" in wrong_method.headers["allow"]
    refused(router.call("POST", "/api/v1/completions", b"a=1", headers={"Content-Type": "image/png"}), 415)
    refused(router.call("POST", "/api/v1/completions", {"prompt": "x" * (1 << 21)}), 413)
    refused(router.call("POST", "/api/v1/completions", [b"x" * (1 << 20)] * 3), 413)
    refused(router.call("POST", f"/api/v1/completions/{session}", {"prompt": "status 400"}), 400)


def test_several_answers(router: Router, session: int) -> None:
    """One miner is there, and so one answer, however many are asked for; or as many as it is asked for."""
    answer = router.post(f"/api/v1/completions/{session}", {"prompt": "hello there", "max_miners": 1})
    assert len(answer["choices"]) == 1
    assert {choice["text"] for choice in answer["choices"]} == {ANSWER}


def test_the_miner_is_listed(router: Router) -> None:
    listed = router.get("/api/v1/miners")
    assert listed["count"] == len(listed["miners"]) == len(listed["nodes"]) == listed["stats"]["total_count"]
    miner = next(one for one in listed["miners"] if MODEL in one["models"])
    assert miner["active"] is True
    assert miner.keys() >= {"id", "miner_id", "address", "active", "status", "kind", "models", "capacity", "in_flight"}


def test_metrics(router: Router) -> None:
    reply = router.call("GET", "/metrics")
    assert reply.status == 200
    assert b"# TYPE " in reply.body
    assert reply.body.endswith(b"# EOF\n") or b"# EOF" not in reply.body
