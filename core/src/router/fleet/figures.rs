//! The metrics of a fleet. A router with a store of its own has none of them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::model::FleetInfo;
use crate::model::{LinkState, MemberState};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The figures of this router as one of several.
pub(super) struct FleetFigures {
    members: Family<StateLabel, Gauge>,
    links: Family<StateLabel, Gauge>,
    heard: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Pieces of tasks that were sent to other routers.
    pub(super) relayed: Counter,
    pub(super) round_trip: Histogram,
    takeovers: Family<CauseLabel, Counter>,
    pub(super) claimed: Counter,
    /// Tasks of routers that are gone whose attempts went on.
    pub(super) inherited: Counter,
    pub(super) handed_over: Counter,
    reconciled: Family<WhatLabel, Counter>,
    pub(super) rejoined: Counter,
    loans: Family<LoanLabels, Counter>,
    /// From the wish for a slot of another router to a slot that is used.
    pub(super) loan_wait: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

/// The reason why this router declared another one gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It did not renew its lease.
    Lease,
    /// It was an earlier start of this router's name, which had not left.
    Restart,
}

impl Cause {
    fn label(self) -> CauseLabel {
        CauseLabel { cause: if self == Self::Lease { "lease" } else { "restart" } }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoanLabels {
    side: &'static str,
    end: &'static str,
}

/// The end of a loan.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoanEnd {
    /// An attempt used the slot.
    Used,
    /// No task of the router that asked could use it.
    Returned,
    /// The router that asked did not use it in time, or its link ended.
    Lapsed,
}

#[cfg(feature = "postgres")]
impl FleetFigures {
    /// Counts the end of a loan. `side`: `lent` or `borrowed`.
    pub(super) fn loan(&self, side: &'static str, end: LoanEnd) {
        let end = match end {
            LoanEnd::Used => "used",
            LoanEnd::Returned => "returned",
            LoanEnd::Lapsed => "lapsed",
        };
        self.loans.get_or_create(&LoanLabels { side, end }).inc();
    }
}

impl Default for FleetFigures {
    fn default() -> Self {
        let takeovers = Family::<CauseLabel, Counter>::default();
        for cause in [Cause::Lease, Cause::Restart] {
            // An increase shows only if the zero before it was shown.
            takeovers.get_or_create(&cause.label()).inc_by(0);
        }
        Self {
            members: Family::default(),
            links: Family::default(),
            heard: Gauge::default(),
            relayed: Counter::default(),
            round_trip: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            takeovers,
            claimed: Counter::default(),
            inherited: Counter::default(),
            handed_over: Counter::default(),
            reconciled: Family::default(),
            rejoined: Counter::default(),
            loans: Family::default(),
            loan_wait: Histogram::new(exponential_buckets(0.000_25, 2.0, 18)),
        }
    }
}

impl FleetFigures {
    /// Counts a task on which the database and this router did not agree.
    pub(super) fn reconcile(&self, what: &'static str) {
        self.reconciled.get_or_create(&WhatLabel { what }).inc();
    }

    /// Counts routers that this one declared gone.
    pub(super) fn takeover(&self, cause: Cause, routers: usize) {
        self.takeovers.get_or_create(&cause.label()).inc_by(routers as u64);
    }

    /// Adds the figures to those of the router.
    pub(super) fn register(&self, root: &mut Registry) {
        let r = root.sub_registry_with_prefix("cortensor_fleet");
        r.register("members", "Routers that use the database, by state", self.members.clone());
        r.register("links", "Other routers, by the state of the link to them", self.links.clone());
        r.register("lease_age_seconds", "Since the lease was renewed", self.heard.clone());
        r.register("relayed_pieces", "Pieces of tasks that other routers read here", self.relayed.clone());
        r.register("link_rtt_seconds", "From a frame to its answer over a link", self.round_trip.clone());
        r.register("takeovers", "Routers that this one declared gone, by cause", self.takeovers.clone());
        r.register("tasks_claimed", "Tasks of other routers that this one took over", self.claimed.clone());
        r.register(
            "tasks_inherited",
            "Tasks of routers that were gone whose attempts at miners here went on",
            self.inherited.clone(),
        );
        r.register("moved", "Tasks that this router gave to others", self.handed_over.clone());
        r.register(
            "reconciled",
            "Tasks on which the database and this router did not agree, by what became of them",
            self.reconciled.clone(),
        );
        r.register("loans", "Slots that routers lent each other, by side and end", self.loans.clone());
        r.register("loan_seconds", "From the wish for a slot of another router to its use", self.loan_wait.clone());
        r.register("rejoins", "How often this router was declared gone and joined again", self.rejoined.clone());
    }

    /// Sets the counts of routers and links at present.
    pub(super) fn show(&self, fleet: &FleetInfo) {
        for state in [MemberState::Up, MemberState::Draining] {
            let count = fleet.members.iter().filter(|member| member.state == state).count();
            self.members.get_or_create(&StateLabel { state: state.as_str() }).set(count as i64);
        }
        for state in [LinkState::Up, LinkState::Down, LinkState::None] {
            let count = fleet.members.iter().filter(|member| member.link == state).count();
            self.links.get_or_create(&StateLabel { state: state.as_str() }).set(count as i64);
        }
        self.heard.set(fleet.heard_ms as f64 / 1_000.0);
    }
}
