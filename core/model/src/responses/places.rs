//! The places of items and parts in the output, for servers whose events leave them out.
//!
//! llama.cpp names the items of its events and numbers neither them nor their parts, without which no client can put a
//! response together.

use serde_json::{Map, Value};

use super::follow::{index_of, is_of_item, list_of};
use crate::shape::last;

/// The items of a stream whose events leave their places out.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Item>);

#[derive(Debug)]
struct Item {
    id: Value,
    /// The parts of its content and of its summary so far.
    parts: [u64; 2],
}

impl Places {
    /// An event of that type with its places, which it leaves out; `None`: the event needs no more than it has.
    pub(super) fn fill(&mut self, kind: &str, event: &str) -> Option<String> {
        let (name, change) = kind.strip_prefix("response.")?.rsplit_once('.')?;
        if !is_of_item(name) || last(event, "output_index").is_some() {
            return None;
        }
        let mut event: Map<String, Value> = serde_json::from_str(event).ok()?;
        let begins = change == "added";
        let id = event.get("item_id").or_else(|| event.get("item")?.get("id")).cloned().unwrap_or_default();
        if name == "output_item" && begins {
            self.0.push(Item { id: id.clone(), parts: [0; 2] });
        }
        let known = self.0.iter().rposition(|item| item.id == id);
        let place = known.or_else(|| self.0.len().checked_sub(1))?;
        event.insert("output_index".to_owned(), place.into());
        if let Some(list) = list_of(name) {
            let index = index_of(list);
            let parts = self.0[place].parts.get_mut(usize::from(index == "summary_index"))?;
            if name.ends_with("_part") && begins {
                *parts += 1;
            }
            event.entry(index).or_insert_with(|| parts.saturating_sub(1).into());
        }
        serde_json::to_string(&event).ok()
    }
}
