//! No type that holds a secret shows it, and no error quotes one.

use std::fmt::Debug;

use super::shown_url;
use crate::config::{Config, ListenConfig, Override, TokenConfig, UpstreamConfig, load};
use crate::token::{KeySpec, Token};

/// A text that stands in the place of every secret.
const MARKER: &str = "s3cr3t-m4rk3r";

#[track_caller]
fn hides(shown: &str) {
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[track_caller]
fn hides_in_debug(value: &impl Debug) {
    hides(&format!("{value:?}"));
    hides(&format!("{value:#?}"));
}

/// A configuration in which everything that may be secret is the marker.
fn config() -> Config {
    let token = TokenConfig::default().name(Some("app".into())).value(Some(MARKER.into()));
    let upstream = UpstreamConfig::new(format!("http://user:{MARKER}@127.0.0.1:9/v1?key={MARKER}"));
    Config::default()
        .listen(ListenConfig::default().tokens(vec![token]))
        .upstreams(vec![upstream.api_key(Some(MARKER.into()))])
}

#[test]
fn a_url_is_shown_without_its_password_and_its_query() {
    for (url, shown) in [
        ("http://h:1/v1", "http://h:1/v1"),
        ("https://h/v1?key=k", "https://h/v1?..."),
        ("http://me:pass@h:1/v1", "http://...@h:1/v1"),
        ("http://me:p/a?s@s@h/v1", "http://...@h/v1"),
        ("me:pass@h", "...@h"),
        ("h", "h"),
        ("", ""),
    ] {
        assert_eq!(shown_url(url), shown, "{url}");
    }
}

#[test]
fn no_configuration_shows_its_secrets() {
    let config = config();
    hides_in_debug(&config);
    hides_in_debug(&config.listen);
    hides_in_debug(&config.listen.tokens[0]);
    hides_in_debug(&config.upstreams[0]);
    hides(&config.upstreams[0].miner_name());
    hides(&serde_json::to_string(&config.listen).unwrap());
    let set = |key: &str| Override::parse(&format!("{key}={MARKER}"), "--set").unwrap();
    hides_in_debug(&set("listen.tokens.0.value"));
    hides_in_debug(&set("upstream.0.api_key"));
    hides_in_debug(&Override::new("upstream[0].api_key", MARKER, "--api-key"));
    let variables = [("API_KEY", MARKER), ("CORTENSOR_LISTEN_TOKEN_0_VALUE", MARKER), ("LLM_HOST", "h")];
    let loaded = load(None, variables.map(|(name, value)| (name.into(), value.into())).into_iter(), []).unwrap();
    hides_in_debug(&loaded);
    hides(&loaded.remarks.join("\n"));
}

#[test]
fn no_error_of_a_configuration_quotes_a_secret() {
    for text in [
        format!("[listen]\ntoken = \"{MARKER}\""),
        format!("[listen]\ntokens = [\"{MARKER}\"]"),
        format!("[listen]\ntoken = {{value = \"{MARKER}\"}}"),
        format!("[[listen.token]]\nname = \"a\"\nvalue = [\"{MARKER}\"]"),
        format!("upstream = \"{MARKER}\""),
        format!("upstreams = [\"{MARKER}\"]"),
        format!("listen = \"{MARKER}\""),
        format!("[[upstream]]\nurl = \"http://127.0.0.1:9\"\napi_key = [\"{MARKER}\"]"),
        format!("[[upstream]]\nurl = \"http://127.0.0.1:9\"\napi_key = \"{MARKER}"),
        format!("[[upstream]]\nurl = \"http://u:{MARKER}@ 127.0.0.1\""),
        format!("[[upstream]]\nurl = \"ftp://u:{MARKER}@127.0.0.1\""),
    ] {
        let error = Config::from_toml(&text).expect_err(&text);
        hides(&error.to_string());
        hides_in_debug(&error);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, &text).unwrap();
        hides_in_debug(&load(Some(&file), std::iter::empty(), []).expect_err(&text));
    }
    for text in [
        format!(r#"{{"listen":{{"token":"{MARKER}"}}}}"#),
        format!(r#"{{"listen":{{"token":["{MARKER}"]}}}}"#),
        format!(r#"{{"listen":{{"token":[{{"value":["{MARKER}"]}}]}}}}"#),
        format!(r#"{{"listen":"{MARKER}"}}"#),
        format!(r#"{{"upstream":"{MARKER}"}}"#),
        format!(r#"{{"upstream":["{MARKER}"]}}"#),
        format!(r#"{{"upstream":[{{"url":"http://h","api_key":{{"a":"{MARKER}"}}}}]}}"#),
        format!(r#"{{"upstream":[{{"url":"http://h","api_key":"{MARKER}"]}}"#),
        format!(r#""{MARKER}""#),
    ] {
        hides_in_debug(&Config::from_json(&text).expect_err(&text));
    }
    for (name, value) in [
        ("CORTENSOR_LISTEN_TOKEN", format!("[{{value = \"{MARKER}\"")),
        ("CORTENSOR_LISTEN_TOKEN", format!("[\"{MARKER}\"]")),
        ("CORTENSOR_UPSTREAM", format!("[{{\"api_key\":\"{MARKER}\"")),
        ("CORTENSOR_UPSTREAM", format!("ftp://u:{MARKER}@h")),
        ("CORTENSOR_UPSTREAM_0_URL", format!("ftp://u:{MARKER}@h")),
    ] {
        let error = load(None, std::iter::once((name.to_owned(), value.clone())), []).expect_err(&value);
        hides_in_debug(&error);
    }
    for assignment in [
        format!("listen={{token = [{{value = \"{MARKER}\""),
        format!("listen.token=[{{value = \"{MARKER}\""),
        format!("upstream=[{{api_key = \"{MARKER}\""),
        format!("listen.token={{value = [\"{MARKER}\"]}}"),
    ] {
        let error = Override::parse(&assignment, "--set").and_then(|set| load(None, std::iter::empty(), [set]));
        hides_in_debug(&error.expect_err(&assignment));
    }
}

#[test]
fn no_key_shows_its_token() {
    let token = Token::mint().unwrap();
    let secret = token.reveal().rsplit_once('_').unwrap().1.to_owned();
    let (record, made) = KeySpec::new("ci").mint(crate::model::Timestamp(0)).unwrap();
    let own = made.token.reveal().rsplit_once('_').unwrap().1.to_owned();
    for shown in [format!("{token:?}"), format!("{made:?}"), format!("{made:#?}"), format!("{record:?}")] {
        assert!(!shown.contains(&secret) && !shown.contains(&own), "{shown}");
    }
}

#[test]
#[cfg(feature = "miner-client")]
fn no_miner_client_shows_its_token() {
    use crate::miner::client::MinerClientConfig;

    let config = MinerClientConfig::new(format!("ws://u:{MARKER}@h"), "gpu").token(MARKER);
    hides_in_debug(&config);
    hides(&serde_json::to_string(&config.clone().routers(["ws://h"])).unwrap());
    for text in [
        format!(r#"{{"token":["{MARKER}"]}}"#),
        format!(r#"{{"token":{{"value":"{MARKER}"}}}}"#),
        format!(r#"{{"token":"{MARKER}""#),
    ] {
        hides_in_debug(&serde_json::from_str::<MinerClientConfig>(&text).expect_err(&text));
    }
    let wrong = MinerClientConfig::new(format!("ftp://u:{MARKER}@h"), "gpu").token(MARKER);
    hides_in_debug(&wrong.validate().expect_err("another scheme"));
}

#[test]
fn no_upstream_shows_its_key() {
    use crate::miner::UpstreamMiner;

    let limits = crate::config::LimitsConfig::default();
    let with = |url: &str| UpstreamMiner::new(UpstreamConfig::new(url).api_key(Some(MARKER.into())), &limits);
    let miner = with("http://127.0.0.1:9/v1").unwrap();
    hides_in_debug(&miner);
    hides_in_debug(&miner.config());
    let wrong = with(&format!("http://u:{MARKER}@h")).expect_err("a URL with a password");
    hides_in_debug(&wrong);
    let config = UpstreamConfig::new(format!("http://h?key={MARKER}")).api_key(Some(format!("{MARKER}\n{MARKER}")));
    hides_in_debug(&UpstreamMiner::new(config, &limits).expect_err("a key that no header can hold"));
}

#[test]
#[cfg(feature = "embed")]
fn no_request_of_a_host_shows_its_credentials() {
    let request = crate::embed::HttpRequest {
        method: "POST".into(),
        target: "/v1/models".into(),
        headers: vec![("Authorization".into(), format!("Bearer {MARKER}").into_bytes())],
        peer: None,
        body: MARKER.into(),
    };
    hides_in_debug(&request);
}
