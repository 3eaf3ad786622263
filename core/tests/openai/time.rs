//! How long callers of these routes wait, and how often the router tries an upstream.

use std::time::{Duration, Instant};

use cortensor_router::Config;
use cortensor_router::config::{DispatchConfig, LimitsConfig, UpstreamConfig};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Breaker, MinerSpec};

use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};

fn chat(more: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"x"}}]{more}}}"#)
}

/// A miner that gives one piece in each `millis` milliseconds.
async fn paced(config: Config, millis: u64) -> Server {
    let server = Server::open(config).await;
    let miner = move |job: Job| {
        tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                job.emit("word ");
            }
            job.finish(Answer::default());
        });
    };
    server.router.add_miner(MinerSpec::new("paced", 64), miner).unwrap();
    server
}

#[tokio::test]
async fn the_time_that_an_sdk_says_is_for_the_first_token_or_the_whole_answer() {
    let server = paced(Config::default(), 150).await;
    for (header, body, status) in [
        ("X-Stainless-Timeout: 0.3", "", 504),
        ("X-Stainless-Timeout: 0.3", r#","stream":true"#, 200),
        ("X-Stainless-Read-Timeout: 0.3", "", 504),
        ("X-Stainless-Timeout: 0.05", r#","stream":true"#, 504),
        ("X-Stainless-Timeout: 600", r#","timeout":0.3"#, 504),
        ("X-Other: 1", r#","timeout":0.3"#, 504),
        ("X-Other: 1", r#","timeout":0.3,"stream":true"#, 200),
        // A value that is not a positive time is ignored.
        ("X-Stainless-Timeout: 0", "", 200),
        ("X-Stainless-Timeout: -1", "", 200),
        ("X-Stainless-Timeout: soon", "", 200),
        ("X-Stainless-Timeout: NaN", "", 200),
        ("X-Stainless-Timeout: 1e300", "", 200),
    ] {
        let reply = server.send("POST", "/v1/chat/completions", &format!("{DEV}{header}\r\n"), &chat(body)).await;
        assert_eq!(reply.status, status, "{header} {body}: {}", reply.body);
        if status == 200 {
            assert!(!reply.body.contains("error"), "{header} {body}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn the_default_of_these_routes_is_their_own() {
    let limits = LimitsConfig::default().default_timeout_secs(1);
    let server = paced(Config::default().limits(limits), 300).await;
    let (one, other) = (chat(""), chat(""));
    let (openai, own) =
        tokio::join!(server.post("/v1/chat/completions", &one), server.post("/api/v1/chat/completions", &other));
    assert_eq!((openai.status, own.status), (200, 504), "{} {}", openai.body, own.body);
}

#[tokio::test]
async fn comments_of_an_upstream_are_signs_of_life() {
    let chunk = r#"data: {"id":"u","choices":[{"index":0,"delta":{"content":"ab"},"finish_reason":"stop"}]}"#;
    let upstream = Upstream::new(move |_, _| {
        let mut packets = vec![(50, ": wait\n\n".to_owned()); 10];
        packets.push((50, format!("{chunk}\n\ndata: [DONE]\n\n")));
        Say::Slowly(packets)
    })
    .await;
    let dispatch = DispatchConfig::default().progress_timeout_ms(200);
    let upstreams = vec![
        UpstreamConfig::new(&upstream.url),
        // A second upstream that could take the task.
        UpstreamConfig::new(&upstream.url).name(Some("spare".into())),
    ];
    let server = Server::open(Config::default().dispatch(dispatch).upstreams(upstreams)).await;
    let reply = server.post("/v1/chat/completions", &chat(r#","stream":true"#)).await;
    assert!(reply.body.contains("ab"), "{}", reply.body);
    assert_eq!(upstream.bodies().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_hangs_up_over_a_request_is_asked_no_more_often_than_allowed() {
    const GOOD: &str = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    let upstream =
        Upstream::new(|_, body| if body.contains("bad") { Say::HangUp } else { Say::Json(200, GOOD.into()) }).await;
    let upstreams = vec![UpstreamConfig::new(&upstream.url)];
    let server = Server::open(Config::default().upstreams(upstreams)).await;
    for _ in 0..4 {
        assert_eq!(server.post("/v1/chat/completions", &chat("")).await.status, 200);
    }
    let before = upstream.bodies().len();
    let reply = server.post("/v1/chat/completions", &chat(r#","user":"bad""#)).await;
    assert_eq!((reply.status, upstream.bodies().len() - before), (502, 3), "{}", reply.body);
}

#[tokio::test]
async fn a_dead_upstream_is_told_soon_with_its_own_words() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", closed.local_addr().unwrap());
    drop(closed);
    let dispatch = DispatchConfig::default().no_miner_grace_ms(200);
    let server = Server::open(Config::default().dispatch(dispatch).upstreams(vec![UpstreamConfig::new(url)])).await;
    for stream in ["", r#","stream":true"#] {
        let asked = Instant::now();
        let reply = server.post("/v1/chat/completions", &chat(stream)).await;
        assert_eq!((reply.status, reply.error().2), (503, "no_miner".into()), "{}", reply.body);
        assert!(reply.body.contains("cannot connect"), "{}", reply.body);
        assert!(reply.header("retry-after").is_some());
        assert!(asked.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_upstream_s_answer_beyond_its_bound_is_cut_and_costs_it_nothing() {
    let long = "word ".repeat(40_000);
    let upstream = Upstream::new(move |_, body| {
        if body.contains("\"stream\":true") && !body.contains("json") {
            let event =
                |text: &str| format!(r#"{{"id":"u","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
            return Say::Events(
                long.as_bytes().chunks(1_000).map(|text| event(std::str::from_utf8(text).unwrap())).collect(),
            );
        }
        Say::Json(
            200,
            format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{long}"}},"finish_reason":"stop"}}]}}"#),
        )
    })
    .await;
    let limits = LimitsConfig::default().max_output_bytes(2_503);
    let upstreams = vec![UpstreamConfig::new(&upstream.url)];
    let server = Server::open(Config::default().limits(limits).upstreams(upstreams)).await;
    for more in ["", r#","user":"json""#] {
        let reply = server.post("/v1/chat/completions", &chat(more)).await;
        let choice = &reply.json()["choices"][0];
        assert_eq!(choice["finish_reason"], "length", "{}", reply.status);
        assert_eq!(choice["message"]["content"].as_str().unwrap().len(), 2_503);
        let reply = server.post("/v1/chat/completions", &chat(&format!(r#"{more},"stream":true"#))).await;
        let chunks = reply.chunks();
        let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text.len(), 2_503);
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "length", "{:?}", chunks.last());
    }
    let info = &server.router.miners()[0];
    assert_eq!((info.failed, info.breaker), (0, Breaker::Closed));
}
