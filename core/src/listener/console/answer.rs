//! The answers that carry the console: its page at `/`, and its files below `/console/`.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::files::{FILES, FilePath, PAGE, VERSION};
use crate::Error;
use crate::listener::extract::InPath;
use crate::listener::openapi::ReadFailures;
use crate::listener::reply::Failed;
use crate::listener::state::AppState;

/// The beginning of the paths of all files.
pub(in crate::listener) const PATH: &str = "/console/";

/// The rules for browsers. A script of the page's own cannot write foreign text as markup either, because the page may
/// make no policy for trusted types.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Headers of the page and of every file.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(file))
}

/// Whether a request for `/` wants the page: the console is on, and the client says that it reads HTML.
pub(in crate::listener) fn is_wanted(state: &AppState, headers: &HeaderMap) -> bool {
    state.config.console
        && headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(reads_html)
}

/// Whether an `Accept` header names HTML. A range such as `*/*` does not count: programs send it, and they get JSON.
fn reads_html(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
    })
}

/// The page.
pub(in crate::listener) fn page(state: &AppState, headers: &HeaderMap) -> Response {
    // The way in that the page tries before it asks for a token.
    let sign_in = match (state.auth.accepts_anonymous(), state.auth.accepts_dev()) {
        (true, _) => "anonymous",
        (false, true) => "development",
        (false, false) => "token",
    };
    let tag = format!("\"{}-{sign_in}\"", *VERSION);
    let body = || PAGE.replace("{version}", &VERSION).replace("{sign_in}", sign_in).into();
    answer(headers, &tag, "text/html; charset=utf-8", "no-cache", body)
}

/// A file of the console
///
/// The page at `/` names these files. They hold no data, and an address never changes its content.
#[utoipa::path(
    get,
    path = "/console/{version}/{file}",
    tag = "Operations",
    params(FilePath),
    security((), ("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "The file.", content((String = "text/javascript"), (String = "text/css"), (String = "image/svg+xml"))),
        (status = 304, description = "The file is the one that `If-None-Match` names."),
        ReadFailures,
    )
)]
async fn file(State(state): State<AppState>, InPath(path): InPath<FilePath>, headers: HeaderMap) -> Response {
    let known = FILES.iter().find(|file| file.name == path.file);
    let Some(file) = known.filter(|_| state.config.console && path.version == *VERSION) else {
        let error = if state.config.console {
            Error::not_found("the console has no such file in this version: load its page anew")
        } else {
            Error::not_found("the console is off (listen.console = false)").with_code("route_not_found")
        };
        return Failed::from(error).into_response();
    };
    let tag = format!("\"{}\"", *VERSION);
    let content = || Bytes::from_static(file.bytes);
    answer(&headers, &tag, file.content_type, "public, max-age=31536000, immutable", content)
}

/// The answer with that content, or 304 if the client has it.
fn answer(
    asked: &HeaderMap,
    tag: &str,
    content_type: &'static str,
    caching: &'static str,
    content: impl FnOnce() -> Bytes,
) -> Response {
    let is_known =
        |tags: &str| tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(is_known);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(content()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_read_html_and_programs_do_not() {
        for accept in [
            "text/html",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "application/json, TEXT/HTML;q=0.1",
        ] {
            assert!(reads_html(accept), "{accept}");
        }
        for accept in
            ["", "*/*", "text/*", "application/json", "text/html;q=0", "text/html; level=1; q=0.0", "text/htmlx"]
        {
            assert!(!reads_html(accept), "{accept}");
        }
    }
}
