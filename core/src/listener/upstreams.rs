//! Upstreams, for administrators: all of them to see, and the managed ones to change.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::body;
use super::extract::InPath;
use super::marks::Marked;
use super::openapi::{CortensorFailures, ReadFailures};
use super::reply::{Failed, Family, Json};
use super::state::AppState;
use crate::config::UpstreamConfig;
use crate::router::UpstreamInfo;
use crate::{Error, ErrorKind, Result};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove))
}

/// All upstreams.
#[derive(Serialize, ToSchema)]
struct UpstreamPage {
    /// The number of upstreams.
    count: usize,
    /// The upstreams, by name.
    upstreams: Vec<UpstreamInfo>,
    /// Why the caller may change none of them; null: it may add some, and change the managed ones.
    read_only: Option<String>,
}

/// A managed upstream that was just removed.
#[derive(Serialize, ToSchema)]
struct UpstreamRemoved {
    /// Its name.
    name: String,
    /// `removed`
    status: &'static str,
}

/// The body of a change, which is read as a table of fields.
enum UpstreamPatch {}

/// The members of an upstream and one more. A schema of the two together would allow no body, because that of an upstream
/// allows no member that it does not name.
impl utoipa::PartialSchema for UpstreamPatch {
    fn schema() -> RefOr<Schema> {
        let mut schema = <UpstreamConfig as utoipa::PartialSchema>::schema();
        if let RefOr::T(Schema::Object(fields)) = &mut schema {
            fields.description = Some("A change of an upstream: any field of it, and `drained`.".to_owned());
            let words = "Whether it drains: it gets no new tasks and finishes those that it has. `false` resumes it.";
            let drained = ObjectBuilder::new().schema_type(Type::Boolean).description(Some(words));
            fields.properties.insert("drained".to_owned(), drained.into());
        }
        schema
    }
}

impl ToSchema for UpstreamPatch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        UpstreamConfig::schemas(schemas);
    }
}

/// Refuses a caller that may not change upstreams.
fn manages(state: &AppState, caller: &Caller) -> Result<()> {
    caller.administers()?;
    let refused = |words: &str, code: &'static str| Err(Error::new(ErrorKind::PermissionDenied, words).with_code(code));
    if !caller.has_secret() {
        let words = "the development token may not change upstreams: use a key with the scope admin \
                     (cortensor-router key create --scope admin)";
        return refused(words, "secret_key_needed");
    }
    if !state.config.manage_upstreams {
        let words = "upstreams are not managed over HTTP here: set listen.manage_upstreams = true, or change the configuration and reload";
        return refused(words, "upstreams_not_managed");
    }
    Ok(())
}

/// Lists the upstreams
///
/// Shows those of the configuration and the managed ones, with their state, models, tasks and last probe. A model server
/// that the router starts itself also has its group, its starts and failures, and its last lines. No key is shown.
#[utoipa::path(
    get,
    path = "/api/v1/upstreams",
    tag = "Upstreams",
    responses((status = 200, description = "All upstreams.", body = UpstreamPage), ReadFailures)
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<UpstreamPage>, Failed> {
    caller.administers()?;
    let upstreams = state.router.upstreams();
    let read_only = manages(&state, &caller).err().map(|error| error.message().to_owned());
    Ok(Json(UpstreamPage { count: upstreams.len(), upstreams, read_only }))
}

/// Adds a managed upstream
///
/// It is kept in the store and comes back at the next start. Its fields are those of `[[upstream]]` in the
/// configuration, but for names of variables and paths of files, which are refused; `name` and `url` are required. Its
/// host must have a public address, or one of `listen.upstream_networks`, whenever the router connects. Needs
/// `listen.manage_upstreams` and a key with the scope `admin`; the development token is refused (403).
#[utoipa::path(
    post,
    path = "/api/v1/upstreams",
    tag = "Upstreams",
    request_body = UpstreamConfig,
    responses((status = 201, description = "The upstream.", body = UpstreamInfo), CortensorFailures)
)]
async fn add(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<UpstreamInfo>), Failed> {
    manages(&state, &caller)?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let fields: Map<String, Value> = body::parse(Family::Cortensor, &body)?;
    Ok((StatusCode::CREATED, Json(state.router.add_managed(&fields, caller.id()).await?)))
}

/// Changes, drains or resumes a managed upstream
///
/// Members that are missing stay as they are, and `null` gives a field its default. `{"drained": true}` lets it finish
/// its tasks and gives it no new ones; `{"drained": false}` resumes it. With other settings its old connections end with
/// the tasks that they have. An upstream of the configuration is refused (409).
#[utoipa::path(
    patch,
    path = "/api/v1/upstreams/{name}",
    tag = "Upstreams",
    params(("name" = String, Path, description = "The upstream's name.")),
    request_body = UpstreamPatch,
    responses((status = 200, description = "The upstream as it is now.", body = UpstreamInfo), CortensorFailures)
)]
async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(name): InPath<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<UpstreamInfo>, Failed> {
    manages(&state, &caller)?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let fields: Map<String, Value> = body::parse(Family::Cortensor, &body)?;
    Ok(Json(state.router.change_managed(&name, fields, caller.id()).await?))
}

/// Removes a managed upstream
///
/// It gets no new tasks, finishes those that it has, and is then gone. An upstream of the configuration is refused (409).
#[utoipa::path(
    delete,
    path = "/api/v1/upstreams/{name}",
    tag = "Upstreams",
    params(("name" = String, Path, description = "The upstream's name.")),
    responses((status = 200, description = "It is removed.", body = UpstreamRemoved), ReadFailures)
)]
async fn remove(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(name): InPath<String>,
) -> Result<Json<UpstreamRemoved>, Failed> {
    manages(&state, &caller)?;
    state.router.remove_managed(&name, caller.id()).await?;
    Ok(Json(UpstreamRemoved { name, status: "removed" }))
}
