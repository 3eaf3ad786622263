//! Keys and configured tokens with limits.

use cortensor_router::Config;
use cortensor_router::config::{KeyLimits, ListenConfig, StorageConfig, TokenConfig};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router_testkit::server::Reply;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{DEV, Server, serve_with, with_words};

/// Makes a key, and gives its id and its token.
async fn key(server: &Server, limits: Value) -> (String, String) {
    let (status, key) = server.post_json("/api/v1/keys", &json!({"name": "app", "limits": limits})).await;
    assert_eq!((status, &key["limits"]), (201, &limits), "{key}");
    (key["id"].as_str().unwrap().to_owned(), key["token"].as_str().unwrap().to_owned())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

async fn complete(server: &Server, headers: &str, session: u64) -> Reply {
    let body = r#"{"prompt":"one two","model":"tiny","max_tokens":5}"#;
    server.send("POST", &format!("/api/v1/completions/{session}"), headers, body).await
}

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn requests_are_counted_however_the_token_is_sent() {
    let server = with_words().await;
    let (_, token) = key(&server, json!({"requests_per_minute": 3})).await;
    let ways = [bearer(&token), format!("X-API-Key: {token}\r\n"), format!("api-key: {token}\r\n")];
    for (way, left) in ways.iter().zip(["2", "1", "0"]) {
        let reply = server.send("GET", "/api/v1/info", way, "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("3"));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        assert!(reply.header("x-ratelimit-reset-requests").is_some_and(|span| span.ends_with('s')));
        assert_eq!(reply.header("x-ratelimit-limit-tokens"), None);
    }
    let chat = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let reply = server.send("POST", "/v1/chat/completions", &ways[0], chat).await;
    assert_eq!(reply.error(), (429, "rate_limit_error".into(), "rate_limited".into()));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // A key without limits is told none.
    assert_eq!(server.get("/api/v1/info").await.header("x-ratelimit-limit-requests"), None);
}

#[tokio::test]
async fn a_caller_of_messages_is_told_in_the_words_of_that_api_too() {
    let server = with_words().await;
    let (_, token) = key(&server, json!({"requests_per_minute": 2, "tokens_per_day": 1_000})).await;
    let body = r#"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let headers = format!("x-api-key: {token}\r\nanthropic-version: 2023-06-01\r\n");
    let names = ["requests-limit", "requests-remaining", "requests-reset", "tokens-limit", "tokens-remaining"];
    for (status, left) in [(200, "1"), (200, "0"), (429, "0")] {
        let reply = server.send("POST", "/v1/messages", &headers, body).await;
        let said = names.map(|name| reply.header(&format!("anthropic-ratelimit-{name}")).unwrap_or_default());
        let [limit, remaining, reset, tokens, tokens_left] = said;
        assert_eq!((reply.status, limit, remaining, tokens), (status, "2", left, "1000"), "{}", reply.body);
        assert!(tokens_left.parse::<u64>().unwrap() <= 1_000);
        assert!(reset.len() == "2026-01-01T00:00:00Z".len() && reset.ends_with('Z'), "{reset}");
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        assert_eq!(reply.header("retry-after").is_some(), status == 429);
    }
    let other = server.send("GET", "/v1/models", &headers, "").await;
    assert!(other.header("anthropic-ratelimit-requests-limit").is_some(), "Anthropic's client lists the models");
    let other = server.send("GET", "/v1/models", &bearer(&token), "").await;
    assert_eq!(other.header("anthropic-ratelimit-requests-limit"), None);
}

#[tokio::test]
async fn no_session_and_no_idempotency_key_leads_around_a_quota() {
    let server = with_words().await;
    let (id, token) = key(&server, json!({"tokens_per_day": 40})).await;
    let header = bearer(&token);
    let first = complete(&server, &format!("{header}Idempotency-Key: 0\r\n"), 0).await;
    assert_eq!((first.status, first.header("x-ratelimit-limit-tokens")), (200, Some("40")));
    let mut n = 1;
    let refused = loop {
        let reply = complete(&server, &format!("{header}Idempotency-Key: {n}\r\n"), n % 2).await;
        if reply.status != 200 {
            break reply;
        }
        n += 1;
        assert!(n < 40, "nothing is refused");
    };
    assert_eq!(code(&refused), (429, "quota_exceeded".into()), "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    for session in [0, 1] {
        assert_eq!(complete(&server, &header, session).await.status, 429);
    }
    let stream = r#"{"messages":[{"role":"user","content":"one two"}],"stream":true,"max_tokens":5,"model":"tiny"}"#;
    let streamed = server.send("POST", "/v1/chat/completions", &format!("X-API-Key: {token}\r\n"), stream).await;
    assert_eq!(streamed.error().2, "quota_exceeded");
    // The answer that a key repeats is not work: it is given again, and it is not counted again.
    let again = complete(&server, &format!("{header}Idempotency-Key: 0\r\n"), 0).await;
    assert_eq!((again.status, &again.json()["task_id"]), (200, &first.json()["task_id"]));
    let (_, report) = server.get_json(&format!("/api/v1/usage?by=key&key={id}")).await;
    let used = &report["usage"][0];
    assert_eq!(used["requests"], n);
    assert!((30..=40).contains(&used["total_tokens"].as_u64().unwrap()), "{used}");
}

#[tokio::test]
async fn a_quota_outlives_the_router() {
    let dir = tempfile::tempdir().unwrap();
    let limits = KeyLimits::default().tokens_per_month(std::num::NonZeroU64::new(20));
    let token = TokenConfig::default().name(Some("app".into())).value(Some("a secret".into())).quota(limits);
    let open = || async {
        let storage = StorageConfig::default().data_dir(Some(dir.path().to_owned()));
        let listen = ListenConfig::default().tokens(vec![token.clone()]).dev_token(Some(true));
        let server = serve_with(Config::default().storage(storage), listen).await;
        let spec = MinerSpec::new("words", 8);
        let words = |job: Job| job.finish(Answer::default().text("one two three four"));
        server.router.add_miner(spec, words).unwrap();
        server
    };
    let header = bearer("a secret");
    let server = open().await;
    let mut done = 0;
    while complete(&server, &header, 0).await.status == 200 {
        done += 1;
    }
    assert!((1..6).contains(&done), "{done}");
    let task = server.get_json("/api/v1/tasks/0/1").await.1;
    assert_eq!(task["key_id"], "app");
    server.stop().await;
    let server = open().await;
    assert_eq!(code(&complete(&server, &header, 0).await), (429, "quota_exceeded".into()));
    server.stop().await;
}

#[tokio::test]
async fn only_so_many_tasks_and_streams_are_under_way() {
    let server = super::serve(ListenConfig::default()).await;
    let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
    server.router.add_miner(MinerSpec::new("slow", 8), move |job: Job| sender.send(job).unwrap()).unwrap();
    let (_, token) = key(&server, json!({"concurrent_tasks": 2, "concurrent_streams": 1})).await;
    let header = bearer(&token);
    let later = r#"{"prompt":"x","async":true}"#;
    let stream = server.ask("POST", "/api/v1/completions", &header, r#"{"prompt":"x","stream":true}"#).await;
    let job = jobs.recv().await.unwrap();
    let second = server.send("POST", "/api/v1/completions", &header, r#"{"prompt":"y","stream":true}"#).await;
    assert_eq!(code(&second), (429, "rate_limited".into()));
    assert!(second.body.contains("concurrent_streams"), "{}", second.body);
    let joined = server.send("GET", "/api/v1/tasks/0/1/stream", &header, "").await;
    assert_eq!(code(&joined), (429, "rate_limited".into()));
    assert_eq!(server.send("POST", "/api/v1/completions", &header, later).await.status, 202);
    let third = server.send("POST", "/api/v1/completions", &header, later).await;
    assert_eq!(code(&third), (429, "rate_limited".into()));
    assert!(third.body.contains("concurrent_tasks"), "{}", third.body);
    job.finish(Answer::default().text("done"));
    drop(stream);
    // The place is free once the task has ended.
    let free = async {
        while server.send("POST", "/api/v1/completions", &header, later).await.status != 202 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), free).await.expect("a place is free");
}

#[tokio::test]
async fn limits_are_changed_while_the_key_is_in_use_and_never_widened_by_their_holder() {
    let server = with_words().await;
    let (id, token) = key(&server, json!({"tokens_per_day": 6})).await;
    let header = bearer(&token);
    let refused = complete(&server, &header, 0).await;
    assert_eq!(code(&refused), (429, "quota_exceeded".into()));
    assert!(refused.body.contains("max_tokens"), "{}", refused.body);
    let path = format!("/api/v1/keys/{id}");
    let changing = |limits: Value| json!({ "limits": limits }).to_string();
    let changed =
        server.send("PATCH", &path, DEV, &changing(json!({"tokens_per_day": 100, "tasks_per_minute": 1}))).await;
    assert_eq!((changed.status, &changed.json()["limits"]["tokens_per_day"]), (200, &json!(100)));
    assert!(changed.json().get("hash").is_none());
    assert_eq!(complete(&server, &header, 0).await.status, 200);
    assert_eq!(code(&complete(&server, &header, 0).await), (429, "rate_limited".into()));
    // Tokens that were used before there was a limit count too.
    assert_eq!(
        server
            .send("PATCH", &path, DEV, &changing(json!({"tokens_per_day": null, "tasks_per_minute": null})))
            .await
            .status,
        200
    );
    assert_eq!(complete(&server, &header, 0).await.status, 200);
    assert_eq!(server.send("PATCH", &path, DEV, &changing(json!({"tokens_per_day": 10}))).await.status, 200);
    assert_eq!(code(&complete(&server, &header, 0).await), (429, "quota_exceeded".into()));
    for (limits, status) in [(json!({"tokens_per_day": 0}), 400), (json!({"tokens_a_day": 1}), 400)] {
        assert_eq!(server.send("PATCH", &path, DEV, &changing(limits)).await.status, status);
    }
    assert_eq!(server.send("PATCH", "/api/v1/keys/none", DEV, &changing(json!({}))).await.status, 404);

    let admin = json!({"name": "ops", "scopes": ["admin"], "limits": {"tokens_per_day": 50}});
    let (_, ops) = server.post_json("/api/v1/keys", &admin).await;
    let ops_header = bearer(ops["token"].as_str().unwrap());
    let own = format!("/api/v1/keys/{}", ops["id"].as_str().unwrap());
    for wider in [json!({"tokens_per_day": 51}), json!({"tokens_per_day": null})] {
        assert_eq!(server.send("PATCH", &own, &ops_header, &changing(wider)).await.status, 403);
    }
    let wider = json!({"name": "x", "limits": {"tokens_per_day": 51}}).to_string();
    assert_eq!(server.send("POST", "/api/v1/keys", &ops_header, &wider).await.status, 403);
    let heir = server.send("POST", "/api/v1/keys", &ops_header, r#"{"name":"x"}"#).await;
    assert_eq!((heir.status, &heir.json()["limits"]["tokens_per_day"]), (201, &json!(50)));
}

#[tokio::test]
async fn a_key_may_be_limited_to_models() {
    let server = with_words().await;
    let (_, made) = server.post_json("/api/v1/keys", &json!({"name": "app", "models": ["tiny"]})).await;
    let header = bearer(made["token"].as_str().unwrap());
    for (body, status) in [
        (r#"{"prompt":"x","model":"tiny"}"#, 200),
        (r#"{"prompt":"x","model":"tiny:latest"}"#, 200),
        (r#"{"prompt":"x","model":"big"}"#, 403),
        (r#"{"prompt":"x"}"#, 403),
    ] {
        let reply = server.send("POST", "/api/v1/completions", &header, body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        if status == 403 {
            assert_eq!(reply.json()["code"], "model_not_allowed");
        }
    }
    let chat = r#"{"messages":[{"role":"user","content":"hi"}],"model":"session-0"}"#;
    let reply = server.send("POST", "/v1/chat/completions", &header, chat).await;
    assert_eq!(reply.error().2, "model_not_allowed");
}
