"""Cortensor's routes for agents as their clients use them: plain HTTP with httpx, JSON in and JSON out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from router import TOKEN, Router, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = "You said: hello there"


@pytest.fixture
def client(router: Router) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=router.url, headers=headers, timeout=30) as made:
        yield made


def test_delegate_in_its_three_versions(client: httpx.Client) -> None:
    first = client.post("/api/v1/delegate", json={"session_id": 0, "prompt": "hello there", "stream": False})
    assert first.status_code == 200, first.text
    assert first.json()["responses"][0].keys() == {"miner_id", "content", "latency_ms", "model"}
    assert first.json()["responses"][0]["content"] == ANSWER
    older = {"task_request_input": "hello there", "task_domain": "d", "task_type": "t", "evaluation_mode": "e"}
    assert client.post("/api/v1/delegate", json=older).json()["text"] == ANSWER

    second = client.post(
        "/api/v2/delegate",
        json={"objective": "hello there", "execution": {"max_tokens": 16}, "policy": "fast", "metadata": {"id": 7}},
    ).json()
    assert (second["status"], second["result"], second["metadata"]) == ("completed", ANSWER, {"id": 7})

    third = client.post("/api/v3/delegate", json={"objective": "hello there", "consensus": {"replicas": 1}}).json()
    assert (third["result"], third["consensus"]["status"]) == (ANSWER, "agreed")
    assert [one["replica"] for one in third["evidence"]] == [1]


def test_delegate_streams_as_completions_do(client: httpx.Client) -> None:
    with client.stream("POST", "/api/v1/delegate", json={"prompt": "hello there", "stream": True}) as answer:
        assert answer.status_code == 200
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) > 2


def test_an_attestation_can_be_made_again(client: httpx.Client) -> None:
    for path, body in (
        ("/api/v1/validate", {"task_request_input": "2 + 2?", "task_result_output": "4"}),
        ("/api/v2/validate", {"claim": "2 + 2 = 4", "policy": "safe", "context": {"in": "maths"}, "actor": "me"}),
        ("/api/v3/validate", {"claim": "2 + 2 = 4", "consensus": {"replicas": 3}}),
        ("/api/v1/factcheck", {"claim": "2 + 2 = 4", "mode": "realtime"}),
    ):
        answer = client.post(path, json=body).json()
        # The server only repeats what it hears, so that no verdict can be read.
        assert (answer["verdict"], answer["is_valid"], answer["wanted_miners"]) == ("RETRY", False, 3), path
        assert answer["evidence"][0]["is_parsed"] is False
        seal = answer["attestation"]
        lines = ["cortensor-router/validation/1", answer["verdict"], seal["claim_sha256"]]
        lines += [f"{one['miner_id']} {one['verdict']} {one['sha256']}" for one in answer["evidence"]]
        assert seal["digest"] == hashlib.sha256("\n".join(lines).encode()).hexdigest(), path


def test_errors_name_the_member(client: httpx.Client) -> None:
    for path, body, param in (
        ("/api/v1/delegate", {}, "prompt"),
        ("/api/v2/delegate", {"objective": "x", "policy": "slow"}, "policy"),
        ("/api/v3/validate", {"claim": "x", "consensus": {"replicas": 2}}, "consensus.replicas"),
        ("/api/v1/fact-check", {"claim": "x", "redundancy": 2}, "redundancy"),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["param"]) == (400, param)


def test_the_card_needs_no_token(router: Router) -> None:
    card = httpx.get(f"{router.url}/.well-known/agent.json").json()
    assert card["url"] == router.url
    assert {skill["id"] for skill in card["skills"]} == {"completions", "delegate", "validate", "factcheck"}


def test_trials_end_with_their_quota(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("trials")
    with running(data, "--set", "listen.trial.enabled=true", "--set", "listen.trial.requests=2") as started:
        path = f"{started.url}/api/v1/trial/delegate"
        statuses = [httpx.post(path, json={"prompt": "hello"}).status_code for _ in range(2)]
        refused = httpx.post(path, json={"prompt": "hello"})
    assert statuses == [200, 200]
    assert (refused.status_code, refused.json()["code"]) == (429, "trial_quota_exceeded")
    assert int(refused.headers["retry-after"]) > 0
