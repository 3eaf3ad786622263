//! Writes spans as the JSON of OTLP: the Protocol Buffers' JSON mapping, with ids in hexadecimal digits.

use bytes::Bytes;
use cortensor_router::internals::{Span, SpanKind, SpanValue};
use serde_json::{Map, Value, json};

/// The body of an export.
pub(super) fn body(service: &str, spans: &[Span]) -> Bytes {
    let resource = json!({ "attributes": [
        attribute("service.name", &SpanValue::Text(service.to_owned())),
        attribute("service.version", &SpanValue::Text(cortensor_router::VERSION.to_owned())),
    ]});
    let scope = json!({ "name": "cortensor-router", "version": cortensor_router::VERSION });
    let spans: Vec<Value> = spans.iter().map(span).collect();
    let scopes = json!([{ "scope": scope, "spans": spans }]);
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": scopes }] }).to_string().into()
}

/// The number of spans that a collector has refused, from its answer to an export.
pub(super) fn refused(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    // The mapping writes numbers of 64 bits as texts.
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0)
}

fn span(span: &Span) -> Value {
    // The lowest bits are the trace flags; bits 8 and 9 say whether the parent is known to be remote.
    let is_remote = span.kind == SpanKind::Server && span.parent.is_some();
    let mut out = Map::new();
    out.insert("traceId".to_owned(), format!("{:032x}", span.trace_id).into());
    out.insert("spanId".to_owned(), format!("{:016x}", span.id).into());
    if let Some(parent) = span.parent {
        out.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    if let Some(state) = &span.state {
        out.insert("traceState".to_owned(), (**state).into());
    }
    out.insert("flags".to_owned(), (if is_remote { 0x301 } else { 0x101 }).into());
    out.insert("name".to_owned(), span.name.as_str().into());
    out.insert("kind".to_owned(), (span.kind as u8).into());
    out.insert("startTimeUnixNano".to_owned(), nanos(span.start.0));
    out.insert("endTimeUnixNano".to_owned(), nanos(span.end.0));
    out.insert("attributes".to_owned(), span.attributes.iter().map(|(name, value)| attribute(name, value)).collect());
    if span.failed {
        out.insert("status".to_owned(), json!({ "code": 2 }));
    }
    Value::Object(out)
}

fn nanos(millis: u64) -> Value {
    millis.saturating_mul(1_000_000).to_string().into()
}

fn attribute(name: &str, value: &SpanValue) -> Value {
    let text = |text: &str| json!({ "stringValue": text });
    let value = match value {
        SpanValue::Text(value) => text(value),
        SpanValue::Texts(values) => {
            let values: Vec<Value> = values.iter().map(|value| text(value)).collect();
            json!({ "arrayValue": { "values": values } })
        }
        SpanValue::Count(number) => json!({ "intValue": number.to_string() }),
        SpanValue::Number(number) => json!({ "doubleValue": number }),
        SpanValue::Flag(value) => json!({ "boolValue": value }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_tells_its_refused_spans() {
        assert_eq!(refused(br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#), 3);
        assert_eq!(refused(br#"{"partialSuccess":{"rejectedSpans":2}}"#), 2);
        for nothing in [&b"{}"[..], b"", br#"{"partialSuccess":{}}"#] {
            assert_eq!(refused(nothing), 0);
        }
    }
}
