//! The frames of a link, as JSON texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::{Need, Skills, Want};
use crate::model::{Gid, MinerInfo, SessionId, SessionMode};

/// A frame. The number `reading` is chosen by the side that reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Frame {
    /// A sign of life, once a second, with the present figures.
    Pulse(Pulse),
    /// The sender has changed something in the database.
    Changed,
    /// The sender wants to read a task of the receiver.
    Attach {
        reading: u64,
        gid: Gid,
        /// The number before the first piece of the text that the reader has; `None`: it has none.
        base: Option<u64>,
        /// The number of the last piece that it has.
        after: u64,
    },
    /// The sender reads no further.
    Detach { reading: u64 },
    /// The reader has read so many bytes more.
    Read { reading: u64, bytes: usize },
    /// The sender does not have the task, or lets nobody read it: the reader must look into the database.
    Absent { reading: u64 },
    /// The text begins, or begins again, after the piece or mark with this number.
    Text {
        reading: u64,
        base: u64,
        /// The number of the last piece that follows at once.
        last: u64,
    },
    /// A piece of the text, or a part of one.
    Piece {
        reading: u64,
        seq: u64,
        text: String,
        /// The upstream's own chunk, with the last part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<String>,
        /// Whether a further part of this piece follows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// The task has ended well, its text has come whole, and its end is in the database.
    End { reading: u64 },
    /// The sender lends and borrows slots over this link. These attempts of the receiver run at the sender's miners.
    Begin {
        /// The number, the fence and the last piece of each.
        held: Vec<[u64; 3]>,
        /// The greatest size of a frame that the sender reads.
        max_frame: usize,
    },
    /// The miners of the sender that may be borrowed, or those of them that have changed.
    Roster {
        /// Whether all others are gone.
        whole: bool,
        miners: Vec<RosterMiner>,
        #[serde(default)]
        gone: BTreeSet<u32>,
    },
    /// The smallest tags that wait at the sender, or that it served last, by bands.
    Tags { tags: Vec<(u8, u64)> },
    /// The first tasks of the sender that wait and have these needs. They replace those of an earlier frame.
    Want {
        #[serde(flatten)]
        need: WireNeed,
        tasks: Vec<WireWant>,
    },
    /// A free slot of the sender's miner is the receiver's, for one attempt.
    Loan {
        slot: u64,
        miner: u32,
        /// The task for which the receiver asked.
        gid: Gid,
        /// The session for which the miner is kept: the slot is for its tasks alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<SessionId>,
    },
    /// The sender uses the slot for the attempt with this fence, whose offer follows.
    Use {
        slot: u64,
        fence: u64,
        /// The task, if the receiver may go on with it should the sender die.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heir: Option<WireHeir>,
        /// Whether the offer has its request as it is.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
    },
    /// The sender does not use the slot.
    Return { slot: u64 },
    /// A frame of a later version. It is ignored.
    #[serde(other)]
    Unknown,
}

/// A task with which the router of its miner may go on should its owner die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireHeir {
    pub(super) gid: Gid,
    /// The number before the first piece of its text.
    pub(super) base: u64,
}

/// A miner that other routers may borrow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RosterMiner {
    /// Its number at the sender.
    pub(super) index: u32,
    pub(super) identity: String,
    #[serde(default)]
    pub(super) weight: u32,
    pub(super) info: MinerInfo,
    /// Whether it takes requests as they are, if it is a miner that can do that.
    #[serde(default)]
    pub(super) passes: bool,
}

/// The needs of a lane, in words of the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WireNeed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Arc<str>>,
    #[serde(default)]
    any_model: bool,
    #[serde(default)]
    embedding: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    skills: u8,
    #[serde(default)]
    mode: SessionMode,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl From<&Need> for WireNeed {
    fn from(need: &Need) -> Self {
        let Need { model, any_model, embedding, skills, mode } = need.clone();
        Self { model, any_model, embedding, skills: skills.bits(), mode }
    }
}

impl From<WireNeed> for Need {
    fn from(wire: WireNeed) -> Self {
        let WireNeed { model, any_model, embedding, skills, mode } = wire;
        Self { model, any_model, embedding, skills: Skills::of_bits(skills), mode }
    }
}

/// A task that waits, in words of the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WireWant {
    gid: Gid,
    band: u8,
    tag: u64,
    session: SessionId,
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    max_tokens: u64,
    #[serde(default)]
    prefix: Box<[u64]>,
    #[serde(default)]
    continues: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    races: bool,
    #[serde(default)]
    apart: Vec<(Arc<str>, Arc<str>)>,
}

impl From<&Want> for WireWant {
    fn from(want: &Want) -> Self {
        let Want { gid, band, tag, session, prompt_tokens, max_tokens, prefix, continues, races, apart, .. } =
            want.clone();
        Self { gid, band, tag, session, prompt_tokens, max_tokens, prefix, continues, races, apart }
    }
}

impl From<WireWant> for Want {
    fn from(wire: WireWant) -> Self {
        let WireWant { gid, band, tag, session, prompt_tokens, max_tokens, prefix, continues, races, apart } = wire;
        let hosts = Vec::new();
        Self { gid, band, tag, session, prompt_tokens, max_tokens, prefix, continues, races, apart, hosts }
    }
}

/// The present figures of a router, as it tells them the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::router) struct Pulse {
    /// Microseconds since the link came up, by the sender's clock.
    pub(super) at: u64,
    /// The `at` of the receiver's last pulse, if there was one, and the microseconds since it came.
    pub(super) echo: Option<(u64, u64)>,
    /// Miners that are there.
    pub(in crate::router) miners: u64,
    /// Tasks that wait for a miner.
    pub(in crate::router) queued: u64,
    /// Tasks that a miner works on.
    pub(in crate::router) running: u64,
    /// Tasks that its miners could begin at once.
    pub(super) free: u64,
    /// The sender's epoch.
    pub(super) epoch: u64,
    /// Microseconds that a frame of the sender takes to the receiver and back; `None`: not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::router) round_trip: Option<u64>,
}

impl Frame {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_as_they_were_written_and_those_of_later_versions_are_ignored() {
        let piece =
            Frame::Piece {
                reading: 3, seq: (1 << 33) + 1, text: "ä\u{0}".into(), raw: Some("{}".into()), more: false
            };
        let pulse = Frame::Pulse(Pulse { at: 5, echo: Some((1, 2)), miners: 3, ..Pulse::default() });
        let attach = Frame::Attach { reading: 1, gid: Gid(9), base: None, after: 0 };
        for frame in [piece, pulse, attach, Frame::Changed, Frame::End { reading: 7 }] {
            assert_eq!(serde_json::from_str::<Frame>(&frame.to_text()).unwrap(), frame);
        }
        let later = r#"{"type":"gift","slot":3}"#;
        assert_eq!(serde_json::from_str::<Frame>(later).unwrap(), Frame::Unknown);
        let more = r#"{"type":"end","reading":7,"why":"new"}"#;
        assert_eq!(serde_json::from_str::<Frame>(more).unwrap(), Frame::End { reading: 7 });
    }
}
