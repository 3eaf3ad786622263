//! `serve --demo`: sends a prompt to the router itself, over its own REST API.

use serde_json::json;

use crate::client::Client;
use crate::exit::Done;
use crate::{output, submit};

const PROMPT: &str = "Tell me in one sentence what a router for AI inference does.";

/// Submits the prompt and shows its tokens as they come. A failure is shown and ends only the demonstration.
pub(crate) async fn run(url: String, token: Option<String>, json: bool) {
    if let Err(exit) = show(&url, token.as_deref(), json).await {
        output::remark(&format!("the demonstration did not work: {}", exit.message()));
    }
}

async fn show(url: &str, token: Option<&str>, as_json: bool) -> Done {
    let title = format!("Demonstration: cortensor-router submit {PROMPT:?}");
    if as_json {
        output::remark(&title);
    } else {
        output::line(&title)?;
    }
    let client = Client::new(url, token, None)?;
    let body = json!({"prompt": PROMPT, "stream": true, "max_tokens": 128});
    submit::stream(&client, "/api/v1/completions", &body, &[], as_json).await
}
