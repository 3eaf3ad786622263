//! Cortensor's routes for agents: delegate, validate and factcheck. The translation of their requests to chats, and of
//! the miners' answers to a verdict.
//!
//! All of it is pure. A request becomes an [`Order`] by `read`, [`examine`] or [`factcheck`]; the answers of the
//! miners become [`Evidence`], and their opinions a [`Judgement`].

mod answer;
mod attestation;
mod body;
mod claim;
mod consensus;
mod judgement;
mod opinion;
mod order;
mod tier;

pub use answer::{Consensus, DelegateAnswer, Evidence, Fault, ValidateAnswer};
pub use attestation::Attestation;
pub use claim::{Claim, Examination, Mode, Stored, Subject, examine, factcheck};
pub use consensus::{Disagreement, Quorum, Replicas, Strategy};
pub use judgement::Judgement;
pub use opinion::{Finding, Opinion};
pub use order::{Order, delegation, prompt_of};
pub use tier::{Rules, Tier};

#[cfg(test)]
mod tests;
