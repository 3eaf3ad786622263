//! The Model Context Protocol over real sockets: both forms of clients, tools, resources, progress, cancellation, and
//! who sees which session.

use cortensor_router::model::{Answer, MinerSpec, SessionSpec};
use cortensor_router::{Config, KeySpec};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::miners::{Hand, words};
use cortensor_router_testkit::server::{DEV, Reply};
use cortensor_router_testkit::within;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

/// A client with a session, as those of the versions up to 2025-11-25 have one.
struct Client<'a> {
    server: &'a Server,
    head: String,
}

impl<'a> Client<'a> {
    async fn begin(server: &'a Server, token: &str) -> Self {
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
                           "clientInfo": {"name": "test", "version": "1"}});
        let reply = server.send("POST", "/mcp", token, &message(0, "initialize", &hello)).await;
        let result = &reply.json()["result"];
        assert_eq!((reply.status, &result["protocolVersion"]), (200, &json!("2025-06-18")), "{}", reply.body);
        assert_eq!(result["serverInfo"]["name"], "cortensor-router");
        let session = reply.header("mcp-session-id").unwrap();
        let head = format!(
            "{token}Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n\
             Accept: application/json, text/event-stream\r\n"
        );
        Self { server, head }
    }

    async fn send(&self, body: &str) -> Reply {
        self.server.send("POST", "/mcp", &self.head, body).await
    }

    async fn ask(&self, method: &str, params: &Value) -> Value {
        let reply = self.send(&message("a", method, params)).await;
        let answer = reply.json();
        assert_eq!((reply.status, &answer["id"]), (200, &json!("a")), "{answer}");
        answer
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments})).await;
        let result = answer["result"].clone();
        assert!(result.is_object(), "{answer}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        if result["isError"] == json!(false) {
            assert_eq!(result["structuredContent"], text);
        } else {
            assert!(result.get("structuredContent").is_none(), "{result}");
        }
        assert!(result.get("resultType").is_none(), "older clients know no such member");
        result
    }
}

fn message(id: impl Into<Value>, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

/// A request as clients of the version 2026-07-28 send it: its head lines and its body.
fn single(method: &str, mut params: Value, name: Option<&str>) -> (String, String) {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let head = format!("{DEV}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    (head, message(1, method, &params))
}

/// The messages of a stream of events.
fn events(body: &str) -> Vec<Value> {
    let events = body.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
    events.map(|event| serde_json::from_str(event.strip_prefix("event: message\ndata: ").unwrap()).unwrap()).collect()
}

async fn server() -> Server {
    let server = Server::open(Config::default()).await;
    server.router.add_miner(MinerSpec::new("host", 8).models(["tiny"]), words).unwrap();
    server
}

async fn token(server: &Server, spec: KeySpec) -> String {
    let made = server.router.create_key(&spec).await.unwrap();
    format!("Authorization: Bearer {}\r\n", made.token.reveal())
}

#[tokio::test]
async fn every_tool_answers_what_its_route_answers() {
    let server = server().await;
    let client = Client::begin(&server, DEV).await;
    let listed = client.ask("tools/list", &json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let about = server.get("/mcp/messages").await.json();
    assert_eq!((&about["tools"], &about["endpoint"]), (&json!(names), &json!("/mcp")));
    for tool in tools {
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!(schema["type"], "object", "{tool}");
            let text = schema.to_string();
            assert!(!text.contains("#/components/"), "{text}");
            for reference in text.split("\"#/$defs/").skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(schema["$defs"][name].is_object(), "{name} of {text}");
            }
        }
        assert!(!tool["description"].as_str().unwrap().is_empty() && tool["title"].is_string());
        assert!(tool["inputSchema"]["properties"].get("stream").is_none());
    }
    let made = client.call("cortensor_create_session", json!({"name": "work"})).await;
    let session = made["structuredContent"]["session_id"].as_u64().unwrap();
    let done = client.call("cortensor_completions", json!({"prompt": "a b c", "session_id": session})).await;
    assert_eq!(done["structuredContent"]["choices"][0]["text"], "a b c");
    assert!(done["structuredContent"].get("response").is_none(), "the text is not repeated under other names: {done}");
    let tasks = client.call("cortensor_tasks", json!({"session_id": session})).await;
    assert_eq!(tasks["structuredContent"]["count"], 1);
    let task = &tasks["structuredContent"]["tasks"][0]["id"];
    // Ids are accepted as numbers and as texts, as everywhere.
    for id in [json!(session), json!(session.to_string()), json!(session as f64)] {
        let shown = client.call("cortensor_tasks", json!({"session_id": id, "task_id": task, "limit": null})).await;
        assert_eq!(shown["structuredContent"]["outcome"], "ok", "{shown}");
    }
    let shown = client.call("cortensor_sessions", json!({"id": session})).await;
    assert_eq!(shown["structuredContent"]["name"], "work");
    for (tool, path) in [
        ("cortensor_sessions", "/api/v1/sessions"),
        ("cortensor_miners", "/api/v1/miners"),
        ("cortensor_about", "/api/v1/about"),
        ("cortensor_ping", "/api/v1/ping"),
        ("cortensor_info", "/api/v1/info"),
        ("cortensor_status", "/api/v1/status"),
    ] {
        let (told, by_route) = (client.call(tool, json!({})).await, server.get(path).await.json());
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&told["structuredContent"]), members(&by_route), "{tool}");
    }
    for (tool, arguments, member) in [
        ("cortensor_delegate", json!({"objective": "a b"}), "result"),
        ("cortensor_validate", json!({"claim": "VERDICT: VALID"}), "verdict"),
        ("cortensor_factcheck", json!({"claim": "VERDICT: VALID"}), "verdict"),
    ] {
        let result = client.call(tool, arguments).await;
        assert!(result["structuredContent"].get(member).is_some(), "{tool}: {result}");
    }
    let later = client.call("cortensor_completions", json!({"prompt": "a", "async": true})).await;
    assert_eq!(later["structuredContent"]["status"], "accepted");
    server.stop().await;
}

#[tokio::test]
async fn failures_are_results_that_a_model_can_read() {
    let server = server().await;
    let client = Client::begin(&server, DEV).await;
    for (tool, arguments, code, param) in [
        ("cortensor_completions", json!({}), "invalid_argument", json!("prompt")),
        (
            "cortensor_completions",
            json!({"prompt": "a", "max_tokens": "many"}),
            "invalid_argument",
            json!("max_tokens"),
        ),
        ("cortensor_completions", json!({"prompt": "a", "session_id": 77}), "session_not_found", json!("session_id")),
        ("cortensor_tasks", json!({}), "invalid_argument", json!("session_id")),
        ("cortensor_tasks", json!({"session_id": {}}), "invalid_argument", json!("session_id")),
        ("cortensor_tasks", json!({"session_id": 0, "limit": -1}), "invalid_argument", json!("limit")),
        ("cortensor_sessions", json!({"id": 77}), "session_not_found", json!("session_id")),
        ("cortensor_create_session", json!({"name": 3}), "invalid_argument", json!("name")),
    ] {
        let result = client.call(tool, arguments.clone()).await;
        let error: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&result["isError"], &error["code"], &error["param"]),
            (&json!(true), &json!(code), &param),
            "{arguments}"
        );
    }
    for (method, params, code, words) in [
        ("tools/call", json!({"name": "rm"}), -32602, "rm"),
        ("tools/call", json!({}), -32602, "params.name"),
        ("tools/call", json!({"name": "cortensor_ping", "arguments": []}), -32602, "params.arguments"),
        ("tools/list", json!({"cursor": "x"}), -32602, "params.cursor"),
        ("resources/read", json!({"uri": "cortensor://sessions/77"}), -32002, "77"),
        ("resources/read", json!({"uri": "file:///etc/passwd"}), -32002, "resources/templates/list"),
        ("resources/read", json!({}), -32602, "params.uri"),
        ("resources/list", json!({"cursor": "x"}), -32602, "cursor"),
        ("prompts/list", json!({}), -32601, "prompts/list"),
        ("server/discover", json!({}), -32601, "server/discover"),
    ] {
        let error = &client.ask(method, &params).await["error"];
        assert_eq!(error["code"], code, "{method}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{method}: {error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn garbage_gets_the_protocols_own_errors() {
    let server = server().await;
    let client = Client::begin(&server, DEV).await;
    for (body, code, id) in [
        ("", -32700, Value::Null),
        ("{", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        ("1", -32600, Value::Null),
        (r#"{"id":1,"method":"ping"}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":4}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":4}}"#, -32602, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#, -32602, json!(1)),
    ] {
        let reply = client.send(body).await;
        let answer = reply.json();
        assert_eq!((reply.status, &answer["error"]["code"]), (400, &json!(code)), "{body}: {answer}");
        assert_eq!(answer.get("id").unwrap_or(&Value::Null), &id, "{body}");
    }
    for batch in ["[]", r#"["2.0",1,"ping"]"#, r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        let told = client.send(batch).await.json();
        assert!(told["error"]["message"].as_str().unwrap().contains("batch"), "{told}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        let reply = client.send(body).await;
        assert_eq!((reply.status, reply.body.as_str()), (202, ""), "{body}");
    }
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}1{}}}"#, "[".repeat(600), "]".repeat(600));
    let reply = client.send(&deep).await;
    assert_eq!((reply.status, &reply.json()["error"]["data"]["code"]), (400, &json!("json_too_deep")));
    let refused = server.send("POST", "/mcp", "", "{}").await;
    assert_eq!(
        (refused.status, refused.json()["error"]["data"]["code"].as_str()),
        (401, Some("invalid_authorization"))
    );
    assert_eq!(server.get("/mcp").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_seen_by_its_own_token_alone() {
    let server = server().await;
    let mut heads = Vec::new();
    for name in ["one", "two"] {
        heads.push(token(&server, KeySpec::new(name)).await);
    }
    let client = Client::begin(&server, &heads[0]).await;
    let stolen = client.head.replace(heads[0].as_str(), &heads[1]);
    let ping = message(1, "ping", &json!({}));
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for (method, body) in [("POST", ping.as_str()), ("POST", note), ("DELETE", "")] {
        let reply = server.send(method, "/mcp", &stolen, body).await;
        assert_eq!((reply.status, &reply.json()["error"]["data"]["code"]), (404, &json!("mcp_session_not_found")));
        let reply = server.send(method, "/mcp", &heads[0], body).await;
        assert_eq!((reply.status, &reply.json()["error"]["data"]["param"]), (400, &json!("Mcp-Session-Id")));
    }
    assert_eq!(client.send(&ping).await.json()["result"], json!({}));
    assert_eq!(server.send("DELETE", "/mcp", &client.head, "").await.status, 204);
    assert_eq!(client.send(&ping).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn tools_and_resources_obey_the_rights_of_the_key() {
    let server = server().await;
    let own = server.router.create_session(SessionSpec::default().name("own")).await.unwrap().id.0;
    let other = server.router.create_session(SessionSpec::default().name("other")).await.unwrap().id.0;
    let mut spec = KeySpec::new("limited");
    spec.sessions = vec![own];
    let limited = token(&server, spec).await;
    let admin = Client::begin(&server, DEV).await;
    for session in [own, other] {
        admin.call("cortensor_completions", json!({"prompt": "secret", "session_id": session})).await;
    }
    let client = Client::begin(&server, &limited).await;
    let listed = client.ask("resources/list", &json!({})).await;
    let uris: Vec<&str> =
        listed["result"]["resources"].as_array().unwrap().iter().map(|found| found["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, [format!("cortensor://sessions/{own}"), format!("cortensor://sessions/{own}/tasks")]);
    for uri in uris.into_iter().chain([format!("cortensor://sessions/{own}/tasks/1").as_str()]) {
        let read = client.ask("resources/read", &json!({"uri": uri})).await;
        let contents = &read["result"]["contents"][0];
        assert_eq!((&contents["uri"], &contents["mimeType"]), (&json!(uri), &json!("application/json")), "{read}");
    }
    for rest in ["", "/tasks", "/tasks/1"] {
        let hidden = client.ask("resources/read", &json!({"uri": format!("cortensor://sessions/{other}{rest}")})).await;
        assert_eq!(hidden["error"]["code"], -32002, "{hidden}");
    }
    assert_eq!(client.call("cortensor_create_session", json!({"name": "x"})).await["isError"], true);
    let mut spec = KeySpec::new("submits");
    spec.scopes = vec!["submit".parse().unwrap()];
    let submits = Client::begin(&server, &token(&server, spec).await).await;
    for tool in ["cortensor_tasks", "cortensor_sessions", "cortensor_miners", "cortensor_info", "cortensor_status"] {
        let result = submits.call(tool, json!({"session_id": own})).await;
        assert!(result["content"][0]["text"].as_str().unwrap().contains("permission_denied"), "{tool}: {result}");
    }
    assert_eq!(submits.ask("resources/list", &json!({})).await["error"]["code"], -32000);
    server.stop().await;
}

#[tokio::test]
async fn the_list_of_resources_comes_in_pages() {
    let server = server().await;
    for number in 0..60 {
        server.router.create_session(SessionSpec::default().name(format!("s{number}"))).await.unwrap();
    }
    let client = Client::begin(&server, DEV).await;
    let first = client.ask("resources/list", &json!({})).await;
    assert_eq!(first["result"]["resources"].as_array().unwrap().len(), 100);
    let cursor = &first["result"]["nextCursor"];
    let second = client.ask("resources/list", &json!({"cursor": cursor})).await;
    assert_eq!(second["result"]["resources"].as_array().unwrap().len(), 20);
    assert!(second["result"].get("nextCursor").is_none());
    let templates = client.ask("resources/templates/list", &json!({})).await;
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn progress_comes_with_the_pieces_and_the_result_is_that_of_a_whole_call() {
    let server = server().await;
    let client = Client::begin(&server, DEV).await;
    let params = json!({"name": "cortensor_completions", "arguments": {"prompt": "a b c", "stream": false},
                        "_meta": {"progressToken": "p"}});
    let reply = client.send(&message(7, "tools/call", &params)).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"), "{}", reply.body);
    let mut told = events(&reply.body);
    let result = told.pop().unwrap();
    assert_eq!((&result["id"], &result["result"]["isError"]), (&json!(7), &json!(false)));
    assert_eq!(result["result"]["structuredContent"]["choices"][0]["text"], "a b c");
    assert!(result["result"]["structuredContent"].get("response").is_none(), "{result}");
    let (mut so_far, mut text) = (0.0, String::new());
    for note in &told {
        assert_eq!(
            (&note["method"], &note["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("p"))
        );
        let progress = note["params"]["progress"].as_f64().unwrap();
        assert!(progress > so_far, "{note}");
        so_far = progress;
        text.push_str(note["params"]["message"].as_str().unwrap());
    }
    assert_eq!((text.as_str(), so_far), ("a b c", 3.0));
    // A call that fails before its first piece, one for later, and one by a client that takes no events, are answered
    // at once.
    for (arguments, accept, is_error) in [
        (json!({}), "text/event-stream", true),
        (json!({"prompt": "a", "async": true}), "text/event-stream", false),
        (json!({"prompt": "a"}), "application/json", false),
    ] {
        let params = json!({"name": "cortensor_completions", "arguments": arguments, "_meta": {"progressToken": 1}});
        let head = client.head.replace("application/json, text/event-stream", accept);
        let reply = server.send("POST", "/mcp", &head, &message(8, "tools/call", &params)).await;
        assert_eq!(reply.header("content-type"), Some("application/json"), "{}", reply.body);
        assert_eq!(reply.json()["result"]["isError"], is_error, "{}", reply.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_cancels_its_task() {
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 8));
    let client = Client::begin(&server, DEV).await;
    let call = |id: u64, meta: Value| {
        let params = json!({"name": "cortensor_completions", "arguments": {"prompt": "a"}, "_meta": meta});
        message(id, "tools/call", &params)
    };
    // By a notification: a whole call, and a stream in its middle.
    for (id, meta) in [(1, json!({})), (2, json!({"progressToken": 1}))] {
        let mut asked = server.ask("POST", "/mcp", &client.head, &call(id, meta.clone())).await;
        let job = hand.take().await;
        if meta != json!({}) {
            job.emit("piece");
            let mut seen = String::new();
            while !seen.contains("piece") {
                let mut bytes = [0; 512];
                let read = within(asked.read(&mut bytes)).await.unwrap();
                seen.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
        }
        let twice = client.send(&call(id, json!({}))).await;
        assert_eq!((twice.status, &twice.json()["error"]["data"]["param"]), (400, &json!("id")));
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        assert_eq!(client.send(&note.to_string()).await.status, 202);
        within(job.cancelled()).await;
        let mut rest = String::new();
        within(asked.read_to_string(&mut rest)).await.unwrap();
        assert!(!rest.contains("structuredContent"), "{rest}");
    }
    // By hanging up, with a session and without.
    let (head, body) = single(
        "tools/call",
        json!({"name": "cortensor_completions", "arguments": {"prompt": "a"}}),
        Some("cortensor_completions"),
    );
    for (head, body) in [(client.head.clone(), call(3, json!({}))), (head, body)] {
        let asked = server.ask("POST", "/mcp", &head, &body).await;
        let job = hand.take().await;
        drop(asked);
        within(job.cancelled()).await;
    }
    // By the end of the session.
    let asked = server.ask("POST", "/mcp", &client.head, &call(4, json!({}))).await;
    let job = hand.take().await;
    assert_eq!(server.send("DELETE", "/mcp", &client.head, "").await.status, 204);
    within(job.cancelled()).await;
    drop(asked);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_names_its_request() {
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 8));
    let made = server.router.create_key(&KeySpec::new("one")).await.unwrap();
    let client = Client::begin(&server, &format!("Authorization: Bearer {}\r\n", made.token.reveal())).await;
    let params = json!({"name": "cortensor_completions", "arguments": {"prompt": "a"}, "_meta": {"progressToken": 1}});
    let mut asked = server.ask("POST", "/mcp", &client.head, &message(5, "tools/call", &params)).await;
    let job = hand.take().await;
    job.emit("piece");
    let mut seen = String::new();
    while !seen.contains("piece") {
        let mut bytes = [0; 512];
        let read = within(asked.read(&mut bytes)).await.unwrap();
        seen.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    server.router.delete_key(&made.key.id).await.unwrap();
    within(asked.read_to_string(&mut seen)).await.unwrap();
    let last = events(&Reply::of(&seen).body).pop().unwrap();
    assert_eq!((&last["id"], &last["error"]["data"]["code"]), (&json!(5), &json!("key_revoked")), "{seen}");
    within(job.cancelled()).await;
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_version_is_told_to_the_request() {
    let server = server().await;
    let head = format!("{DEV}MCP-Protocol-Version: 2020-01-01\r\n");
    let reply = server.send("POST", "/mcp", &head, &message(7, "tools/list", &json!({}))).await;
    let error = reply.json();
    assert_eq!((reply.status, &error["id"]), (400, &json!(7)), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_request_of_the_newest_version_stands_alone() {
    let server = server().await;
    let (head, body) = single("server/discover", json!({}), None);
    let reply = server.send("POST", "/mcp", &head, &body).await;
    let found = &reply.json()["result"];
    assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None), "{}", reply.body);
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    assert_eq!((&found["resultType"], &found["cacheScope"]), (&json!("complete"), &json!("public")));
    let call = json!({"name": "cortensor_completions", "arguments": {"prompt": "a b"}});
    let (head, body) = single("tools/call", call.clone(), Some("cortensor_completions"));
    let answer = server.send("POST", "/mcp", &head, &body).await.json();
    assert_eq!(answer["result"]["structuredContent"]["choices"][0]["text"], "a b", "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    for (wrong, status, code) in [
        (head.replace("Mcp-Name: cortensor_completions\r\n", ""), 400, -32020),
        (head.replace("Mcp-Name: cortensor_completions", "Mcp-Name: cortensor_ping"), 400, -32020),
        (head.replace("Mcp-Method: tools/call", "Mcp-Method: ping"), 400, -32020),
        (head.replace("Version: 2026-07-28", "Version: 2025-11-25"), 400, -32020),
        (format!("{head}Mcp-Method: tools/call\r\n"), 400, -32020),
    ] {
        let reply = server.send("POST", "/mcp", &wrong, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{wrong}");
    }
    let (head, body) = single("nothing", json!({}), None);
    let reply = server.send("POST", "/mcp", &head, &body).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!(-32601)));
    let bare = message(1, "tools/list", &json!({}));
    let reply = server.send("POST", "/mcp", &head, &bare).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32602)));
    let (head, body) = (head.replace("2026-07-28", "2099-01-01"), body.replace("2026-07-28", "2099-01-01"));
    let error = server.send("POST", "/mcp", &head, &body).await.json()["error"].clone();
    assert_eq!((&error["code"], &error["data"]["supported"]), (&json!(-32022), &json!(["2026-07-28"])));
    server.stop().await;
}

#[tokio::test]
async fn a_miner_gets_the_request_as_by_every_other_way() {
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 8).models(["tiny"]));
    let client = Client::begin(&server, DEV).await;
    let params = json!({"name": "cortensor_completions", "arguments": {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
        "max_tokens": 9, "model": "tiny", "top_k": 4,
    }});
    let body = message(1, "tools/call", &params);
    let asked = server.ask("POST", "/mcp", &client.head, &body).await;
    let job = hand.take().await;
    assert_eq!((job.prompt().as_ref(), job.request().token_limit()), ("s\nq", Some(9)));
    assert!(job.request().extra.iter().any(|(name, _)| name.as_str() == "top_k"), "{:?}", job.request().extra);
    job.finish(Answer::default().text("a"));
    drop(asked);
    server.stop().await;
}
