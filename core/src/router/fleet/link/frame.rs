//! The frames of a link, as JSON texts.

use serde::{Deserialize, Serialize};

use crate::model::Gid;

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
    /// A frame of a later version. It is ignored.
    #[serde(other)]
    Unknown,
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
        let later = r#"{"type":"loan","slot":3}"#;
        assert_eq!(serde_json::from_str::<Frame>(later).unwrap(), Frame::Unknown);
        let more = r#"{"type":"end","reading":7,"why":"new"}"#;
        assert_eq!(serde_json::from_str::<Frame>(more).unwrap(), Frame::End { reading: 7 });
    }
}
