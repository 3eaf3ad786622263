//! The handshake: each line is a frame of the miner. The first line says how the router's answers turn out, and whether
//! the miner signs.

use std::sync::LazyLock;

use cortensor_router_model::{Error, Result};
use cortensor_router_protocol::frame::{Auth, Challenge, Hello, MinerFrame, RouterFrame, VERSION};
use cortensor_router_protocol::handshake::{Admitted, Credential, Enrolled, Greeting, Holder, Step, unauthorized};
use cortensor_router_protocol::identity::{MinerKeyPair, TLS_EXPORTER, encode};

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "handshake",
    read,
    growth: Growth { fixed: 1 << 20, times: 64 },
    words: &[
        "\n{\"type\":\"hello\",\"v\":1,\"miner_id\":\"m\",\"auth\":{\"token\":\"t\"},\"max_concurrency\":1,\"kind\":\"ephemeral\"}",
        "\n{\"type\":\"bye\"}",
        "\n{\"type\":\"later\"}",
        "\"auth\":{\"token\":\"t\",\"public_key\":\"k\",\"signature\":\"s\"}",
        "\"models\":[{\"id\":\"tiny\"}]",
        "\"features\":[\"raw\"]",
        "signed",
        "bound",
        "held",
        "known",
        "revoked",
        "enrolled",
        "only-tiny",
    ],
    shapes: &[
        Shape {
            name: "many frames of unknown types",
            make: |n| format!("held\n{}", "{\"type\":\"later\"}\n".repeat(n)),
        },
        Shape { name: "many models", make: |n| hello("models", &"{\"id\":\"tiny\"},".repeat(n), "{\"id\":\"a\"}") },
        Shape {
            name: "many models that differ",
            make: |n| hello("models", &numbered(n, |at| format!("{{\"id\":\"m{at}\"}},")), "{\"id\":\"a\"}"),
        },
        Shape {
            name: "many features that differ",
            make: |n| hello("features", &numbered(n, |at| format!("\"f{at}\",")), "\"raw\""),
        },
        Shape {
            name: "a long name",
            make: |n| hello("features", "", &format!("\"raw\"],\"name\":\"{}\",\"x\":[1", "a".repeat(n * 8))),
        },
        Shape { name: "many features", make: |n| hello("features", &"\"a\",".repeat(n), "\"raw\"") },
        Shape {
            name: "many unknown members",
            make: |n| {
                let members = numbered(n, |at| format!(",\"m{at}\":1"));
                hello("features", "", &format!("\"raw\"]{members},\"x\":[1"))
            },
        },
    ],
};

fn numbered(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().concat()
}

fn hello(member: &str, items: &str, last: &str) -> String {
    format!(
        "held\n{{\"type\":\"hello\",\"v\":1,\"miner_id\":\"m\",\"auth\":{{\"token\":\"t\"}},\"max_concurrency\":1,\
         \"kind\":\"ephemeral\",\"{member}\":[{items}{last}]}}"
    )
}

/// The key of the miner that signs. It is the same in every run.
static PAIR: LazyLock<MinerKeyPair> = LazyLock::new(|| {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
               -----END PRIVATE KEY-----\n";
    MinerKeyPair::from_pem(pem).unwrap_or_else(|error| panic!("the test's key: {error}"))
});

/// The answers of the router's world to the machine.
struct World<'a> {
    words: &'a str,
}

impl World<'_> {
    fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    fn models(&self) -> Vec<String> {
        if self.has("only-tiny") { vec!["tiny".to_owned()] } else { Vec::new() }
    }

    fn holder(&self) -> Result<Holder> {
        let holder = Holder { id: "k".into(), models: self.models(), ..Holder::default() };
        if self.has("held") { Ok(holder) } else { Err(unauthorized()) }
    }

    fn record(&self) -> Enrolled {
        Enrolled { models: self.models(), revoked: self.has("revoked"), ..Enrolled::default() }
    }
}

fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let world = World { words: lines.next().unwrap_or_default() };
    let channel = world.has("bound").then_some([9; 32]);
    let greeting = Greeting::new("nonce".into(), 7, "router".into(), channel);
    let RouterFrame::Challenge(challenge) = greeting.challenge() else { panic!("the first frame is no challenge") };

    let mut step = Step::Greeting(greeting);
    let mut proven = false;
    loop {
        step = match step {
            Step::Greeting(greeting) => match lines.next() {
                Some(line) => {
                    let line = if world.has("signed") { signed(line, &challenge, channel) } else { line.to_owned() };
                    greeting.frame(&line)
                }
                None => greeting.timed_out(),
            },
            Step::Token(shown) => {
                assert!(!proven, "a token after a signature");
                shown.held_by(world.holder())
            }
            Step::Key(shown) => {
                proven = true;
                assert_eq!(shown.key_id(), PAIR.id(), "a key without its signature");
                assert!(world.has("signed"), "a key without its signature");
                shown.known(world.has("known").then(|| world.record()))
            }
            Step::Enrolment(enrolment) => {
                assert!(proven && !world.has("known"), "an enrolment of a known key");
                let refused = || Error::invalid("token", "the token was used before");
                let may = world.has("enrolled");
                enrolment.recorded(if may { Ok(world.record()) } else { Err(refused()) })
            }
            Step::Admitted(admitted) => return admit(&admitted, &world, proven),
            Step::Refused(frame) => {
                assert!(frame.fatal && !frame.code.is_empty(), "a refusal that closes nothing: {frame:?}");
                assert!(frame.message.len() <= 4 * data.len() + 1_024, "a long refusal: {frame:?}");
                return;
            }
        };
    }
}

/// Puts the miner's key and signature into a hello.
fn signed(line: &str, challenge: &Challenge, channel: Option<[u8; 32]>) -> String {
    let Ok(Some(MinerFrame::Hello(hello))) = MinerFrame::parse(line) else { return line.to_owned() };
    let auth = Auth {
        token: hello.auth.token.clone(),
        public_key: Some(encode(PAIR.public_key())),
        signature: Some(encode(&PAIR.sign(challenge, channel.as_ref().map(|channel| &channel[..])))),
        binding: channel.map(|_| TLS_EXPORTER.to_owned()),
    };
    MinerFrame::Hello(Hello { miner_id: PAIR.id(), auth, ..hello }).to_text()
}

fn admit(admitted: &Admitted, world: &World<'_>, proven: bool) {
    assert_eq!(admitted.hello.v, VERSION);
    match admitted.credential {
        Credential::Token => assert!(!proven && world.has("held") && admitted.identity.id.starts_with("k/")),
        Credential::Key => assert!(proven && world.has("known") && !world.has("revoked")),
        Credential::NewKey => assert!(proven && world.has("enrolled") && !world.has("known")),
    }
    let allowed = world.models();
    assert!(
        allowed.is_empty() || admitted.spec.models.iter().all(|model| allowed.contains(model)),
        "the miner serves {:?}, but may serve {allowed:?}",
        admitted.spec.models
    );
}
