//! Every path through a handshake, as a table.

use serde_json::{Value, json};

use crate::frame::RouterFrame;
use crate::handshake::*;
use crate::identity::{MinerKeyPair, NO_BINDING, TLS_EXPORTER, encode};

/// The answers of the driver's tokens and store.
#[derive(Default)]
struct World {
    holder: Option<Holder>,
    known: Option<Enrolled>,
    enrolled: Option<Enrolled>,
}

fn greeting(channel: Option<[u8; 32]>) -> Greeting {
    Greeting::new("nonce".into(), 7, "r".into(), channel)
}

/// Plays a handshake to its end. Returns the states on its path, and the end.
fn play(frames: &[Value], channel: Option<[u8; 32]>, world: &World) -> (Vec<&'static str>, Step) {
    let mut frames = frames.iter();
    let mut way = Vec::new();
    let mut step = Step::Greeting(greeting(channel));
    loop {
        step = match step {
            Step::Greeting(greeting) => match frames.next() {
                Some(frame) => greeting.frame(&frame.to_string()),
                None => greeting.timed_out(),
            },
            Step::Token(shown) => {
                way.push("token");
                shown.held_by(world.holder.clone().ok_or_else(unauthorized))
            }
            Step::Key(shown) => {
                way.push("key");
                shown.known(world.known.clone())
            }
            Step::Enrolment(enrolment) => {
                way.push("enrolment");
                enrolment.recorded(world.enrolled.clone().ok_or_else(unauthorized))
            }
            end @ (Step::Admitted(_) | Step::Refused(_)) => return (way, end),
        }
    }
}

fn hello(auth: &Value) -> Value {
    json!({"type": "hello", "v": 1, "miner_id": "hand", "auth": auth, "epoch": 1, "max_concurrency": 2,
           "models": [{"id": "tiny"}]})
}

fn signed(pair: &MinerKeyPair, channel: Option<[u8; 32]>, bound: bool, token: Option<&str>) -> Value {
    let challenge = match greeting(channel).challenge() {
        RouterFrame::Challenge(challenge) => challenge,
        other => panic!("{other:?} is no challenge"),
    };
    let covered = channel.as_ref().filter(|_| bound).map(|channel| &channel[..]);
    let mut frame = hello(&json!({
        "public_key": encode(pair.public_key()), "signature": encode(&pair.sign(&challenge, covered)),
        "binding": if bound { TLS_EXPORTER } else { NO_BINDING }, "token": token,
    }));
    frame["miner_id"] = pair.id().into();
    frame
}

fn with(mut frame: Value, field: &str, value: Value) -> Value {
    frame[field] = value;
    frame
}

/// A name, the miner's frames, the channel, the world's answers; then the expected path, and the id or code at its end.
type Row<'a> = (&'a str, Vec<Value>, Option<[u8; 32]>, World, &'a [&'a str], &'a str);

#[test]
fn every_way_through_a_handshake() {
    let pair = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
    let other = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
    let id = pair.id();
    let held = || World { holder: Some(Holder { id: "k".into(), ..Holder::default() }), ..World::default() };
    let bound_to = |models: &[&str]| Enrolled {
        models: models.iter().map(|&model| model.to_owned()).collect(),
        ..Enrolled::default()
    };
    let known = || World { known: Some(bound_to(&[])), ..World::default() };
    let new = || World { enrolled: Some(bound_to(&["tiny"])), ..World::default() };
    let token = || hello(&json!({"token": "t"}));
    let key = || signed(&pair, None, false, None);
    let channel = Some([9; 32]);
    let forged = || {
        let mut frame = key();
        frame["auth"]["signature"] = signed(&other, None, false, None)["auth"]["signature"].clone();
        frame
    };
    let revoked = World { known: Some(Enrolled { revoked: true, ..bound_to(&[]) }), ..World::default() };
    let table: Vec<Row<'_>> = vec![
        ("silence", vec![], None, held(), &[], "hello_timeout"),
        ("another frame", vec![json!({"type": "bye"})], None, held(), &[], "unexpected"),
        ("no frame", vec![json!([1])], None, held(), &[], "bad_frame"),
        ("a hello without fields", vec![json!({"type": "hello"})], None, held(), &[], "bad_frame"),
        ("an unknown frame, then silence", vec![json!({"type": "x"})], None, held(), &[], "hello_timeout"),
        ("an unknown frame first", vec![json!({"type": "x"}), token()], None, held(), &["token"], "k/hand"),
        ("another version", vec![with(token(), "v", 2.into())], None, held(), &[], "version"),
        ("no proof", vec![hello(&json!({}))], None, held(), &[], "unauthorized"),
        ("a token", vec![token()], None, held(), &["token"], "k/hand"),
        ("a token that nobody holds", vec![token()], None, World::default(), &["token"], "unauthorized"),
        (
            "a token with the id of a key",
            vec![with(token(), "miner_id", "mk_1".into())],
            None,
            held(),
            &["token"],
            "invalid_argument",
        ),
        (
            "a model that the token does not allow",
            vec![token()],
            None,
            World { holder: Some(Holder { models: vec!["large".into()], ..Holder::default() }), ..World::default() },
            &["token"],
            "invalid_argument",
        ),
        (
            "words that write lines of their own",
            vec![with(token(), "agent", "a\nb".into())],
            None,
            held(),
            &["token"],
            "invalid_argument",
        ),
        ("a key that is known", vec![key()], None, known(), &["key"], &id),
        (
            "a key that is known and still brings its token",
            vec![signed(&pair, None, false, Some("t"))],
            None,
            known(),
            &["key"],
            &id,
        ),
        ("a key that was revoked", vec![key()], None, revoked, &["key"], "revoked"),
        ("a key that nobody knows", vec![key()], None, new(), &["key"], "not_enrolled"),
        (
            "a key that is enrolled",
            vec![signed(&pair, None, false, Some("t"))],
            None,
            new(),
            &["key", "enrolment"],
            &id,
        ),
        (
            "a key whose token is spent",
            vec![signed(&pair, None, false, Some("t"))],
            None,
            World::default(),
            &["key", "enrolment"],
            "unauthorized",
        ),
        ("a forged signature", vec![forged()], None, known(), &[], "bad_signature"),
        (
            "the id of another key",
            vec![with(key(), "miner_id", other.id().into())],
            None,
            known(),
            &[],
            "bad_signature",
        ),
        ("a signature over the channel", vec![signed(&pair, channel, true, None)], channel, known(), &["key"], &id),
        (
            "a signature over another channel",
            vec![signed(&pair, channel, true, None)],
            Some([8; 32]),
            known(),
            &[],
            "bad_signature",
        ),
        (
            "a signature over a channel that is none",
            vec![signed(&pair, channel, true, None)],
            None,
            known(),
            &[],
            "bad_signature",
        ),
    ];
    for (name, frames, channel, world, way, end) in table {
        let (went, step) = play(&frames, channel, &world);
        let ended = match &step {
            Step::Admitted(admitted) => admitted.identity.id.as_str(),
            Step::Refused(error) => {
                assert!(error.fatal && !error.message.is_empty(), "{name}");
                error.code.as_str()
            }
            other => panic!("{name}: {other:?} is no end"),
        };
        assert_eq!((went.as_slice(), ended), (way, end), "{name}");
    }
}

#[test]
fn whoever_comes_in_is_who_the_record_says() {
    let pair = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
    let record = Enrolled { models: vec!["tiny".into()], owner: Some("alice".into()), revoked: false };
    let frame = with(signed(&pair, None, false, Some("t")), "owner", "mallory".into());
    let frame = with(frame, "models", json!([{"id": "tiny"}, {"id": "large"}]));
    for (world, credential) in [
        (World { known: Some(record.clone()), ..World::default() }, Credential::Key),
        (World { enrolled: Some(record), ..World::default() }, Credential::NewKey),
    ] {
        let (_, Step::Admitted(admitted)) = play(std::slice::from_ref(&frame), None, &world) else {
            panic!("the miner was not admitted");
        };
        assert_eq!(admitted.credential, credential);
        assert_eq!(admitted.identity.owner.as_deref(), Some("alice"));
        assert_eq!((admitted.spec.owner.as_deref(), admitted.spec.models), (Some("alice"), vec!["tiny".to_owned()]));
    }
}

#[test]
fn the_challenge_says_whether_a_signature_may_cover_the_channel() {
    for (channel, binding) in [(None, NO_BINDING), (Some([1; 32]), TLS_EXPORTER)] {
        let RouterFrame::Challenge(challenge) = greeting(channel).challenge() else { panic!("no challenge") };
        assert_eq!((challenge.binding.as_str(), challenge.nonce.as_str()), (binding, "nonce"));
    }
}
