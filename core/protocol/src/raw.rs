//! OpenAI's JSON on its way through: kept as the bytes that came.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::frame::Channel;
use cortensor_router_model::Delta;

/// The value's bytes, without a copy.
pub fn bytes(value: Box<RawValue>) -> Bytes {
    Bytes::from(String::from(Box::<str>::from(value)))
}

/// Bytes that are JSON, as a value; `None` where they are not.
pub fn value(bytes: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(bytes).ok()
}

/// A piece that is not text; `None` where it is not what the channel carries.
pub fn delta(channel: Channel, data: String) -> Option<Delta> {
    match channel {
        Channel::Reasoning => Some(Delta { reasoning: data, tool_calls: Vec::new() }),
        Channel::Tool => Some(Delta { reasoning: String::new(), tool_calls: serde_json::from_str(&data).ok()? }),
        Channel::Content | Channel::Answer => None,
    }
}
