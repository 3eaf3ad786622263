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
use super::locality::Visit;
use super::peer::Connection;
use super::reply::{Failed, Family};
use super::revocation::Revocation;
use super::state::AppState;
use super::{intake, miners, paths, request_id};
use crate::model::Timestamp;
use crate::{Error, ErrorKind};

/// All routes behind the checks that they share.
#[derive(Clone)]
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
        mut request: Request,
        connection: &Connection,
    ) -> Result<Response, Infallible> {
        let method = request.method().clone();
        let id = request_id::given(request.headers());
        let line = Line::begin(&request, connection, &self.state.router.config().log);
        request.extensions_mut().insert(connection.clone());
        let answer = async {
            match &self.cors {
                Some(cors) => {
                    use tower::Layer;
                    let inner = tower::service_fn(|request: Request| async move {
                        Ok::<_, Infallible>(self.checked(request, connection).await)
                    });
                    // The future is boxed, so that it takes no memory if no page is allowed.
                    match Box::pin(cors.layer(inner).oneshot(request)).await {
                        Ok(response) => response.map(Body::new),
                        Err(never) => match never {},
                    }
                }
                None => self.checked(request, connection).await,
            }
        };
        let mut response = Line::during(line.as_deref(), answer).await;
        let route = response.extensions_mut().remove::<MatchedPath>();
        let fast = FastPath::route_of(&mut response);
        self.state.traffic.count(&method, fast.or(route.as_ref().map(MatchedPath::as_str)), response.status());
        self.numbers.name(&mut response, id);
        Ok(match line {
            Some(line) => line.follow(response),
            None => response,
        })
    }

    async fn checked(&self, mut request: Request, connection: &Connection) -> Response {
        if let Some(meant) = paths::meant(request.uri()) {
            let asked = paths::Asked(request.uri().path().to_owned());
            *request.uri_mut() = meant;
            request.extensions_mut().insert(asked);
        }
        let path = request.uri().path();
        let family = Family::of(path);
        if connection.miners_only && !matches!(path, miners::PATH | "/healthz" | "/readyz") {
            return no_route(family, path);
        }
        let mut key = None;
        if !self.is_public(request.method(), path) {
            let now = Timestamp::wall_clock().as_secs();
            let visit = Visit { peer: connection.peer.ip(), uri: request.uri(), headers: request.headers() };
            match self.state.auth.caller(&visit, now) {
                Ok(caller) => {
                    access::by(&caller);
                    key = caller.revoked().cloned();
                    request.extensions_mut().insert(caller);
                }
                Err(error) => return Failed::new(family, error).into_response(),
            }
        }
        let fast = FastPath::takes(&request);
        if fast {
            access::on_fixed(FastPath::ROUTE);
        }
        let answer = pin!(async {
            if fast {
                return FastPath::answer(&self.state, request).await;
            }
            match self.routes.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        });
        let ends = Ends { closing: connection.closing.clone(), revocation: key.map(Revocation::of) };
        ends.bound(answer, family).await
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
        .expose_headers([intake::SESSION, intake::TASK, request_id::HEADER, header::RETRY_AFTER, header::ALLOW])
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
