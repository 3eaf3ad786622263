//! The route of the newest lines of the log, for administrators.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::body::within;
use super::cortensor::query;
use super::cortensor::schema::LogSelection;
use super::extract::InQuery;
use super::feed;
use super::openapi::{ReadFailures, ServerSentEvent};
use super::reply::{self, Failed};
use super::state::AppState;
use crate::Error;
use crate::log::{LogLevel, LogLine, LogRing};
use crate::model::page_rows;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The newest lines of the log.
#[derive(Serialize, ToSchema)]
struct LogPage {
    /// The number of lines that are kept at most (`log.recent_lines`); 0: none are.
    recent_lines: usize,
    /// The lines, oldest first.
    #[schema(value_type = Vec<LogLine>)]
    logs: Vec<Arc<LogLine>>,
}

/// The newest lines of the log
///
/// The router keeps `log.recent_lines` lines of its log in memory: those from the level `info` on, whatever level is
/// written elsewhere, but for those about single requests, so that the router writes no prompt into them. With `follow`
/// the answer is a stream of events whose data are lines. In a program in Rust that installs a subscriber of its own, the
/// lines go there alone.
#[utoipa::path(
    get,
    path = "/api/v1/logs",
    tag = "Operations",
    params(LogSelection),
    responses(
        (status = 200, description = "The lines.", content((LogPage = "application/json"), (ServerSentEvent = "text/event-stream"))),
        ReadFailures,
    )
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<LogSelection>,
) -> Result<Response, Failed> {
    caller.administers()?;
    let level = match asked.level.as_str() {
        "" => LogLevel::default(),
        word => LogLevel::of(word).ok_or_else(|| {
            Error::invalid("level", format!("level must be one of {}, not {word:?}", LogLevel::WORDS.join(", ")))
        })?,
    };
    let limit = page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = query::number("after", &asked.after)?;
    let ring = state.router.log_ring();
    match asked.follow.as_str() {
        "" | "false" | "0" => {
            let page = LogPage { recent_lines: ring.most(), logs: ring.lines(after, level, limit) };
            Ok(reply::json(StatusCode::OK, &page)?)
        }
        "true" | "1" => {
            let reader = Reader { ring: ring.clone(), after, level, limit, ready: VecDeque::new() };
            let patience = Duration::from_millis(state.config.keepalive_ms);
            Ok(feed::respond(&state, &caller, reader.follow(patience))?)
        }
        other => Err(Error::invalid("follow", format!("follow must be true or false, not {other:?}")).into()),
    }
}

/// A reader that follows the log.
struct Reader {
    ring: Arc<LogRing>,
    /// The number of the last line that was read; `None`: none was.
    after: Option<u64>,
    level: LogLevel,
    /// The most lines that are read at once, of those that were there before the reader.
    limit: usize,
    ready: VecDeque<Arc<LogLine>>,
}

impl Reader {
    /// The lines as events, and a comment whenever the reader has heard nothing for that time.
    fn follow(self, patience: Duration) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, move |mut reader| async move {
            let event = match within(patience, reader.next()).await {
                Ok(line) => event(&line),
                Err(_) => Bytes::from_static(b": ping\n\n"),
            };
            Some((event, reader))
        })
    }

    async fn next(&mut self) -> Arc<LogLine> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                self.after = Some(line.number);
                return line;
            }
            // The future notes each line from here on, so that none is missed between the look and the wait.
            let grows = self.ring.grows();
            self.ready = self.ring.lines(self.after, self.level, self.limit).into();
            self.limit = usize::MAX;
            if self.ready.is_empty() {
                grows.await;
            }
        }
    }
}

fn event(line: &LogLine) -> Bytes {
    let mut out = format!("id: {}\ndata: ", line.number).into_bytes();
    out.extend(reply::written(line).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
    out.into()
}
