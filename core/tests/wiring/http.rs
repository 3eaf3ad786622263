//! HTTP requests over the simulated network.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use cortensor_router::miner::Transport;
use cortensor_router_testkit::random::Random;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio_rustls::TlsConnector;
use turmoil::net::TcpStream;

use crate::router::{PORT, TOKEN};

/// The time for which a client waits for more of an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// The answer to a request is not complete.
pub(crate) struct Lost;

/// An answer whose body comes piece by piece.
pub(crate) struct Streamed {
    pub(crate) status: StatusCode,
    pub(crate) task: Option<u64>,
    body: Incoming,
    read: String,
}

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct SseEvent {
    pub(crate) id: Option<u64>,
    pub(crate) data: String,
}

/// The way to the router.
pub(crate) struct Door(Option<TlsConnector>);

impl Door {
    /// A way without TLS.
    pub(crate) fn plain() -> Self {
        Self(None)
    }

    /// A way over TLS.
    pub(crate) fn tls(connector: TlsConnector) -> Self {
        Self(Some(connector))
    }

    async fn open(&self) -> io::Result<Box<dyn Transport>> {
        let stream = TcpStream::connect(("router", PORT)).await?;
        match &self.0 {
            None => Ok(Box::new(stream)),
            Some(tls) => {
                let name = ServerName::try_from("router").expect("a name");
                Ok(Box::new(tls.connect(name, stream).await?))
            }
        }
    }

    /// Sends a request. The head of the answer must come in time.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
    ) -> Result<Streamed, Lost> {
        let answered = tokio::time::timeout(PATIENCE, async {
            let stream = self.open().await.map_err(|_| Lost)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Lost)?;
            // The connection ends with its answer.
            tokio::spawn(connection);
            let mut request = Request::builder().method(method).uri(path).header("host", "router");
            request = request.header("authorization", format!("Bearer {TOKEN}"));
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if body.is_some() {
                request = request.header("content-type", "application/json");
            }
            let body = Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default()));
            sender.send_request(request.body(body).unwrap()).await.map_err(|_| Lost)
        });
        let response = answered.await.map_err(|_| Lost)??;
        let task = response.headers().get("x-cortensor-task").and_then(|task| task.to_str().ok()?.parse().ok());
        Ok(Streamed { status: response.status(), task, body: response.into_body(), read: String::new() })
    }

    /// Sends a request. Gives the status and the body of a complete answer.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), Lost> {
        self.send(method, path, headers, body).await?.whole().await
    }
}

impl Streamed {
    /// Reads the rest of the body as JSON.
    pub(crate) async fn whole(self) -> Result<(u16, Value), Lost> {
        let status = self.status.as_u16();
        let body = tokio::time::timeout(PATIENCE, self.body.collect()).await.map_err(|_| Lost)?.map_err(|_| Lost)?;
        let body = serde_json::from_slice(&body.to_bytes()).map_err(|_| Lost)?;
        Ok((status, body))
    }

    /// Reads the next event; `None` at the end of the stream. Comments are skipped.
    pub(crate) async fn event(&mut self, pauses: &mut Option<Random>) -> Result<Option<SseEvent>, Lost> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event: String = self.read.drain(..end + 2).collect();
                let (mut found, mut is_comment) = (SseEvent { id: None, data: String::new() }, true);
                for line in event.lines() {
                    if let Some(id) = line.strip_prefix("id: ") {
                        found.id = id.parse().ok();
                    } else if let Some(data) = line.strip_prefix("data: ") {
                        found.data.push_str(data);
                        is_comment = false;
                    }
                }
                if !is_comment {
                    return Ok(Some(found));
                }
                continue;
            }
            if let Some(chance) = pauses {
                tokio::time::sleep(Duration::from_millis(chance.below(500))).await;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.map_err(|_| Lost)?;
            let Some(frame) = frame else { return Ok(None) };
            let data = frame.map_err(|_| Lost)?.into_data().unwrap_or_default();
            self.read.push_str(std::str::from_utf8(&data).expect("the words of an answer are ASCII"));
        }
    }
}
