//! Queries of lists: a page lies within its list, and has at most the rows that were asked for.

use cortensor_router_model::PageStart;
use cortensor_router_model::internals::{page_rows, page_start, wanted_sessions, wanted_tasks};
use cortensor_router_model::whole::digits;

use super::Target;
use super::request::told;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "query",
    read,
    growth: Growth { fixed: 64 << 10, times: 16 },
    words: &["limit=", "&offset=", "&order=desc", "&state=ended", "&total=", "active", "18446744073709551615", "asc"],
    shapes: &[
        Shape { name: "many members", make: |n| "limit=1&".repeat(n) },
        Shape { name: "a long word", make: |n| format!("state={}", "a".repeat(n * 8)) },
        Shape { name: "a long number", make: |n| format!("limit={}", "9".repeat(n * 8)) },
    ],
};

/// The most rows of a page in this target.
const MOST: u64 = 1_000;

fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut limit, mut offset, mut total, mut order, mut state) = (None, None, 0, None, None);
    for (name, value) in text.split('&').filter_map(|member| member.split_once('=')) {
        let number = || match digits(name, value) {
            Ok(number) => Some(number),
            Err(error) => {
                told(&error, data);
                None
            }
        };
        match name {
            "limit" => limit = number(),
            "offset" => offset = number(),
            "total" => total = number().unwrap_or_default(),
            "order" => order = Some(value),
            "state" => state = Some(value),
            _ => {}
        }
    }
    for error in [wanted_tasks(state).err(), wanted_sessions(state).err()].into_iter().flatten() {
        told(&error, data);
    }
    let (Ok(rows), Ok((start, newest_first))) = (page_rows(limit, MOST), page_start(offset, order)) else {
        assert!(limit == Some(0) || order.is_some(), "a page that nobody can mean was refused: {text}");
        return;
    };
    assert!((1..=MOST).contains(&rows));
    assert_eq!(newest_first, order == Some("desc"));
    let page = start.rows(rows, total);
    assert!(page.start <= page.end && page.end <= total && page.end - page.start <= rows, "{page:?} of {total}");
    // The page after this one begins where this one ends.
    let next = match start {
        PageStart::Oldest(skipped) => PageStart::Oldest(skipped.saturating_add(rows)),
        PageStart::Newest(skipped) => PageStart::Newest(skipped.saturating_add(rows)),
    };
    let next = next.rows(rows, total);
    let meets = match start {
        PageStart::Oldest(_) => next.start == page.end,
        PageStart::Newest(_) => next.end == page.start,
    };
    assert!(meets, "after {page:?} comes {next:?} of {total}");
}
