//! The parts of a request that no chat can stand for.

use crate::Error;

/// The tools that the model is not offered, because no miner runs them and the client would not see their calls; and
/// the first part without which the request would be another one.
///
/// Agents offer such tools beside their own by default, so a request is served without them. A request that offers
/// nothing else, or that has parts which only a server of its own API understands, needs such a server.
#[derive(Debug, Default)]
pub struct LeftOut {
    kinds: Vec<String>,
    /// Why nobody serves a request that offers no other tool.
    alone: Option<Error>,
    /// Why nobody but a server of the API serves the request.
    own: Option<Error>,
}

/// The most types that are told. An agent offers a handful; a request could name hundreds of thousands.
const MOST: usize = 32;

impl LeftOut {
    /// Leaves out a tool of that type, whose type stands at that place of the request.
    pub fn add(&mut self, at: &str, kind: &str) {
        if self.alone.is_none() {
            self.alone = Some(not_run(at, kind));
        }
        if self.kinds.len() < MOST && !self.kinds.iter().any(|known| known == kind) {
            self.kinds.push(kind.to_owned());
        }
    }

    /// Whether a tool is left out.
    pub fn has_tools(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Leaves out a part without which the request would be another one. Miners behind chats answer it with this error.
    pub fn need(&mut self, why: Error) {
        self.own.get_or_insert(why);
    }

    /// The types of the tools that the chat does not say, and the reason why no chat can stand for the request, which
    /// then needs a server of its own API. `others`: other tools are left.
    pub fn split(self, others: bool) -> (Vec<String>, Option<Error>) {
        // The tools come first: a choice of one of them is at fault because of them.
        match self.alone.filter(|_| !others).or(self.own) {
            None => (self.kinds, None),
            why => (Vec::new(), why),
        }
    }
}

/// Whether a type of tools begins with one of these names. The date of a version may follow the name.
pub fn is_hosted(kind: &str, names: &[&str]) -> bool {
    kind.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && names.iter().any(|name| kind.starts_with(name))
}

/// The error for a tool that no miner runs.
pub fn not_run(at: &str, kind: &str) -> Error {
    Error::invalid(at, format!("{at} {kind:?}: no miner here runs this tool: define it as a function of your own"))
}
