//! Trials over real sockets: no token, a quota for each address, and nothing of anybody else.

use cortensor_router::Config;
use cortensor_router::config::{ListenConfig, TrialConfig};
use cortensor_router::miner::Job;
use cortensor_router::model::{MinerSpec, SessionSpec};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::miners::say;
use serde_json::{Value, json};

const ROUTES: [(&str, &str); 8] = [
    ("/api/v1/trial/completions", r#"{"prompt":"x"}"#),
    ("/api/v1/trial/delegate", r#"{"prompt":"x"}"#),
    ("/api/v2/trial/delegate", r#"{"objective":"x"}"#),
    ("/api/v1/trial/validate", r#"{"task_request_input":"x","task_result_output":"y"}"#),
    ("/api/v2/trial/validate", r#"{"claim":"x"}"#),
    ("/api/v1/trial/factcheck", r#"{"claim":"x"}"#),
    ("/api/v1/trial/fact-check", r#"{"claim":"x"}"#),
    ("/api/v3/trial/delegate", r#"{"prompt":"x"}"#),
];

async fn server(trial: TrialConfig) -> Server {
    let listen = ListenConfig::default().trial(trial).trusted_proxies(vec!["127.0.0.0/8".into()]);
    let server = Server::open(Config::default().listen(listen)).await;
    let spec = MinerSpec::new("m", 8).models(["tiny"]);
    server.router.add_miner(spec, |job: Job| say(job, "VERDICT: VALID")).unwrap();
    server
}

/// A request of the client with that address.
async fn of(server: &Server, client: &str, path: &str, body: &str) -> (u16, Value, Option<u64>) {
    let reply = server.send("POST", path, &format!("X-Forwarded-For: {client}\r\n"), body).await;
    let after = reply.header("retry-after").map(|after| after.parse().unwrap());
    (reply.status, reply.json(), after)
}

#[tokio::test]
async fn there_are_no_trials_unless_the_operator_wants_them() {
    let server = server(TrialConfig::default()).await;
    for (path, body) in ROUTES {
        let (status, error, _) = of(&server, "192.0.2.1", path, body).await;
        assert_eq!((status, &error["code"]), (404, &json!("trials_off")), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn each_address_has_its_quota() {
    let server = server(TrialConfig::default().enabled(true).requests(ROUTES.len() as u32)).await;
    for client in ["192.0.2.1", "192.0.2.2"] {
        for (path, body) in ROUTES {
            let (status, answer, _) = of(&server, client, path, body).await;
            assert_eq!(status, 200, "{client} {path}: {answer}");
        }
        for (path, body) in ROUTES {
            let (status, error, after) = of(&server, client, path, body).await;
            assert_eq!((status, &error["code"]), (429, &json!("trial_quota_exceeded")), "{client} {path}");
            assert!(after.is_some_and(|after| (3_500..=3_600).contains(&after)), "{after:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_trial_has_its_session_its_bounds_and_no_look_at_others() {
    let server = server(TrialConfig::default().enabled(true).session(2).max_tokens(7)).await;
    let session = server.router.create_session(SessionSpec::default().name("trials")).await.unwrap();
    assert_eq!(session.id.0, 2);
    let path = "/api/v1/trial/completions";
    let (_, done, _) = of(&server, "192.0.2.1", path, r#"{"prompt":"x","max_tokens":99,"priority":9}"#).await;
    assert_eq!(done["session_id"], 2);
    let (_, task) = server.get_json("/api/v1/tasks/2/1").await;
    assert_eq!(task["key_id"], "trial", "{task}");
    for (path, body, status) in [
        (path, r#"{"prompt":"x","session_id":0}"#, 404),
        ("/api/v2/trial/delegate", r#"{"objective":"x","session_id":0}"#, 404),
        ("/api/v1/trial/validate", r#"{"session_id":2,"task_id":1}"#, 403),
        ("/api/v1/trial/validate", r#"{"session_id":0,"task_id":1}"#, 403),
    ] {
        assert_eq!(of(&server, "192.0.2.1", path, body).await.0, status, "{path} {body}");
    }
    // Two clients with one idempotency key have tasks of their own.
    let mut tasks = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let headers = format!("X-Forwarded-For: {client}\r\nIdempotency-Key: k\r\n");
        tasks.push(server.send("POST", path, &headers, r#"{"prompt":"x"}"#).await.json()["task_id"].clone());
    }
    assert!(tasks[0] != tasks[1] && tasks[0] == tasks[2], "{tasks:?}");
    server.stop().await;
}

#[tokio::test]
async fn one_quota_bounds_all_trials() {
    let most = std::num::NonZeroU64::new(2);
    let server = server(TrialConfig::default().enabled(true).all_requests_per_minute(most)).await;
    let path = "/api/v1/trial/completions";
    let mut statuses = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        statuses.push(of(&server, client, path, r#"{"prompt":"x"}"#).await.0);
    }
    assert_eq!(statuses, [200, 200, 429]);
    server.stop().await;
}
