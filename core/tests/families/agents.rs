//! Delegate, validate and factcheck over real sockets: policies, disagreement, miners that fail, verdicts that cannot be
//! read, and who may ask.

use cortensor_router::config::AgentsConfig;
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec, Scope, SessionId, SessionSpec};
use cortensor_router::{Config, KeySpec};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::miners::{Hand, say};
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::within;
use serde_json::{Value, json};

const VALID: &str = "VERDICT: VALID\nSCORE: 0.9\nIt holds.";
const INVALID: &str = "VERDICT: INVALID\nIt does not.";

/// A router with a miner for each text, which says the text.
async fn saying(config: Config, texts: &[&'static str]) -> Server {
    let server = Server::open(config).await;
    for (index, text) in texts.iter().copied().enumerate() {
        let spec = MinerSpec::new(format!("m{index}"), 8).models(["tiny"]);
        server.router.add_miner(spec, move |job: Job| say(job, text)).unwrap();
    }
    server
}

async fn session(server: &Server, name: &str) -> u64 {
    server.router.create_session(SessionSpec::default().name(name)).await.unwrap().id.0
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[tokio::test]
async fn a_policy_asks_its_number_of_miners() {
    let server = saying(Config::default(), &["four", "four", "four", "four", "four"]).await;
    for (policy, miners) in [(json!("fast"), 1), (json!("adaptive"), 2), (json!("safe"), 3), (json!("oracle"), 5)] {
        let body = json!({"objective": "2 + 2?", "policy": policy, "metadata": {"order": 17}});
        let (status, answer) = server.post_json("/api/v2/delegate", &body).await;
        assert_eq!((status, &answer["status"], &answer["result"]), (200, &json!("completed"), &json!("four")));
        let evidence = list(&answer["evidence"]);
        assert_eq!((evidence.len(), &answer["policy"], &answer["metadata"]["order"]), (miners, &policy, &json!(17)));
        for one in evidence {
            assert!(one["latency_ms"].is_u64() && one["miner_id"].as_str().unwrap().starts_with("0x"), "{one}");
            assert_eq!((&one["content"], &one["model"]), (&json!("four"), &json!("tiny")));
        }
        let (status, prompted) = server.post_json("/api/v1/delegate", &json!({"prompt": "2?", "policy": policy})).await;
        assert_eq!((status, &prompted["text"], list(&prompted["responses"]).len()), (200, &json!("four"), miners));
        assert_eq!(prompted["responses"][0]["content"], "four");
        assert!(prompted["responses"][0]["latency_ms"].is_u64() && prompted["task_id"].is_u64());
    }
    // All of them are tasks like any other.
    assert_eq!(server.get_json("/api/v1/tasks/0").await.1["count"], 8);
    server.stop().await;
}

#[tokio::test]
async fn an_older_delegation_answers_as_a_completion() {
    let server = saying(Config::default(), &["four"]).await;
    let older =
        json!({"task_request_input": "2 + 2?", "task_domain": "sums", "task_type": "t", "evaluation_mode": "e"});
    let (status, answer) = server.post_json("/api/v1/delegate", &older).await;
    assert_eq!((status, &answer["choices"][0]["text"], &answer["success"]), (200, &json!("four"), &json!(true)));
    let body =
        json!({"session_id": 0, "prompt": "2 + 2?", "prompt_type": 0, "stream": true, "timeout": 30, "max_tokens": 9});
    let (own, other) = (
        server.post("/api/v1/delegate", &body.to_string()).await,
        server.post("/api/v1/completions", &body.to_string()).await,
    );
    let told = |body: &str| -> Vec<String> {
        let events = body.split("\n\n").filter_map(|event| event.split_once("data: ")).map(|(_, data)| data);
        let texts = events.map(|data| match serde_json::from_str::<Value>(data) {
            Ok(event) => format!("{} {}", event["choices"][0]["text"], event["choices"][0]["finish_reason"]),
            Err(_) => data.to_owned(),
        });
        texts.collect()
    };
    assert_eq!((own.status, told(&own.body)), (200, told(&other.body)));
    let (status, later) = server.post_json("/api/v1/delegate", &json!({"prompt": "x", "async": true})).await;
    assert_eq!((status, &later["status"]), (202, &json!("accepted")));
    server.stop().await;
}

#[tokio::test]
async fn answers_that_differ_are_told_and_a_third_one_decides() {
    let server = saying(Config::default(), &["the sky is blue", "fish"]).await;
    let ask = async |policy: Value| {
        let (status, answer) = server.post_json("/api/v2/delegate", &json!({"objective": "?", "policy": policy})).await;
        assert_eq!(status, 200, "{answer}");
        (answer["status"].as_str().unwrap().to_owned(), list(&answer["evidence"]).len())
    };
    assert_eq!(ask(json!({"redundancy": 2, "match": "exact"})).await, ("disputed".to_owned(), 2));
    assert_eq!(ask(json!("safe")).await, ("disputed".to_owned(), 2));
    let spec = MinerSpec::new("third", 8).models(["tiny"]);
    server.router.add_miner(spec, |job: Job| say(job, "the sky is blue")).unwrap();
    assert_eq!(ask(json!("safe")).await, ("completed".to_owned(), 3));
    assert_eq!(ask(json!({"tier": "safe", "validation_policy": "all"})).await, ("disputed".to_owned(), 3));
    server.stop().await;

    let server = saying(Config::default(), &["alone"]).await;
    let (_, answer) = server.post_json("/api/v2/delegate", &json!({"objective": "?", "policy": "safe"})).await;
    assert_eq!((&answer["status"], &answer["result"]), (&json!("insufficient"), &json!("alone")));
    server.stop().await;
}

#[tokio::test]
async fn replicas_agree_or_their_disagreement_follows_the_policy() {
    for (texts, strategy, policy, status, result) in [
        (["one", "one", "two"], "majority", "return_all", 200, json!("one")),
        (["one", "one", "two"], "unanimous", "return_all", 200, json!(null)),
        (["one", "one", "two"], "unanimous", "best_effort", 200, json!("one")),
        (["one", "one", "two"], "unanimous", "fail_hard", 409, json!(null)),
        (["one", "two", "six"], "majority", "fail_hard", 409, json!(null)),
        (["one", "one", "one"], "unanimous", "fail_hard", 200, json!("one")),
    ] {
        let server = saying(Config::default(), &texts).await;
        let consensus = json!({"replicas": 3, "strategy": strategy, "disagreement_policy": policy});
        let body = json!({"objective": "?", "consensus": consensus});
        let (found, answer) = server.post_json("/api/v3/delegate", &body).await;
        assert_eq!((found, &answer["result"]), (status, &result), "{texts:?} {consensus}: {answer}");
        if status == 409 {
            assert_eq!(answer["code"], "consensus_not_reached");
        } else {
            let told = &answer["consensus"];
            assert_eq!(
                (&told["replicas"], &told["answered"], &told["distinct_miners"]),
                (&json!(3), &json!(3), &json!(3))
            );
            let numbers: Vec<&Value> = list(&answer["evidence"]).iter().map(|one| &one["replica"]).collect();
            assert_eq!(numbers, [&json!(1), &json!(2), &json!(3)]);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn replicas_run_in_the_sessions_of_their_pool() {
    let server = saying(Config::default(), &["four", "four"]).await;
    let mut pool = Vec::new();
    for name in ["a", "b", "c"] {
        pool.push(session(&server, name).await);
    }
    let names: Vec<String> = pool.iter().map(u64::to_string).collect();
    let body = json!({"objective": "2 + 2?", "consensus": {"replicas": 3, "session_pool": names}});
    let (status, answer) = server.post_json("/api/v3/delegate", &body).await;
    assert_eq!((status, &answer["consensus"]["status"]), (200, &json!("agreed")), "{answer}");
    let sessions: Vec<u64> = list(&answer["evidence"]).iter().map(|one| one["session_id"].as_u64().unwrap()).collect();
    assert_eq!(sessions, pool);

    // A replica whose session takes no work is told, and counts as no answer.
    server.router.close_session(SessionId(pool[1])).await.unwrap();
    let (status, answer) = server.post_json("/api/v3/delegate", &body).await;
    let error = &answer["evidence"][1]["error"];
    assert_eq!((status, &error["code"], &answer["consensus"]["answered"]), (200, &json!("session_closed"), &json!(2)));
    assert_eq!(answer["consensus"]["status"], "agreed");
    for (strategy, status) in [("majority", 200), ("unanimous", 409)] {
        let consensus = json!({"session_pool": pool, "strategy": strategy, "disagreement_policy": "fail_hard"});
        let body = json!({"objective": "2 + 2?", "consensus": consensus});
        assert_eq!(server.post_json("/api/v3/delegate", &body).await.0, status, "{strategy}");
    }
    server.stop().await;
}

#[tokio::test]
async fn configured_pools_hold_for_those_who_may_use_them() {
    let agents = AgentsConfig::default().validate_sessions_3(vec![2, 3, 4]).delegate_sessions_1(vec![3]);
    let server = saying(Config::default().agents(agents), &[VALID]).await;
    for name in ["a", "b", "c"] {
        session(&server, name).await;
    }
    let sessions = async |headers: &str, path: &str, body: Value| -> Vec<u64> {
        let answer = server.send("POST", path, headers, &body.to_string()).await.json();
        list(&answer["evidence"]).iter().map(|one| one["session_id"].as_u64().unwrap()).collect()
    };
    assert_eq!(sessions(DEV, "/api/v3/validate", json!({"claim": "x"})).await, [2, 3, 4]);
    let one = json!({"objective": "x", "consensus": {"replicas": 1}});
    assert_eq!(sessions(DEV, "/api/v3/delegate", one).await, [3]);
    assert_eq!(sessions(DEV, "/api/v3/validate", json!({"claim": "x", "session_id": 4})).await, [4]);
    let key = server.router.create_key(&KeySpec::new("limited").sessions(vec![2])).await.unwrap();
    let limited = format!("Authorization: Bearer {}\r\n", key.token.reveal());
    assert_eq!(sessions(&limited, "/api/v3/validate", json!({"claim": "x"})).await, [2]);
    server.stop().await;
}

#[tokio::test]
async fn a_majority_of_opinions_makes_the_verdict() {
    let strange = "I think that it may be right.";
    for (texts, verdict, confidence, agreed) in [
        (&[VALID, VALID, INVALID][..], "VALID", 2.0 / 3.0, true),
        (&[INVALID, r#"{"verdict":"INVALID","score":0.1}"#, VALID], "INVALID", 2.0 / 3.0, true),
        (&[VALID, INVALID, strange], "RETRY", 1.0 / 3.0, false),
        (&[strange, strange, VALID], "RETRY", 2.0 / 3.0, true),
        (&["VERDICT: NEEDS_SPEC", "VERDICT: NEEDS_SPEC", "VERDICT: NEEDS_SPEC"], "NEEDS_SPEC", 1.0, true),
        (&[VALID], "RETRY", 0.0, false),
    ] {
        let server = saying(Config::default(), texts).await;
        for (path, body) in [
            ("/api/v1/validate", json!({"task_request_input": "2 + 2?", "task_result_output": "4"})),
            ("/api/v2/validate", json!({"claim": {"sum": [2, 2], "is": 4}, "policy": "safe", "context": "ring"})),
            ("/api/v3/validate", json!({"claim": "2 + 2 = 4"})),
            ("/api/v1/factcheck", json!({"claim": "2 + 2 = 4", "mode": "realtime", "redundancy": 3})),
            ("/api/v1/fact-check", json!({"claim": "2 + 2 = 4"})),
        ] {
            let (status, answer) = server.post_json(path, &body).await;
            assert_eq!((status, &answer["verdict"]), (200, &json!(verdict)), "{path} {texts:?}: {answer}");
            assert_eq!(answer["is_valid"], verdict == "VALID");
            assert!((answer["confidence"].as_f64().unwrap() - confidence).abs() < 1e-9, "{path} {texts:?}: {answer}");
            assert_eq!((&answer["k_miners"], &answer["wanted_miners"]), (&json!(texts.len()), &json!(3)));
            let reasons = list(&answer["reasons"]);
            assert_eq!(reasons.first().is_some_and(|why| why.as_str().unwrap().contains("too few agree")), !agreed);
            for one in list(&answer["evidence"]) {
                assert_eq!(one["is_parsed"], one["content"] != strange, "{one}");
            }
            assert_eq!(answer["attestation"]["digest"].as_str().unwrap().len(), 64);
            assert_eq!(answer["mode"].is_string(), path.contains("fact"), "{path}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn different_words_for_one_verdict_harm_no_reputation() {
    let server = saying(Config::default(), &[VALID, "{\"verdict\":\"VALID\",\"reason\":\"Sure.\"}", INVALID]).await;
    let (_, answer) = server.post_json("/api/v2/validate", &json!({"claim": "x"})).await;
    assert_eq!(answer["verdict"], "VALID");
    for miner in server.router.miners() {
        assert_eq!(miner.reputation < 1.0, miner.id == "m2", "{}: {}", miner.id, miner.reputation);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_miners_are_told_the_claim_by_the_configured_prompt() {
    let agents = AgentsConfig::default().validate_prompt(Some("Judge [{claim}] {context}".into())).validators(1);
    let server = Server::open(Config::default().agents(agents)).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 8).models(["tiny"]));
    let body = json!({"claim": "{context}", "context": "maths", "execution": {"model": "tiny", "temperature": 0}});
    let asked = server.ask("POST", "/api/v2/validate", DEV, &body.to_string()).await;
    let job = hand.take().await;
    assert_eq!(job.prompt(), "Judge [{context}] What is known beside it:\nmaths\n");
    assert_eq!((job.request().token_limit(), job.request().extra[0].0.as_str()), (Some(512), "temperature"));
    job.finish(Answer::default().text(VALID));
    drop(asked);
    let asked = server.ask("POST", "/api/v1/factcheck", DEV, r#"{"claim":"c","mode":"realtime"}"#).await;
    let job = hand.take().await;
    assert!(job.prompt().contains("Today is 20") && job.prompt().contains("<claim>\nc\n</claim>"), "{}", job.prompt());
    job.finish(Answer::default().text(VALID));
    drop(asked);
    server.stop().await;
}

#[tokio::test]
async fn the_answer_to_a_stored_task_is_judged() {
    let server = saying(Config::default(), &["four"]).await;
    let (_, done) = server.post_json("/api/v1/completions", &json!({"prompt": "2 + 2?", "session_id": 0})).await;
    let (task, miner) = (done["task_id"].clone(), done["miner_address"].clone());
    let ask = async |headers: &str, more: Value| {
        let mut body = json!({"session_id": 0, "task_id": task, "policy": "fast"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = server.send("POST", "/api/v1/validate", headers, &body.to_string()).await;
        (reply.status, reply.json())
    };
    for (more, recorded) in [
        (json!({}), true),
        (json!({"miner_address": miner, "result_data": "four"}), true),
        (json!({"miner_address": miner, "result_data": "five"}), false),
    ] {
        let (status, answer) = ask(DEV, more.clone()).await;
        assert_eq!((status, &answer["is_recorded"]), (200, &json!(recorded)), "{more}: {answer}");
    }
    let (status, error) = ask(DEV, json!({"miner_address": "0xdead"})).await;
    assert_eq!((status, &error["code"], &error["param"]), (404, &json!("result_not_found"), &json!("miner_address")));
    let (status, error) = ask(DEV, json!({"task_id": 999})).await;
    assert_eq!((status, &error["code"]), (404, &json!("task_not_found")));
    // The task of a session that the caller may not use is none for it, and reading needs the scope.
    let other = session(&server, "other").await;
    for (spec, status) in [
        (KeySpec::new("limited").sessions(vec![other]), 404),
        (KeySpec::new("submits").scopes(vec![Scope::Submit]), 403),
    ] {
        let key = server.router.create_key(&spec).await.unwrap();
        let headers = format!("Authorization: Bearer {}\r\n", key.token.reveal());
        assert_eq!(ask(&headers, json!({})).await.0, status);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_every_task() {
    let server = Server::open(Config::default()).await;
    let mut hands = Vec::new();
    for name in ["a", "b", "c"] {
        hands.push(Hand::join(&server.router, MinerSpec::new(name, 8).models(["tiny"])));
    }
    let mut pool = Vec::new();
    for name in ["a", "b", "c"] {
        pool.push(session(&server, name).await);
    }
    for (path, body) in [
        ("/api/v2/delegate", json!({"objective": "x", "policy": "safe"})),
        ("/api/v3/delegate", json!({"objective": "x", "consensus": {"session_pool": pool}})),
        ("/api/v1/validate", json!({"task_request_input": "x", "task_result_output": "y"})),
        ("/api/v1/factcheck", json!({"claim": "x"})),
    ] {
        let asked = server.ask("POST", path, DEV, &body.to_string()).await;
        let mut jobs = Vec::new();
        for _ in 0..3 {
            jobs.push(Hand::next_of(&mut hands).await.1);
        }
        drop(asked);
        for job in jobs {
            within(job.cancelled()).await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_miner_that_fails_holds_nobody_up_and_an_order_that_all_fail_is_an_error() {
    let server = saying(Config::default(), &["four", "four", "four"]).await;
    let spec = MinerSpec::new("broken", 8).models(["tiny"]);
    let broken =
        server.router.add_miner(spec, |job: Job| job.fail(Failure::new(FailClass::Internal, "broken"))).unwrap();
    for _ in 0..3 {
        let (status, answer) = server.post_json("/api/v2/delegate", &json!({"objective": "x", "policy": "safe"})).await;
        assert_eq!((status, &answer["status"]), (200, &json!("completed")));
        // The other miners are a majority, whether one more was asked in time or not.
        assert!(list(&answer["evidence"]).len() >= 2, "{answer}");
    }
    drop(broken);
    server.stop().await;

    let server = Server::open(Config::default()).await;
    let spec = MinerSpec::new("broken", 8).models(["tiny"]);
    let _broken =
        server.router.add_miner(spec, |job: Job| job.fail(Failure::new(FailClass::Internal, "broken"))).unwrap();
    for (path, body) in [
        ("/api/v1/delegate", json!({"prompt": "x"})),
        ("/api/v2/delegate", json!({"objective": "x"})),
        ("/api/v3/delegate", json!({"objective": "x", "consensus": {"disagreement_policy": "best_effort"}})),
        ("/api/v2/validate", json!({"claim": "x"})),
    ] {
        assert_eq!(server.post_json(path, &body).await.0, 502, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_session_is_not_found_and_bad_input_is_named() {
    let server = saying(Config::default(), &["four"]).await;
    let own = session(&server, "own").await;
    let key = server.router.create_key(&KeySpec::new("limited").sessions(vec![own])).await.unwrap();
    let limited = format!("Authorization: Bearer {}\r\n", key.token.reveal());
    for (path, body) in [
        ("/api/v1/delegate", json!({"prompt": "x", "session_id": 0})),
        ("/api/v2/delegate", json!({"objective": "x", "session_id": 0})),
        ("/api/v2/delegate", json!({"objective": "x", "execution": {"session_id": "0"}})),
        ("/api/v3/delegate", json!({"objective": "x", "consensus": {"session_pool": [own, 0, own]}})),
        ("/api/v1/validate", json!({"task_request_input": "x", "task_result_output": "y", "session_id": 0})),
        ("/api/v2/validate", json!({"claim": "x", "session_id": 0})),
        ("/api/v3/validate", json!({"claim": "x", "consensus": {"session_pool": [0, own, own]}})),
        ("/api/v1/factcheck", json!({"claim": "x", "session_id": 0})),
    ] {
        let reply = server.send("POST", path, &limited, &body.to_string()).await;
        assert_eq!((reply.status, &reply.json()["code"]), (404, &json!("session_not_found")), "{path} {body}");
        assert_eq!(server.send("POST", path, "", &body.to_string()).await.status, 401, "{path}");
    }
    let reader = server.router.create_key(&KeySpec::new("reads").scopes(vec![Scope::Read])).await.unwrap();
    let reader = format!("Authorization: Bearer {}\r\n", reader.token.reveal());
    for (path, body, param) in [
        ("/api/v1/delegate", json!({}), "prompt"),
        ("/api/v1/delegate", json!({"prompt": "x", "policy": "slow"}), "policy"),
        ("/api/v2/delegate", json!({"policy": "fast"}), "objective"),
        ("/api/v2/delegate", json!({"objective": "x", "execution": {"timeout": -1}}), "timeout"),
        ("/api/v3/delegate", json!({"objective": "x", "consensus": {"replicas": 4}}), "consensus.replicas"),
        ("/api/v1/validate", json!({}), "claim"),
        ("/api/v2/validate", json!({"claim": "  "}), "claim"),
        ("/api/v3/validate", json!({"claim": "x", "consensus": {"strategy": 1}}), "consensus.strategy"),
        ("/api/v1/factcheck", json!({"claim": "x", "redundancy": 1}), "redundancy"),
    ] {
        let (status, error) = server.post_json(path, &body).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{path} {body}: {error}");
        assert_eq!(server.send("POST", path, &reader, &body.to_string()).await.status, 403, "{path}");
    }
    assert_eq!(server.get_json("/api/v1/tasks/0").await.1["count"], 0, "what is wrong makes no task");
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_is_the_same_work() {
    let server = saying(Config::default(), &["four"]).await;
    let mut pool = Vec::new();
    for name in ["a", "b", "c"] {
        pool.push(session(&server, name).await);
    }
    let headers = format!("{DEV}Idempotency-Key: k\r\n");
    for (path, body, other) in [
        ("/api/v1/delegate", json!({"prompt": "x"}), json!({"prompt": "y"})),
        ("/api/v2/delegate", json!({"objective": "x"}), json!({"objective": "y"})),
        (
            "/api/v3/delegate",
            json!({"objective": "x", "consensus": {"session_pool": pool}}),
            json!({"objective": "y", "consensus": {"session_pool": pool}}),
        ),
        ("/api/v2/validate", json!({"claim": "x"}), json!({"claim": "y"})),
    ] {
        let tasks = async |body: &Value| {
            let reply = server.send("POST", path, &headers, &body.to_string()).await;
            let answer = reply.json();
            let evidence = answer["evidence"].as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
            let ids: Vec<_> = evidence.iter().map(|one| (one["session_id"].clone(), one["task_id"].clone())).collect();
            (reply.status, ids)
        };
        let (first, second) = (tasks(&body).await, tasks(&body).await);
        assert_eq!((first.0, &first.1), (200, &second.1), "{path}");
        assert_eq!(tasks(&other).await.0, 422, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_card_is_public_and_names_the_routes() {
    let server = saying(Config::default().name("oracle of tests".to_owned()), &["four"]).await;
    for path in ["/.well-known/agent.json", "/.well-known/agent-card.json"] {
        let reply = server.send("GET", path, "", "").await;
        let card = reply.json();
        assert_eq!((reply.status, &card["name"]), (200, &json!("oracle of tests")));
        assert_eq!(card["url"], "http://localhost");
        for member in ["protocolVersion", "description", "version", "preferredTransport"] {
            assert!(card[member].as_str().is_some_and(|text| !text.is_empty()), "{member}");
        }
        let skills = list(&card["skills"]);
        assert_eq!(skills.len(), 4);
        for skill in skills {
            let example: Value = serde_json::from_str(skill["examples"][0].as_str().unwrap()).unwrap();
            let path = skill["description"].as_str().unwrap().split_once("POST ").unwrap().1;
            let path = path.split(['.', ',', ' ']).next().unwrap();
            // The first version of a validation and of a delegation takes other members.
            let path = if example.get("objective").is_some() { "/api/v2/delegate" } else { path };
            assert_eq!(server.post_json(path, &example).await.0, 200, "{path} {example}");
        }
    }
    server.stop().await;
    let server = saying(Config::default().external_address(Some("https://router.example/".into())), &[]).await;
    assert_eq!(server.send("GET", "/.well-known/agent.json", "", "").await.json()["url"], "https://router.example");
    server.stop().await;
}
