//! The frames between routers that are about loans, with their sizes as JSON texts.

use cortensor_router_engine::{MinerKey, Need, Want};
use cortensor_router_model::{Fence, Gid};

/// A frame.
#[derive(Debug)]
pub(crate) enum Word {
    /// The first tasks of the sender that wait.
    Want(Need, Vec<Want>),
    /// The free slots of the sender's miners, once a second.
    Pulse(u64),
    /// The tags that the sender serves, once a second.
    Tags(Vec<(u8, u64)>),
    /// A slot for one attempt, and the task for which it was asked.
    Loan(Fence, MinerKey, Gid),
    /// The slot is not used.
    Return(Fence),
    /// The slot is used for that attempt.
    Use(Fence, Fence),
    /// The attempt has ended.
    Done(Fence),
}

/// The names of the kinds, in the order of [`Word::kind`].
pub(crate) const KINDS: [&str; 7] = ["want", "pulse", "tags", "loan", "return", "use", "done"];

impl Word {
    /// The number of the kind.
    pub(crate) fn kind(&self) -> usize {
        match self {
            Self::Want(..) => 0,
            Self::Pulse(_) => 1,
            Self::Tags(_) => 2,
            Self::Loan(..) => 3,
            Self::Return(_) => 4,
            Self::Use(..) => 5,
            Self::Done(_) => 6,
        }
    }

    /// The bytes of the frame.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Want(_, wants) => {
                let head = r#"{"type":"want","any_model":false,"embedding":false,"mode":"any","tasks":[]}"#;
                head.len() + wants.iter().map(want_bytes).sum::<usize>()
            }
            Self::Pulse(free) => format!(
                r#"{{"type":"pulse","at":123456789,"echo":[123456789,1234],"miners":100,"queued":10,"running":100,"free":{free}}}"#
            )
            .len(),
            Self::Tags(tags) => r#"{"type":"tags","tags":[]}"#.len() + tags.iter().map(|tag| format!("{tag:?},").len()).sum::<usize>(),
            Self::Loan(slot, miner, gid) => {
                format!(r#"{{"type":"loan","slot":{},"miner":{},"gid":{}}}"#, slot.0, miner.0, gid.0).len()
            }
            Self::Return(slot) => format!(r#"{{"type":"return","slot":{}}}"#, slot.0).len(),
            Self::Use(slot, fence) => format!(r#"{{"type":"use","slot":{},"fence":{}}}"#, slot.0, fence.0).len(),
            Self::Done(fence) => {
                // The frame has the hash of the answer.
                format!(r#"{{"type":"done","fence":{},"sha256":""}}"#, fence.0).len() + 64
            }
        }
    }
}

fn want_bytes(want: &Want) -> usize {
    format!(
        r#"{{"gid":{},"band":{},"tag":{},"session":{},"prompt_tokens":{},"max_tokens":{},"prefix":{:?},"continues":false,"apart":[]}},"#,
        want.gid.0, want.band, want.tag, want.session.0, want.prompt_tokens, want.max_tokens, want.prefix
    )
    .len()
}
