//! Values of the wrong type in the JSON that bindings pass on: the error names the field in JSON's words.

use cortensor_router::Result;
use cortensor_router::embed::{Job, MinerClient, REQUEST_OPTIONS, Router, SESSION_OPTIONS};
use cortensor_router_testkit::wrong;
use serde_json::{Value, json};

/// Fields of a miner's description, of the options of a client and of a key.
const MINER: &[&str] = &[
    "name",
    "kind",
    "models",
    "capacity",
    "weight",
    "owner",
    "dedicated",
    "embeddings",
    "max_context_tokens",
    "features",
    "agent",
    "hardware",
    "model_details",
];
const CLIENT: &[&str] = &[
    "routers",
    "name",
    "capacity",
    "models",
    "model_details",
    "continues",
    "dedicated",
    "owner",
    "hardware",
    "token",
    "key_file",
    "connect_timeout_ms",
    "reconnect_base_ms",
    "max_frame_bytes",
    "runtime",
];
const KEY: &[&str] = &["name", "scopes", "ttl_secs", "sessions", "models", "owner"];
const CONFIG: &[&str] = &["limits", "listen", "upstream", "echo", "completion_sessions", "storage", "unknown_session"];

/// Every way in with its fields. Each call has one field, or that field beside those that it needs.
fn refuses(what: &str, fields: &[&str], call: impl Fn(&str) -> Result<()>) {
    let mut refused = 0;
    for (field, value) in fields.iter().flat_map(|field| wrong::values().into_iter().map(move |value| (field, value))) {
        let text = json!({ *field: value }).to_string();
        if let Err(error) = call(&text) {
            assert_eq!(wrong::rust_word(error.message()), None, "{what} {text}: {}", error.message());
            refused += 1;
        }
    }
    assert!(refused > 2 * fields.len(), "{what}: {refused} refusals");
}

fn nobody(job: Job) {
    drop(job);
}

#[test]
fn no_error_about_a_wrong_type_speaks_of_rust() {
    let router = Router::open("", None).wait().unwrap();
    refuses("a prompt", REQUEST_OPTIONS, |text| router.submit_prompt(0, "x", text).wait().map(drop));
    refuses("a request", REQUEST_OPTIONS, |text| router.submit(0, text).wait().map(drop));
    refuses("a session", SESSION_OPTIONS, |text| router.create_session(text).wait().map(drop));
    refuses("a change", SESSION_OPTIONS, |text| router.update_session(0, text).wait().map(drop));
    refuses("a miner", MINER, |text| router.add_miner(text, nobody).map(drop));
    refuses("a key", KEY, |text| router.create_key(text).wait().map(drop));
    refuses("a page", &["limit", "offset", "state"], |text| router.tasks(0, text).wait().map(drop));
    refuses("a client", CLIENT, |text| MinerClient::start(text, nobody, None).map(drop));
    refuses("a configuration", CONFIG, |text| Router::open(text, None).wait().map(drop));
    for section in ["limits", "dispatch", "storage", "miners", "retention"] {
        let shown: Value = serde_json::from_str(&router.config().unwrap()).unwrap();
        for (key, value) in shown[section].as_object().unwrap() {
            // A text is wrong for a number, and a list for everything but a list.
            for wrong in [json!([[1.5]]), json!({"a": 1})] {
                let text = json!({section: {key: wrong}}).to_string();
                let error = Router::open(&text, None).wait().map(drop).unwrap_err();
                assert_eq!(wrong::rust_word(error.message()), None, "{text} ({value}): {}", error.message());
                let param = error.details().param.clone().unwrap_or_default();
                assert!(param.starts_with(&format!("{section}.{key}")), "{text}: {param}");
            }
        }
    }
    router.shutdown(None).unwrap();
}
