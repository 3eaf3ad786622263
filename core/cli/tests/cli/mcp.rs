//! `mcp`: messages on standard input and output, with a router of its own and with one elsewhere.

use serde_json::{Value, json};

use crate::command::{Call, Home, Said};

/// Sends messages, closes standard input, and gives what came back. Standard output must have nothing but messages.
fn talk(call: Call, messages: &[Value]) -> (Vec<Value>, Said) {
    let lines: Vec<String> = messages.iter().map(Value::to_string).collect();
    let text = lines.join("\n") + "\n";
    let said = call.with_input(&text);
    let answers = said.stdout.lines().map(|line| {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    });
    (answers.collect(), said)
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn hello() -> Value {
    let client = json!({"name": "test", "version": "1"});
    request(0, "initialize", &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}))
}

fn ask(id: u64, prompt: &str) -> Value {
    let params = json!({"name": "cortensor_completions", "arguments": {"prompt": prompt},
                        "_meta": {"progressToken": id}});
    request(id, "tools/call", &params)
}

fn answer(answers: &[Value], id: u64) -> &Value {
    let mut found = answers.iter().filter(|answer| answer["id"] == id && answer.get("method").is_none());
    match (found.next(), found.next()) {
        (Some(answer), None) => answer,
        other => panic!("{other:?} of {answers:?}"),
    }
}

/// The answer of the built-in echo without its own words.
fn said_by(answers: &[Value], id: u64) -> &str {
    let text = answer(answers, id)["result"]["structuredContent"]["choices"][0]["text"].as_str();
    text.and_then(|text| text.rsplit_once(": ")).unwrap_or_else(|| panic!("no answer {id} in {answers:?}")).1
}

#[test]
fn a_router_of_its_own_answers_and_logs_beside_the_messages() {
    let home = Home::new();
    let call = home.command(&["mcp", "--durability", "memory", "--log", "debug"]);
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let messages =
        [hello(), initialized, request(1, "tools/list", &json!({})), ask(2, "a b"), json!([]), json!({"id": 3})];
    let (answers, said) = talk(call, &messages);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(!said.stderr.is_empty());
    assert_eq!(answer(&answers, 0)["result"]["protocolVersion"], "2025-11-25");
    assert!(answer(&answers, 1)["result"]["tools"].as_array().unwrap().len() >= 9);
    assert_eq!(said_by(&answers, 2), "a b");
    assert!(answers.iter().any(|answer| answer["method"] == "notifications/progress"));
    assert!(
        answers.iter().any(|answer| answer["error"]["code"] == -32600 && answer.get("id").is_none_or(Value::is_null))
    );
    assert_eq!(answer(&answers, 3)["error"]["code"], -32600);
}

#[test]
fn a_request_of_the_newest_version_needs_no_handshake() {
    let home = Home::new();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientCapabilities": {}});
    let call = json!({"name": "cortensor_completions", "arguments": {"prompt": "ä b"}, "_meta": meta});
    let messages = [request(1, "server/discover", &json!({"_meta": meta})), request(2, "tools/call", &call)];
    let (answers, _) = talk(home.command(&["mcp", "--durability", "memory"]), &messages);
    assert_eq!(answer(&answers, 1)["result"]["resultType"], "complete", "{answers:?}");
    assert_eq!(said_by(&answers, 2), "ä b");
}

#[test]
fn a_router_elsewhere_answers_and_a_session_that_it_forgot_is_begun_anew() {
    let (home, client) = (Home::new(), Home::new());
    let server = home.serve(&["--set", "listen.max_mcp_sessions=1"]);
    let url = server.url.trim_end_matches("/v1").to_owned();
    let call = || client.command(&["mcp", "--url", &url]);
    let (answers, said) = talk(call(), &[hello(), ask(1, "a b")]);
    assert_eq!((said.status, said_by(&answers, 1)), (0, "a b"), "{}", said.stderr);
    // The second handshake replaces the session of the first client, which does not notice.
    let mut first = call().talk();
    first.say(&hello());
    assert_eq!(first.hear()["id"], 0);
    let (answers, _) = talk(call(), &[hello(), ask(1, "c")]);
    assert_eq!(said_by(&answers, 1), "c");
    first.say(&request(2, "ping", &json!({})));
    assert_eq!(first.hear(), json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    assert_eq!(first.end(), 0);
}

#[test]
fn more_requests_than_the_bound_are_refused_and_one_on_its_way_can_still_be_cancelled() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let home = Home::new();
    let mut client = home.command(&["mcp", "--url", &url, "--max-requests", "2"]).talk();
    for id in 1..6 {
        client.say(&request(id, "ping", &json!({})));
    }
    for id in 3..6 {
        let refused = client.hear();
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(id), &json!(-32000)));
        assert!(refused["error"]["message"].as_str().unwrap().contains("--max-requests"), "{refused}");
    }
    client.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
    // The first of these two has the place that is free, and nobody answers it.
    client.say(&request(6, "ping", &json!({})));
    client.say(&request(7, "ping", &json!({})));
    assert_eq!(client.hear()["id"], 7);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_refusal_names_the_request() {
    let (home, client) = (Home::new(), Home::new());
    let server = home.serve(&["--token", "right"]);
    let url = server.url.trim_end_matches("/v1").to_owned();
    let (answers, _) = talk(client.command(&["mcp", "--url", &url, "--token", "wrong"]), &[hello()]);
    assert_eq!(answer(&answers, 0)["error"]["data"]["code"], "unauthorized", "{answers:?}");
    let (answers, _) = talk(client.command(&["mcp", "--url", "http://127.0.0.1:9"]), &[hello()]);
    assert_eq!(answer(&answers, 0)["error"]["code"], -32603, "{answers:?}");
}

#[test]
fn a_data_directory_in_use_is_told_with_the_way_out() {
    let home = Home::new();
    let _server = home.serve(&[]);
    let said = home.command(&["mcp"]).with_input("");
    assert!(said.status != 0 && said.stderr.contains("--url"), "{}", said.stderr);
}

#[test]
fn the_end_of_the_input_ends_a_handshake_that_nobody_answers() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let home = Home::new();
    let (answers, said) = talk(home.command(&["mcp", "--url", &url]), &[hello(), ask(1, "a")]);
    assert_eq!((answers.len(), said.status), (0, 0), "{}", said.stderr);
}

#[test]
fn flags_for_a_router_of_its_own_exclude_one_elsewhere() {
    let home = Home::new();
    let said = home.run(&["mcp", "--url", "http://127.0.0.1:9", "--durability", "memory"]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("--durability"), "{}", said.stderr);
    let call = home.command(&["mcp", "--durability", "memory"]).env("CORTENSOR_URL", "http://127.0.0.1:9");
    let (answers, said) = talk(call, &[hello(), ask(1, "a b")]);
    assert_eq!((said.status, said_by(&answers, 1)), (0, "a b"), "{}", said.stderr);
}
