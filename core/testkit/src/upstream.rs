//! An OpenAI-compatible server that gives the answers of a test.

use std::sync::Arc;

use crate::mock::{Mock, Step, chunk, json, sse_head, whole};

/// The answer to one request for work.
#[derive(Debug, Clone)]
pub enum Say {
    /// A status and a JSON body.
    Json(u16, String),
    /// A body of that type, byte by byte.
    Body(&'static str, Vec<u8>),
    /// A stream of these events, each in its own packet.
    Events(Vec<String>),
    /// A stream of these events, then silence until the client hangs up.
    Forever(Vec<String>),
    /// A stream of these texts, each that number of milliseconds after the one before.
    Slowly(Vec<(u64, String)>),
    /// The end of the connection, without an answer.
    HangUp,
}

/// A server that offers the model `up-model`.
#[derive(Debug)]
pub struct Upstream {
    /// The base URL, which ends with `/v1`.
    pub url: String,
    mock: Mock,
}

impl Upstream {
    /// Starts the server. It calls `script` with the path and the body of each request for work.
    pub async fn new(script: impl Fn(&str, &str) -> Say + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        let mock = Mock::new(move |seen| {
            if seen.path().ends_with("/models") {
                let list = r#"{"object":"list","data":[{"id":"up-model","object":"model"}]}"#;
                return vec![Step::Send(json("200 OK", list))];
            }
            script(seen.path(), &seen.body).steps()
        })
        .await;
        Self { url: mock.url.clone(), mock }
    }

    /// The bodies of the requests for work.
    pub fn bodies(&self) -> Vec<String> {
        let seen = self.mock.seen().into_iter();
        seen.filter(|seen| !seen.path().ends_with("/models")).map(|seen| seen.body).collect()
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.mock.seen().into_iter().map(|seen| seen.head).collect()
    }

    /// Waits until the router hangs up on an answer that never ends.
    pub async fn hung_up(&self) {
        self.mock.hung_up().await;
    }
}

impl Say {
    fn steps(self) -> Vec<Step> {
        let events = |events: Vec<String>| {
            let data = events.into_iter().map(|event| Step::Send(chunk(&format!("data: {event}\n\n"))));
            std::iter::once(Step::Send(sse_head(true))).chain(data)
        };
        match self {
            Self::Json(status, body) => {
                vec![Step::Send(whole(&format!("{status} X"), "application/json", body.as_bytes()))]
            }
            Self::Body(kind, body) => vec![Step::Send(whole("200 X", kind, &body))],
            Self::Events(list) => {
                let end = [chunk("data: [DONE]\n\n"), chunk("")].concat();
                events(list).chain([Step::Send(end)]).collect()
            }
            Self::Forever(list) => events(list).chain([Step::Hang]).collect(),
            Self::Slowly(packets) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
                let packets =
                    packets.into_iter().flat_map(|(wait, packet)| [Step::Pause(wait), Step::Send(packet.into_bytes())]);
                std::iter::once(Step::Send(head.into())).chain(packets).chain([Step::Close]).collect()
            }
            Self::HangUp => vec![Step::Close],
        }
    }
}
