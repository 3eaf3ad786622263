//! The way of the busy routes around axum's router and its layers.
//!
//! Routing, the layers and the extractors cost a short answer as much as reading its body. The checks of the gate are
//! the same on both ways, and so is every answer.

use axum::extract::Request;
use http::Method;

use super::openai::route_of;
use crate::model::RequestKind;

/// The fast path of a request, with the kind of its work. It is also the mark of an answer that came this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FastPath(pub(super) RequestKind);

impl FastPath {
    /// The fast path of that request, if it may go this way.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if request.method() == Method::POST { Self::at(request.uri().path()) } else { None }
    }

    /// The fast path of the route at that path.
    pub(super) fn at(path: &str) -> Option<Self> {
        let kinds = [RequestKind::Chat, RequestKind::Completion, RequestKind::Embedding];
        kinds.into_iter().find(|kind| route_of(*kind) == path).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::response::{IntoResponse as _, Response};
    use http::{HeaderMap, StatusCode};
    use tower::ServiceExt as _;

    use super::*;
    use crate::listener::auth::{Auth, Caller};
    use crate::listener::handler::state;
    use crate::listener::locality::Visit;
    use crate::listener::marks::{Marked, Marks};
    use crate::listener::openai;
    use crate::listener::state::AppState;
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
        let FastPath(kind) = FastPath::of(&quick).unwrap();
        let (head, body) = quick.into_parts();
        let marked = Marked { headers: &head.headers, marks };
        let fast = openai::submit(state, &caller, marked, body, kind).await.into_response();
        let other = routes.with_state(state.clone()).oneshot(request()).await.unwrap();
        (read(fast).await, read(other).await)
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
            for route in ["/v1/completions", "/v1/embeddings"] {
                let (fast, other) = both_ways(&state, route, kind, body).await;
                assert_eq!(fast, other, "{route} {kind}: {body:.80}");
            }
        }
        router.close().await;
    }
}
