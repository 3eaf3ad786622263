//! Converts OpenAI's JSON, which is forwarded unchanged, between frames and bytes.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::frame::Channel;
use cortensor_router_model::Delta;

/// The bytes of a value, without a copy.
pub fn bytes(value: Box<RawValue>) -> Bytes {
    Bytes::from(String::from(Box::<str>::from(value)))
}

/// The value of JSON bytes; `None`: the bytes are not JSON.
pub fn value(bytes: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(bytes).ok()
}

/// The reasoning or the tool calls of a piece; `None`: the channel carries neither, or the data is not valid.
pub fn delta(channel: Channel, data: String) -> Option<Delta> {
    match channel {
        Channel::Reasoning => Some(Delta::default().reasoning(data)),
        Channel::Tool => Some(Delta::default().tool_calls(serde_json::from_str(&data).ok()?)),
        Channel::Content | Channel::Answer => None,
    }
}
