//! Frames of the miner protocol, in both directions: what was read and is written reads the same.

use cortensor_router_protocol::frame::{BadFrame, MinerFrame, RouterFrame, Word};
use cortensor_router_protocol::raw;

use super::{Target, stable};
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "frame",
    read,
    growth: Growth { fixed: 1 << 20, times: 64 },
    words: &[
        "{\"type\":\"tokens\",\"attempt\":1,\"fence\":2,\"seq\":3,\"off\":4,\"data\":\"a\"}",
        "\"type\":\"done\"",
        "\"ch\":\"tool\"",
        "\"raw\":{\"choices\":[]}",
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}",
        "\"inflight\":[{\"attempt\":1,\"fence\":2}]",
        "\"free\":{\"*\":1}",
        "\"class\":\"overloaded\"",
        "\"sha256\":\"\"",
        "\"data\":\"[{\\\"index\\\":0}]\"",
    ],
    shapes: &[
        Shape { name: "many unknown members", make: |n| frame("bye", &list(n, |at| format!("\"m{at}\":[1]"))) },
        Shape {
            name: "many attempts",
            make: |n| {
                let held = list(n, |at| format!("{{\"attempt\":{at},\"fence\":{at}}}"));
                frame("ping", &format!("\"inflight\":[{held}]"))
            },
        },
        Shape {
            name: "many models",
            make: |n| frame("credit", &format!("\"gen\":1,\"free\":{{{}}}", list(n, |at| format!("\"m{at}\":1")))),
        },
        Shape {
            name: "one unknown member again and again",
            make: |n| frame("bye", &list(n, |_| "\"m\":[1]".to_owned())),
        },
        Shape {
            name: "many models of a hello",
            make: |n| {
                let models = list(n, |at| format!("{{\"id\":\"m{at}\"}}"));
                let members = "\"v\":1,\"miner_id\":\"m\",\"auth\":{\"token\":\"t\"},\"max_concurrency\":1";
                frame("hello", &format!("{members},\"kind\":\"ephemeral\",\"models\":[{models}]"))
            },
        },
        Shape { name: "a long piece", make: |n| tokens(&format!("\"data\":\"{}\"", "a\\n".repeat(n))) },
        Shape {
            name: "many tool calls",
            make: |n| {
                let call = "{\\\"index\\\":0,\\\"function\\\":{\\\"arguments\\\":\\\"a\\\"}}";
                tokens(&format!("\"ch\":\"tool\",\"data\":\"[{}]\"", list(n, |_| call.to_owned())))
            },
        },
        Shape {
            name: "many numbered tool calls",
            make: |n| {
                let call = |at| format!("{{\\\"index\\\":{at},\\\"function\\\":{{\\\"arguments\\\":\\\"a\\\"}}}}");
                tokens(&format!("\"ch\":\"tool\",\"data\":\"[{}]\"", list(n, call)))
            },
        },
        Shape {
            name: "many choices",
            make: |n| {
                let choices = list(n, |at| format!("{{\"index\":{at},\"delta\":{{\"content\":\"a\"}}}}"));
                tokens(&format!("\"data\":\"a\",\"raw\":{{\"choices\":[{choices}]}}"))
            },
        },
        Shape {
            name: "deep JSON",
            make: |n| tokens(&format!("\"data\":\"\",\"raw\":{}{}", "[".repeat(n), "]".repeat(n))),
        },
        Shape { name: "a broken end", make: |n| format!("{{\"type\":\"bye\",\"a\":[{}", "1,".repeat(n)) },
    ],
};

fn frame(kind: &str, members: &str) -> String {
    format!("{{\"type\":\"{kind}\",{members}}}")
}

fn tokens(members: &str) -> String {
    frame("tokens", &format!("\"attempt\":1,\"fence\":2,\"seq\":1,\"off\":0,{members}"))
}

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(",")
}

/// A frame that was read, whose type must be known.
fn known<F>(read: Result<Option<F>, BadFrame>) -> Result<F, String> {
    read.map_err(|bad| bad.to_string())?.ok_or_else(|| "its type is unknown".to_owned())
}

fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match MinerFrame::parse(&text) {
        Ok(Some(frame)) => {
            let again = stable(&frame, MinerFrame::to_text, |text| known(MinerFrame::parse(text)));
            assert_eq!(again.kind(), frame.kind());
            if let MinerFrame::Tokens(tokens) = frame {
                let length = tokens.raw.as_ref().map(|raw| raw.get().len());
                assert_eq!(tokens.raw.map(|json| raw::bytes(json).len()), length);
                if let Word::Known(channel) = tokens.ch {
                    let _ = raw::delta(channel, tokens.data);
                }
            }
        }
        Ok(None) => {}
        Err(bad) => assert!(bad.to_string().len() <= 2 * text.len() + 512, "a long error: {bad}"),
    }
    match RouterFrame::parse(&text) {
        Ok(Some(frame)) => {
            let again = stable(&frame, RouterFrame::to_text, |text| known(RouterFrame::parse(text)));
            assert_eq!(again.kind(), frame.kind());
        }
        Ok(None) => {}
        Err(bad) => assert!(bad.to_string().len() <= 2 * text.len() + 512, "a long error: {bad}"),
    }
}
