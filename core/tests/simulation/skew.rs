//! Versions of miners that differ from the router's: what they leave out of a frame, and what they add to it.

use serde_json::{Value, json};

/// The version of a miner beside the router's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    Same,
    /// It knows none of the optional members.
    Older,
    /// It adds members, words and types of frames that the router does not know.
    Newer,
}

/// The optional members of a miner's frames. Some of them change what a frame means and stay.
const OPTIONAL: [&str; 12] = [
    "agent",
    "features",
    "finish_reason",
    "hw",
    "kind",
    "message",
    "model",
    "owner",
    "reason",
    "retryable",
    "timings",
    "usage",
];

/// A frame as a miner of that version writes it.
pub(crate) fn written(skew: Skew, frame: String) -> String {
    match skew {
        Skew::Same => frame,
        Skew::Newer => with_unknown_members(&frame),
        Skew::Older => {
            let Ok(Value::Object(mut members)) = serde_json::from_str(&frame) else { return frame };
            members.retain(|name, _| !OPTIONAL.contains(&name.as_str()));
            if members.get("ch") == Some(&json!("content")) {
                members.remove("ch");
            }
            if members.get("seen") == Some(&json!(0)) {
                members.remove("seen");
            }
            Value::Object(members).to_string()
        }
    }
}

/// The frame with members that no version has yet.
pub(crate) fn with_unknown_members(frame: &str) -> String {
    frame.replacen('{', r#"{"later":{"deep":[1,null,{"type":"done"}]},"léger":"\u0000","#, 1)
}

#[test]
fn every_version_writes_frames_that_the_router_reads() {
    use cortensor_router::internals::protocol::frame::{Done, Hello, MinerFrame, Tokens};
    let tokens = Tokens { attempt: 1, fence: 2, seq: 3, data: "text".into(), ..Tokens::default() };
    for frame in [MinerFrame::from(tokens), Done::default().into(), Hello::default().into()] {
        let text = frame.to_text();
        for skew in [Skew::Older, Skew::Newer] {
            let other = written(skew, text.clone());
            assert_ne!(other, text);
            let read = MinerFrame::parse(&other).unwrap().unwrap();
            assert_eq!(read.to_text(), text, "{other}");
        }
    }
}
