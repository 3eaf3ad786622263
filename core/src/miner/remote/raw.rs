//! OpenAI's JSON on its way through: kept as the bytes that came.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::frame::Channel;

/// The value's bytes, without a copy.
pub(crate) fn bytes(value: Box<RawValue>) -> Bytes {
    Bytes::from(String::from(Box::<str>::from(value)))
}

/// Bytes that are JSON, as a value; `None` where they are not.
pub(crate) fn value(bytes: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(bytes).ok()
}

/// OpenAI's chunk for a piece that is not text; `None` where the piece is not what the channel carries.
pub(crate) fn chunk(channel: Channel, data: &str) -> Option<Bytes> {
    let delta = match channel {
        Channel::Reasoning => serde_json::json!({ "reasoning_content": data }),
        Channel::Tool => serde_json::json!({ "tool_calls": serde_json::from_str::<serde_json::Value>(data).ok()? }),
        Channel::Content | Channel::Answer => return None,
    };
    let chunk = serde_json::json!({
        "object": "chat.completion.chunk",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": null }],
    });
    Some(Bytes::from(chunk.to_string()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
