use super::*;
use crate::config::Durability;
use crate::config::{ENV_ALIASES, KeyKind, keys};
use crate::model::Scope;

fn from_env(variables: &[(&str, &str)]) -> Result<Loaded> {
    load_all(None, variables, Vec::new())
}

fn load_all(file: Option<&str>, variables: &[(&str, &str)], overrides: Vec<Override>) -> Result<Loaded> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("router.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(file.map(|_| path.as_path()), variables, overrides)
}

fn message(result: Result<impl std::fmt::Debug>) -> String {
    result.unwrap_err().message().to_owned()
}

#[test]
fn each_layer_wins_over_those_before_it_and_says_where_the_value_comes_from() {
    let file = "name = \"f\"\n[listen]\nport = 1\n[limits]\nmax_sessions = 1\nmax_miners = 1\n";
    let env = [("CORTENSOR_LIMITS_MAX_SESSIONS", "2"), ("CORTENSOR_LIMITS_MAX_MINERS", "2")];
    let flags = vec![Override::new("limits.max_miners", 3_i64, "--set")];
    let loaded = load_all(Some(file), &env, flags).unwrap();
    let config = &loaded.config;
    assert_eq!((config.listen.port, config.limits.max_sessions, config.limits.max_miners), (1, 2, 3));
    assert!(matches!(loaded.source("listen.port"), Source::File(path, 3) if path.ends_with("router.toml")));
    assert_eq!(loaded.source("limits.max_sessions"), Source::Environment("CORTENSOR_LIMITS_MAX_SESSIONS".into()));
    assert_eq!(loaded.source("limits.max_miners").to_string(), "--set");
    assert_eq!(loaded.source("limits.max_tokens"), Source::Default);
    assert!(loaded.remarks.is_empty());
}

/// A secret of webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn every_plain_key_can_be_set_by_its_variable() {
    for key in keys() {
        if key.env.contains('<') || matches!(key.kind, KeyKind::Section | KeyKind::Tables) {
            continue;
        }
        let text = match key.path.as_str() {
            "storage.data_dir" | "external_address" | "listen.tls.cert" | "listen.tls.key" | "listen.tls.client_ca" => {
                "x".to_owned()
            }
            "otel.endpoint" | "otel.traces_endpoint" => "http://collector:4318".to_owned(),
            "otel.headers" => "api-key=x".to_owned(),
            "storage.url" | "storage.ca_file" if !cfg!(feature = "postgres") => continue,
            "storage.url" => "postgres://h/d".to_owned(),
            "fleet.host" => "127.0.0.1".to_owned(),
            "fleet.address" => "h:1".to_owned(),
            "otel.ca_file" | "storage.ca_file" | "runtime.supervisor" => "x".to_owned(),
            "completion_sessions" => "1,2".to_owned(),
            "log.filter" => "info".to_owned(),
            "webhooks.secret" => SECRET.to_owned(),
            "webhooks.secret_env" => "X".to_owned(),
            "listen.cors.origins" => "http://a,http://b".to_owned(),
            "listen.dev_token" => "true".to_owned(),
            "agents.validate_prompt" | "agents.factcheck_prompt" => "{claim}".to_owned(),
            _ => key.default.trim_matches('"').to_owned(),
        };
        // These three go together.
        let tls = [("CORTENSOR_LISTEN_TLS_CERT", "x"), ("CORTENSOR_LISTEN_TLS_KEY", "x")];
        let mut environment = match key.path.as_str() {
            path if path.starts_with("listen.tls.") => tls.to_vec(),
            "fleet.address" => vec![("CORTENSOR_FLEET_PORT", "1")],
            "storage.ca_file" => vec![("CORTENSOR_STORAGE_URL", "postgres://h/d")],
            // A variable that is not set does not matter if the secret stands beside it.
            "webhooks.secret_env" => vec![("CORTENSOR_WEBHOOKS_SECRET", SECRET)],
            _ => Vec::new(),
        };
        environment.push((&key.env, &text));
        let loaded = from_env(&environment).unwrap_or_else(|e| panic!("{}={text}: {e}", key.env));
        assert_eq!(loaded.source(&key.path), Source::Environment(key.env.clone()));
        let wrong = match key.kind {
            KeyKind::Bool => "perhaps",
            KeyKind::Integer | KeyKind::Number | KeyKind::IntegerList => "many",
            _ => continue,
        };
        let error = from_env(&[(&key.env, wrong)]).unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some(key.path.as_str()));
        assert!(error.message().contains(&key.env), "{error}");
    }
}

#[test]
fn lists_of_tables_can_be_set_as_a_whole_and_by_their_places() {
    let loaded = from_env(&[
        ("CORTENSOR_UPSTREAM", "http://a:1/v1, http://b:2/v1"),
        ("CORTENSOR_UPSTREAM_1_MAX_CONCURRENCY", "7"),
        ("CORTENSOR_UPSTREAM_2_URL", "http://c:3/v1"),
        ("CORTENSOR_LISTEN_TOKEN", "s3cret"),
        ("CORTENSOR_LISTEN_TOKEN_0_SCOPES", "read"),
    ])
    .unwrap();
    let urls: Vec<_> = loaded.config.upstreams.iter().map(|u| (u.url.as_str(), u.max_concurrency)).collect();
    assert_eq!(urls, [("http://a:1/v1", 32), ("http://b:2/v1", 7), ("http://c:3/v1", 32)]);
    let token = &loaded.config.listen.tokens[0];
    assert_eq!((token.value.as_deref(), token.scopes.as_slice()), (Some("s3cret"), [Scope::Read].as_slice()));
    let json = from_env(&[("CORTENSOR_UPSTREAM", r#"[{"url":"http://a:1/v1","aliases":{"small":"qwen"}}]"#)]).unwrap();
    assert_eq!(json.config.upstreams[0].aliases["small"], "qwen");
    assert!(message(from_env(&[("CORTENSOR_UPSTREAM_4_URL", "http://a/v1")])).contains("the next one is upstream[0]"));
}

#[test]
fn every_alias_sets_its_key() {
    let loaded = from_env(&[
        ("API_ENABLE", "0"),
        ("API_KEY", "operators-token"),
        ("ROUTER_REST_BIND_IP", "0.0.0.0"),
        ("ROUTER_REST_BIND_PORT", "5011"),
        ("ROUTER_EXTERNAL_IP", "203.0.113.7"),
        ("ROUTER_EXTERNAL_PORT", "443"),
        ("LLM_HOST", "llm.local"),
        ("LLM_PORT", "8090"),
        ("ROUTER_COMPLETION_SESSION_IDS", "11, 12"),
        ("WS_HOST_ROUTER", "127.0.0.1"),
        ("WS_PORT_ROUTER", "9001"),
    ])
    .unwrap();
    let config = &loaded.config;
    assert!(!config.listen.enabled);
    assert_eq!(config.listen.tokens[0].value.as_deref(), Some("operators-token"));
    assert_eq!(config.listen.address().to_string(), "0.0.0.0:5011");
    assert_eq!(config.external_address.as_deref(), Some("203.0.113.7:443"));
    assert_eq!(config.upstreams[0].url, "http://llm.local:8090/v1");
    assert_eq!(config.completion_sessions, [11, 12]);
    assert_eq!(loaded.source("listen.host"), Source::Environment("ROUTER_REST_BIND_IP".into()));
    assert_eq!(config.miners.port.map(u16::from), Some(9001));
    assert_eq!(loaded.remarks.len(), 1, "{:?}", loaded.remarks);
    assert!(loaded.remarks[0].contains("miner socket"));
    assert_eq!(from_env(&[("API_PORT", "5012")]).unwrap().config.listen.port, 5012);
    let both = from_env(&[("ROUTER_REST_BIND_PORT", "1"), ("API_PORT", "2")]).unwrap();
    assert_eq!(both.config.listen.port, 1);
    for alias in ENV_ALIASES {
        assert!(alias.key.is_empty() || keys::find(alias.key).is_some(), "{}", alias.name);
    }
}

#[test]
fn hosts_and_ports_of_aliases_are_put_together_sensibly() {
    for (variables, url) in [
        (vec![("LLM_HOST", "llm")], "http://llm:8080/v1"),
        (vec![("LLM_PORT", "9")], "http://127.0.0.1:9/v1"),
        (vec![("LLM_HOST", "::1"), ("LLM_PORT", "9")], "http://[::1]:9/v1"),
        (vec![("LLM_HOST", "llm:7"), ("LLM_PORT", "9")], "http://llm:7/v1"),
        (vec![("LLM_HOST", "https://llm.example/v1/")], "https://llm.example/v1"),
        (vec![("LLM_HOST", "https://llm.example")], "https://llm.example/v1"),
    ] {
        assert_eq!(from_env(&variables).unwrap().config.upstreams[0].url, url);
    }
    assert_eq!(
        from_env(&[("ROUTER_EXTERNAL_IP", "1.2.3.4")]).unwrap().config.external_address.as_deref(),
        Some("1.2.3.4")
    );
    let alone = from_env(&[("ROUTER_EXTERNAL_PORT", "443")]).unwrap();
    assert_eq!(alone.config.external_address, None);
    assert!(alone.remarks[0].contains("ROUTER_EXTERNAL_IP is not set"));
}

#[test]
fn own_names_win_over_aliases_wherever_they_stand() {
    let in_file = load_all(Some("listen.port = 1"), &[("API_PORT", "2")], Vec::new()).unwrap();
    assert_eq!(in_file.config.listen.port, 1);
    assert!(in_file.remarks[0].starts_with("API_PORT is not used: listen.port is set by"), "{:?}", in_file.remarks);
    let in_env = from_env(&[("API_PORT", "2"), ("CORTENSOR_LISTEN_PORT", "3")]).unwrap();
    assert_eq!(in_env.config.listen.port, 3);
    assert!(in_env.remarks[0].contains("CORTENSOR_LISTEN_PORT"));
    let upstream = load_all(Some("[[upstream]]\nurl = \"http://f/v1\""), &[("LLM_HOST", "llm")], Vec::new()).unwrap();
    assert_eq!(upstream.config.upstreams.len(), 1);
    assert_eq!(upstream.config.upstreams[0].url, "http://f/v1");
}

#[test]
fn variables_set_to_nothing_and_those_of_others_are_left_alone() {
    let loaded =
        from_env(&[("CORTENSOR_LISTEN_PORT", ""), ("API_KEY", " "), ("CORTENSOR_API_KEY", "x"), ("HOME", "/")])
            .unwrap();
    assert_eq!(loaded.config.listen.port, 5010);
    assert!(loaded.config.listen.tokens.is_empty());
    assert!(loaded.remarks.is_empty(), "{:?}", loaded.remarks);
}

#[test]
fn a_misspelt_variable_is_refused_or_remarked_upon() {
    let error = message(from_env(&[("CORTENSOR_LISTEN_PROT", "1")]));
    assert!(error.contains("did you mean CORTENSOR_LISTEN_PORT?"), "{error}");
    let remark = &from_env(&[("CORTENSOR_ECCO", "1")]).unwrap().remarks[0];
    assert!(remark.contains("did you mean CORTENSOR_ECHO?"), "{remark}");
}

#[test]
fn an_unknown_key_names_its_line_and_the_one_that_was_meant() {
    let error = message(load_all(Some("name = \"a\"\n\n[listen]\nprot = 1\n"), &[], Vec::new()));
    assert!(error.ends_with(":4: unknown key \"listen.prot\": did you mean \"listen.port\"?"), "{error}");
    let error = message(Config::from_toml("[[upstream]]\nurl = \"http://a/v1\"\nmodles = []"));
    assert!(error.contains("line 3") && error.contains("upstream[].models"), "{error}");
    let error = message(Config::from_json(r#"{"upstreams":[{"url":"http://a/v1","apiKey":"s"}]}"#));
    assert!(error.contains("\"upstream[].api_key\""), "{error}");
}

#[test]
fn a_wrong_value_names_its_key_and_its_place() {
    let error = message(Config::from_toml("[listen]\nport = 70000"));
    assert!(error.starts_with("line 2: listen.port: ") && error.ends_with("(it takes a whole number)"), "{error}");
    let error = message(from_env(&[("CORTENSOR_LISTEN_PORT", "70000")]));
    assert!(error.starts_with("environment variable CORTENSOR_LISTEN_PORT: listen.port"), "{error}");
    let error = message(load_all(Some("[limits]\n\nmax_miners = 0"), &[], Vec::new()));
    assert!(error.contains(":3: limits.max_miners must be at least 1"), "{error}");
    let error = message(from_env(&[("CORTENSOR_STORAGE_DURABILITY", "none")]));
    assert!(error.contains("`full`") && error.contains("storage.durability"), "{error}");
    let error = message(Config::from_toml("name = "));
    assert!(error.starts_with("line 1: this is no TOML"), "{error}");
    let error = message(Config::from_json("[]"));
    assert!(error.contains("JSON object"), "{error}");
    assert!(message(load(Some(Path::new("/nowhere/x.toml")), std::iter::empty(), [])).contains("cannot be read"));
}

#[test]
fn secrets_are_in_no_message() {
    for text in ["[[upstream]]\nurl = \"http://a/v1\"\napi_key = 424242", "[[listen.token]]\nvalue = 424242"] {
        assert!(!message(Config::from_toml(text)).contains("424242"));
    }
    assert!(!message(from_env(&[("CORTENSOR_LISTEN_TOKEN", "[secret-424242")])).contains("424242"));
}

#[test]
fn assignments_are_read_like_variables() {
    let set = |text| Override::parse(text, "--set");
    let overrides = vec![set("storage.durability=relaxed").unwrap(), set("upstreams=http://a/v1").unwrap()];
    let loaded = load_all(None, &[], overrides).unwrap();
    assert_eq!(loaded.config.storage.durability, Durability::Relaxed);
    assert_eq!(loaded.config.upstreams[0].url, "http://a/v1");
    assert!(message(set("limits.max_session=1")).contains("did you mean \"limits.max_sessions\"?"));
    assert!(message(set("limits")).contains("key=value"));
}

#[test]
fn the_plural_of_a_list_is_the_same_key() {
    let loaded = load_all(
        Some("[[upstreams]]\nurl = \"http://a/v1\"\n[[listen.tokens]]\nvalue = \"x\""),
        &[("CORTENSOR_UPSTREAM_0_WEIGHT", "5")],
        Vec::new(),
    )
    .unwrap();
    assert_eq!((loaded.config.upstreams[0].weight, loaded.config.listen.tokens.len()), (5, 1));
    assert!(matches!(loaded.source("listen.token[0].value"), Source::File(_, 4)));
}
