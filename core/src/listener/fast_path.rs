//! The way of the busy routes around axum's router and its layers.
//!
//! Routing, the layers and the extractors cost a short answer as much as reading its body. The checks of the gate are
//! the same on both ways, and so is every answer.

use axum::body::Body;
use axum::extract::Request;
use http::Method;

use super::answer::Answer;
use super::auth::Caller;
use super::marks::Marked;
use super::openai::{self, route_of};
use super::reply::{Failed, Family};
use super::state::AppState;
use super::{access, body, intake, messages, request_id, responses};
use crate::model::{RequestKind, Scope, TaskRequest};
use crate::{Result, Submission};

/// A busy route, to which requests may go this way. It is also the mark of an answer that came this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FastPath {
    Chat,
    Completion,
    Embedding,
    Messages,
    Responses,
}

/// A request to a busy route, read from its body.
#[allow(clippy::large_enum_variant, reason = "most requests are chats, and a box would cost each an allocation")]
pub(super) enum Order {
    /// A request in OpenAI's shape, of the kind that its route has.
    Task(TaskRequest),
    Messages(Box<messages::Order>),
    Responses(Box<responses::Order>),
}

impl FastPath {
    /// All busy routes, in the order of their numbers.
    pub(super) const ALL: [Self; 5] = [Self::Chat, Self::Completion, Self::Embedding, Self::Messages, Self::Responses];

    /// The fast path of that request, if it may go this way.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if request.method() == Method::POST { Self::at(request.uri().path()) } else { None }
    }

    /// The fast path of the route at that path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    /// The path of the route, by which spans and idempotency keys name it.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Chat => route_of(RequestKind::Chat),
            Self::Completion => route_of(RequestKind::Completion),
            Self::Embedding => route_of(RequestKind::Embedding),
            Self::Messages => messages::ROUTE,
            Self::Responses => responses::ROUTE,
        }
    }

    /// The family of the route, which determines the shape of errors.
    pub(super) const fn family(self) -> Family {
        match self {
            Self::Messages => Family::Anthropic,
            Self::Chat | Self::Completion | Self::Embedding | Self::Responses => Family::OpenAi,
        }
    }

    /// Reads a body, submits it, and answers with the result or the stream.
    pub(super) async fn submit(self, state: &AppState, caller: &Caller, head: Marked<'_>, body: Body) -> Answer {
        let read = async {
            self.admit(caller)?;
            let body = body::read(state, self.family(), head, body).await?;
            self.read(state, head, &body)
        };
        match read.await {
            Ok(order) => self.perform(state, caller, head, order).await,
            Err(refusal) => self.refuse(state, head, refusal),
        }
    }

    /// Refuses a caller that may make no tasks.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn admit(self, caller: &Caller) -> Result<(), Failed> {
        caller.may(Scope::Submit).map_err(|error| Failed::new(self.family(), error))
    }

    /// Reads a request from its body.
    ///
    /// # Errors
    /// The error names the field at fault.
    pub(super) fn read(self, state: &AppState, head: Marked<'_>, body: &[u8]) -> Result<Order, Failed> {
        let order = match self {
            Self::Chat => return openai::parse(body, RequestKind::Chat).map(Order::Task),
            Self::Completion => return openai::parse(body, RequestKind::Completion).map(Order::Task),
            Self::Embedding => return openai::parse(body, RequestKind::Embedding).map(Order::Task),
            Self::Messages => messages::Order::read(state, head, body).map(Box::new).map(Order::Messages),
            Self::Responses => responses::Order::read(state, head, body).map(Box::new).map(Order::Responses),
        };
        order.map_err(|error| Failed::new(self.family(), error))
    }

    /// Submits a request of this route, and answers with the result or the stream.
    pub(super) async fn perform(self, state: &AppState, caller: &Caller, head: Marked<'_>, order: Order) -> Answer {
        match order {
            Order::Task(request) => {
                let taken = openai::enter(state, caller, head, request).await;
                self.answer(state, head, taken, |submission, reading| openai::respond(state, submission, reading)).await
            }
            // The futures that are longer than a chat's are boxed, so that a chat reserves no memory for them.
            Order::Messages(order) => {
                let taken = Box::pin(order.enter(state, caller, head)).await;
                let respond = |submission, form| Box::pin(messages::respond(state, submission, form));
                self.answer(state, head, taken, respond).await
            }
            Order::Responses(order) => {
                let taken = order.enter(state, caller, head).await;
                self.answer(state, head, taken, |submission, form| responses::respond(state, submission, form)).await
            }
        }
    }

    /// Answers a request. `taken` is its task with the form of the answer, or its refusal.
    async fn answer<F, A>(
        self,
        state: &AppState,
        head: Marked<'_>,
        taken: Result<(Submission, F)>,
        respond: impl FnOnce(Submission, F) -> A,
    ) -> Answer
    where
        A: Future<Output = Result<Answer>>,
    {
        let failed = |error| Failed::new(self.family(), error);
        let (submission, form) = match taken {
            Ok(taken) => taken,
            Err(error) => return self.refuse(state, head, failed(error)),
        };
        access::about(&submission);
        let task = request_id::Task::from(&submission);
        respond(submission, form).await.unwrap_or_else(|error| Answer::Failed(Some(task), failed(error)))
    }

    /// The answer to a request that made no task.
    pub(super) fn refuse(self, state: &AppState, head: Marked<'_>, refusal: Failed) -> Answer {
        state.router.refused_at(self.path(), refusal.error(), || intake::trace(head));
        Answer::Failed(None, refusal)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::{IntoResponse as _, Response};
    use http::{HeaderMap, StatusCode};
    use tower::ServiceExt as _;

    use super::*;
    use crate::listener::auth::Auth;
    use crate::listener::handler::state;
    use crate::listener::locality::Visit;
    use crate::listener::marks::Marks;
    use crate::model::Timestamp;
    use crate::{Config, Router};

    type Answer = (StatusCode, HeaderMap, String);

    /// An answer without its ids and times, whose digits are hexadecimal.
    async fn read(response: Response) -> Answer {
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&body).replace(|c: char| c.is_ascii_hexdigit(), "");
        let mut headers = head.headers;
        for own in ["x-cortensor-task", "x-request-id", "content-length"] {
            headers.remove(own);
        }
        (head.status, headers, text)
    }

    async fn both_ways(state: &AppState, route: &str, kind: &str, body: &str) -> (Answer, Answer) {
        let request = || {
            let mut request = Request::post(route)
                .header("host", "localhost")
                .header("authorization", "Bearer default-dev-token")
                .header("content-type", kind)
                .body(Body::from(body.to_owned()))
                .unwrap();
            let peer = std::net::Ipv4Addr::LOCALHOST.into();
            let visit = Visit { peer, uri: request.uri(), headers: request.headers() };
            let caller = state.auth.caller(&visit, Timestamp::wall_clock().as_secs()).unwrap();
            request.extensions_mut().insert(caller);
            request
        };
        let (routes, _) = crate::listener::routes().split_for_parts();
        let mut quick = request();
        let caller = quick.extensions_mut().remove::<Caller>().unwrap();
        let marks = Marks::of(quick.headers());
        let busy = FastPath::of(&quick).unwrap();
        let (head, body) = quick.into_parts();
        let marked = Marked { headers: &head.headers, marks };
        let fast = busy.submit(state, &caller, marked, body).await.into_response();
        let other = routes.with_state(state.clone()).oneshot(request()).await.unwrap();
        (read(fast).await, read(other).await)
    }

    #[test]
    fn every_route_has_its_place_and_its_family() {
        for (place, route) in FastPath::ALL.into_iter().enumerate() {
            assert_eq!((route as usize, FastPath::at(route.path())), (place, Some(route)));
            assert_eq!(route.family(), Family::of(route.path()));
        }
        assert_eq!(FastPath::at("/v1/messages/count_tokens"), None);
    }

    #[tokio::test]
    async fn both_ways_answer_alike() {
        let config = Config::default().echo(true);
        let router = Router::open(config).await.unwrap();
        let listen = router.config().listen.clone();
        let auth = Auth::new(&router, &listen).unwrap();
        let state = state(router.clone(), listen, auth);
        let json = "application/json";
        let large = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(5 << 20));
        for (kind, body, status) in [
            (json, r#"{"messages":[{"role":"user","content":"hi"}]}"#, 200),
            (json, r#"{"model":"echo","stream":true,"messages":[{"role":"user","content":"hi there"}]}"#, 200),
            (json, r#"{"messages":[]}"#, 400),
            (json, "{", 400),
            (json, "", 400),
            (json, r#"{"messages":[{"role":"user","content":"hi"}],"stream":"yes"}"#, 400),
            ("text/plain", r#"{"messages":[{"role":"user","content":"hi"}]}"#, 200),
            (json, &large, 413),
        ] {
            let (fast, other) = both_ways(&state, "/v1/chat/completions", kind, body).await;
            assert_eq!(fast, other, "{kind}: {body:.80}");
            assert_eq!(fast.0, status, "{kind}: {body:.80}");
            for route in FastPath::ALL.map(FastPath::path) {
                let (fast, other) = both_ways(&state, route, kind, body).await;
                assert_eq!(fast, other, "{route} {kind}: {body:.80}");
            }
        }
        router.close().await;
    }
}
