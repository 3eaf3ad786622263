//! A model server that speaks OpenAI's API, on a simulated network. It answers as the miners do.

use std::io;
use std::time::Duration;

use cortensor_router_testkit::mock;
use cortensor_router_testkit::random::Random;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use turmoil::net::{TcpListener, TcpStream};

use crate::miner;

/// The port of the server.
pub(crate) const PORT: u16 = 8080;

/// Runs the server until its host crashes.
pub(crate) async fn run(seed: u64) -> turmoil::Result {
    let socket = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = socket.accept().await?;
        tokio::spawn(serve(stream, seed));
    }
}

/// Answers the requests of one connection. The end of a connection in mid-request is the router's matter.
async fn serve(stream: TcpStream, seed: u64) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        if head.starts_with("get ") {
            let list = json!({"object": "list", "data": [{"id": "mock", "object": "model"}]});
            stream.write_all(&mock::json("200 OK", &list.to_string())).await?;
            continue;
        }
        let request: Value = serde_json::from_slice(&body)?;
        let is_chat = request.get("messages").is_some();
        let prompt = if is_chat { &request["messages"][0]["content"] } else { &request["prompt"] };
        let prompt = prompt.as_str().unwrap_or_default();
        let number = miner::next_answer();
        let mut chance = Random::new(seed ^ number);
        let words: Vec<String> = miner::words(prompt, number).collect();
        if request["stream"] != true {
            tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
            let answer = completion(&words.concat(), is_chat.then_some("message"), &json!("stop"));
            stream.write_all(&mock::json("200 OK", &answer.to_string())).await?;
            continue;
        }
        stream.write_all(&mock::sse_head(true)).await?;
        for (place, word) in words.iter().enumerate() {
            tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
            let finish_reason = if place + 1 == words.len() { json!("stop") } else { Value::Null };
            let piece = completion(word, is_chat.then_some("delta"), &finish_reason);
            stream.write_all(&mock::chunk(&format!("data: {piece}\n\n"))).await?;
        }
        stream.write_all(&[mock::chunk("data: [DONE]\n\n"), mock::chunk("")].concat()).await?;
    }
}

/// An answer or a piece of one; `chat` is the member that holds the text in OpenAI's chats.
fn completion(text: &str, chat: Option<&str>, finish_reason: &Value) -> Value {
    let mut choice = json!({"index": 0, "finish_reason": finish_reason});
    match chat {
        Some(member) => choice[member] = json!({"role": "assistant", "content": text}),
        None => choice["text"] = json!(text),
    }
    json!({"id": "x", "object": "completion", "created": 1, "model": "mock", "choices": [choice]})
}
