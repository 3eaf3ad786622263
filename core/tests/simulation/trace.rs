//! The fingerprint of all effects of a world. It shows whether a change of the engine alters its behaviour.

use cortensor_router::internals::engine::{Effect, EndCause, Refusal, Role, StopReason};
use cortensor_router::model::{Fence, Gid, Outcome, TaskState};

/// An FNV-1a hash over the content of each effect. The words stand here and not in the engine, and numbers are hashed
/// instead of printed types, so that renaming a type changes no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    pub(crate) fn value(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn word(&mut self, word: &str) {
        self.number(word.len() as u64);
        self.bytes(word.as_bytes());
    }

    /// Adds the effects of one step, in their order.
    pub(crate) fn note(&mut self, now: u64, effects: &[Effect]) {
        self.number(now);
        for effect in effects {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Admitted { gid, id, band } => {
                self.about("admitted", *gid);
                self.number(id.0);
                self.number(u64::from(*band));
            }
            Effect::Stands { gid } => self.about("stands", *gid),
            Effect::Lend { gid, miner, fence, .. } => {
                self.about("lend", *gid);
                self.number(u64::from(miner.0));
                self.number(fence.0);
            }
            Effect::NeedIds { session } => {
                self.word("ids");
                self.number(session.0);
            }
            Effect::Refused { reason, retry_after_ms } => {
                self.word("refused");
                self.word(refusal(*reason));
                if let Refusal::TooFewMiners { wanted, there } = reason {
                    self.number(u64::from(*wanted));
                    self.number(u64::from(*there));
                }
                self.number(*retry_after_ms);
            }
            Effect::Offer { gid, miner, fence, role } => {
                self.attempt("offer", *gid, *fence);
                self.number(u64::from(miner.0));
                self.word(match role {
                    Role::Primary => "primary",
                    Role::Continue => "continue",
                    Role::Aside => "aside",
                    Role::Hedge => "hedge",
                });
            }
            Effect::Stop { gid, miner, fence, reason } => {
                self.attempt("stop", *gid, *fence);
                self.number(u64::from(miner.0));
                self.word(match reason {
                    StopReason::Cancelled => "cancelled",
                    StopReason::Expired => "expired",
                    StopReason::Unanswered => "unanswered",
                    StopReason::Silent => "silent",
                    StopReason::Superseded => "superseded",
                });
            }
            Effect::Voided { gid, .. } => self.about("voided", *gid),
            Effect::Rerouted { gid, .. } => self.about("rerouted", *gid),
            Effect::Promoted { gid, fence } => self.attempt("promoted", *gid, *fence),
            Effect::Judge { gid } => self.about("judge", *gid),
            Effect::Recheck { of, fence, gid } => {
                self.attempt("recheck", *gid, *fence);
                self.number(of.0);
            }
            Effect::Reputed { name, reputation } => {
                self.word("reputed");
                self.word(name);
                self.number(reputation.to_bits());
            }
            Effect::State { gid, state } => {
                self.about("state", *gid);
                self.word(match state {
                    TaskState::Queued => "queued",
                    TaskState::Assigned => "assigned",
                    TaskState::Acked => "acked",
                    TaskState::Precommitted => "precommitted",
                    TaskState::Committed => "committed",
                    TaskState::Ended => "ended",
                });
            }
            Effect::Finish { gid, outcome, cause } => {
                self.about("finish", *gid);
                self.word(match outcome {
                    Outcome::Ok => "ok",
                    Outcome::Disputed => "disputed",
                    Outcome::Failed => "failed",
                    Outcome::Cancelled => "cancelled",
                    Outcome::Expired => "expired",
                });
                self.word(match cause {
                    EndCause::Done => "done",
                    EndCause::Cancelled => "cancelled",
                    EndCause::Deadline => "deadline",
                    EndCause::Attempts => "attempts",
                    EndCause::Request => "request",
                    EndCause::Broken => "broken",
                    EndCause::NoMiner => "no miner",
                });
            }
            Effect::Ended { gid } => self.about("ended", *gid),
            Effect::Lost { gid } => self.about("lost", *gid),
        }
    }

    fn about(&mut self, kind: &str, gid: Gid) {
        self.word(kind);
        self.number(gid.0);
    }

    fn attempt(&mut self, kind: &str, gid: Gid, fence: Fence) {
        self.about(kind, gid);
        self.number(fence.0);
    }
}

fn refusal(reason: Refusal) -> &'static str {
    match reason {
        Refusal::NoSession => "no session",
        Refusal::SessionClosed => "session closed",
        Refusal::SessionExhausted => "session exhausted",
        Refusal::QueueFull => "queue full",
        Refusal::SessionQueueFull => "session queue full",
        Refusal::DeadlineUnreachable => "deadline unreachable",
        Refusal::NoMiner => "no miner",
        Refusal::NoModel => "no model",
        Refusal::TooFewMiners { .. } => "too few miners",
    }
}

/// The fingerprints of worlds, one a line: the seed, then the fingerprint in hexadecimal.
pub(crate) fn written(worlds: &[(u64, u64)]) -> String {
    worlds.iter().fold(String::new(), |all, (seed, fingerprint)| all + &format!("{seed} {fingerprint:016x}\n"))
}

/// One fingerprint of many worlds, in the order of their seeds.
pub(crate) fn combined(worlds: &[(u64, u64)]) -> u64 {
    let mut all = Fingerprint::default();
    for (seed, fingerprint) in worlds {
        all.number(*seed);
        all.number(*fingerprint);
    }
    all.value()
}
