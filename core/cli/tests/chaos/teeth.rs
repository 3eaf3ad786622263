//! Gives the oracle records with one planted fault each. It must report the fault, and nothing in records without one.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::Event;
use super::journal::{Harm, Journal, Submit, Way};
use super::reading::{Reading, Step};

/// The number of tasks.
const TASKS: u64 = 4;

type Forge = fn(&mut Vec<Event>);

fn submit(number: u64) -> Submit {
    Submit { session: 0, key: format!("client-0-{number}"), way: Way::Polled }
}

/// The row of a task as the router lists it.
fn row(number: u64) -> Value {
    let key = submit(number).key;
    json!({
        "session_id": 0, "task_id": number, "gid": number, "prompt": key, "status": 4, "outcome": "ok",
        "text": format!("answer {number} to {key}"),
    })
}

/// A journal in which every task was acknowledged and seen to end.
fn journal() -> Journal {
    let journal = Journal::new([]);
    for number in 1..=TASKS {
        journal.submitted(&submit(number));
        journal.acknowledged(&submit(number), &row(number));
        journal.polled(&submit(number), &row(number));
    }
    journal
}

/// The harms that the journal finds in these rows.
fn harms(rows: Vec<Value>) -> Vec<Harm> {
    let journal = journal();
    let mut found: HashMap<String, Vec<Value>> = HashMap::new();
    for row in rows {
        found.entry(row["prompt"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    journal.compare(found);
    journal.harms()
}

fn rows() -> Vec<Value> {
    (1..=TASKS).map(row).collect()
}

#[test]
fn records_without_a_fault_are_not_reported() {
    assert_eq!(harms(rows()), []);
}

#[test]
fn a_forged_row_is_reported() {
    type Forge = fn(&mut Vec<Value>);
    let forgeries: [(&str, Forge, Harm); 8] = [
        ("a lost task", |rows| drop(rows.remove(1)), Harm::Lost),
        ("a task that failed", |rows| rows[1]["outcome"] = json!("failed"), Harm::Lost),
        ("a task that has not ended", |rows| rows[1]["status"] = json!(1), Harm::Lost),
        (
            "a task made twice",
            |rows| {
                let mut twin = rows[1].clone();
                (twin["task_id"], twin["gid"]) = (json!(99), json!(99));
                rows.push(twin);
            },
            Harm::Doubled,
        ),
        ("a task under another id", |rows| rows[1]["task_id"] = json!(99), Harm::Lost),
        (
            "an answer that changed",
            |rows| rows[1]["text"] = json!(format!("answer 77 to {}", submit(2).key)),
            Harm::Changed,
        ),
        ("another prompt's answer", |rows| rows[1]["text"] = rows[2]["text"].clone(), Harm::Wrong),
        ("a task of nobody", |rows| rows[1]["prompt"] = json!("nobody's"), Harm::Wrong),
    ];
    for (what, forge, harm) in forgeries {
        let mut rows = rows();
        forge(&mut rows);
        assert!(harms(rows).contains(&harm), "{what} was not reported");
    }
}

#[test]
fn forged_acknowledgements_are_reported() {
    let twice = journal();
    twice.acknowledged(&submit(1), &json!({"session_id": 0, "task_id": 50, "gid": 50}));
    let stolen = journal();
    stolen.acknowledged(&submit(TASKS + 1), &row(1));
    let elsewhere = journal();
    elsewhere.acknowledged(&submit(TASKS + 1), &json!({"session_id": 1, "task_id": 51, "gid": 51}));
    let nameless = journal();
    nameless.acknowledged(&submit(TASKS + 1), &json!({"session_id": 0}));
    for (what, journal, harm) in [
        ("a key with two tasks", twice, Harm::Doubled),
        ("an id that was given out twice", stolen, Harm::Doubled),
        ("another session", elsewhere, Harm::Wrong),
        ("no ids", nameless, Harm::Wrong),
    ] {
        assert_eq!(journal.harms(), [harm], "{what}");
    }
}

/// The events of a stream, from the first piece to the end.
fn events() -> Vec<Event> {
    let pieces = ["answer ", "7 ", "to ", "client-0-1"];
    let piece = |(id, text): (u64, &str)| {
        let data = json!({"choices": [{"text": text, "finish_reason": null}]});
        Event { id: Some(id), data: data.to_string() }
    };
    let mut events: Vec<Event> = (1..).zip(pieces).map(piece).collect();
    let end = json!({"choices": [{"text": "", "finish_reason": "stop"}], "text": pieces.concat()});
    events.push(Event { id: Some(5), data: end.to_string() });
    events
}

/// Whether the stream is read to its end without a report.
fn is_sound(events: &[Event]) -> bool {
    let mut reading = Reading::default();
    for event in events {
        match reading.take(event) {
            Step::Piece(_) => {}
            Step::Ended(_) => return true,
            Step::Later(_) | Step::Broken(_) => return false,
        }
    }
    false
}

#[test]
fn a_forged_stream_is_reported() {
    assert!(is_sound(&events()));
    let mark = Event { id: Some(9), data: json!({"restart": true}).to_string() };
    let mut again = events();
    for event in &mut again {
        event.id = event.id.map(|id| id + 9);
    }
    let restarted: Vec<Event> = events()[..2].iter().cloned().chain([mark]).chain(again.clone()).collect();
    assert!(is_sound(&restarted), "a restart mark voids what came before it");

    let forgeries: [(&str, Forge); 6] = [
        ("a gap", |events| drop(events.remove(2))),
        ("a repeated piece", |events| events.insert(2, events[1].clone())),
        ("a repeated text under a new number", |events| {
            events.iter_mut().skip(2).for_each(|event| event.id = event.id.map(|id| id + 1));
            let twin = Event { id: Some(3), ..events[1].clone() };
            events.insert(2, twin);
        }),
        ("pieces in another order", |events| events.swap(1, 2)),
        ("no end", |events| *events.last_mut().unwrap() = Event { id: None, data: "[DONE]".to_owned() }),
        ("an end without a number", |events| events.last_mut().unwrap().id = None),
    ];
    for (what, forge) in forgeries {
        let mut events = events();
        forge(&mut events);
        assert!(!is_sound(&events), "{what} was not reported");
    }
    let mixed: Vec<Event> = events()[..2].iter().cloned().chain(again).collect();
    assert!(!is_sound(&mixed), "a mix of two runs without a mark was not reported");
}
