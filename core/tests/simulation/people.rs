//! The inhabitants of a world: sessions with their rules, and miners that come, lie and go.

use std::num::NonZeroU32;
use std::sync::Arc;

use cortensor_router::internals::engine::{MinerRules, SessionRules};
use cortensor_router::model::{Gid, SessionMode};

use crate::random::Random;
use crate::skew::Skew;

/// The number of sessions in a world. Sessions from [`RESTRICTED`] on have rules that exclude some miners.
pub(crate) const SESSIONS: u64 = 7;
pub(crate) const RESTRICTED: u64 = 3;

pub(crate) fn session_rules(session: u64) -> SessionRules {
    let plain = SessionRules {
        weight: session as u32 % 3 + 1,
        affinity: true,
        open: true,
        mode: if session < 2 { SessionMode::Ephemeral } else { SessionMode::Hybrid },
        ..SessionRules::default()
    };
    match session {
        3 => SessionRules { mode: SessionMode::Ephemeral, reserve: 1, reserve_ms: 2_000, ..plain },
        4 => SessionRules { max_miners: NonZeroU32::new(1), ..plain },
        5 => SessionRules { min_miners: 2, sla: 2, ..plain },
        6 => SessionRules { mode: SessionMode::Dedicated, ..plain },
        _ => plain,
    }
}

/// The way in which a miner lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    Wrong,
    Truncated,
    Copied,
    Empty,
}

/// The proof of identity of a miner that dials in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    Token,
    /// A key of its own, which the router enrols at first.
    Key,
}

/// The identity of a miner, which stays when the miner comes back.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) dedicated: bool,
    pub(crate) continues: bool,
    pub(crate) lie: Option<Lie>,
    /// Whether the miner dials in, and with what; `None`: it is code of the host program.
    pub(crate) dials: Option<Credential>,
    pub(crate) skew: Skew,
}

impl Identity {
    /// Makes the miners of a world. Some share an owner; at most one lies.
    pub(crate) fn all(random: &mut Random) -> Vec<Self> {
        let liar = if random.chance(60) { Some(random.range(0, 7)) } else { None };
        (0..8)
            .map(|n| Self {
                name: Arc::from(format!("m{n}")),
                owner: Arc::from(if n < 5 { format!("o{}", n % 3) } else { String::new() }),
                dedicated: n % 4 == 3,
                continues: random.chance(40),
                lie: (liar == Some(n)).then(|| match random.range(0, 3) {
                    0 => Lie::Wrong,
                    1 => Lie::Truncated,
                    2 => Lie::Copied,
                    _ => Lie::Empty,
                }),
                dials: random.chance(50).then(|| match random.range(0, 3) {
                    0 => Credential::Key,
                    _ => Credential::Token,
                }),
                // An older miner cannot say that it is dedicated.
                skew: match random.range(0, 4) {
                    0 if n % 4 != 3 => Skew::Older,
                    1 => Skew::Newer,
                    _ => Skew::Same,
                },
            })
            .collect()
    }

    pub(crate) fn rules(&self, capacity: u32, auto_accept: bool) -> MinerRules {
        MinerRules {
            identity: self.name.clone(),
            owner: self.owner.clone(),
            dedicated: self.dedicated,
            continues: self.continues,
            capacity,
            weight: 1,
            auto_accept,
            ..MinerRules::default()
        }
    }

    /// The miner's answer to a task: the rest of the right answer after `said` pieces, or a lie.
    pub(crate) fn says(&self, gid: Gid, said: usize) -> Vec<String> {
        let right = right_answer(gid);
        match self.lie {
            None => right.into_iter().skip(said).collect(),
            Some(Lie::Wrong) => vec![format!("{gid}:wrong ")],
            Some(Lie::Truncated) => {
                right.into_iter().skip(said).rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect()
            }
            Some(Lie::Copied) => vec![format!("{}:0 ", gid.0 + 1_000)],
            Some(Lie::Empty) => Vec::new(),
        }
    }
}

/// The pieces with which every honest miner answers that task.
pub(crate) fn right_answer(gid: Gid) -> Vec<String> {
    let count = gid.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..count % 5 + 2).map(|n| format!("{gid}:{n} ")).collect()
}
