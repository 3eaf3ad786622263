//! The small routes: reranking, audio, images and moderation pass to an upstream that has them.

use std::collections::BTreeMap;

use cortensor_router::config::{LimitsConfig, UpstreamConfig};
use cortensor_router::model::{MinerSpec, Scope};
use cortensor_router::{Config, KeySpec};
use cortensor_router_testkit::miners::words;
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};
use serde_json::{Value, json};

/// A body of each route that takes JSON.
const BODIES: [(&str, &str); 4] = [
    ("/rerank", r#"{"model":"mine","query":"q","documents":["a",{"text":"b"}],"top_n":1.50}"#),
    ("/audio/speech", r#"{"model":"mine","input":"hi","voice":"alloy","stream":true}"#),
    ("/images/generations", r#"{"model":"mine","prompt":"a cat","n":2,"size":"512x512"}"#),
    ("/moderations", r#"{"model":"mine","input":["a",{"type":"text","text":"b"}]}"#),
];

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmine\r\n\
    --b\r\nContent-Disposition: form-data; name=\"timestamp_granularities[]\"\r\n\r\nword\r\n\
    --b\r\nContent-Disposition: form-data; name=\"timestamp_granularities[]\"\r\n\r\nsegment\r\n\
    --b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\nfalse\r\n\
    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
    RIFF\r\n\r\n--c-\r\n--b--\r\n";

fn config(name: &str, upstream: &Upstream) -> UpstreamConfig {
    let aliases = BTreeMap::from([("mine".to_owned(), "up-model".to_owned())]);
    UpstreamConfig::new(&upstream.url).name(Some(name.into())).models(vec!["mine".into()]).aliases(aliases)
}

/// A router in front of these upstreams, which know the model `mine` by the name `up-model`.
async fn before(upstreams: &[&Upstream]) -> Server {
    let server = Server::open(Config::default()).await;
    for (index, upstream) in upstreams.iter().enumerate() {
        server.router.add_upstream(config(&format!("up-{index}"), upstream)).unwrap();
    }
    server
}

/// An upstream that says a text of an unusual type.
async fn talker() -> Upstream {
    Upstream::new(|path, body| Say::Body("audio/mpeg", format!("{path}\n{body}").into())).await
}

async fn send_form(server: &Server, headers: &str, kind: &str, form: &str) -> cortensor_router_testkit::server::Reply {
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n{headers}\r\n{form}",
        form.len()
    );
    cortensor_router_testkit::server::Reply::of(&server.raw(head.as_bytes()).await)
}

const KIND: &str = "multipart/form-data; boundary=b";

#[tokio::test]
async fn a_request_passes_as_it_came_and_its_answer_comes_back_as_it_is() {
    let upstream = talker().await;
    let server = before(&[&upstream]).await;
    for (route, body) in BODIES {
        for path in [format!("/v1{route}"), route.to_owned()] {
            let reply = server.post(&path, body).await;
            assert_eq!((reply.status, reply.header("content-type")), (200, Some("audio/mpeg")), "{}", reply.body);
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert!(reply.header("x-cortensor-task").is_some() && reply.header("x-request-id").is_some());
            let (asked, sent) = reply.body.split_once('\n').unwrap();
            assert_eq!(asked, format!("/v1{route}"));
            let mut wanted: Value = serde_json::from_str(body).unwrap();
            wanted["model"] = "up-model".into();
            assert_eq!(serde_json::from_str::<Value>(sent).unwrap(), wanted);
        }
    }
    let reply = send_form(&server, DEV, KIND, FORM).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("audio/mpeg")), "{}", reply.body);
    let wanted = FORM.replacen("mine", "up-model", 1).replace("--b\r\nC", "--cortensor-router-00000000\r\nC");
    let wanted = wanted.replace("\r\n--b--\r\n", "\r\n--cortensor-router-00000000--\r\n");
    assert_eq!(reply.body, format!("/v1/audio/transcriptions\n{wanted}"));

    // All of them are tasks, and none keeps its file.
    let (_, tasks) = server.get_json("/api/v1/tasks/0").await;
    assert_eq!(tasks["count"], 9);
    assert!(!tasks.to_string().contains("RIFF") && !tasks.to_string().contains("UklGRg"), "{tasks}");
    let (_, usage) = server.get_json("/api/v1/usage").await;
    assert_eq!(usage["usage"][0]["requests"], 9, "{usage}");
    server.stop().await;
}

#[tokio::test]
async fn the_usage_that_an_upstream_tells_counts() {
    let answer = r#"{"results":[],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let upstream = Upstream::new(move |_, _| Say::Json(200, answer.into())).await;
    let server = before(&[&upstream]).await;
    let reply = server.post("/v1/rerank", BODIES[0].1).await;
    assert_eq!((reply.body.as_str(), reply.header("content-type")), (answer, Some("application/json")));
    let (_, task) = server.get_json("/api/v1/tasks/0/1").await;
    assert_eq!(task["usage"]["prompt_tokens"], 7, "{task}");
    server.stop().await;
}

#[tokio::test]
async fn an_upstream_without_the_route_is_asked_once_and_another_serves() {
    for refusal in [(404, r#"{"detail":"Not Found"}"#), (405, "{}"), (501, r#"{"error":{"message":"no reranking"}}"#)] {
        let lacks = Upstream::new(move |_, _| Say::Json(refusal.0, refusal.1.into())).await;
        let has = talker().await;
        let server = before(&[&lacks, &has]).await;
        for _ in 0..6 {
            assert_eq!(server.post("/v1/rerank", BODIES[0].1).await.status, 200);
        }
        assert!(lacks.bodies().len() <= 1, "{refusal:?}");
        assert_eq!(has.bodies().len(), 6);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_route_that_nobody_has_is_a_404_that_names_who_was_asked() {
    let lacks = Upstream::new(|_, _| Say::Json(404, r#"{"detail":"Not Found"}"#.into())).await;
    let other = Upstream::new(|_, _| Say::Json(405, "{}".into())).await;
    let server = before(&[&lacks, &other]).await;
    for _ in 0..2 {
        let reply = server.post("/v1/images/generations", r#"{"prompt":"a cat"}"#).await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, &error["code"]), (404, &json!("route_not_served")), "{}", reply.body);
        let words = error["message"].as_str().unwrap();
        assert!(["/v1/images/generations", "up-0", "up-1"].iter().all(|part| words.contains(part)), "{words}");
    }
    assert_eq!((lacks.bodies().len(), other.bodies().len()), (1, 1));
    // An upstream that lacks one route has others, and a model that it lacks is no route that it lacks.
    let words = r#"{"error":{"message":"The model does not exist","code":"model_not_found"}}"#;
    let picky = Upstream::new(move |_, _| Say::Json(404, words.into())).await;
    let server = before(&[&picky]).await;
    for asked in 1..3 {
        let reply = server.post("/v1/moderations", r#"{"input":"a"}"#).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (404, json!("model_not_found")));
        assert_eq!(picky.bodies().len(), asked);
    }
    server.stop().await;
}

#[tokio::test]
async fn other_miners_are_not_offered_such_requests() {
    let server = Server::open(Config::default().echo(true)).await;
    server.router.add_miner(MinerSpec::new("host", 8).models(["mine"]), words).unwrap();
    for (route, body) in BODIES {
        let reply = server.post(&format!("/v1{route}"), body).await;
        assert_eq!((reply.status, reply.error().2.as_str()), (404, "route_not_served"), "{}", reply.body);
    }
    let upstream = talker().await;
    server.router.add_upstream(config("up", &upstream)).unwrap();
    for _ in 0..4 {
        assert_eq!(server.post("/v1/rerank", BODIES[0].1).await.status, 200);
    }
    assert_eq!(upstream.bodies().len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_request_is_named() {
    let upstream = talker().await;
    let limits = LimitsConfig::default().max_upload_bytes(2_000);
    let server = Server::open(Config::default().limits(limits)).await;
    server.router.add_upstream(config("up", &upstream)).unwrap();
    for (route, body, param) in [
        ("/v1/rerank", r#"{"model":"mine","documents":["a"]}"#, "query"),
        ("/v1/rerank", r#"{"model":"mine","query":"q"}"#, "documents"),
        ("/v1/rerank", r#"{"query":"q","documents":["a"]}"#, "model"),
        ("/v1/audio/speech", r#"{"model":"mine"}"#, "input"),
        ("/v1/audio/speech", r#"{"input":"a"}"#, "model"),
        ("/v1/images/generations", "{}", "prompt"),
        ("/v1/moderations", "{}", "input"),
        ("/v1/moderations", "[", "body"),
    ] {
        let reply = server.post(route, body).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["param"]),
            (400, &json!(param)),
            "{route} {body}: {}",
            reply.body
        );
    }
    let no_file = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmine\r\n--b--";
    let no_model = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--b--";
    let no_name = "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--";
    let large = FORM.replace("RIFF", &"R".repeat(3_000));
    for (kind, form, status, param) in [
        (KIND, no_file, 400, json!("file")),
        (KIND, no_model, 400, json!("model")),
        (KIND, no_name, 400, json!("body")),
        (KIND, &FORM[..FORM.len() - 9], 400, json!("body")),
        (KIND, "", 400, json!("body")),
        (KIND, &large, 413, Value::Null),
        ("multipart/form-data", FORM, 415, json!("Content-Type")),
        ("application/json", "{}", 415, json!("Content-Type")),
    ] {
        let reply = send_form(&server, DEV, kind, form).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (status, &param), "{kind}: {}", reply.body);
    }
    let reply = send_form(&server, DEV, KIND, &large).await;
    assert!(reply.body.contains("limits.max_upload_bytes"), "{}", reply.body);
    let reply = send_form(&server, "Authorization: Bearer nobody\r\n", KIND, FORM).await;
    assert_eq!(reply.status, 401);
    let reader = server.router.create_key(&KeySpec::new("r").scopes([Scope::Read])).await.unwrap();
    let token = format!("Authorization: Bearer {}\r\n", reader.token.reveal());
    assert_eq!(send_form(&server, &token, KIND, FORM).await.status, 403);
    assert!(upstream.bodies().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn hanging_up_cancels() {
    let upstream = Upstream::new(|_, _| Say::Forever(vec!["{}".into()])).await;
    let server = before(&[&upstream]).await;
    let asked = server.ask("POST", "/v1/audio/speech", DEV, BODIES[1].1).await;
    server.miner(|miner| miner.in_flight == 1).await;
    drop(asked);
    upstream.hung_up().await;
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_gets_the_bytes_again() {
    let upstream = talker().await;
    let server = before(&[&upstream]).await;
    let headers = format!("{DEV}Idempotency-Key: k\r\n");
    let first = send_form(&server, &headers, KIND, FORM).await;
    let second = send_form(&server, &headers, KIND, FORM).await;
    assert_eq!((first.status, &first.body), (200, &second.body));
    assert_eq!(first.header("x-cortensor-task"), second.header("x-cortensor-task"));
    assert_eq!(second.header("content-type"), Some("audio/mpeg"));
    let other = FORM.replace("RIFF", "RIFX");
    assert_eq!(send_form(&server, &headers, KIND, &other).await.status, 422);
    assert_eq!(upstream.bodies().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error() {
    let upstream = Upstream::new(|_, _| Say::Body("audio/mpeg", vec![b'x'; 200_000])).await;
    let limits = LimitsConfig::default().max_output_bytes(1_000);
    let server = Server::open(Config::default().limits(limits)).await;
    server.router.add_upstream(config("up", &upstream)).unwrap();
    let reply = server.post("/v1/audio/speech", BODIES[1].1).await;
    assert_eq!(reply.status, 502, "{}", reply.body);
    assert!(reply.body.contains("limits.max_output_bytes"), "{}", reply.body);
    server.stop().await;
}
