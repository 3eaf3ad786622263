//! A configuration that changes while the router works.

use std::sync::Arc;

use cortensor_router::config::{CorsConfig, KeyLimits, ListenConfig, TokenConfig, UpstreamConfig};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router::{Config, Error, Reloaded};
use cortensor_router_testkit::upstream::{Say, Upstream};
use cortensor_router_testkit::within;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{DEV, Server};

const OPS: &str = "Authorization: Bearer secret-of-ops\r\n";

fn token(name: &str) -> TokenConfig {
    TokenConfig::default().name(Some(name.into())).value(Some(format!("secret-of-{name}")))
}

fn config() -> Config {
    Config::default().echo(true).listen(ListenConfig::default().tokens(vec![token("ops")]))
}

/// A server whose configuration is read from that place.
async fn readable(config: Config) -> (Server, Arc<Mutex<Result<Config, Error>>>) {
    let place = Arc::new(Mutex::new(Ok(config.clone())));
    let server = Server::open(config).await;
    let source = place.clone();
    server.router.reload_from(move || source.lock().clone());
    (server, place)
}

async fn reload(server: &Server) -> Value {
    let reply = server.send("POST", "/api/v1/reload", OPS, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// Sends a request on a connection that stays open. Gives the status.
async fn ask(connection: &mut BufReader<TcpStream>, path: &str, token: &str, body: &str) -> u16 {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.get_mut().write_all(request.as_bytes()).await.unwrap();
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        within(connection.read_line(&mut line)).await.unwrap();
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = rest.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            within(connection.read_exact(&mut body)).await.unwrap();
            return status;
        }
    }
}

#[tokio::test]
async fn a_reload_changes_tokens_and_settings_on_open_connections() {
    let (server, place) = readable(config()).await;
    let mut connection = BufReader::new(TcpStream::connect(server.address).await.unwrap());
    let chat = r#"{"model":"x","messages":[{"role":"user","content":"hi"}]}"#;
    // The caller of a connection is remembered from its second request on, so each is sent three times.
    for _ in 0..3 {
        assert_eq!(ask(&mut connection, "/v1/chat/completions", "secret-of-ops", chat).await, 200);
        assert_eq!(ask(&mut connection, "/v1/models", "secret-of-ops", "").await, 200);
        assert_eq!(ask(&mut connection, "/v1/models", "secret-of-app", "").await, 401);
        assert_eq!(ask(&mut connection, "/metrics", "none", "").await, 401);
    }
    let mut new = config().name("renamed".into()).first_task_id(9);
    new.listen.tokens.push(token("app"));
    new.listen.public_metrics = true;
    new.limits.max_request_bytes = 4;
    *place.lock() = Ok(new);
    let done = reload(&server).await;
    assert_eq!(done["changed"], json!(["name", "limits.max_request_bytes", "listen.token", "listen.public_metrics"]));
    assert_eq!((&done["needs_restart"], &done["unchanged"]), (&json!(["first_task_id"]), &json!(false)));
    assert_eq!(server.router.config().name, "renamed");
    assert_eq!(server.router.config().first_task_id, 1);
    for _ in 0..3 {
        assert_eq!(ask(&mut connection, "/v1/models", "secret-of-app", "").await, 200);
        assert_eq!(ask(&mut connection, "/metrics", "none", "").await, 200);
        assert_eq!(server.send("POST", "/v1/chat/completions", OPS, chat).await.status, 413);
    }
    // A key that needs a restart is named until then.
    assert_eq!(
        reload(&server).await,
        json!({
            "changed": [], "needs_restart": ["first_task_id"], "unchanged": false,
            "upstreams": {"added": [], "changed": [], "removed": []},
        })
    );
    *place.lock() = Ok(config());
    reload(&server).await;
    for _ in 0..2 {
        assert_eq!(ask(&mut connection, "/v1/models", "secret-of-ops", "").await, 200);
        assert_eq!(ask(&mut connection, "/v1/chat/completions", "secret-of-ops", chat).await, 200);
        assert_eq!(ask(&mut connection, "/v1/models", "secret-of-app", "").await, 401, "it was removed");
        assert_eq!(ask(&mut connection, "/v1/chat/completions", "secret-of-app", chat).await, 401);
    }
    assert_eq!(reload(&server).await["unchanged"], true);

    let audit = server.send("GET", "/api/v1/audit?act=config_reloaded", OPS, "").await.json();
    assert_eq!(audit["count"], 4);
    let first = &audit["audit"][0];
    assert_eq!((&first["key_id"], &first["subject"]), (&json!("ops"), &json!("configuration")));
    assert_eq!(first["detail"]["needs_restart"], json!(["first_task_id"]));
    assert!(!audit.to_string().contains("secret-of"), "{audit}");
    server.stop().await;
}

#[tokio::test]
async fn the_limits_of_a_token_change_and_what_it_used_stays_counted() {
    let limited = |most: u64| {
        let quota = KeyLimits::default().tokens_per_day(std::num::NonZeroU64::new(most));
        let mut config = config();
        config.listen.tokens.push(token("app").quota(quota));
        config
    };
    let (server, place) = readable(limited(1)).await;
    let app = "Authorization: Bearer secret-of-app\r\n";
    let completion = r#"{"prompt":"a b c d e f g h","max_tokens":1}"#;
    let submit = || server.send("POST", "/api/v1/completions", app, completion);
    assert_eq!(submit().await.status, 429);
    *place.lock() = Ok(limited(1_000_000));
    reload(&server).await;
    assert_eq!(submit().await.status, 200);
    *place.lock() = Ok(limited(2));
    reload(&server).await;
    assert_eq!(submit().await.status, 429, "the tokens of the day stay counted");
    server.stop().await;
}

#[tokio::test]
async fn pages_and_lists_of_models_follow() {
    let (server, place) = readable(config()).await;
    let page = "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n";
    assert_eq!(server.send("OPTIONS", "/v1/models", page, "").await.header("access-control-allow-origin"), None);
    let text = "[[model]]\nname='smart'\ntargets=['a','b']";
    let mut new = config();
    new.listen.cors = CorsConfig::default().origins(vec!["https://app.example".into()]);
    new.models = Config::from_toml(text).unwrap().models;
    *place.lock() = Ok(new);
    reload(&server).await;
    let reply = server.send("OPTIONS", "/v1/models", page, "").await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(server.send("GET", "/v1/models", OPS, "").await.body.contains("\"smart\""));
    server.stop().await;
}

/// A stream that waits for its end until the test lets it go on.
async fn streaming(server: &Server, model: &str) -> BufReader<TcpStream> {
    let body = json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let mut stream = BufReader::new(server.ask("POST", "/v1/chat/completions", OPS, &body).await);
    let mut line = String::new();
    while !line.contains("first") {
        line.clear();
        assert!(within(stream.read_line(&mut line)).await.unwrap() > 0, "the stream has ended");
    }
    stream
}

#[tokio::test]
async fn upstreams_come_change_and_go_and_running_work_ends() {
    let piece = |text: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
    let slow = Upstream::new(move |_, _| {
        let end = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        Say::Slowly(vec![
            (0, format!("data: {}\n\n", piece("first"))),
            (1_500, format!("data: {}\n\n{end}\n\ndata: [DONE]\n\n", piece("last"))),
        ])
    })
    .await;
    let upstream = |name: &str| UpstreamConfig::new(&slow.url).name(Some(name.into())).models(vec![name.into()]);
    let with = |upstreams: Vec<UpstreamConfig>| config().echo(false).upstreams(upstreams);
    let (server, place) = readable(with(vec![upstream("a"), upstream("b"), upstream("c")])).await;
    let mut streams = Vec::new();
    for model in ["a", "b", "c"] {
        streams.push(streaming(&server, model).await);
    }
    *place.lock() = Ok(with(vec![upstream("a"), upstream("b").weight(7), upstream("d")]));
    let done = reload(&server).await;
    assert_eq!(done["changed"], json!(["upstream"]));
    assert_eq!(done["upstreams"], json!({"added": ["d"], "changed": ["b"], "removed": ["c"]}));
    let state = |list: &Value, name: &str| {
        let mut states: Vec<_> =
            list["upstreams"].as_array().unwrap().iter().filter(|one| one["name"] == name).collect();
        states.sort_by_key(|one| one["in_flight"].as_u64());
        states
            .iter()
            .map(|one| (one["state"].as_str().unwrap().to_owned(), one["in_flight"].as_u64()))
            .collect::<Vec<_>>()
    };
    let list = server.send("GET", "/api/v1/upstreams", OPS, "").await.json();
    assert_eq!(state(&list, "c"), [("leaving".to_owned(), Some(1))]);
    assert_eq!(state(&list, "b").len(), 2, "the old one finishes: {list}");
    for mut stream in streams {
        let mut rest = String::new();
        within(stream.read_to_string(&mut rest)).await.unwrap();
        assert!(rest.contains("last") && rest.contains("[DONE]"), "{rest}");
    }
    for _ in 0..1_000 {
        let list = server.send("GET", "/api/v1/upstreams", OPS, "").await.json();
        if state(&list, "c").is_empty() && state(&list, "b").len() == 1 && list["count"] == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let list = server.send("GET", "/api/v1/upstreams", OPS, "").await.json();
    assert_eq!((state(&list, "c"), list["count"].as_u64()), (vec![], Some(3)), "{list}");
    assert!(list["upstreams"].as_array().unwrap().iter().all(|one| one["source"] == "config"), "{list}");
    streaming(&server, "d").await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let (server, place) = readable(config()).await;
    let wrong = |text: &str| Config::from_toml(&format!("[[listen.token]]\nname='ops'\nvalue='secret-of-ops'\n{text}"));
    let other_miner = UpstreamConfig::new("http://127.0.0.1:9/v1").name(Some("echo".into()));
    let nameless = TokenConfig::default().value_env(Some("NO_SUCH_VARIABLE_OF_A_TEST".into()));
    let mut without_value = config();
    without_value.listen.tokens.push(nameless);
    for (config, status, param) in vec![
        (wrong("[limits]\nmax_sesions=5"), 400, "limits.max_sesions"),
        (wrong("[limits]\nmax_sessions=0"), 400, "limits.max_sessions"),
        (wrong("[[upstream]]\nurl='nonsense'"), 400, "upstream[0].url"),
        (wrong("[[upstream]]\nurl='http://u:p@h'"), 400, "upstream[0].url"),
        (wrong("[[upstream]]\nurl='http://h/v1'\n[[upstream]]\nurl='http://h/v2'"), 400, "upstream[1].name"),
        (wrong("[[prices.model]]\nname='m'\ninput=-1\noutput=1"), 400, "prices.model[0].input"),
        (wrong("[prices]\ncurency='EUR'"), 400, "prices.curency"),
        (wrong("[[model]]\nname='x'\ntargets=[]"), 400, "model[0].targets"),
        (Ok(config().upstreams(vec![other_miner])), 409, "upstream[0].name"),
        (Ok(without_value), 400, "listen.token.value"),
    ] {
        *place.lock() = config;
        let reply = server.send("POST", "/api/v1/reload", OPS, "").await;
        let error = reply.json();
        assert_eq!((reply.status, error["param"].as_str()), (status, Some(param)), "{error}");
        assert_eq!(server.router.config().limits.max_sessions, 100_000);
        assert_eq!(server.send("GET", "/api/v1/miners", OPS, "").await.json()["miners"].as_array().unwrap().len(), 1);
    }
    // A quota of nothing is refused as a value, with its place.
    let zero = wrong("").map(drop).and(Config::from_toml("[[listen.token]]\nvalue='x'\nquota={tokens_per_day=0}"));
    assert!(zero.unwrap_err().message().contains("tokens_per_day"));
    let audit = server.send("GET", "/api/v1/audit", OPS, "").await.json();
    assert_eq!(audit["count"], 0, "nothing was done");
    server.stop().await;
}

#[tokio::test]
async fn only_administrators_reload_and_a_program_without_a_source_says_so() {
    let mut config = config();
    let limited = token("limited").sessions(vec![0]);
    config.listen.tokens.extend([token("reader").scopes(vec![cortensor_router::model::Scope::Read]), limited]);
    let server = Server::open(config).await;
    for (header, status) in [
        ("", 401),
        (DEV, 401),
        ("Authorization: Bearer secret-of-reader\r\n", 403),
        ("Authorization: Bearer secret-of-limited\r\n", 403),
        (OPS, 409),
    ] {
        assert_eq!(server.send("POST", "/api/v1/reload", header, "").await.status, status, "{header}");
    }
    let done: Reloaded = server.router.reload(Config::clone(&server.router.config())).await.unwrap();
    assert!(done.unchanged && done.changed.is_empty() && done.needs_restart.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn the_end_of_the_built_in_echo_leaves_another_miner_of_its_name() {
    let (server, place) = readable(config()).await;
    let count = || server.router.miners().iter().filter(|miner| miner.miner_id == "echo").count();
    server.router.remove_miner("echo").unwrap();
    server.router.add_miner(MinerSpec::new("echo", 1), |job: Job| job.finish(Answer::default())).unwrap();
    *place.lock() = Ok(config().echo(false));
    assert_eq!(reload(&server).await["changed"], json!(["echo"]));
    assert_eq!(count(), 1, "the program's own stays");
    // The built-in one comes and goes with its setting.
    server.router.remove_miner("echo").unwrap();
    for echo in [true, false] {
        *place.lock() = Ok(config().echo(echo));
        reload(&server).await;
        assert_eq!(count(), usize::from(echo));
    }
    server.stop().await;
}
