//! Carries messages between standard input and output and the route `/mcp`.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cortensor_router::listener::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};

use super::GRACE;
use super::door::Door;
use super::headers::{self, SESSION, Session};
use super::lines::{self, Line};
use crate::exit::{Done, Exit};
use crate::output;
use crate::sse::{Events, MAX_LINE};

/// The time that a router elsewhere gets to hear that its session is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// The codes of JSON-RPC for a request that is no good and for one that could not be carried.
const INVALID_REQUEST: i64 = -32600;
const INTERNAL_ERROR: i64 = -32603;

/// The code of this server's own for a request that comes while too many others are on their way.
const TOO_MANY: i64 = -32000;

/// Serves the client until it closes its side, or until `stop` is ready. At most `most` messages are on their way at a
/// time.
pub(super) async fn run(door: Door, most: NonZeroUsize, stop: impl Future<Output = ()>) -> Done {
    let mut lines = lines::read(MAX_LINE).map_err(|e| Exit::failed(format!("cannot start a thread: {e}")))?;
    let bridge = Arc::new(Bridge {
        door,
        most,
        session: Mutex::default(),
        hello: Mutex::default(),
        renewing: tokio::sync::Mutex::default(),
    });
    let mut running = Running::default();
    tokio::pin!(stop);
    let done = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            Some(ended) = running.tasks.join_next_with_id() => {
                if let Err(exit) = bridge.ended(ended, &mut running).await {
                    break Err(exit);
                }
            }
            line = lines.recv() => match line {
                None => break bridge.finish(&mut running).await,
                Some(Line::TooLong) => {
                    let words = format!("a message is longer than {MAX_LINE} bytes");
                    if let Err(exit) = fail(&Value::Null, INVALID_REQUEST, &words) {
                        break Err(exit);
                    }
                }
                Some(Line::Text(line)) => {
                    if let Err(exit) = bridge.heard(line, &mut running).await {
                        break Err(exit);
                    }
                }
            }
        }
    };
    running.tasks.shutdown().await;
    bridge.leave().await;
    done
}

/// The messages that are on their way.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Done>,
    /// The tasks of requests, by the request's id as JSON.
    requests: HashMap<String, AbortHandle>,
    /// The task of the client's `initialize`.
    greeting: Option<tokio::task::Id>,
    /// The messages behind it, which need its session: a client may send them without waiting.
    held: VecDeque<Bytes>,
}

type Ended = Result<(tokio::task::Id, Done), tokio::task::JoinError>;

impl Running {
    /// Takes notice that a message is not on its way any more, and says which.
    fn ended(&mut self, ended: Ended) -> Done<tokio::task::Id> {
        let (id, done) = match ended {
            Ok((id, done)) => (id, done),
            Err(error) if error.is_cancelled() => (error.id(), Ok(())),
            Err(error) => (error.id(), Err(Exit::failed(format!("a message could not be carried: {error}")))),
        };
        self.requests.retain(|_, task| task.id() != id);
        done.map(|()| id)
    }

    /// Cancels a request, and waits until it is gone, so that the next line finds its place free.
    async fn cancel(&mut self, request: &AbortHandle) -> Done {
        request.abort();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if self.ended(ended)? == request.id() {
                break;
            }
        }
        Ok(())
    }
}

/// The router and the session there.
struct Bridge {
    door: Door,
    most: NonZeroUsize,
    session: Mutex<Option<Session>>,
    /// The client's `initialize`, with which a session that the router has forgotten is begun anew.
    hello: Mutex<Option<(Value, Bytes)>>,
    /// Held while a session is begun anew.
    renewing: tokio::sync::Mutex<()>,
}

impl Bridge {
    /// Takes a line of the client, or keeps it until the session has begun.
    async fn heard(self: &Arc<Self>, line: Bytes, running: &mut Running) -> Done {
        if running.greeting.is_none() {
            return self.clone().take(line, running).await;
        }
        if running.held.len() < self.most.get() {
            running.held.push_back(line);
            return Ok(());
        }
        let message: Value = serde_json::from_slice(&line).unwrap_or_default();
        message.get("id").map_or(Ok(()), |id| self.refuse(id))
    }

    /// Takes notice that a message is not on its way any more, and takes those that waited for it.
    async fn ended(self: &Arc<Self>, ended: Ended, running: &mut Running) -> Done {
        let id = running.ended(ended)?;
        if running.greeting == Some(id) {
            running.greeting = None;
            while let Some(line) = running.held.pop_front() {
                self.clone().take(line, running).await?;
                if running.greeting.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets the messages that are on their way end, but not for long: the client has gone. The session gets its time to
    /// begin, and then the messages behind it get theirs.
    async fn finish(self: &Arc<Self>, running: &mut Running) -> Done {
        for waits in [true, false] {
            let all = async {
                while !(waits && running.greeting.is_none()) {
                    let Some(ended) = running.tasks.join_next_with_id().await else { break };
                    self.ended(ended, running).await?;
                }
                Ok::<(), Exit>(())
            };
            tokio::time::timeout(GRACE, all).await.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    /// Refuses a request that comes while too many others are on their way.
    fn refuse(&self, id: &Value) -> Done {
        let words = format!("{} messages are on their way (--max-requests): try again later", self.most);
        fail(id, TOO_MANY, &words)
    }

    /// Takes a message of the client.
    async fn take(self: Arc<Self>, line: Bytes, running: &mut Running) -> Done {
        // The router tells a client what is wrong with a line that is no message.
        let message: Value = serde_json::from_slice(&line).unwrap_or_default();
        match message["method"].as_str() {
            Some("initialize") => {
                *self.hello.lock() = Some((message.clone(), line.clone()));
                running.greeting = Some(running.tasks.spawn(self.carry(message, line)).id());
                Ok(())
            }
            // Hanging up is how a request is cancelled.
            Some("notifications/cancelled") => {
                match running.requests.remove(&message["params"]["requestId"].to_string()) {
                    Some(task) => running.cancel(&task).await,
                    None => Ok(()),
                }
            }
            _ if running.tasks.len() >= self.most.get() => match message.get("id") {
                // The next line may cancel one of those that are on their way, so that reading goes on.
                Some(id) => self.refuse(id),
                None => self.carry(message, line).await,
            },
            _ => {
                let id = message.get("id").map(Value::to_string);
                let task = running.tasks.spawn(self.carry(message, line));
                running.requests.extend(id.map(|id| (id, task)));
                Ok(())
            }
        }
    }

    /// Sends a message, and writes its answer.
    async fn carry(self: Arc<Self>, message: Value, line: Bytes) -> Done {
        let id = message.get("id");
        match self.deliver(&message, &line).await {
            Ok(response) => self.answer(id, response).await,
            Err(exit) => id.map_or(Ok(()), |id| fail(id, INTERNAL_ERROR, exit.message())),
        }
    }

    /// Sends a message. If the router has forgotten the session, it is begun anew.
    async fn deliver(&self, message: &Value, line: &Bytes) -> Done<Response<Body>> {
        let session = self.session.lock().clone();
        let response = self.post(message, line, session.as_ref()).await?;
        let is_forgotten = response.status() == StatusCode::NOT_FOUND && !headers::is_single(message);
        let Some(old) = session.filter(|_| is_forgotten) else { return Ok(response) };
        self.renew(&old).await?;
        let session = self.session.lock().clone();
        self.post(message, line, session.as_ref()).await
    }

    async fn post(&self, message: &Value, line: &Bytes, session: Option<&Session>) -> Done<Response<Body>> {
        let request = headers::head(message, session).body(line.clone());
        self.door.send(request.map_err(|e| Exit::failed(format!("the message cannot be sent: {e}")))?).await
    }

    /// Begins a session in the place of that one, unless another message has done so already.
    async fn renew(&self, old: &Session) -> Done {
        let _one = self.renewing.lock().await;
        if self.session.lock().as_ref().is_some_and(|session| session != old) {
            return Ok(());
        }
        let Some((message, line)) = self.hello.lock().clone() else { return Ok(()) };
        let response = self.post(&message, &line, None).await?;
        let session = response.headers().get(SESSION).cloned();
        let body = whole(response).await?;
        self.note(session, &body);
        Ok(())
    }

    /// Notes the session that an answer has begun.
    fn note(&self, id: Option<HeaderValue>, body: &Value) {
        let Some(id) = id else { return };
        let version = body["result"]["protocolVersion"].as_str().and_then(|version| version.parse().ok());
        *self.session.lock() = Some(Session { id, version });
    }

    /// Writes the answer to a request of that id. A notification has none, and nobody waits for its answer.
    async fn answer(&self, id: Option<&Value>, response: Response<Body>) -> Done {
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if kind.starts_with(b"text/event-stream") {
            return stream(id, response.into_body()).await;
        }
        let session = response.headers().get(SESSION).cloned();
        let mut body = match whole(response).await {
            Ok(body) => body,
            Err(exit) => return id.map_or(Ok(()), |id| fail(id, INTERNAL_ERROR, exit.message())),
        };
        self.note(session, &body);
        let is_message = body.get("jsonrpc").is_some();
        match id {
            Some(id) if is_message => {
                // A refusal before the message was read does not know its id.
                body["id"] = id.clone();
                output::json(&body)
            }
            Some(id) => fail(id, INTERNAL_ERROR, &format!("the router answered {status}: is /mcp there?")),
            // A line that was no message is answered with an error without an id.
            None if is_message && status == StatusCode::BAD_REQUEST => output::json(&body),
            None => Ok(()),
        }
    }

    /// Tells a router elsewhere that the session is over.
    async fn leave(&self) {
        let Some(session) = self.session.lock().take() else { return };
        let request = headers::head(&Value::Null, Some(&session)).method(Method::DELETE).body(Bytes::new());
        if let Ok(request) = request {
            // A router that does not hear it forgets the session after a while.
            let _ = tokio::time::timeout(FAREWELL, self.door.send(request)).await;
        }
    }
}

/// Writes the messages of a stream as they come.
async fn stream(id: Option<&Value>, body: Body) -> Done {
    let mut events = Events::new(body);
    let mut answered = false;
    let broken = loop {
        match events.next().await {
            Ok(Some(data)) => {
                let text = String::from_utf8_lossy(&data);
                answered |= serde_json::from_slice::<Value>(&data).is_ok_and(|message| message.get("method").is_none());
                output::line(&text)?;
            }
            Ok(None) => break "the answer broke off".to_owned(),
            Err(exit) => break exit.message().to_owned(),
        }
    };
    match id {
        Some(id) if !answered => fail(id, INTERNAL_ERROR, &broken),
        _ => Ok(()),
    }
}

/// Reads an answer that is no stream; `Null` if it is no JSON.
async fn whole(response: Response<Body>) -> Done<Value> {
    let body = Limited::new(response.into_body(), MAX_LINE).collect().await;
    let body = body.map_err(|e| Exit::failed(format!("the answer broke off or is too long: {e}")))?;
    Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
}

/// Writes an error as the answer to the request of that id.
fn fail(id: &Value, code: i64, message: &str) -> Done {
    output::json(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}))
}
