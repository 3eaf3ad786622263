//! The part of a session that takes a miner's answers: checks pieces, ends, rejections and failures.

use bytes::Bytes;
use sha2::Digest as _;

use super::output::Output;
use super::session::{ACK_FRAMES, ACK_MS, Phase, Session, fatal, finale};
use crate::miner::protocol::frame::{Channel, Class, Done, Fail, Reject, Tokens};
use crate::miner::protocol::raw;
use crate::miner::{Chunk, FailClass, Failure, Settled};
use crate::model::{Answer, FinishReason, hex};

impl Session {
    pub(super) fn rejected(&mut self, reject: Reject) -> Vec<Output> {
        match self.own(reject.attempt, reject.fence) {
            Err(out) => out,
            Ok(entry) => {
                let (fence, phase) = (entry.fence, entry.phase);
                let mut out = Vec::new();
                match phase {
                    Phase::Offered => out.push(Output::Rejected {
                        fence,
                        reason: reject.reason,
                        retry_after_ms: reject.retry_after_ms,
                    }),
                    Phase::Running => out.push(Output::Failed(
                        fence,
                        Failure::new(FailClass::Cancelled, "the miner gave the task back after it had taken it"),
                    )),
                    Phase::Cancelling { .. } => {}
                    Phase::Settling => return out,
                }
                out.extend(self.forget(reject.attempt));
                out
            }
        }
    }

    pub(super) fn tokens(&mut self, tokens: Tokens, bytes: u64, now: u64) -> Vec<Output> {
        let limits = self.limits;
        let mut out = Vec::new();
        let entry = match self.own(tokens.attempt, tokens.fence) {
            Err(out) => return out,
            Ok(entry) => entry,
        };
        match entry.phase {
            Phase::Cancelling { .. } | Phase::Settling => return out,
            Phase::Offered => {
                entry.phase = Phase::Running;
                out.push(Output::Accepted(entry.fence));
            }
            Phase::Running => {}
        }
        let fence = entry.fence;
        if tokens.seq <= entry.seq {
            return out; // the piece is a duplicate, sent again after a reconnect
        }
        if tokens.seq != entry.seq + 1 || tokens.off != entry.off {
            let message = format!(
                "a piece is missing: seq {} at byte {} came, seq {} at byte {} was due",
                tokens.seq,
                tokens.off,
                entry.seq + 1,
                entry.off
            );
            return self.broken(tokens.attempt, "gap", message);
        }
        let length = tokens.data.len() as u64;
        // The bytes of a whole answer tell the same words again, so each of the two has the bound for itself.
        let (so_far, most) = match tokens.ch.known() {
            Some(Channel::Answer) => (entry.answer.len() as u64, limits.answer),
            _ => (entry.said, limits.output),
        };
        if so_far + length > most {
            return self.cut(&tokens, now);
        }
        // A piece beyond the window does not count: the miner sends it again when it comes back.
        if entry.unacked_bytes + bytes > limits.window.saturating_mul(2) {
            out.push(fatal("window", "more was sent than limits.window allows unacknowledged: wait for ack"));
            return out;
        }
        entry.seq += 1;
        entry.off += length;
        entry.unacked_frames += 1;
        entry.unacked_bytes += bytes;
        if tokens.ch.known() != Some(Channel::Answer) {
            entry.said += length;
        }
        match tokens.ch.known() {
            Some(Channel::Content) => {
                entry.hash.update(tokens.data.as_bytes());
                out.push(Output::Piece(
                    fence,
                    Chunk { text: tokens.data, raw: tokens.raw.map(raw::bytes), delta: None },
                ));
            }
            // A piece of an unknown channel stands beside the text: it counts, and no reader gets its data.
            channel @ (Some(Channel::Reasoning | Channel::Tool) | None) => {
                let delta = channel.and_then(|channel| raw::delta(channel, tokens.data)).map(Box::new);
                let raw = tokens.raw.map(raw::bytes);
                if delta.is_some() || raw.is_some() {
                    out.push(Output::Piece(fence, Chunk { text: String::new(), delta, raw }));
                }
            }
            Some(Channel::Answer) => entry.answer.extend_from_slice(tokens.data.as_bytes()),
        }
        if entry.blocked {
            return out;
        }
        if entry.unacked_frames >= ACK_FRAMES || entry.unacked_bytes >= limits.window / 4 {
            out.push(Output::Send(entry.ack(tokens.attempt)));
        } else if self.ack_at.is_none() {
            self.ack_at = Some(now + ACK_MS);
        }
        out
    }

    /// Ends an answer at its maximum size, with the part of the piece that fits, and tells the miner to stop.
    fn cut(&mut self, tokens: &Tokens, now: u64) -> Vec<Output> {
        let limits = self.limits;
        let entry = match self.own(tokens.attempt, tokens.fence) {
            Err(out) => return out,
            Ok(entry) => entry,
        };
        let (fence, mut out) = (entry.fence, Vec::new());
        if tokens.ch.known() == Some(Channel::Content) {
            let room = limits.output.saturating_sub(entry.said) as usize;
            let text = tokens.data[..tokens.data.floor_char_boundary(room)].to_owned();
            out.push(Output::Piece(fence, Chunk { text, ..Chunk::default() }));
        }
        out.push(Output::Done(fence, Box::new(Answer::default().finish_reason(FinishReason::Length))));
        out.extend(self.cancel(fence, "the answer is as long as limits.output allows", now).map(Output::Send));
        out
    }

    pub(super) fn done(&mut self, done: Done) -> Vec<Output> {
        let entry = match self.own(done.attempt, done.fence) {
            Err(out) => return out,
            Ok(entry) => entry,
        };
        let fence = entry.fence;
        match entry.phase {
            Phase::Settling => return Vec::new(), // the frame is a duplicate, sent again after a reconnect
            Phase::Cancelling { .. } => {
                let mut out = vec![Output::Send(finale(done.attempt, fence, Settled::Cancelled))];
                out.extend(self.forget(done.attempt));
                return out;
            }
            Phase::Offered | Phase::Running => {}
        }
        if done.seq != entry.seq {
            let message = format!("done says seq {}, but the last piece that came was seq {}", done.seq, entry.seq);
            return self.broken(done.attempt, "gap", message);
        }
        let hash = hex(&entry.hash.clone().finalize());
        if !done.sha256.eq_ignore_ascii_case(&hash) {
            let message = "sha256 is not that of the data that came: the answer is not taken".to_owned();
            return self.broken(done.attempt, "hash_mismatch", message);
        }
        entry.phase = Phase::Settling;
        let whole = std::mem::take(&mut entry.answer);
        let answer = Answer::default()
            .finish_reason(done.finish_reason)
            .usage(done.usage)
            .model(done.model)
            .raw((!whole.is_empty()).then(|| Bytes::from(whole)))
            .sha256(Some(hash));
        vec![Output::Done(fence, Box::new(answer))]
    }

    pub(super) fn failed(&mut self, fail: Fail) -> Vec<Output> {
        let entry = match self.own(fail.attempt, fail.fence) {
            Err(out) => return out,
            Ok(entry) => entry,
        };
        let (fence, phase) = (entry.fence, entry.phase);
        let mut out = Vec::new();
        match phase {
            Phase::Settling => return out,
            Phase::Cancelling { .. } => {}
            Phase::Offered | Phase::Running => {
                let class = match fail.class.known().unwrap_or_default() {
                    Class::Overloaded => FailClass::Overloaded,
                    Class::Context => FailClass::Context,
                    Class::Model => FailClass::Model,
                    Class::Refused => FailClass::Refused,
                    Class::Credentials => FailClass::Credentials,
                    Class::Unreadable => FailClass::Unreadable,
                    Class::Invalid => FailClass::Invalid,
                    Class::Internal => FailClass::Internal,
                    Class::Cancelled => FailClass::Cancelled,
                };
                out.push(Output::Failed(
                    fence,
                    Failure {
                        class,
                        message: fail.message,
                        http_status: fail.http_status,
                        retry_after_ms: fail.retry_after_ms,
                        raw: fail.raw.map(raw::bytes),
                    },
                ));
            }
        }
        out.extend(self.forget(fail.attempt));
        out
    }
}
