//! The tools of a request that only the host of an API runs.

use crate::{Error, Result};

/// The tools that the model is not offered, because no miner runs them and the client would not see their calls.
///
/// Agents offer such tools beside their own by default, so a request is served without them. A request that offers
/// nothing else is refused.
#[derive(Debug, Default)]
pub struct LeftOut {
    kinds: Vec<String>,
    refusal: Option<Error>,
}

impl LeftOut {
    /// Leaves out a tool of that type, whose type stands at that place of the request.
    pub fn add(&mut self, at: &str, kind: &str) {
        if self.refusal.is_none() {
            self.refusal = Some(not_run(at, kind));
        }
        if !self.kinds.iter().any(|known| known == kind) {
            self.kinds.push(kind.to_owned());
        }
    }

    /// The types of the tools that were left out.
    ///
    /// # Errors
    /// `InvalidArgument` names the first of them, if no other tool is left.
    pub fn beside(self, others: bool) -> Result<Vec<String>> {
        match self.refusal {
            Some(refusal) if !others => Err(refusal),
            _ => Ok(self.kinds),
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
