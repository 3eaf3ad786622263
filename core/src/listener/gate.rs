//! The steps that every request passes: its path is normalized, its caller is found, its end is counted.

use std::convert::Infallible;
use std::pin::pin;

use axum::Extension;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use tower::{Service, ServiceExt};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::access::{self, Line};
use super::cut::Ends;
use super::fast_path::FastPath;
use super::limits::Limits;
use super::locality::Visit;
use super::marks::Marks;
use super::peer::Connection;
use super::reply::{Failed, Family};
use super::state::AppState;
use super::{intake, limits, miners, paths, request_id};
use crate::model::Timestamp;
use crate::{Error, ErrorKind};

/// All routes behind the checks that they share.
pub(in crate::listener) struct Gate {
    state: AppState,
    routes: axum::Router,
    cors: Option<CorsLayer>,
    numbers: request_id::Numbers,
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
        Self { state, routes, cors, numbers: request_id::Numbers::new() }
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
        let line = Line::begin(&request, id.as_ref(), connection, &self.state.router.config().log);
        // The future is pinned where it stands, because it has kilobytes and each hand it goes through would copy them.
        let answer = pin!(async {
            match &self.cors {
                Some(cors) => {
                    use tower::Layer;
                    let inner = tower::service_fn(|request: Request| async move {
                        let (mut response, fast) = self.checked(request, marks, connection).await;
                        if fast {
                            response.extensions_mut().insert(FastPath);
                        }
                        Ok::<_, Infallible>(response)
                    });
                    // The future is boxed, so that it takes no memory if no page is allowed.
                    match Box::pin(cors.layer(inner).oneshot(request)).await {
                        Ok(response) => {
                            let mut response = response.map(Body::new);
                            let fast = response.extensions_mut().remove::<FastPath>().is_some();
                            (response, fast)
                        }
                        Err(never) => match never {},
                    }
                }
                None => self.checked(request, marks, connection).await,
            }
        });
        let (mut response, fast) = Line::during(line.as_deref(), answer).await;
        if fast {
            self.state.traffic.count_fast(response.status());
        } else {
            let route = response.extensions_mut().remove::<MatchedPath>();
            self.state.traffic.count(&method, route.as_ref().map(MatchedPath::as_str), response.status());
        }
        self.numbers.name(&mut response, id);
        Ok(match line {
            Some(line) => line.follow(response),
            None => response,
        })
    }

    /// Answers one request whose origin is allowed. `true`: the answer came by the fast path.
    async fn checked(&self, mut request: Request, marks: Marks, connection: &Connection) -> (Response, bool) {
        if let Some(meant) = paths::meant(request.uri()) {
            let asked = paths::Asked(request.uri().path().to_owned());
            *request.uri_mut() = meant;
            request.extensions_mut().insert(asked);
        }
        let path = request.uri().path();
        let family = Family::of(path);
        if connection.miners_only && !matches!(path, miners::PATH | "/healthz" | "/readyz") {
            return (no_route(family, path), false);
        }
        let (mut known, mut key_life, mut limits) = (None, None, None);
        if !self.is_public(request.method(), path) {
            let now = Timestamp::wall_clock();
            let visit = Visit { peer: connection.peer.ip(), uri: request.uri(), headers: request.headers() };
            let caller = match &connection.recall {
                Some(recall) => recall.caller(&self.state.auth, &visit, now.as_secs()),
                None => self.state.auth.caller(&visit, now.as_secs()),
            };
            match caller {
                Ok(caller) => {
                    access::by(&caller);
                    if let Some(meter) = caller.meter() {
                        match Limits::of(meter) {
                            Ok(taken) => limits = Some(taken),
                            Err((taken, error)) => {
                                return (taken.tell(Failed::new(family, error).into_response()), false);
                            }
                        }
                    }
                    key_life = caller.life(now);
                    self.state.router.metrics().requested_by(caller.id());
                    known = Some(caller);
                }
                Err(error) => return (Failed::new(family, error).into_response(), false),
            }
        }
        let is_fast = FastPath::takes(&request);
        if is_fast {
            access::on_fixed(FastPath::ROUTE);
        }
        let answer = pin!(async {
            let caller = match known {
                Some(caller) if is_fast => return FastPath::answer(&self.state, caller, marks, request).await,
                other => other,
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
        let (response, is_fast) = match ends.bound(answer, family).await {
            Ok(response) => (response, is_fast),
            Err(error) => (Failed::new(family, error).into_response(), false),
        };
        match limits {
            None => (response, is_fast),
            Some(limits) => (limits.tell(response), is_fast),
        }
    }

    fn is_public(&self, method: &Method, path: &str) -> bool {
        let config = &self.state.config;
        match path {
            // A miner identifies itself in its first frame.
            "/" | "/healthz" | "/readyz" | "/health" | "/api/v1/about" | "/api/v1/ping" | miners::PATH => {
                *method == Method::GET || *method == Method::HEAD
            }
            "/api/v1/status" => config.public_status,
            "/metrics" => config.public_metrics,
            "/openapi.json" => config.public_openapi,
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
            [intake::SESSION, intake::TASK, request_id::HEADER, header::RETRY_AFTER, header::ALLOW]
                .into_iter()
                .chain(limits::HEADERS.iter().flatten().cloned())
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

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = Error::new(
        ErrorKind::InvalidArgument,
        format!("{method} is not allowed on {}: see the header Allow", uri.path()),
    )
    .with_code("method_not_allowed");
    Failed::new(Family::of(uri.path()), error).status(StatusCode::METHOD_NOT_ALLOWED).into_response()
}
