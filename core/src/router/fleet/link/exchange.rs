//! The frames of a link that are about loans.

use std::sync::atomic::Ordering;

use super::frame::Frame;
use super::peer::PeerLink;
use crate::engine::Event;
use crate::model::Fence;

impl PeerLink {
    /// Takes a frame about loans.
    pub(super) fn lend_and_borrow(&self, frame: Frame) {
        let (Some(me), Some(shared)) = (self.me.upgrade(), self.shared.upgrade()) else { return };
        let Some(partner) = self.partner() else { return };
        match frame {
            Frame::Begin { held, max_frame } => partner.begin(&me, &held, max_frame),
            Frame::Roster { whole, miners, gone } => shared.take_roster(partner, whole, miners, &gone),
            Frame::Tags { tags } => {
                for (band, tag) in tags {
                    shared.step(Event::ServedElsewhere { band, tag });
                }
            }
            Frame::Want { need, tasks } => {
                shared.take_wants(partner, &need.into(), tasks.into_iter().map(Into::into).collect());
                self.link.wake();
            }
            Frame::Loan { slot, miner, gid, only } => shared.take_loan(partner, (slot, only), miner, gid),
            Frame::Use { slot, fence, heir, whole } => {
                shared.slot_used(partner, (slot, whole), Fence(fence), heir);
            }
            Frame::Return { slot } => shared.slot_returned(partner, slot),
            _ => {}
        }
    }

    /// Tells the other router what it has to know for loans. `is_round`: a pulse is due.
    pub(super) fn tell_loans(&self, is_round: bool) {
        let is_due = self.roster_due.swap(false, Ordering::AcqRel);
        let Some(partner) = self.partner().filter(|_| is_due || is_round) else { return };
        if partner.is_over() {
            // The link came as the time was over within which it would have gone on with the loans.
            return self.link.close(1000, "loans begin anew");
        }
        let Some(shared) = self.shared.upgrade() else { return };
        let edition = shared.links().map(|links| shared.roster(links)).unwrap_or_default();
        if let Some(frame) = self.told.lock().news(&edition) {
            self.post(&frame);
        }
        if is_round {
            let tags = shared.core.lock().engine.tags();
            if !tags.is_empty() {
                self.post(&Frame::Tags { tags });
            }
        }
    }
}
