//! Blocks whose members have other forms than those that the reader of blocks knows.
//!
//! A block that only a server of the API understands may have any members: the result of a server's tool has an object
//! where the result of a client's has a text. A content is read as usual first, and again without such members only if
//! that fails.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::chat::into_raw;

/// The kinds of blocks whose members the reader knows.
const KNOWN: [&str; 6] = ["text", "image", "document", "tool_use", "tool_result", "thinking"];

/// Messages without the members that the reader has no use for; `None`: they are no list.
pub(super) fn without_foreign(messages: &RawValue) -> Option<Box<RawValue>> {
    let mut messages: Value = serde_json::from_str(messages.get()).ok()?;
    for message in messages.as_array_mut()? {
        if let Some(content) = message.get_mut("content") {
            clean(content);
        }
    }
    into_raw(&messages).ok()
}

fn clean(content: &mut Value) {
    let Some(blocks) = content.as_array_mut() else { return };
    for block in blocks.iter_mut().filter_map(Value::as_object_mut) {
        let Some(kind) = block.get("type").and_then(Value::as_str) else { continue };
        if kind == "search_result" {
            // Its source is a text, and that of an image an object.
            block.retain(|name, _| matches!(name.as_str(), "type" | "content"));
        } else if !KNOWN.contains(&kind) {
            block.retain(|name, _| name == "type");
        }
        if let Some(within) = block.get_mut("content") {
            clean(within);
        }
        if let Some(within) = block.get_mut("source").and_then(|source| source.get_mut("content")) {
            clean(within);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_members_that_the_reader_knows_stay() {
        let text = json!({"type": "text", "text": "t", "citations": [{"x": 1}]});
        let found = json!({"type": "search_result", "source": "https://example.com", "title": "t", "content": [text]});
        let messages = json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [text, {"type": "code_execution_tool_result", "content": {"type": "x"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [found, {"type": "x", "text": 1}]},
                {"type": "document", "source": {"type": "content", "content": [{"type": "x", "y": 1}]}, "title": null},
                5,
            ]},
            7,
        ]);
        let known = without_foreign(&into_raw(&messages).unwrap()).unwrap();
        let known: Value = serde_json::from_str(known.get()).unwrap();
        let wanted = json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [text, {"type": "code_execution_tool_result"}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [
                    {"type": "search_result", "content": [text]}, {"type": "x"}]},
                {"type": "document", "source": {"type": "content", "content": [{"type": "x"}]}, "title": null},
                5,
            ]},
            7,
        ]);
        assert_eq!(known, wanted);
        assert!(without_foreign(&into_raw(&json!({"a": 1})).unwrap()).is_none());
    }
}
