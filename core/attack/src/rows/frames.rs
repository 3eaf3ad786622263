//! Frames of the miner protocol that are forged, stale, doubled, reordered, oversized or false.

use std::net::SocketAddr;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use cortensor_router_protocol::identity::{MinerKeyPair, encode};
use serde_json::{Value, json};

use crate::Outcome;
use crate::http::{Answer, Ask};
use crate::miner::{Hand, Offer, hello, key_pair};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command, Target};

/// The honest miner's answer.
const HONEST: &str = "honest";

/// The time that the router gets to act on a frame.
const SHORT: Duration = Duration::from_millis(150);

const SETTINGS: &str =
    "[dispatch]\nmax_attempts = 1\nretry_base_ms = 1\nprogress_timeout_ms = 60000\n[miners]\ngrace_ms = 300\n";

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut target = command.guarded(SETTINGS)?;
    let mut tally = Tally::default();
    let (first, _) = target.key("first", &["miner"], &json!({}))?;
    let (second, _) = target.key("second", &["miner"], &json!({}))?;
    foreign(&target, &mut tally, &first, &second)?;
    liars(&target, &mut tally, &first)?;
    shapes(&target, &mut tally, &first)?;
    identities(&target, &mut tally, &first, &second)?;
    tally.must(target.is_well(), || format!("the router is gone: {}", target.log()));
    Ok(tally)
}

/// Asks that model from another thread.
fn asked(address: SocketAddr, model: &str) -> JoinHandle<Outcome<Answer>> {
    let body = json!({"model": model, "prompt": "question", "timeout": 8});
    let ask = Ask::post("/api/v1/completions", &body).token(ADMIN);
    spawn(move || ask.send(address))
}

fn joined(call: JoinHandle<Outcome<Answer>>) -> Outcome<Answer> {
    call.join().map_err(|_| "a client's thread ended early".to_owned())?
}

/// Ends the attempt as an honest miner does.
fn finish(hand: &mut Hand, offer: Offer) {
    finish_as(hand, offer, HONEST);
}

/// A miner that is properly enrolled speaks for the attempt of another one.
fn foreign(target: &Target, tally: &mut Tally, first: &str, second: &str) -> Outcome {
    let (mut victim, _) = Hand::welcomed(target.address, &hello("victim", first, "mine"))?;
    let numbers = |offer: Offer| {
        let far = [0, 1, offer.fence + 1, offer.fence.wrapping_sub(1), 1 << 53, u64::MAX];
        let mut all = vec![
            json!(offer.fence),
            json!(-1),
            json!(offer.fence as f64 + 0.5),
            json!(offer.fence.to_string()),
            Value::Null,
        ];
        all.extend(far.iter().map(|fence| json!(fence)));
        all
    };
    for kind in ["tokens", "done", "fail", "reject", "accept", "tokens and done"] {
        let call = asked(target.address, "mine");
        let offer = victim.take()?;
        for fence in numbers(offer) {
            for attempt in [json!(offer.attempt), json!(offer.attempt + 1), json!(u64::MAX)] {
                let (mut thief, _) = Hand::welcomed(target.address, &hello("thief", second, "theirs"))?;
                for mut frame in [
                    offer.tokens(1, 0, "stolen"),
                    offer.done(1, "stolen"),
                    json!({"type": "fail", "class": "invalid", "message": "stolen"}),
                    json!({"type": "reject", "reason": "stolen"}),
                    json!({"type": "accept"}),
                ] {
                    if kind.contains(frame["type"].as_str().unwrap_or_default()) {
                        frame["attempt"] = attempt.clone();
                        frame["fence"] = fence.clone();
                        thief.send(&frame);
                    }
                }
                // The router has read everything that precedes an answered ping.
                thief.send(&json!({"type": "ping", "t": 1, "inflight": []}));
                while thief.next(SHORT).is_some_and(|frame| frame["type"] != "pong") {}
                tally.attack(None);
            }
        }
        finish(&mut victim, offer);
        let answer = joined(call)?;
        tally.must(answer.json()["text"] == HONEST, || {
            format!("{kind} of another miner: the client got {}", answer.told())
        });
    }
    // A stranger with the victim's attempts in its hello must not adopt them.
    for (id, token) in [("thief", second), ("victim", second), ("other", first)] {
        let call = asked(target.address, "mine");
        let offer = victim.take()?;
        let mut greeting = hello(id, token, "mine");
        greeting["name"] = "resumes".into();
        greeting["resume"] = json!({"inflight": [{"attempt": offer.attempt, "fence": offer.fence, "sent_seq": 1}]});
        if let Ok((mut thief, welcome)) = Hand::welcomed(target.address, &greeting) {
            let adopted = welcome["adopt"].as_array().is_some_and(|adopted| !adopted.is_empty());
            tally.must(!adopted, || format!("{id} adopts the victim's attempt: {welcome}"));
            finish_as(&mut thief, offer, "stolen");
            let _ = thief.next(SHORT);
        } else {
            tally.attack(None);
        }
        finish(&mut victim, offer);
        let answer = joined(call)?;
        tally.must(answer.json()["text"] == HONEST, || format!("a resume as {id}: the client got {}", answer.told()));
    }
    // A frame of an attempt that has ended changes nothing.
    let call = asked(target.address, "mine");
    let stale = victim.take()?;
    finish(&mut victim, stale);
    control(joined(call)?.json()["text"] == HONEST, || "the honest miner's answer does not arrive".to_owned())?;
    let call = asked(target.address, "mine");
    let offer = victim.take()?;
    finish_as(&mut victim, stale, "stale");
    finish_as(&mut victim, Offer { fence: offer.fence, attempt: stale.attempt }, "stale");
    finish_as(&mut victim, Offer { fence: stale.fence, attempt: offer.attempt }, "stale");
    finish(&mut victim, offer);
    let answer = joined(call)?;
    tally.must(answer.json()["text"] == HONEST, || format!("stale frames: the client got {}", answer.told()));
    Ok(())
}

fn finish_as(hand: &mut Hand, offer: Offer, text: &str) {
    hand.send(&offer.tokens(1, 0, text));
    hand.send(&offer.done(1, text));
}

/// A miner lies about its own attempt: the client gets an error or the text once, in order, and never more usage than
/// the bytes allow.
fn liars(target: &Target, tally: &mut Tally, token: &str) -> Outcome {
    type Lie = fn(&mut Hand, Offer);
    let lies: &[(&str, Lie)] = &[
        ("a piece twice", |hand, offer| {
            hand.send(&offer.tokens(1, 0, "hon"));
            hand.send(&offer.tokens(1, 0, "hon"));
            hand.send(&offer.tokens(2, 3, "est"));
            hand.send(&offer.done(2, HONEST));
        }),
        ("pieces in another order", |hand, offer| {
            hand.send(&offer.tokens(2, 3, "est"));
            hand.send(&offer.tokens(1, 0, "hon"));
            hand.send(&offer.done(2, HONEST));
        }),
        ("another text under an old number", |hand, offer| {
            hand.send(&offer.tokens(1, 0, HONEST));
            hand.send(&offer.tokens(1, 0, "forged"));
            hand.send(&offer.done(1, HONEST));
        }),
        ("a gap", |hand, offer| {
            hand.send(&offer.tokens(1, 0, "hon"));
            hand.send(&offer.tokens(3, 3, "forged"));
            hand.send(&offer.done(3, "honforged"));
        }),
        ("a false offset", |hand, offer| {
            hand.send(&offer.tokens(1, 0, "hon"));
            hand.send(&offer.tokens(2, 9, "forged"));
            hand.send(&offer.done(2, "honforged"));
        }),
        ("a false hash", |hand, offer| {
            hand.send(&offer.tokens(1, 0, "forged"));
            hand.send(&offer.done(1, HONEST));
        }),
        ("a false count", |hand, offer| {
            hand.send(&offer.tokens(1, 0, "forged"));
            hand.send(&offer.done(2, "forged"));
        }),
        ("an end twice", |hand, offer| {
            finish(hand, offer);
            hand.send(&offer.done(1, HONEST));
            hand.send(&offer.done(1, "forged"));
        }),
        ("more after the end", |hand, offer| {
            finish(hand, offer);
            hand.send(&offer.tokens(2, 6, "forged"));
            hand.send(&offer.done(2, "honestforged"));
        }),
        ("a failure after the end", |hand, offer| {
            finish(hand, offer);
            hand.send(&json!({
                "type": "fail", "attempt": offer.attempt, "fence": offer.fence, "class": "internal", "message": "forged",
            }));
        }),
        ("numbers beyond 2^53", |hand, offer| {
            hand.send(&offer.tokens(1 << 53, 0, "forged"));
            hand.send(&offer.tokens(1, u64::MAX, "forged"));
            finish(hand, offer);
        }),
        ("negative numbers", |hand, offer| {
            let mut frame = offer.tokens(1, 0, "forged");
            frame["seq"] = json!(-1);
            hand.send(&frame);
            finish(hand, offer);
        }),
        ("a channel that is none", |hand, offer| {
            let mut frame = offer.tokens(1, 0, HONEST);
            frame["ch"] = "forged".into();
            hand.send(&frame);
            hand.send(&offer.done(1, HONEST));
        }),
        ("usage without work", |hand, offer| {
            hand.send(&offer.tokens(1, 0, HONEST));
            let mut end = offer.done(1, HONEST);
            end["usage"] =
                json!({"prompt_tokens": 1_u64 << 53, "completion_tokens": u64::MAX, "total_tokens": u64::MAX});
            end["timings"] = json!({"first_token_ms": u64::MAX, "total_ms": 0});
            hand.send(&end);
        }),
        ("negative usage", |hand, offer| {
            hand.send(&offer.tokens(1, 0, HONEST));
            let mut end = offer.done(1, HONEST);
            end["usage"] = json!({"prompt_tokens": -5, "completion_tokens": -5, "total_tokens": -10});
            hand.send(&end);
        }),
        ("a whole answer that is no JSON", |hand, offer| {
            let mut frame = offer.tokens(1, 0, "{\"choices\":");
            frame["ch"] = "answer".into();
            hand.send(&frame);
            hand.send(&offer.done(1, ""));
        }),
    ];
    for (name, lie) in lies {
        let (mut liar, _) = Hand::welcomed(target.address, &hello("liar", token, "lies"))?;
        let call = asked(target.address, "lies");
        let offer = liar.take()?;
        lie(&mut liar, offer);
        let _ = liar.next(SHORT);
        // A frame that the router has ignored leaves the attempt open, and its miner gives up.
        liar.send(&json!({
            "type": "fail", "attempt": offer.attempt, "fence": offer.fence, "class": "internal", "message": "gives up",
        }));
        let _ = liar.next(SHORT);
        drop(liar);
        let answer = joined(call)?;
        let body = answer.json();
        let used = body["usage"]["completion_tokens"].as_u64();
        let honest = body["text"] == HONEST
            && used.is_some_and(|used| used <= 200)
            && body["usage"]["prompt_tokens"].as_u64() < Some(10_000);
        tally.must(answer.status >= 400 || honest, || format!("{name}: the client got {}", answer.text()));
        tally.must(!answer.text().contains("forged"), || format!("{name}: the client saw it: {}", answer.text()));
    }
    Ok(())
}

/// Messages that are no frames, or too many: the connection ends or goes on, and the router stays well.
fn shapes(target: &Target, tally: &mut Tally, token: &str) -> Outcome {
    let deep = format!("{{\"type\":\"credit\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let texts = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{\"type\":1}".to_owned(),
        "{\"type\":\"task\",\"attempt\":1,\"fence\":1}".to_owned(),
        "{\"type\":\"welcome\"}".to_owned(),
        "{\"type\":\"hello\"".to_owned(),
        "{\"type\":\"credit\",\"type\":\"bye\"}".to_owned(),
        "{\"type\":\"credit\",\"gen\":18446744073709551616,\"free\":{}}".to_owned(),
        "{\"type\":\"credit\",\"gen\":2,\"free\":{\"*\":18446744073709551615}}".to_owned(),
        "{\"type\":\"credit\",\"gen\":2,\"free\":{\"*\":-1}}".to_owned(),
        "{\"type\":\"credit\",\"gen\":1e400,\"free\":{}}".to_owned(),
        "{\"type\":\"ping\",\"t\":18446744073709551615}".to_owned(),
        format!(
            "{{\"type\":\"ping\",\"t\":1,\"inflight\":[{}]}}",
            vec!["{\"attempt\":1,\"fence\":1,\"sent_seq\":1}"; 20_000].join(",")
        ),
        deep,
        format!("{{\"type\":\"{}\"}}", "x".repeat(2 << 20)),
        "x".repeat(4 << 20),
    ];
    for text in texts {
        let (mut hand, _) = Hand::welcomed(target.address, &hello("shapes", token, "shapes"))?;
        let shown: String = text.chars().take(60).collect();
        let large = text.len() > 1 << 20;
        hand.send_text(text);
        let cut = hand.is_cut(SHORT);
        tally.must(cut || !large, || format!("{shown}: a message beyond the limit is taken"));
        let well = target.send(Ask::get("/healthz"))?;
        tally.must(well.status == 200, || format!("{shown}: {}", well.told()));
    }
    let (mut hand, _) = Hand::welcomed(target.address, &hello("shapes", token, "shapes"))?;
    hand.send_bytes(vec![0xff; 4_096]);
    tally.must(target.send(Ask::get("/healthz"))?.status == 200, || "a binary message".to_owned());
    Ok(())
}

/// Hellos that claim to be somebody else.
fn identities(target: &Target, tally: &mut Tally, first: &str, second: &str) -> Outcome {
    let ((_, owner), (_, thief)) = (key_pair()?, key_pair()?);
    let keyed = |hand: &Hand, key: &MinerKeyPair, token: Option<&str>| hand.keyed(key, "keyed", token);
    let spent = target.enrolment("owner")?;
    let mut honest = Hand::local(target.address)?;
    let greeting = keyed(&honest, &owner, Some(&spent))?;
    honest.send(&greeting);
    honest.expect("welcome")?;
    let (submit, _) = target.key("submits", &["submit", "read"], &json!({}))?;
    let (admin, id) = target.key("gone", &["miner"], &json!({}))?;
    target.admin(Ask::new("DELETE", &format!("/api/v1/keys/{id}")))?;
    let unspent = target.enrolment("unspent")?;

    let mut refused = |name: &str, make: &dyn Fn(&Hand) -> Outcome<Value>| -> Outcome {
        let mut hand = Hand::local(target.address)?;
        let frame = make(&hand)?;
        hand.send(&frame);
        let welcome = hand.expect("welcome");
        tally.must(welcome.is_err(), || format!("{name}: welcome"));
        Ok(())
    };
    let with = |mut greeting: Value, pointer: &str, value: Value| {
        if let Some(place) = greeting.pointer_mut(pointer) {
            *place = value;
        }
        Ok(greeting)
    };
    refused("a hello that was heard before", &|_| Ok(greeting.clone()))?;
    refused("a hello without a credential", &|_| Ok(hello("x", "", "x")))?;
    refused("a client's token", &|_| Ok(hello("x", &submit, "x")))?;
    refused("a revoked token", &|_| Ok(hello("x", &admin, "x")))?;
    refused("the development token", &|_| Ok(hello("x", "default-dev-token", "x")))?;
    refused("an enrolment token as a miner's", &|_| Ok(hello("x", &unspent, "x")))?;
    refused("a key's id with a token", &|_| Ok(hello(&owner.id(), second, "x")))?;
    refused("a key that is not enrolled", &|hand| keyed(hand, &thief, None))?;
    refused("a spent token for another key", &|hand| keyed(hand, &thief, Some(&spent)))?;
    refused("a miner's token for a new key", &|hand| keyed(hand, &thief, Some(first)))?;
    refused("a client's token for a new key", &|hand| keyed(hand, &thief, Some(&submit)))?;
    refused("the administrator's token for a new key", &|hand| keyed(hand, &thief, Some(ADMIN)))?;
    refused("another's id", &|hand| with(keyed(hand, &thief, None)?, "/miner_id", owner.id().into()))?;
    refused("another's id and public key", &|hand| {
        let greeting = with(keyed(hand, &thief, None)?, "/miner_id", owner.id().into())?;
        with(greeting, "/auth/public_key", encode(owner.public_key()).into())
    })?;
    refused("no signature", &|hand| with(keyed(hand, &owner, None)?, "/auth/signature", Value::Null))?;
    refused("an empty signature", &|hand| with(keyed(hand, &owner, None)?, "/auth/signature", "".into()))?;
    refused("a signature of zeros", &|hand| {
        with(keyed(hand, &owner, None)?, "/auth/signature", encode(&[0; 64]).into())
    })?;
    refused("a weak key", &|hand| {
        let greeting = with(keyed(hand, &thief, Some(&unspent))?, "/auth/public_key", encode(&[0; 32]).into())?;
        with(greeting, "/miner_id", cortensor_router_protocol::identity::key_id(&[0; 32]).into())
    })?;
    for name in [owner.id().as_str(), "mk_", "", "a/b", "../x", "a b", "a\u{0}b", "a\u{1b}[31m", &"x".repeat(129)] {
        refused(&format!("the id {name:?}"), &|_| Ok(hello(name, first, "x")))?;
    }
    for name in ["n\nforged", "\u{1b}[31m", "\u{202e}x", &"x".repeat(200)] {
        refused(&format!("the name {name:?}"), &|_| {
            let mut greeting = hello("named", first, "x");
            greeting["name"] = name.into();
            Ok(greeting)
        })?;
    }
    refused("a name in use", &|_| {
        let mut greeting = hello("other", second, "x");
        greeting["name"] = owner.id().into();
        Ok(greeting)
    })?;
    refused("another version", &|_| with(hello("x", first, "x"), "/v", 2.into()))?;
    refused("no room", &|_| with(hello("x", first, "x"), "/max_concurrency", 0.into()))?;
    refused("a room beyond all", &|_| with(hello("x", first, "x"), "/max_concurrency", u64::MAX.into()))?;
    refused("another first frame", &|_| Ok(json!({"type": "credit", "gen": 1, "free": {"*": 1}})))?;
    // The unspent token still enrols its own miner, so none of the refusals has spent it.
    let mut hand = Hand::local(target.address)?;
    let greeting = keyed(&hand, &thief, Some(&unspent))?;
    hand.send(&greeting);
    hand.expect("welcome")?;
    target.admin(Ask::new("DELETE", &format!("/api/v1/miners/identities/{}", thief.id())))?;
    tally.must(hand.is_cut(Duration::from_secs(2)), || "a revoked miner stays".to_owned());
    let mut hand = Hand::local(target.address)?;
    let greeting = keyed(&hand, &thief, None)?;
    hand.send(&greeting);
    tally.must(hand.expect("welcome").is_err(), || "a revoked miner is welcome again".to_owned());
    Ok(())
}
