//! The part of a request that an idempotency key stands for: equal for every way of reading the answer, and stable.

use cortensor_router_model::TaskRequest;
use cortensor_router_model::internals::from_json;

use super::Target;
use super::request::{SHAPES, WORDS, written};
use crate::growth::Growth;

pub(super) const TARGET: Target =
    Target { name: "work", read, growth: Growth { fixed: 1 << 20, times: 64 }, words: WORDS, shapes: SHAPES };

fn read(data: &[u8]) {
    let Ok(request) = from_json::<TaskRequest>("body", data) else { return };
    let work = written(&request.work());
    assert_eq!(written(&request.work().work()), work, "the work of the work is another one");
    let reading = request.clone().stream(!request.stream).timeout(7.5).precommit_timeout(2.5);
    assert_eq!(written(&reading.work()), work, "the way of reading the answer is a part of the work");
    // A request that was stored and read again is the same work.
    match from_json::<TaskRequest>("body", written(&request).as_bytes()) {
        Ok(again) => assert_eq!(written(&again.kind(request.kind).work()), work, "the stored work is another one"),
        Err(error) => panic!("a request that was read cannot be stored: {error}"),
    }
    // Another prompt is another work.
    let other = format!("{} ", request.prompt.clone().unwrap_or_default());
    assert_ne!(written(&request.prompt(other).work()), work, "another prompt is the same work");
}
