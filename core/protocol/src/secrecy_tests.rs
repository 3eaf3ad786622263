//! No type that holds a secret shows it, and no error quotes one.

use std::fmt::Debug;

use serde_json::json;

use crate::frame::{Auth, Hello, MinerFrame, VERSION};
use crate::handshake::{Enrolled, Greeting, Holder, Step};
use crate::identity::{MinerKeyPair, encode};

/// A text that stands in the place of every secret.
const MARKER: &str = "s3cr3t-m4rk3r";

#[track_caller]
fn hides(value: &impl Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

fn greeting() -> Greeting {
    Greeting::new("nonce".into(), 7, "r".into(), None)
}

fn hello() -> Hello {
    let auth = Auth { token: Some(MARKER.into()), ..Auth::default() };
    Hello { v: VERSION, miner_id: "m".into(), auth, max_concurrency: 1, ..Hello::default() }
}

#[test]
fn no_frame_shows_its_token() {
    let hello = hello();
    hides(&hello.auth);
    hides(&hello);
    hides(&MinerFrame::from(hello.clone()));
    assert!(MinerFrame::from(hello).to_text().contains(MARKER), "the frame itself has the token");
}

#[test]
fn no_state_of_a_handshake_shows_its_token_or_its_keying_material() {
    let channel = Greeting::new("nonce".into(), 7, "r".into(), Some([77; 32]));
    assert!(!format!("{channel:?}").contains("77"), "{channel:?}");

    let step = greeting().frame(&MinerFrame::from(hello()).to_text());
    hides(&step);
    let Step::Token(shown) = step else { panic!("{step:?}") };
    hides(&shown);
    let admitted = shown.held_by(Ok(Holder { id: "app".into(), ..Holder::default() }));
    assert!(matches!(admitted, Step::Admitted(_)), "{admitted:?}");
    hides(&admitted);

    let pair = MinerKeyPair::from_pem(&MinerKeyPair::generate().unwrap()).unwrap();
    let greeting = greeting();
    let crate::frame::RouterFrame::Challenge(challenge) = greeting.challenge() else { panic!("no challenge") };
    let auth = Auth {
        token: Some(MARKER.into()),
        public_key: Some(encode(pair.public_key())),
        signature: Some(encode(&pair.sign(&challenge, None))),
        binding: None,
    };
    let step = greeting.frame(&MinerFrame::from(Hello { miner_id: pair.id(), auth, ..hello() }).to_text());
    hides(&step);
    let Step::Key(shown) = step else { panic!("{step:?}") };
    let step = shown.known(None);
    hides(&step);
    let Step::Enrolment(enrolment) = step else { panic!("{step:?}") };
    hides(&enrolment);
    hides(&enrolment.recorded(Ok(Enrolled::default())));
}

#[test]
fn no_error_of_a_hello_quotes_a_token() {
    let whole = serde_json::to_value(MinerFrame::from(hello())).unwrap();
    for auth in [
        json!(MARKER),
        json!({"token": [MARKER]}),
        json!({"token": {"value": MARKER}}),
        json!({"public_key": {"a": MARKER}}),
        json!({"token": MARKER, "binding": 1}),
    ] {
        let mut frame = whole.clone();
        frame["auth"] = auth;
        let bad = MinerFrame::parse(&frame.to_string()).unwrap_err();
        hides(&bad);
        assert!(!bad.to_string().contains("s3cr3t"), "{bad}");
        hides(&greeting().frame(&frame.to_string()));
        assert!(bad.to_string().starts_with("hello: auth must be"), "{bad}");
    }
    let broken = whole.to_string().replace('}', "");
    hides(&greeting().frame(&broken));
}

#[test]
fn no_key_of_a_miner_shows_its_private_half() {
    let pem = MinerKeyPair::generate().unwrap();
    let secret = pem.lines().nth(1).unwrap();
    let pair = MinerKeyPair::from_pem(&pem).unwrap();
    for shown in [format!("{pair:?}"), format!("{pair:#?}")] {
        assert!(shown.contains(&pair.id()) && !shown.contains(secret), "{shown}");
    }
    let wrong = MinerKeyPair::from_pem(&pem.replace("PRIVATE KEY", "SECRET KEY")).unwrap_err();
    assert!(!format!("{wrong:?} {wrong}").contains(secret), "{wrong:?}");
    let short = pem.replacen(secret, &secret[..secret.len() - 8], 1);
    let wrong = MinerKeyPair::from_pem(&short).unwrap_err();
    assert!(!format!("{wrong:?} {wrong}").contains(&secret[..16]), "{wrong:?}");
}
