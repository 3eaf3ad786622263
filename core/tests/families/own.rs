//! Requests that only a server of their own API can serve: tools that a host runs, items and blocks that no chat has,
//! inputs that are to be made shorter; and streams of such servers that are cut.

use cortensor_router::Config;
use cortensor_router::config::{UpstreamApi, UpstreamConfig};
use cortensor_router::model::MinerSpec;
use cortensor_router_testkit::miners::words;
use cortensor_router_testkit::server::{DEV, Reply};
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};
use serde_json::{Value, json};

use super::servers::{CHAT, before, events, events_of, families, response_events};

const LEFT_OUT: &str = "x-cortensor-left-out-tools";

/// A server of chats alone.
async fn chats() -> Upstream {
    let chat =
        r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"chat"},"finish_reason":"stop"}]}"#;
    Upstream::new(move |path, _| {
        assert_eq!(path, CHAT);
        Say::Json(200, chat.to_owned())
    })
    .await
}

/// A server of one API, with its whole answer and its stream.
async fn of(path: &'static str, whole: &Value, streamed: &[Value]) -> Upstream {
    let (whole, streamed) = (whole.clone(), streamed.to_vec());
    Upstream::new(move |asked, body| {
        assert_eq!(asked, path);
        if body.contains("\"stream\":true") { events(&streamed) } else { Say::Json(200, whole.to_string()) }
    })
    .await
}

/// A request of that API with these members.
fn asked(api: UpstreamApi, members: &Value) -> Value {
    let mut body = match api {
        UpstreamApi::Anthropic => {
            json!({"model": "up-model", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]})
        }
        _ => json!({"model": "up-model", "input": [{"role": "user", "content": "q"}]}),
    };
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

/// Members that no chat says, each with the place that an error names.
fn own_words(api: UpstreamApi) -> Vec<(Value, &'static str)> {
    match api {
        UpstreamApi::Anthropic => {
            let said = json!([
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]},
                {"role": "user", "content": "and?"},
            ]);
            // The result of a server's tool is an object, where that of a client's is a text or a list.
            let ran = json!([
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": [
                    {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"type": "x"}}]},
                {"role": "user", "content": "and?"},
            ]);
            vec![
                (json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type"),
                (json!({"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}), "tools[1].type"),
                (json!({"messages": said}), "messages[1].content[0].type"),
                (json!({"messages": ran}), "messages[1].content[0].type"),
                (json!({"mcp_servers": [{"type": "url", "url": "u", "name": "n"}]}), "mcp_servers"),
            ]
        }
        _ => vec![
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (json!({"tools": [{"type": "shell"}, {"type": "function", "name": "f"}]}), "tools[0].type"),
            (json!({"input": [{"type": "compaction", "encrypted_content": "x"}]}), "input[0].type"),
            (
                json!({"input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "x"}}]}),
                "input[0].type",
            ),
            (
                json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
                "input[0].content[0].file_id",
            ),
        ],
    }
}

fn param(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"]["param"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_server_of_the_api_gets_what_no_chat_says_and_no_other_miner_does() {
    for (api, path, whole, streamed) in families() {
        let (narrow, own) = (chats().await, of(path, &whole, &streamed).await);
        let alone = before(&[(&narrow, UpstreamApi::OpenAi)]).await;
        alone.router.add_miner(MinerSpec::new("host", 8).models(["up-model"]), words).unwrap();
        let both = before(&[(&narrow, UpstreamApi::OpenAi), (&own, api)]).await;
        for (members, place) in own_words(api) {
            for stream in [false, true] {
                let mut body = asked(api, &members);
                body["stream"] = stream.into();
                let refused = alone.post(path, &body.to_string()).await;
                assert_eq!(param(&refused), (400, place.to_owned()), "{body}: {}", refused.body);
                for _ in 0..2 {
                    let reply = both.post(path, &body.to_string()).await;
                    assert_eq!((reply.status, reply.header(LEFT_OUT)), (200, None), "{body}: {}", reply.body);
                    let sent: Value = serde_json::from_str(own.bodies().last().unwrap()).unwrap();
                    for (name, value) in members.as_object().unwrap() {
                        assert_eq!(&sent[name], value);
                    }
                }
            }
        }
        // A model that the server does not have is no reason to ask it.
        let mut other = asked(api, &own_words(api)[0].0);
        other["model"] = "tiny".into();
        both.router.add_miner(MinerSpec::new("host", 8).models(["tiny"]), words).unwrap();
        let refused = both.post(path, &other.to_string()).await;
        assert_eq!(param(&refused), (400, own_words(api)[0].1.to_owned()), "{}", refused.body);
        assert!(narrow.bodies().is_empty());
        alone.stop().await;
        both.stop().await;
    }
}

#[tokio::test]
async fn tools_are_said_to_be_left_out_only_where_they_were() {
    for (api, path, whole, streamed) in families() {
        let (hosted, own) = match api {
            UpstreamApi::Anthropic => ("web_search_20250305", json!({"name": "f", "input_schema": {}})),
            _ => ("web_search", json!({"type": "function", "name": "f"})),
        };
        let body = asked(api, &json!({"tools": [{"type": hosted, "name": "web_search"}, own]}));
        let (narrow, wide) = (chats().await, of(path, &whole, &streamed).await);
        for (upstream, speaks, told) in [(&narrow, UpstreamApi::OpenAi, Some(hosted)), (&wide, api, None)] {
            let server = before(&[(upstream, speaks)]).await;
            for stream in [false, true] {
                let mut body = body.clone();
                body["stream"] = stream.into();
                let reply = server.post(path, &body.to_string()).await;
                assert_eq!((reply.status, reply.header(LEFT_OUT)), (200, told), "{path} {stream}: {}", reply.body);
            }
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_repeat_with_other_tools_of_a_host_is_another_request() {
    for (api, path, whole, streamed) in families() {
        let upstream = of(path, &whole, &streamed).await;
        let server = before(&[(&upstream, api)]).await;
        let headers = format!("{DEV}Idempotency-Key: k\r\n");
        let tool = |kind: &str| asked(api, &json!({"tools": [{"type": kind, "name": "x"}]})).to_string();
        let kinds = match api {
            UpstreamApi::Anthropic => ["web_search_20250305", "code_execution_20250522"],
            _ => ["web_search", "code_interpreter"],
        };
        let first = server.send("POST", path, &headers, &tool(kinds[0])).await;
        let second = server.send("POST", path, &headers, &tool(kinds[0])).await;
        assert_eq!((first.status, first.json()["id"].clone()), (200, second.json()["id"].clone()), "{}", first.body);
        assert_eq!(server.send("POST", path, &headers, &tool(kinds[1])).await.status, 422);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_continued_response_cannot_use_the_tools_of_a_host() {
    let (_, path, whole, streamed) = families().into_iter().nth(1).unwrap();
    let upstream = Upstream::new({
        let streamed = streamed.clone();
        move |_, body| {
            if body.contains("\"stream\":true") { events(&streamed) } else { Say::Json(200, whole.to_string()) }
        }
    })
    .await;
    let server = before(&[(&upstream, UpstreamApi::Responses)]).await;
    let first = server.post(path, &asked(UpstreamApi::Responses, &json!({})).to_string()).await.json();
    let next = json!({"previous_response_id": first["id"], "tools": [{"type": "web_search"}]});
    let refused = server.post(path, &asked(UpstreamApi::Responses, &next).to_string()).await;
    assert_eq!(param(&refused), (400, "previous_response_id".to_owned()), "{}", refused.body);
    assert!(refused.body.contains("web_search"), "{}", refused.body);
    server.stop().await;
}

#[tokio::test]
async fn a_response_whose_request_needed_its_server_is_not_continued_as_a_chat() {
    let (_, path, whole, streamed) = families().into_iter().nth(1).unwrap();
    let item = |item: Value| json!({"input": [{"role": "user", "content": "q"}, item]});
    let part = |part: Value| item(json!({"role": "user", "content": [{"type": "input_text", "text": "t"}, part]}));
    let said = |part: Value| item(json!({"role": "assistant", "content": [part]}));
    let needs = [
        json!({"tools": [{"type": "web_search"}]}),
        json!({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}),
        json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        json!({"tools": [{"type": "image_generation"}]}),
        json!({"tools": [{"type": "mcp", "server_label": "l", "server_url": "u"}]}),
        json!({"tools": [{"type": "computer_use_preview"}, {"type": "function", "name": "f"}]}),
        json!({"tools": [{"type": "shell"}, {"type": "function", "name": "f"}]}),
        json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "web_search"}}),
        item(json!({"type": "item_reference", "id": "msg_1"})),
        item(json!({"type": "compaction", "encrypted_content": "x"})),
        item(json!({"type": "computer_call_output", "call_id": "c", "output": {}})),
        item(json!({"type": "web_search_call", "id": "w", "status": "completed", "tools": 1, "name": {}})),
        item(json!({"type": "mcp_approval_response", "approval_request_id": "a", "approve": true})),
        part(json!({"type": "input_file", "file_id": "f"})),
        part(json!({"type": "input_file", "file_url": "https://example.com/a.pdf"})),
        part(json!({"type": "input_image", "file_id": "f"})),
        part(json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
        said(json!({"type": "output_audio", "data": ""})),
        json!({"instructions": [{"type": "item_reference", "id": "msg_1"}]}),
    ];
    let (narrow, own) = (chats().await, of(path, &whole, &streamed).await);
    let server = before(&[(&own, UpstreamApi::Responses), (&narrow, UpstreamApi::OpenAi)]).await;
    for members in needs {
        for stream in [false, true] {
            let mut body = asked(UpstreamApi::Responses, &members);
            body["stream"] = stream.into();
            let first = server.post(path, &body.to_string()).await;
            assert_eq!(first.status, 200, "{members}: {}", first.body);
            let response = if stream { events_of(&first.body).pop().unwrap()["response"].take() } else { first.json() };
            let next = json!({"previous_response_id": response["id"], "input": "and?"});
            let refused = server.post(path, &asked(UpstreamApi::Responses, &next).to_string()).await;
            assert_eq!(param(&refused), (400, "previous_response_id".to_owned()), "{members}: {}", refused.body);
            assert!(refused.body.contains("send the items of the conversation in input"), "{}", refused.body);
        }
    }
    assert!(narrow.bodies().is_empty());
    // A request of which a chat says all is continued, whoever has answered it.
    let mut hosted =
        asked(UpstreamApi::Responses, &json!({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}));
    for _ in 0..3 {
        let reply = server.post(path, &hosted.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        hosted["previous_response_id"] = reply.json()["id"].clone();
    }
    server.stop().await;
}

#[tokio::test]
async fn an_input_is_compacted_by_a_server_of_the_api_that_can() {
    const PATH: &str = "/v1/responses/compact";
    let compacted = r#"{"id":"resp_9","object":"response.compaction","created_at":1,"output":[{"type":"compaction","id":"c","encrypted_content":"x"}],"usage":{"input_tokens":41,"output_tokens":9,"total_tokens":50}}"#;
    let body = json!({"model": "mine", "input": [{"role": "user", "content": "long"}], "instructions": "i", "a_newer_member": 1.50});
    let (narrow, lacks) =
        (chats().await, Upstream::new(|_, _| Say::Json(404, r#"{"detail":"Not Found"}"#.into())).await);
    let has = Upstream::new(move |path, _| {
        assert_eq!(path, PATH);
        Say::Json(200, compacted.to_owned())
    })
    .await;
    let server = Server::open(Config::default()).await;
    let add = |name: &str, upstream: &Upstream, also: &[UpstreamApi]| {
        let mut config = UpstreamConfig::new(&upstream.url).name(Some(name.into())).models(vec!["mine".into()]);
        (config.also, config.aliases) = (also.to_vec(), [("mine".to_owned(), "up-model".to_owned())].into());
        server.router.add_upstream(config).unwrap();
    };
    let all_up = async || {
        while server.router.miners().iter().any(|miner| !miner.active) {
            tokio::task::yield_now().await;
        }
    };
    add("narrow", &narrow, &[]);
    let refused = server.post(PATH, &body.to_string()).await;
    assert_eq!((refused.status, refused.error().2.as_str()), (404, "route_not_served"), "{}", refused.body);
    assert!(refused.body.contains("responses") && refused.body.contains("also"), "{}", refused.body);
    add("lacks", &lacks, &[UpstreamApi::Responses]);
    let refused = server.post(PATH, &body.to_string()).await;
    assert_eq!((refused.status, refused.error().2.as_str()), (404, "route_not_served"), "{}", refused.body);
    assert!(refused.body.contains("lacks") && !refused.body.contains("narrow"), "{}", refused.body);
    add("has", &has, &[UpstreamApi::Anthropic, UpstreamApi::Responses]);
    all_up().await;
    for _ in 0..3 {
        let reply = server.post(PATH, &body.to_string()).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, compacted));
        assert!(reply.header("x-cortensor-task").is_some());
    }
    let mut wanted = body.clone();
    wanted["model"] = "up-model".into();
    assert_eq!(serde_json::from_str::<Value>(&has.bodies()[0]).unwrap(), wanted);
    assert!(narrow.bodies().is_empty());
    let (_, tasks) = server.get_json("/api/v1/tasks/0").await;
    let last = tasks["tasks"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["outcome"], &last["usage"]["total_tokens"]), (&json!("ok"), &json!(50)), "{last}");
    for (wrong, place) in [
        (json!({"input": "x"}), "model"),
        (json!({"model": "mine"}), "input"),
        (json!({"model": "mine", "input": "x", "previous_response_id": "resp_1"}), "previous_response_id"),
    ] {
        assert_eq!(param(&server.post(PATH, &wrong.to_string()).await), (400, place.to_owned()), "{wrong}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_a_server_that_is_cut_ends_all_that_is_open() {
    let told = response_events();
    for cut in 1..told.len() {
        let part = told[..cut].to_vec();
        let upstream = Upstream::new(move |_, _| events(&part)).await;
        let server = before(&[(&upstream, UpstreamApi::Responses)]).await;
        let body = json!({"model": "up-model", "input": "q", "stream": true});
        let reply = server.post("/v1/responses", &body.to_string()).await;
        if reply.status != 200 {
            // Nothing was said.
            assert!(cut < 3, "{}", reply.body);
            continue;
        }
        let found = events_of(&reply.body);
        let count = |kind: &str| found.iter().filter(|event| event["type"] == kind).count();
        let [begun, ended] = ["added", "done"].map(|change| count(&format!("response.output_item.{change}")));
        assert_eq!((begun, count("response.failed")), (ended, 1), "{}", reply.body);
        for (number, event) in found.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
        let failed = found.last().unwrap();
        assert_eq!(failed["response"]["output"].as_array().unwrap().len(), begun, "{failed}");
        server.stop().await;
    }
}
