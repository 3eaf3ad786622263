//! A run with known secrets, through successes and failures, and then a search for them wherever the router writes.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use cortensor_router_protocol::identity::MinerKeyPair;
use serde_json::json;

use crate::Outcome;
use crate::http::Ask;
use crate::miner::{Hand, hello, key_pair};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command, Target};
use crate::upstream::{Upstream, json as answer};

/// The key of the upstream.
const UPSTREAM: &str = "sk-upstream-7c1e90aab3";

/// A part of every prompt.
const PROMPT: &str = "prompt-marker-5d20";

/// A part of every answer.
const ANSWER: &str = "answer-marker-81ce";

/// A wrong token that a client sends by mistake: it may be right elsewhere.
const MISTAKEN: &str = "ctr_mistaken_9b8c7d6e5f";

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut tally = Tally::default();
    for format in ["text", "json"] {
        run_with(command, format, &mut tally)?;
    }
    Ok(tally)
}

fn run_with(command: &Command, format: &str, tally: &mut Tally) -> Outcome {
    // Every third answer is a refusal that repeats the key, as careless servers send it.
    let upstream = Upstream::new(|request| match request {
        models if models.starts_with("GET /v1/models") => answer("200 OK", r#"{"object":"list","data":[{"id":"up"}]}"#),
        bad if bad.contains("refuse") => {
            answer("401 X", &format!(r#"{{"error":{{"message":"Incorrect API key provided: {UPSTREAM}"}}}}"#))
        }
        bad if bad.contains("break") => answer("500 X", &format!("Authorization: Bearer {UPSTREAM}")),
        bad if bad.contains("wrong") => answer("400 X", &format!(r#"{{"error":{{"message":"bad {UPSTREAM}"}}}}"#)),
        bad if bad.contains("garble") => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n????".to_vec(),
        _ => {
            let message = json!({"role": "assistant", "content": ANSWER});
            let choice = json!({"index": 0, "finish_reason": "stop", "message": message});
            answer("200 OK", &json!({"choices": [choice]}).to_string())
        }
    })?;
    let settings = format!(
        "[[upstream]]\nurl = \"http://{}/v1\"\napi_key = \"{UPSTREAM}\"\n\
         [dispatch]\nmax_attempts = 2\nretry_base_ms = 1\nbreaker_failures = 1000000\nno_miner_grace_ms = 1\n",
        upstream.address
    );
    let target = command.guarded_with(&settings, &["--log", "trace", "--log-format", format], &[])?;
    let (key, _) = target.key("client", &["submit", "read"], &json!({}))?;
    let (miner, _) = target.key("miner", &["miner"], &json!({}))?;
    let enrolment = target.enrolment("m")?;
    let (pem, pair) = key_pair()?;

    let mut shown = Vec::new();
    traffic(&target, &key, &mut shown)?;
    miners(&target, &miner, &enrolment, &pair)?;
    for path in [
        "/metrics",
        "/api/v1/status",
        "/api/v1/info",
        "/api/v1/miners",
        "/api/v1/keys",
        "/api/v1/miners/enrolments",
        "/api/v1/miners/identities",
        "/v1/models",
        "/readyz",
        "/health",
        "/openapi.json",
    ] {
        let answer = target.send(Ask::get(path).token(ADMIN))?;
        shown.push((format!("GET {path}"), answer.whole()));
    }
    let (data, config) = (target.data(), target.config());
    let (data, config) = (data.to_string_lossy(), config.to_string_lossy());
    for arguments in [
        &["doctor", "--config", &config, "--data-dir", &data][..],
        &["config", "show", "--config", &config],
        &["config", "check", "--config", &config],
    ] {
        let ended = command.run(arguments, &[], Duration::from_secs(20))?;
        control(!ended.output.is_empty(), || format!("{arguments:?} prints nothing"))?;
        shown.push((arguments.join(" "), ended.output));
    }
    sleep(Duration::from_millis(200));
    shown.push((format!("the log ({format})"), target.log()));
    control(target.log().len() > 1_000, || format!("the log is nearly empty: {}", target.log()))?;

    let secrets = [
        ("the token of the configuration", ADMIN),
        ("a client's key", secret(&key)),
        ("a miner's token", secret(&miner)),
        ("an enrolment token", secret(&enrolment)),
        ("the upstream's key", UPSTREAM),
        ("a mistaken token", MISTAKEN),
        ("a miner's private key", pem.lines().nth(1).unwrap_or(&pem)),
    ];
    for (place, text) in &shown {
        for (name, secret) in secrets {
            tally.must(!text.contains(secret), || format!("{name} stands in {place}: {}", around(text, secret)));
        }
    }
    // Prompts and answers stand in the database and in the answers to their owner, and nowhere else.
    let owned = |place: &str| place.starts_with("answer");
    control(shown.iter().any(|(place, text)| owned(place) && text.contains(ANSWER)), || {
        "no client got an answer".to_owned()
    })?;
    for (place, text) in shown.iter().filter(|(place, _)| !owned(place)) {
        for (name, words) in [("a prompt", PROMPT), ("an answer", ANSWER)] {
            tally.must(!text.contains(words), || format!("{name} stands in {place}: {}", around(text, words)));
        }
    }
    stored(Path::new(&*data), &secrets, tally)
}

/// Requests of clients that end well and badly. Their answers are added to `shown`.
fn traffic(target: &Target, key: &str, shown: &mut Vec<(String, String)>) -> Outcome {
    for word in ["", "refuse", "break", "wrong", "garble"] {
        for (path, stream) in
            [("/v1/chat/completions", false), ("/v1/chat/completions", true), ("/api/v1/completions", false)]
        {
            let prompt = format!("{PROMPT} {word}");
            let body = json!({
                "model": "up", "messages": [{"role": "user", "content": prompt}], "prompt": prompt, "stream": stream,
                "timeout": 5,
            });
            let got = Ask::post(path, &body).token(key).exchange(target.address)?;
            shown.push((format!("answer to {path} ({word})"), got.text()));
        }
    }
    let (wrong, list) = (Ask::get("/api/v1/sessions").token(MISTAKEN), Ask::get("/api/v1/keys").token(key));
    let queried = Ask::get(&format!("/api/v1/sessions?token={MISTAKEN}&api_key={MISTAKEN}")).token(key);
    let broken = Ask::new("POST", "/v1/chat/completions").body(format!("{{\"prompt\":\"{PROMPT}\"").into_bytes());
    for (name, ask) in [("wrong", wrong), ("list", list), ("query", queried), ("broken", broken.token(key))] {
        shown.push((format!("answer ({name})"), ask.exchange(target.address)?.text()));
    }
    Ok(())
}

/// Miners that are welcome, and miners that are refused.
fn miners(target: &Target, token: &str, enrolment: &str, pair: &MinerKeyPair) -> Outcome {
    drop(Hand::welcomed(target.address, &hello("good", token, "m"))?);
    for token in [MISTAKEN, ADMIN, enrolment] {
        let mut hand = Hand::local(target.address)?;
        hand.send(&hello("bad", token, "m"));
        let _ = hand.expect("welcome");
    }
    let mut hand = Hand::local(target.address)?;
    let greeting = hand.keyed(pair, "m", Some(enrolment))?;
    hand.send(&greeting);
    hand.expect("welcome").map(|_| ())
}

/// Searches the files of the data directory. Tokens stand there as hashes alone.
fn stored(data: &Path, secrets: &[(&str, &str)], tally: &mut Tally) -> Outcome {
    let mut found = false;
    for entry in fs::read_dir(data).map_err(|error| format!("{}: {error}", data.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let Ok(bytes) = fs::read(&path) else { continue };
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        found |= holds(PROMPT);
        for (name, secret) in secrets {
            tally.must(!holds(secret), || format!("{name} stands in {}", path.display()));
        }
    }
    control(found, || "no file of the data directory holds a prompt".to_owned())
}

/// The secret part of a key's token.
fn secret(token: &str) -> &str {
    token.rsplit('_').next().unwrap_or(token)
}

fn around(text: &str, secret: &str) -> String {
    let line = text.lines().find(|line| line.contains(secret)).unwrap_or_default();
    line.chars().take(300).collect()
}
