//! The spans of a task for OpenTelemetry. They are made once, at the end of the task, from the times that the task has
//! anyway. No span has any text of a prompt or of an answer.

use std::sync::Arc;

use super::live::{Live, LiveState};
#[cfg(feature = "listener")]
use super::shared::Router;
use super::shared::Shared;
use super::slot::MinerSlot;
use crate::Error;
use crate::model::{Fence, MinerKind, Outcome, RequestKind, Timestamp};
use crate::task::{Recorded, TraceContext};

/// The kind of a span, with its number in OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work within the router.
    Internal = 1,
    /// The answer to a request.
    Server = 2,
    /// A call of another process.
    Client = 3,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A truth value.
    Flag(bool),
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace of the span.
    pub trace_id: u128,
    /// The id of the span.
    pub id: u64,
    /// The span above this one.
    pub parent: Option<u64>,
    /// The caller's `tracestate`.
    pub state: Option<Arc<str>>,
    /// The kind.
    pub kind: SpanKind,
    /// The name.
    pub name: String,
    /// The start.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
    /// Whether the span counts as failed.
    pub failed: bool,
    /// The attributes, under the names of OpenTelemetry's conventions or names that begin with `cortensor.`.
    pub attributes: Vec<(&'static str, SpanValue)>,
}

/// The receiver of spans. It must never block.
pub trait SpanSink: Send + Sync + 'static {
    /// Takes spans.
    fn take(&self, spans: Vec<Span>);
    /// The number of spans that a collector has taken.
    fn sent(&self) -> u64;
    /// The number of spans that were lost.
    fn dropped(&self) -> u64;
}

/// An attempt, as its span shows it.
pub(super) struct Tried {
    fence: Fence,
    miner: Arc<str>,
    kind: MinerKind,
    model: Option<String>,
    begun: Timestamp,
    ended: Option<(Timestamp, Option<&'static str>)>,
}

/// The parts of an attempt that have spans of their own.
#[derive(Clone, Copy)]
enum Part {
    Queue = 1,
    Attempt = 2,
    Call = 3,
}

impl Tried {
    pub(super) fn new(fence: Fence, slot: &MinerSlot, asked: Option<&str>, begun: Timestamp) -> Self {
        let model = slot.model_for(asked).map(str::to_owned);
        Self { fence, miner: slot.name.clone(), kind: slot.spec.kind, model, begun, ended: None }
    }
}

impl LiveState {
    /// Notes the end of an attempt; `error` names its failure. Only the first end counts.
    pub(super) fn tried(&mut self, fence: Fence, at: Timestamp, error: Option<&'static str>) {
        if let Some(tried) = self.tried_by.iter_mut().find(|tried| tried.fence == fence) {
            tried.ended.get_or_insert((at, error));
        }
    }
}

/// The `traceparent` for the miner that gets this attempt.
pub(super) fn parent_for(trace: &TraceContext, fence: Fence) -> Arc<str> {
    match trace.recorded() {
        Some(recorded) => recorded.parent_text(id_of(recorded, fence, Part::Call)).into(),
        None => trace.parent().clone(),
    }
}

/// The id of a span below the root. It follows from the root's random id, so that nothing needs to be kept for it.
fn id_of(recorded: &Recorded, fence: Fence, part: Part) -> u64 {
    // The finalizer of SplitMix64 maps different numbers to different ones.
    let mut id = recorded.root.wrapping_add((fence.0 << 2 | part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (id ^ id >> 31).max(1)
}

fn text(text: impl Into<String>) -> SpanValue {
    SpanValue::Text(text.into())
}

/// The operation, in the words of the conventions for generative AI.
fn operation(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Chat => "chat",
        RequestKind::Completion => "text_completion",
        RequestKind::Embedding => "embeddings",
        RequestKind::Rerank => "rerank",
        RequestKind::Transcription => "transcription",
        RequestKind::Speech => "speech",
        RequestKind::Image => "image_generation",
        RequestKind::Moderation => "moderation",
        RequestKind::Compaction => "compaction",
    }
}

impl Shared {
    /// The trace of a task that comes in by this route. Without an export it is the caller's own, or none.
    pub(super) fn traced(
        &self,
        caller: Option<Arc<TraceContext>>,
        route: Option<&'static str>,
    ) -> Option<Arc<TraceContext>> {
        match &self.spans {
            Some(_) => TraceContext::begun(caller, self.settings.now().otel.sample_ratio, route),
            None => caller,
        }
    }

    /// The spans of a task that has ended.
    pub(super) fn spans_of(&self, live: &Live, state: &LiveState, outcome: Outcome) -> Option<Vec<Span>> {
        self.spans.as_ref()?;
        let spec = &live.spec;
        let trace = spec.trace.as_ref()?;
        let recorded = trace.recorded()?;
        let (start, end) = (spec.created_at, state.ended_at.unwrap_or(spec.created_at));
        let (request, operation) = (&spec.request, operation(spec.request.kind));
        let asked = request.model.as_deref().or(spec.model.as_deref());
        let error = match &state.end {
            Some(Err(error)) => Some(error),
            _ => state.error.as_ref(),
        };
        let mut root = root(trace, recorded, error, (start, end));
        if recorded.route.is_none() {
            root.name = named(operation, asked);
        }
        root.attributes.push(("gen_ai.operation.name", text(operation)));
        root.attributes.extend(asked.map(|model| ("gen_ai.request.model", text(model))));
        root.attributes.extend([
            ("cortensor.session.id", SpanValue::Count(spec.session_id.0)),
            ("cortensor.task.id", SpanValue::Count(spec.id.0)),
            ("cortensor.task.gid", SpanValue::Count(spec.gid.0)),
            ("cortensor.task.outcome", text(outcome.as_str())),
        ]);
        let below = |id, parent, kind, name: &str, (start, end)| Span {
            trace_id: recorded.trace_id,
            id,
            parent: Some(parent),
            state: trace.state().cloned(),
            kind,
            name: name.to_owned(),
            start,
            end,
            failed: false,
            attributes: Vec::new(),
        };
        let mut spans = Vec::with_capacity(2 + 2 * state.tried_by.len());
        let waited = (start, state.started_at.unwrap_or(end));
        let queue = id_of(recorded, Fence(0), Part::Queue);
        spans.push(below(queue, recorded.root, SpanKind::Internal, "queue", waited));
        for tried in &state.tried_by {
            // An attempt without an end of its own was given up when the task ended.
            let (ended, error) = tried.ended.unwrap_or((end, Some("cancelled")));
            let times = (tried.begun, ended.max(tried.begun));
            let id = id_of(recorded, tried.fence, Part::Attempt);
            let mut attempt = below(id, recorded.root, SpanKind::Internal, "attempt", times);
            attempt.failed = error.is_some();
            attempt.attributes = vec![
                ("cortensor.miner.name", text(&*tried.miner)),
                ("cortensor.miner.kind", text(tried.kind.as_str())),
                ("cortensor.attempt.fence", SpanValue::Count(tried.fence.0)),
            ];
            attempt.attributes.extend(error.map(|error| ("error.type", text(error))));
            // Miners of the host program run in this process.
            let (kind, provider) = match tried.kind {
                MinerKind::Upstream => (SpanKind::Client, "openai"),
                MinerKind::Remote => (SpanKind::Client, "cortensor"),
                MinerKind::Local => (SpanKind::Internal, "cortensor"),
            };
            let model = tried.model.as_deref().or(asked);
            let call = id_of(recorded, tried.fence, Part::Call);
            let mut call = below(call, id, kind, &named(operation, model), times);
            call.failed = error.is_some();
            let attributes = &mut call.attributes;
            attributes.extend([
                ("gen_ai.operation.name", text(operation)),
                // The router knows the protocol of an upstream and not who runs it.
                ("gen_ai.provider.name", text(provider)),
            ]);
            attributes.extend(model.map(|model| ("gen_ai.request.model", text(model))));
            attributes.extend(request.token_limit().map(|most| ("gen_ai.request.max_tokens", SpanValue::Count(most))));
            if request.stream {
                attributes.push(("gen_ai.request.stream", SpanValue::Flag(true)));
            }
            if let Some(given) = state.answers.iter().find(|given| given.fence == tried.fence) {
                let answer = &given.answer;
                attributes.extend(answer.model.as_deref().map(|model| ("gen_ai.response.model", text(model))));
                attributes.extend([
                    ("gen_ai.usage.input_tokens", SpanValue::Count(answer.usage.prompt_tokens)),
                    ("gen_ai.usage.output_tokens", SpanValue::Count(answer.usage.completion_tokens)),
                    (
                        "gen_ai.response.finish_reasons",
                        SpanValue::Texts(vec![answer.finish_reason.as_str().to_owned()]),
                    ),
                ]);
            }
            if request.stream
                && state.primary == Some(tried.fence)
                && let Some(first) = state.first_token_at
            {
                let seconds = first.since(tried.begun) as f64 / 1_000.0;
                attributes.push(("gen_ai.response.time_to_first_chunk", SpanValue::Number(seconds)));
            }
            attributes.extend(error.map(|error| ("error.type", text(error))));
            spans.extend([attempt, call]);
        }
        spans.push(root);
        Some(spans)
    }
}

/// The name of a call of a model.
fn named(operation: &str, model: Option<&str>) -> String {
    model.map_or_else(|| operation.to_owned(), |model| format!("{operation} {model}"))
}

/// The span of the request itself.
fn root(
    trace: &TraceContext,
    recorded: &Recorded,
    error: Option<&Error>,
    (start, end): (Timestamp, Timestamp),
) -> Span {
    let status = error.map(|error| u64::from(error.kind().row().http_status));
    let mut attributes = Vec::with_capacity(10);
    if let Some(route) = recorded.route {
        attributes.extend([("http.request.method", text("POST")), ("http.route", text(route))]);
        attributes.extend(status.map(|status| ("http.response.status_code", SpanValue::Count(status))));
    }
    attributes.extend(error.map(|error| ("error.type", text(error.code()))));
    Span {
        trace_id: recorded.trace_id,
        id: recorded.root,
        parent: recorded.remote,
        state: trace.state().cloned(),
        kind: if recorded.route.is_some() { SpanKind::Server } else { SpanKind::Internal },
        name: recorded.route.map_or_else(String::new, |route| format!("POST {route}")),
        start,
        end,
        // A server does not fail by refusing a wrong request.
        failed: status.is_some_and(|status| recorded.route.is_none() || status >= 500),
        attributes,
    }
}

#[cfg(feature = "listener")]
impl Router {
    /// Records a request that was refused before it became a task. Its span has no length.
    pub(crate) fn refused_at(
        &self,
        route: &'static str,
        error: &Error,
        caller: impl FnOnce() -> Option<Arc<TraceContext>>,
    ) {
        let Some(sink) = &self.shared.spans else { return };
        let Some(trace) = self.shared.traced(caller(), Some(route)) else { return };
        if let Some(recorded) = trace.recorded() {
            let now = self.shared.clock.now();
            sink.take(vec![root(&trace, recorded, Some(error), (now, now))]);
        }
    }
}
