//! The card by which other agents find this router, in the form of the Agent2Agent protocol.

use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, HOST, VARY};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listener::openapi::{ReadFailures, also};
use crate::listener::reply::{self, Failed};
use crate::listener::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(also(routes!(card), &["/.well-known/agent-card.json"]))
}

/// The name of the protocol behind `url`. The protocol of the card has names for its own alone, and lets others have
/// theirs.
const TRANSPORT: &str = "CORTENSOR-REST";

/// A card of the Agent2Agent protocol, version 0.3.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgentCard {
    /// The version of the card's protocol.
    protocol_version: &'static str,
    /// The router's configured name.
    name: String,
    /// The work of the router, in words.
    description: &'static str,
    /// The base URL of the routes: `external_address` where it is configured, else the host that the request names.
    url: String,
    /// `CORTENSOR-REST`: Cortensor's REST API, which `/openapi.json` describes. The router does not speak the protocol's
    /// own `message/send`.
    preferred_transport: &'static str,
    /// The version of the product.
    version: &'static str,
    /// Features of the protocol.
    capabilities: Capabilities,
    /// Types of what skills take.
    default_input_modes: Vec<&'static str>,
    /// Types of what skills give.
    default_output_modes: Vec<&'static str>,
    /// The skills that the router can be asked for.
    skills: Vec<Skill>,
    /// The ways to send a token.
    security_schemes: SecuritySchemes,
    /// The names of those ways.
    security: Vec<Bearer>,
}

/// Features of the Agent2Agent protocol.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    /// Always `false`: streams are those of the REST API.
    streaming: bool,
    /// Always `false`.
    push_notifications: bool,
    /// Always `false`.
    state_transition_history: bool,
}

/// Something that the router can be asked for.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct Skill {
    /// `completions`, `delegate`, `validate` or `factcheck`.
    id: &'static str,
    /// Its name for people.
    name: &'static str,
    /// Its work and its routes, in words.
    description: &'static str,
    /// Words to find it by.
    tags: &'static [&'static str],
    /// Bodies of requests.
    examples: &'static [&'static str],
}

/// The ways to send a token.
#[derive(Serialize, ToSchema)]
struct SecuritySchemes {
    /// The header `Authorization`.
    bearer: SecurityScheme,
}

/// A way to send a token.
#[derive(Serialize, ToSchema)]
struct SecurityScheme {
    /// `http`
    r#type: &'static str,
    /// `bearer`
    scheme: &'static str,
}

/// A member for the header `Authorization`.
#[derive(Serialize, ToSchema)]
struct Bearer {
    /// Always empty: the tokens have no scopes of this protocol.
    bearer: Vec<&'static str>,
}

const SKILLS: [Skill; 4] = [
    Skill {
        id: "completions",
        name: "Completions",
        description: "Text for a prompt, whole or streamed: POST /api/v1/completions.",
        tags: &["inference", "completion"],
        examples: &[r#"{"prompt":"What is 2 + 2?","max_tokens":16}"#],
    },
    Skill {
        id: "delegate",
        name: "Delegate",
        description: "Work under a policy, by one or several miners, with the evidence of each: POST /api/v1/delegate, \
                      /api/v2/delegate or /api/v3/delegate.",
        tags: &["inference", "redundancy", "consensus"],
        examples: &[r#"{"objective":"Sum up the text.","input":"...","policy":"safe"}"#],
    },
    Skill {
        id: "validate",
        name: "Validate",
        description: "A verdict on a claim or a result by several miners: POST /api/v1/validate, /api/v2/validate or \
                      /api/v3/validate.",
        tags: &["validation", "consensus"],
        examples: &[r#"{"claim":"2 + 2 = 4","policy":"safe"}"#],
    },
    Skill {
        id: "factcheck",
        name: "Factcheck",
        description: "A verdict on a fact by at least three miners: POST /api/v1/factcheck.",
        tags: &["validation", "facts"],
        examples: &[r#"{"claim":"Water boils at 100 degrees Celsius at sea level."}"#],
    },
];

/// The router as an agent
///
/// A card of the Agent2Agent protocol (version 0.3), by which other agents find the routes. It needs no token.
#[utoipa::path(
    get,
    path = "/.well-known/agent.json",
    tag = "Agents",
    security(()),
    responses((status = 200, description = "The card.", body = AgentCard), ReadFailures)
)]
async fn card(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Failed> {
    let config = state.router.settings();
    let card = AgentCard {
        protocol_version: "0.3.0",
        name: config.name.clone(),
        description: "An AI inference router: it gives prompts to miners, compares their answers, and has claims checked.",
        url: base_url(&state, &headers),
        preferred_transport: TRANSPORT,
        version: crate::VERSION,
        capabilities: Capabilities { streaming: false, push_notifications: false, state_transition_history: false },
        default_input_modes: vec!["application/json"],
        default_output_modes: vec!["application/json"],
        skills: SKILLS.into(),
        security_schemes: SecuritySchemes { bearer: SecurityScheme { r#type: "http", scheme: "bearer" } },
        security: vec![Bearer { bearer: Vec::new() }],
    };
    let mut response = reply::json(StatusCode::OK, &card)?;
    // The URL depends on the host, so that a cache must not show it to clients of another one.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Host"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The URL under which the client can reach the routes.
fn base_url(state: &AppState, headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| host.parse::<Authority>().is_ok());
    let scheme = if state.config.tls.is_on() { "https" } else { "http" };
    match (state.router.settings().external_address.as_deref(), host) {
        (Some(address), _) if address.contains("://") => address.trim_end_matches('/').to_owned(),
        (Some(address), _) => format!("{scheme}://{address}"),
        (None, Some(host)) if !host.contains('@') => format!("{scheme}://{host}"),
        (None, _) => state.config.url_at(state.config.address()),
    }
}
