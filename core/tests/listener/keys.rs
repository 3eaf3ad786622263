//! Tokens of the configuration, and keys that are revoked or expire while requests run under them.

use std::num::NonZeroU64;
use std::time::Duration;

use cortensor_router::config::{ListenConfig, TokenConfig};
use cortensor_router::listener::{Body, Handler};
use cortensor_router::miner::Job;
use cortensor_router::model::MinerSpec;
use cortensor_router::{Config, KeySpec, Router, Token};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{DEV, Server, serve};

#[tokio::test]
async fn a_token_of_the_configuration_may_have_the_form_of_a_key() {
    let value = Token::mint().unwrap().reveal();
    let token = TokenConfig::default().name(Some("app".into())).value(Some(value.clone()));
    let server = serve(ListenConfig::default().tokens(vec![token])).await;
    let header = format!("Authorization: Bearer {value}\r\n");
    assert_eq!(server.parts("GET", "/api/v1/info", &header, "").await.0, 200);
    let other = format!("Authorization: Bearer {}\r\n", Token::mint().unwrap().reveal());
    assert_eq!(server.parts("GET", "/api/v1/info", &other, "").await.0, 401);
}

/// A server whose miner never ends an answer, and a key for that server.
struct Watched {
    server: Server,
    jobs: mpsc::UnboundedReceiver<Job>,
    id: String,
    header: String,
}

impl Watched {
    async fn start() -> Self {
        let server = serve(ListenConfig::default()).await;
        let (sender, jobs) = mpsc::unbounded_channel::<Job>();
        server.router.add_miner(MinerSpec::new("slow", 4), move |job: Job| sender.send(job).unwrap()).unwrap();
        let (_, key) = server.post_json("/api/v1/keys", &json!({"name": "app"})).await;
        let header = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
        let id = key["id"].as_str().unwrap().to_owned();
        Self { server, jobs, id, header }
    }

    async fn submit(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}Content-Length: {length}\r\n\r\n{body}",
            self.header
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn revoke(&self) {
        assert_eq!(self.server.parts("DELETE", &format!("/api/v1/keys/{}", self.id), DEV, "").await.0, 200);
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut out = String::new();
    let read = stream.read_to_string(&mut out);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the connection ends").unwrap();
    out
}

async fn is_told(job: Job) {
    tokio::time::timeout(Duration::from_secs(10), job.cancelled()).await.expect("the miner is told");
}

#[tokio::test]
async fn revoking_a_key_ends_its_streams_with_an_error_and_cancels_their_tasks() {
    for (path, body) in [
        ("/api/v1/completions", r#"{"prompt":"x","stream":true}"#),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"x"}],"stream":true}"#),
    ] {
        let mut watched = Watched::start().await;
        let mut stream = watched.submit(path, body).await;
        let job = watched.jobs.recv().await.unwrap();
        job.emit("token ");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("token ") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
        watched.revoke().await;
        is_told(job).await;
        let rest = rest(stream).await;
        let event = rest.lines().find_map(|line| line.strip_prefix("data: {")).unwrap_or_else(|| panic!("{rest}"));
        let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        let error = if path.starts_with("/v1") { &event["error"] } else { &event };
        assert_eq!(error["code"], "key_revoked", "{rest}");
        assert!(rest.contains("data: [DONE]"), "{rest}");
    }
}

#[tokio::test]
async fn revoking_a_key_answers_its_calls_and_leaves_the_tasks_that_nobody_waits_for() {
    let mut watched = Watched::start().await;
    let waiting = watched.submit("/api/v1/completions", r#"{"prompt":"x"}"#).await;
    let job = watched.jobs.recv().await.unwrap();
    let later = rest(watched.submit("/api/v1/completions", r#"{"prompt":"y","async":true}"#).await).await;
    assert!(later.starts_with("HTTP/1.1 202"), "{later}");
    let detached = watched.jobs.recv().await.unwrap();
    watched.revoke().await;
    let answer = rest(waiting).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("key_revoked"), "{answer}");
    is_told(job).await;
    assert!(!detached.is_cancelled());
}

/// The clock stands still while anything can be done, so that the key expires while the miner is silent.
#[tokio::test(start_paused = true)]
async fn a_key_that_expires_ends_its_streams_and_calls_at_once() {
    let router = Router::open(Config::default()).await.unwrap();
    let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
    router.add_miner(MinerSpec::new("slow", 8), move |job: Job| sender.send(job).unwrap()).unwrap();
    let handler = Handler::new(router.clone(), ListenConfig::default()).unwrap();
    for (path, body) in [
        ("/api/v1/completions", r#"{"prompt":"x","stream":true}"#),
        ("/api/v1/completions", r#"{"prompt":"x"}"#),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"x"}],"stream":true}"#),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"x"}]}"#),
    ] {
        let key = router.create_key(&KeySpec::new("brief").ttl_secs(NonZeroU64::new(5))).await.unwrap();
        let asked = tokio::time::Instant::now();
        let request = |body: &'static str| {
            let bearer = format!("Bearer {}", key.token.reveal());
            let request = http::Request::post(path).header("authorization", bearer).body(Body::from(body)).unwrap();
            let handler = handler.clone();
            tokio::spawn(async move {
                let (head, body) = handler.handle(request, "127.0.0.1:1".parse().unwrap()).await.into_parts();
                (head.status, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
            })
        };
        let call = request(body);
        let job = jobs.recv().await.unwrap();
        job.emit("token ");
        let (status, text) = call.await.unwrap();
        let lasted = asked.elapsed();
        assert!(lasted > Duration::from_millis(3_900) && lasted < Duration::from_millis(5_100), "{lasted:?}");
        assert!(text.contains("\"key_expired\""), "{text}");
        if body.contains("stream") {
            assert!(status == 200 && text.contains("token ") && text.ends_with("data: [DONE]\n\n"), "{text}");
        } else {
            assert!(status == 401 && !text.contains("token "), "{text}");
        }
        is_told(job).await;
    }
    router.close().await;
}

#[tokio::test]
async fn a_key_that_revokes_itself_is_told_that_it_did() {
    let server = serve(ListenConfig::default()).await;
    let (_, key) = server.post_json("/api/v1/keys", &json!({"name": "ops", "scopes": ["admin"]})).await;
    let header = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    let path = format!("/api/v1/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(server.parts("DELETE", &path, &header, "").await.0, 200);
    assert_eq!(server.parts("DELETE", &path, &header, "").await.0, 401);
}

#[tokio::test]
async fn a_key_is_revoked_although_whoever_revokes_it_hangs_up() {
    let dir = tempfile::tempdir().unwrap();
    let storage = cortensor_router::config::StorageConfig::default()
        .data_dir(Some(dir.path().to_owned()))
        .durability(cortensor_router::config::Durability::Full);
    let server = crate::serve_with(Config::default().storage(storage), ListenConfig::default()).await;
    let spec = KeySpec::new("k").scopes([cortensor_router::model::Scope::Read]);
    let made = server.router.create_key(&spec).await.unwrap();
    {
        let revoked = server.router.delete_key(&made.key.id);
        tokio::pin!(revoked);
        tokio::select! {
            biased;
            _ = &mut revoked => panic!("it is in the store before anybody asked"),
            () = std::future::ready(()) => {}
        }
    }
    let bearer = format!("Authorization: Bearer {}\r\n", made.token.reveal());
    let refused = async {
        while server.parts("GET", "/api/v1/sessions", &bearer, "").await.0 != 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("the key is refused");
}
