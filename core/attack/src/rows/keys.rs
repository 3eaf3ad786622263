//! Keys with limits: what a key may make, change, list and revoke, and what ends with it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;
use crate::http::{Ask, connect, read};
use crate::miner::{Hand, Offer, hello};
use crate::report::{Tally, control};
use crate::target::{Command, Target};

/// The time within which the stream of a key that has ended must have ended too.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The seconds for which a brief key is valid.
const BRIEF: u64 = 4;

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let target = command.guarded("")?;
    let mut tally = Tally::default();
    makes_no_more(&target, &mut tally)?;
    lists_no_others(&target, &mut tally)?;
    ends_when_revoked(&target, &mut tally)?;
    ends_in_time(&target, &mut tally)?;
    Ok(tally)
}

/// A key makes none that may do more than itself.
fn makes_no_more(target: &Target, tally: &mut Tally) -> Outcome {
    let (own, other) = (target.session("own")?, target.session("other")?);
    let none = json!({});
    let limited = json!({"sessions": [own]});
    let (admin, _) = target.key("limited", &["admin"], &limited)?;
    let (short, _) = target.key("short", &["admin"], &json!({"ttl_secs": 60}))?;
    let (plain, _) = target.key("plain", &["submit", "read"], &none)?;
    let every = ["submit", "read", "admin", "miner", "enrol"];
    let mut wanted: Vec<(&str, Value)> = Vec::new();
    for scope in every {
        wanted.push((&plain, json!({"name": "x", "scopes": [scope]})));
        wanted.push((&admin, json!({"name": "x", "scopes": [scope], "sessions": [other]})));
        wanted.push((&admin, json!({"name": "x", "scopes": [scope], "sessions": [own, other]})));
        wanted.push((&admin, json!({"name": "x", "scopes": [scope], "sessions": [0]})));
        wanted.push((&short, json!({"name": "x", "scopes": [scope], "ttl_secs": 61})));
        wanted.push((&short, json!({"name": "x", "scopes": [scope], "ttl_secs": u64::MAX})));
    }
    for (key, body) in &wanted {
        let answer = target.send(Ask::post("/api/v1/keys", body).token(key))?;
        tally.must(!answer.is_success() && answer.status < 500, || format!("made {body}: {}", answer.told()));
    }
    // An empty list means all sessions, and no expiry means for ever. A child inherits the limits of its maker instead.
    for body in [
        json!({"name": "x", "scopes": ["submit", "read"]}),
        json!({"name": "x", "scopes": ["submit", "read"], "sessions": []}),
        json!({"name": "x", "scopes": ["admin"], "sessions": []}),
    ] {
        let answer = target.send(Ask::post("/api/v1/keys", &body).token(&admin))?;
        if let Some(child) = answer.json()["token"].as_str() {
            for path in [format!("/api/v1/sessions/{other}"), format!("/api/v1/tasks/{other}")] {
                let seen = target.send(Ask::get(&path).token(child))?;
                tally.must(seen.status >= 400, || format!("a limited key's child reads {path}: {}", seen.told()));
            }
        }
        let answer = target.send(Ask::post("/api/v1/keys", &body).token(&short))?;
        let end = answer.json()["expires_at"].as_u64().unwrap_or(0);
        tally
            .must(!answer.is_success() || end > 0, || format!("a short key's child lives for ever: {}", answer.told()));
    }
    for (method, path, body) in [
        ("POST", "/api/v1/sessions".to_owned(), json!({"name": "x"})),
        ("POST", "/api/v1/create".to_owned(), json!({"name": "x"})),
        ("PATCH", format!("/api/v1/sessions/{own}"), json!({"name": "x"})),
        ("PATCH", format!("/api/v1/sessions/{other}"), json!({"name": "x"})),
        ("DELETE", format!("/api/v1/sessions/{other}"), none.clone()),
        ("POST", "/api/v1/miners/enrolments".to_owned(), json!({"name": "x"})),
    ] {
        let answer = target.send(Ask::new(method, &path).json(&body).token(&admin))?;
        tally.must(!answer.is_success(), || format!("{method} {path} with a limited key: {}", answer.told()));
    }
    let answer = target.send(
        Ask::post("/api/v1/keys", &json!({"name": "child", "scopes": ["read"], "sessions": [own]})).token(&admin),
    )?;
    control(answer.status == 201, || format!("a limited administrator makes no child: {}", answer.told()))
}

/// A limited key sees neither others' keys nor their sessions, and revokes none.
fn lists_no_others(target: &Target, tally: &mut Tally) -> Outcome {
    let (own, other) = (target.session("mine")?, target.session("anothers")?);
    let (admin, _) = target.key("listing", &["admin", "submit", "read"], &json!({"sessions": [own]}))?;
    let mut ids = Vec::new();
    for (name, more) in [
        ("secret-all", json!({})),
        ("secret-other", json!({"sessions": [other]})),
        ("secret-both", json!({"sessions": [own, other]})),
    ] {
        ids.push(target.key(name, &["read"], &more)?.1);
    }
    for path in [
        "/api/v1/keys",
        "/api/v1/sessions",
        "/api/v1/sessions?limit=1000",
        "/api/v1/sessions?state=active",
        "/metrics",
        "/api/v1/status",
        "/api/v1/info",
        "/api/v1/miners",
    ] {
        let answer = target.send(Ask::get(path).token(&admin))?;
        tally.must(!answer.text().contains("secret-") && !answer.text().contains("anothers"), || {
            format!("{path} shows others': {}", answer.told())
        });
    }
    for id in &ids {
        for spelled in [id.clone(), id.to_uppercase(), format!("{id}%00"), format!("{id}/"), format!("%20{id}")] {
            let answer = target.send(Ask::new("DELETE", &format!("/api/v1/keys/{spelled}")).token(&admin))?;
            tally.must(!answer.is_success(), || format!("revoked another's key as {spelled}: {}", answer.told()));
        }
    }
    let listed = target.admin(Ask::get("/api/v1/keys"))?.to_string();
    tally.must(ids.iter().all(|id| listed.contains(id.as_str())), || "another's key is gone".to_owned());
    Ok(())
}

/// The routes that stream, each with the same body.
const STREAMS: [&str; 3] = ["/v1/chat/completions", "/api/v1/completions", "/api/v1/chat/completions"];

fn question(stream: bool) -> Value {
    json!({"model": "slow", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "stream": stream})
}

/// A stream whose first piece has arrived.
struct Open {
    stream: TcpStream,
    offer: Offer,
    /// The bytes that have arrived.
    seen: Vec<u8>,
}

impl Open {
    /// Opens a stream with that key; `hand` answers it with the piece "before".
    fn new(target: &Target, hand: &mut Hand, path: &str, token: &str) -> Outcome<Self> {
        let ask = Ask::post(path, &question(true)).token(token);
        let mut stream = connect(target.address)?;
        stream.write_all(&ask.bytes(true)).map_err(|error| error.to_string())?;
        let offer = hand.take()?;
        hand.send(&offer.tokens(1, 0, "before"));
        let mut seen = Vec::new();
        let mut buffer = [0; 4_096];
        while !String::from_utf8_lossy(&seen).contains("before") {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                _ => return Err(format!("control: {path} streams nothing: {}", String::from_utf8_lossy(&seen))),
            }
        }
        Ok(Self { stream, offer, seen })
    }

    /// Reads until the stream ends, or nothing has come for that time. Gives the whole text and whether it ended.
    fn rest(mut self, quiet: Duration) -> (String, bool) {
        let rest = read(self.stream, quiet);
        self.seen.extend_from_slice(&rest.bytes);
        (String::from_utf8_lossy(&self.seen).into_owned(), rest.closed)
    }
}

/// The frame by which a miner confirms that it stopped.
fn stopped(offer: Offer) -> Value {
    json!({"type": "fail", "attempt": offer.attempt, "fence": offer.fence, "class": "cancelled"})
}

/// A revoked key ends at once, and so does its stream.
fn ends_when_revoked(target: &Target, tally: &mut Tally) -> Outcome {
    let (miner, _) = target.key("miner", &["miner"], &json!({}))?;
    let (mut hand, _) = Hand::welcomed(target.address, &hello("slow", &miner, "slow"))?;
    for path in STREAMS {
        let (token, id) = target.key("streaming", &["submit", "read"], &json!({}))?;
        let open = Open::new(target, &mut hand, path, &token)?;
        let offer = open.offer;
        target.admin(Ask::new("DELETE", &format!("/api/v1/keys/{id}")))?;
        let revoked = Instant::now();
        hand.send(&offer.tokens(2, 6, "behind"));
        let (text, closed) = open.rest(AT_ONCE);
        tally.must(closed && revoked.elapsed() < AT_ONCE, || format!("{path}: the stream of a revoked key goes on"));
        tally.must(!text.contains("behind"), || format!("{path}: a revoked key reads on: {text}"));
        for ask in [Ask::get("/api/v1/sessions"), Ask::get("/v1/models"), Ask::post(path, &question(true))] {
            let answer = target.send(ask.token(&token))?;
            tally.must(answer.status == 401, || format!("{path}: a revoked key gets {}", answer.told()));
        }
        // The router has cancelled the attempt, and the miner is free again.
        hand.send(&stopped(offer));
    }
    Ok(())
}

/// A key dies at its expiry, not later, and so do its streams, its waiting calls and its miner's connection.
fn ends_in_time(target: &Target, tally: &mut Tally) -> Outcome {
    let (miner, _) = target.key("lasting", &["miner"], &json!({}))?;
    let (mut hand, _) = Hand::welcomed(target.address, &hello("lasting", &miner, "slow"))?;
    let made = Instant::now();
    let (token, _) = target.key("brief", &["submit", "read"], &json!({"ttl_secs": BRIEF}))?;
    let (miner, _) = target.key("brief-miner", &["miner"], &json!({"ttl_secs": BRIEF}))?;
    let answer = target.send(Ask::get("/api/v1/sessions").token(&token))?;
    control(answer.status == 200, || format!("a new key: {}", answer.told()))?;
    let (mut guest, _) = Hand::welcomed(target.address, &hello("guest", &miner, "guest"))?;
    let mut streams = Vec::new();
    for path in STREAMS {
        streams.push((path, Open::new(target, &mut hand, path, &token)?));
    }
    let mut call = connect(target.address)?;
    let ask = Ask::post("/api/v1/completions", &question(false)).token(&token);
    call.write_all(&ask.bytes(true)).map_err(|error| error.to_string())?;
    let waiting = hand.take()?;
    // Whole seconds are counted, so that a key may end up to one second early.
    control(made.elapsed() < Duration::from_secs(BRIEF - 1), || "the key may have expired too early".to_owned())?;

    sleep((Duration::from_secs(BRIEF) + Duration::from_millis(100)).saturating_sub(made.elapsed()));
    let mut offers = vec![waiting];
    for (path, open) in streams {
        let offer = open.offer;
        offers.push(offer);
        hand.send(&offer.tokens(2, 6, "behind"));
        let (text, closed) = open.rest(AT_ONCE);
        tally.must(closed, || format!("{path}: the stream of an expired key goes on"));
        tally.must(!text.contains("behind"), || format!("{path}: an expired key reads on: {text}"));
    }
    hand.send(&waiting.tokens(1, 0, "behind"));
    hand.send(&waiting.done(1, "behind"));
    let answer = String::from_utf8_lossy(&read(call, AT_ONCE).bytes).into_owned();
    tally.must(answer.starts_with("HTTP/1.1 401"), || format!("a call of an expired key is answered: {answer}"));
    tally.must(guest.is_cut(AT_ONCE), || "the miner of an expired token stays".to_owned());
    let back = Hand::welcomed(target.address, &hello("guest", &miner, "guest"));
    tally.must(back.is_err(), || "the miner of an expired token is welcome again".to_owned());
    for path in ["/api/v1/sessions", "/v1/models", "/api/v1/status", "/metrics"] {
        let answer = target.send(Ask::get(path).token(&token))?;
        tally.must(answer.status == 401, || format!("{path} with an expired key: {}", answer.told()));
    }
    for offer in offers {
        hand.send(&stopped(offer));
    }
    Ok(())
}
