//! The steps that every request passes: its path is normalized, its caller is found, its end is counted.

use std::convert::Infallible;
use std::pin::pin;

use axum::Extension;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tower::{Service, ServiceExt};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::access::{self, Line};
use super::auth::Caller;
use super::console;
use super::credentials;
use super::cut::Ends;
use super::fast_path::FastPath;
use super::limits::Limits;
use super::locality::Visit;
use super::marks::{Marked, Marks};
use super::peer::Connection;
use super::reply::{self, Failed, Family};
use super::state::AppState;
use super::{intake, limits, miners, paths, request_id};
use crate::model::Timestamp;
use crate::router::key_end::KeyLife;
use crate::{Error, ErrorKind};

/// All routes behind the checks that they share.
pub(in crate::listener) struct Gate {
    state: AppState,
    routes: axum::Router,
    cors: Option<CorsLayer>,
    numbers: request_id::Numbers,
    /// Whether the busy routes are served without hyper.
    native: bool,
}

/// A caller whose request goes on.
pub(in crate::listener) struct Admitted {
    pub(in crate::listener) caller: Caller,
    /// The caller's limits, from which the request was taken.
    pub(in crate::listener) limits: Option<Limits>,
    pub(in crate::listener) key_life: Option<KeyLife>,
}

/// A request that does not go on.
pub(in crate::listener) struct Refused {
    /// The caller's limits, if they are the reason.
    pub(in crate::listener) limits: Option<Limits>,
    pub(in crate::listener) error: Error,
}

impl Gate {
    pub(in crate::listener) fn new(state: AppState) -> Self {
        let (routes, _) = super::routes().split_for_parts();
        let routes = routes
            .route_layer(from_fn(note_route))
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .with_state(state.clone());
        let cors = cors(&state.config.cors.origins);
        let native = cors.is_none() && !state.general;
        Self { state, routes, cors, numbers: request_id::Numbers::new(), native }
    }

    /// The state that all requests share.
    pub(in crate::listener) fn state(&self) -> &AppState {
        &self.state
    }

    /// Whether requests to the busy routes of that connection are served without hyper.
    pub(in crate::listener) fn is_native(&self, connection: &Connection) -> bool {
        self.native && !connection.miners_only
    }

    /// Gives an answer its request id: the caller's own, else its task's, else a new one.
    pub(in crate::listener) fn name(&self, headers: &mut HeaderMap, given: Option<HeaderValue>) {
        self.numbers.name(headers, given);
    }

    /// Gives an answer its request id, in every header in which clients of that family look for it.
    pub(in crate::listener) fn name_for(&self, family: Family, headers: &mut HeaderMap, given: Option<HeaderValue>) {
        self.name(headers, given);
        if family == Family::Anthropic
            && let Some(id) = headers.get(request_id::HEADER).cloned()
        {
            headers.insert(reply::ANTHROPIC_ID, id);
        }
    }

    /// Finds the caller of a request.
    ///
    /// # Errors
    /// The reason why the caller is refused.
    pub(in crate::listener) fn caller(
        &self,
        visit: &Visit<'_>,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        let caller = match &connection.recall {
            Some(recall) => recall.caller(&self.state.auth, visit, now.as_secs()),
            None => self.state.auth.caller(visit, now.as_secs()),
        }?;
        if caller.is_stored() && self.state.router.is_stale() {
            return Err(Error::store(
                "this router has not reached the database for long and cannot check keys: try again",
            ));
        }
        Ok(caller)
    }

    /// Looks the keys of a request up in the store: another router, or a program that is none, may have made one a moment
    /// ago. Gives whether one is news, so that the caller is worth another look.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::listener) async fn learn(&self, refusal: &Error, headers: &HeaderMap) -> Result<bool, Error> {
        if refusal.kind() != ErrorKind::Unauthenticated {
            return Ok(false);
        }
        let mut is_news = false;
        for id in credentials::key_ids(headers) {
            is_news |= self.state.router.learn_key(&id).await?;
        }
        Ok(is_news)
    }

    /// Takes a caller's request from its limits, and notes whose request it is.
    ///
    /// # Errors
    /// The refusal, if the caller has used up a limit.
    pub(in crate::listener) fn admit(&self, caller: Caller, now: Timestamp) -> Result<Admitted, Refused> {
        access::by(&caller);
        let limits = match caller.meter().map(Limits::of).transpose() {
            Ok(limits) => limits,
            Err((taken, error)) => return Err(Refused { limits: Some(taken), error }),
        };
        let key_life = caller.life(now);
        self.state.router.metrics().requested_by(caller.id());
        Ok(Admitted { caller, limits, key_life })
    }

    /// Answers one request.
    pub(in crate::listener) async fn handle(
        &self,
        request: Request,
        connection: &Connection,
    ) -> Result<Response, Infallible> {
        let method = request.method().clone();
        let marks = Marks::of(request.headers());
        let id = if marks.has(Marks::REQUEST_ID) { request_id::given(request.headers()) } else { None };
        let given = id.as_ref();
        let line = Line::begin(&method, given, connection, &self.state.router.settings().log);
        // The future is pinned where it stands, because it has kilobytes and each hand it goes through would copy them.
        let answer = pin!(async {
            match &self.cors {
                Some(cors) => {
                    use tower::Layer;
                    let inner = tower::service_fn(|request: Request| async move {
                        let (mut response, busy) = self.checked(request, marks, given, connection).await;
                        if let Some(busy) = busy {
                            response.extensions_mut().insert(busy);
                        }
                        Ok::<_, Infallible>(response)
                    });
                    // The future is boxed, so that it takes no memory if no page is allowed.
                    match Box::pin(cors.layer(inner).oneshot(request)).await {
                        Ok(response) => {
                            let mut response = response.map(Body::new);
                            let busy = response.extensions_mut().remove::<FastPath>();
                            (response, busy)
                        }
                        Err(never) => match never {},
                    }
                }
                None => self.checked(request, marks, given, connection).await,
            }
        });
        let (mut response, busy) = Line::during(line.as_deref(), answer).await;
        if let Some(busy) = busy {
            self.state.traffic.count_busy(busy, response.status());
        } else {
            let route = response.extensions_mut().remove::<MatchedPath>();
            self.state.traffic.count(&method, route.as_ref().map(MatchedPath::as_str), response.status());
        }
        self.name(response.headers_mut(), given.cloned());
        Ok(match line {
            Some(line) => line.follow(response),
            None => response,
        })
    }

    /// Answers one request whose origin is allowed. Also gives the fast path by which the answer came, if it did.
    async fn checked(
        &self,
        mut request: Request,
        marks: Marks,
        given: Option<&HeaderValue>,
        connection: &Connection,
    ) -> (Response, Option<FastPath>) {
        if let Some(meant) = paths::meant(request.uri()) {
            let asked = paths::Asked(request.uri().path().to_owned());
            *request.uri_mut() = meant;
            request.extensions_mut().insert(asked);
        }
        let family = Family::of_request(request.uri().path(), request.headers());
        let (mut response, busy) = self.of_family(family, request, marks, connection).await;
        self.name_for(family, response.headers_mut(), given.cloned());
        (response, busy)
    }

    /// Answers one request, in the shape of that family where it is refused.
    async fn of_family(
        &self,
        family: Family,
        mut request: Request,
        marks: Marks,
        connection: &Connection,
    ) -> (Response, Option<FastPath>) {
        let path = request.uri().path();
        if connection.miners_only && !matches!(path, miners::PATH | "/healthz" | "/readyz") {
            return (no_route(family, path), None);
        }
        let (mut known, mut key_life, mut limits) = (None, None, None);
        if !self.is_public(path) {
            let now = Timestamp::wall_clock();
            let visit = Visit { peer: connection.peer.ip(), uri: request.uri(), headers: request.headers() };
            let mut found = self.caller(&visit, connection, now);
            if let Err(refusal) = &found
                && self.state.router.learns()
            {
                match Box::pin(self.learn(refusal, visit.headers)).await {
                    Ok(true) => found = self.caller(&visit, connection, now),
                    Ok(false) => {}
                    Err(error) => found = Err(error),
                }
            }
            let found = found.map_err(|error| Refused { limits: None, error });
            match found.and_then(|caller| self.admit(caller, now)) {
                Ok(admitted) => {
                    known = Some(admitted.caller);
                    (limits, key_life) = (admitted.limits, admitted.key_life);
                }
                Err(Refused { limits, error }) => {
                    let mut response = Failed::new(family, error).into_response();
                    if let Some(limits) = limits {
                        limits.tell(family, response.headers_mut());
                    }
                    return (response, None);
                }
            }
        }
        let busy = FastPath::of(&request);
        if let Some(busy) = busy {
            access::on_fixed(busy.path());
        }
        let answer = pin!(async {
            let caller = match (known, busy) {
                (Some(caller), Some(busy)) => {
                    let (head, body) = request.into_parts();
                    let head = Marked { headers: &head.headers, marks };
                    return busy.submit(&self.state, &caller, head, body).await.into_response();
                }
                (other, _) => other,
            };
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            request.extensions_mut().insert(connection.clone());
            match self.routes.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        });
        let ends = Ends { closing: connection.closing.clone(), key_life };
        let (mut response, busy) = match ends.bound(answer, family).await {
            Ok(response) => (response, busy),
            Err(error) => (Failed::new(family, error).into_response(), None),
        };
        if let Some(limits) = limits {
            limits.tell(family, response.headers_mut());
        }
        (response, busy)
    }

    /// Whether the path needs no token. A method that it does not have is refused by the route.
    fn is_public(&self, path: &str) -> bool {
        let config = &self.state.config;
        match path {
            // A miner identifies itself in its first frame.
            "/"
            | "/healthz"
            | "/readyz"
            | "/health"
            | "/api/v1/about"
            | "/api/v1/ping"
            | "/.well-known/agent.json"
            | "/.well-known/agent-card.json"
            | miners::PATH => true,
            "/api/v1/status" => config.public_status,
            "/metrics" => config.public_metrics,
            "/openapi.json" => config.public_openapi,
            // The files of the console have no data.
            _ if path.starts_with(console::PATH) => true,
            // The trial routes count their callers by address.
            _ if path.starts_with("/api/v1/trial/") || path.starts_with("/api/v2/trial/") => true,
            _ => false,
        }
    }
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        // SDKs send a dozen headers of their own.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            [
                intake::SESSION,
                intake::TASK,
                intake::LEFT_OUT,
                request_id::HEADER,
                reply::ANTHROPIC_ID,
                header::RETRY_AFTER,
                header::ALLOW,
            ]
            .into_iter()
            .chain(limits::headers())
            .chain([intake::MCP_SESSION])
            .collect::<Vec<_>>(),
        )
        // Pages on the network may reach a router on this machine if their origin is allowed.
        .allow_private_network(true);
    if origins.iter().any(|origin| origin == "*") {
        return Some(layer.allow_origin(Any));
    }
    let allowed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    Some(layer.allow_origin(AllowOrigin::list(allowed)))
}

/// Adds the route's template to the response, for the counts.
async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    if let Some(route) = &route {
        access::on(route);
    }
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

async fn not_found(asked: Option<Extension<paths::Asked>>, uri: Uri) -> Response {
    let asked = asked.as_ref().map_or(uri.path(), |Extension(asked)| asked.0.as_str());
    no_route(Family::of(uri.path()), asked)
}

fn no_route(family: Family, path: &str) -> Response {
    let error = Error::not_found(format!("there is no route {path}")).with_code("route_not_found");
    Failed::new(family, error).into_response()
}

async fn not_allowed(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let error = Error::new(
        ErrorKind::InvalidArgument,
        format!("{method} is not allowed on {}: see the header Allow", uri.path()),
    )
    .with_code("method_not_allowed");
    let family = Family::of_request(uri.path(), &headers);
    Failed::new(family, error).status(StatusCode::METHOD_NOT_ALLOWED).into_response()
}
