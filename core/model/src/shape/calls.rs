//! The calls of tools of one choice, put together from their pieces.

use std::collections::BTreeMap;

use super::members::{last, members};
use super::node::{Node, Object};
use super::value::Json;

/// How many calls of one choice are told apart.
const MOST: usize = 1_024;

/// The calls that came so far, in the order in which they began.
///
/// The two maps find the call that a piece goes on with. A search among all calls would take longer with each call, and a
/// server may send a thousand of them in any order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// The place of the last call of each number.
    by_index: BTreeMap<String, usize>,
    /// The place of the last call of each id.
    by_id: BTreeMap<String, usize>,
}

/// A call of a tool.
#[derive(Debug, Default)]
struct Call {
    members: Object,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes a piece of a call. Servers number calls, name them, do both, or give every call the number 0: a new id *and* a
    /// name begin a call; a piece without either goes on with the last call of its number, or with the last of all.
    pub(super) fn take(&mut self, piece: Json<'_>) {
        let (mut index, mut id, mut is_named) = (None, None, false);
        let is_object = members(piece.get(), |key, value| match &*key {
            "index" if !value.is_null() => index = Some(value.get().trim_matches('"')),
            "id" if !value.is_blank() => id = Some(value.get()),
            "function" | "custom" => is_named |= last(value.get(), "name").is_some_and(|name| !name.is_blank()),
            _ => {}
        });
        if !is_object {
            return;
        }
        let known = self.known(index, id);
        let begins = |call: &Call| is_named && id.is_some() && call.id().is_some() && call.id() != id;
        let at = match known.filter(|at| !begins(&self.all[*at])) {
            Some(at) => at,
            None if self.all.len() >= MOST => return,
            None => {
                let at = self.all.len();
                if let Some(index) = index {
                    self.by_index.insert(index.to_owned(), at);
                }
                self.all.push(Call::default());
                at
            }
        };
        let call = &mut self.all[at];
        let had_id = call.id().is_some();
        call.take(piece);
        if !had_id && let Some(id) = call.id() {
            let last = self.by_id.entry(id.to_owned()).or_default();
            // A call that gets its id late may stand before another one with this id.
            *last = at.max(*last);
        }
    }

    /// The place of the call that a piece with that number and that id goes on with.
    fn known(&self, index: Option<&str>, id: Option<&str>) -> Option<usize> {
        match index {
            Some(index) => self.by_index.get(index).copied(),
            None => id.and_then(|id| self.by_id.get(id).copied()).or_else(|| self.all.len().checked_sub(1)),
        }
    }

    /// Writes the calls as a list.
    pub(super) fn write(self, out: &mut String) {
        out.push('[');
        for (place, call) in self.all.into_iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            call.members.write(out);
        }
        out.push(']');
    }
}

impl Call {
    /// Adds a piece.
    fn take(&mut self, piece: Json<'_>) {
        members(piece.get(), |key, value| match &*key {
            "index" => {}
            "id" if self.id().is_some() => {}
            "id" => {
                self.members.set("id", value);
            }
            _ => {
                self.members.add(&key, value);
            }
        });
        if self.members.get_mut("function").is_some() && self.members.get_mut("type").is_none() {
            let at = self.members.0.iter().position(|(key, _)| key == "function").unwrap_or_default();
            self.members.0.insert(at, ("type".to_owned(), Node::Whole("\"function\"".to_owned())));
        }
    }

    /// Its id as JSON.
    fn id(&self) -> Option<&str> {
        self.members.0.iter().find_map(|(key, node)| match node {
            Node::Whole(id) if key == "id" && !matches!(id.as_str(), "null" | "\"\"") => Some(id.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calls(deltas: &[impl AsRef<str>]) -> String {
        let mut calls = Calls::default();
        for delta in deltas {
            assert!(super::super::elements(&format!("[{}]", delta.as_ref()), |piece| calls.take(piece)));
        }
        let mut out = String::new();
        calls.write(&mut out);
        out
    }

    #[test]
    fn a_call_begins_with_a_new_id_and_a_name() {
        let call = |id: &str, name: &str, arguments: &str| {
            format!(r#"{{"id":"{id}","type":"function","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#)
        };
        let two = format!("[{},{}]", call("c1", "add", "1"), call("c2", "sub", "2"));
        for (deltas, wanted) in [
            // Two calls, both under the number 0.
            (
                &[
                    r#"{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c2","type":"function","function":{"name":"sub","arguments":""}}"#,
                    r#"{"index":0,"function":{"arguments":"2"}}"#,
                ][..],
                two.clone(),
            ),
            // No numbers at all.
            (
                &[
                    r#"{"id":"c1","function":{"name":"add","arguments":""}}"#,
                    r#"{"function":{"arguments":"1"}}"#,
                    r#"{"id":"c2","function":{"name":"sub","arguments":"2"}}"#,
                ],
                two.clone(),
            ),
            // Pieces in turns, numbers in any form.
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":""}}"#,
                    r#"{"index":"1","id":"c2","function":{"name":"sub","arguments":""}}"#,
                    r#"{"index":0,"id":"","function":{"arguments":"1"}}"#,
                    r#"{"index":1,"function":{"name":null,"arguments":"2"}}"#,
                ],
                two.clone(),
            ),
            (
                &[
                    r#"{"index":null,"id":"c1","function":{"name":"add","arguments":"1"}},{"index":null,"id":"c2","function":{"name":"sub","arguments":"2"}}"#,
                ],
                two,
            ),
            // The name in full again, in pieces, and a new id without a name.
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"2"}}"#,
                ],
                format!("[{}]", call("c1", "add", "12")),
            ),
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"ad"}}"#,
                    r#"{"index":0,"function":{"name":"d","arguments":"1"}}"#,
                ],
                format!("[{}]", call("c1", "add", "1")),
            ),
            (
                &[
                    r#"{"index":0,"id":"c1","function":{"name":"add","arguments":"1"}}"#,
                    r#"{"index":0,"id":"c9","function":{"arguments":"2"}}"#,
                ],
                format!("[{}]", call("c1", "add", "12")),
            ),
        ] {
            assert_eq!(calls(deltas), wanted, "{deltas:?}");
        }
    }

    /// A piece of a call: its number, its id, and whether it has a name.
    type Piece = (Option<&'static str>, Option<&'static str>, bool);

    /// Which pieces belong to each call, found by a search among all calls.
    fn searched(pieces: &[Piece]) -> Vec<Vec<usize>> {
        struct Searched {
            index: Option<String>,
            id: Option<&'static str>,
            pieces: Vec<usize>,
        }
        let mut all: Vec<Searched> = Vec::new();
        for (number, (index, id, is_named)) in pieces.iter().enumerate() {
            let index = index.filter(|index| *index != "null").map(|index| index.trim_matches('"').to_owned());
            let id = id.filter(|id| !matches!(*id, "null" | "\"\""));
            let known = match &index {
                Some(index) => all.iter().rposition(|call| call.index.as_ref() == Some(index)),
                None => all.iter().rposition(|call| id.is_some() && call.id == id).or_else(|| all.len().checked_sub(1)),
            };
            let begins = |call: &Searched| *is_named && id.is_some() && call.id.is_some() && call.id != id;
            let at = known.filter(|at| !begins(&all[*at])).unwrap_or(all.len());
            if at == all.len() {
                all.push(Searched { index, id, pieces: Vec::new() });
            }
            all[at].id = all[at].id.or(id);
            all[at].pieces.push(number);
        }
        all.into_iter().map(|call| call.pieces).collect()
    }

    proptest! {
        #[test]
        fn a_piece_finds_the_call_that_a_search_among_all_calls_finds(
            pieces in prop::collection::vec(
                (
                    prop::option::of(prop::sample::select(vec!["0", "1", "2", "\"1\"", "null"])),
                    prop::option::of(prop::sample::select(vec!["\"a\"", "\"b\"", "\"c\"", "\"\"", "null"])),
                    any::<bool>(),
                ),
                0..24,
            )
        ) {
            let json: Vec<String> = pieces.iter().enumerate().map(|(number, (index, id, is_named))| {
                let index = index.map(|index| format!("\"index\":{index},")).unwrap_or_default();
                let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
                let name = if *is_named { "\"name\":\"f\"," } else { "" };
                format!("{{{index}{id}\"function\":{{{name}\"arguments\":\"{number} \"}}}}")
            }).collect();
            let joined = calls(&json);
            let joined: Vec<serde_json::Value> = serde_json::from_str(&joined).unwrap();
            let found: Vec<Vec<usize>> = joined.iter().map(|call| {
                let arguments = call["function"]["arguments"].as_str().unwrap();
                arguments.split_whitespace().map(|number| number.parse().unwrap()).collect()
            }).collect();
            prop_assert_eq!(found, searched(&pieces));
        }
    }
}
