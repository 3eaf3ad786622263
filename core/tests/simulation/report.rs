//! Counts how often each event happened in a world.

macro_rules! report {
    ($($field:ident $name:literal)*) => {
        /// Counts of events.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct WorldReport {
            pub(crate) events: u64,
            pub(crate) accepted: u64,
            pub(crate) refused: u64,
            $(pub(crate) $field: u64,)*
        }

        impl WorldReport {
            pub(crate) fn add(&mut self, other: &Self) {
                self.events += other.events;
                self.accepted += other.accepted;
                self.refused += other.refused;
                $(self.$field += other.$field;)*
            }

            /// The counts that every hundred worlds must reach.
            pub(crate) fn coverage(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),*]
            }
        }
    };
}

report! {
    ok "ok"
    disputed "disputed"
    failed "failed"
    cancelled "cancelled"
    expired "expired"
    crashes "crash"
    lost_commits "lost commit"
    stale_frames "stale frame"
    requeues "requeue"
    joined "joined by key"
    miners_lost "miner lost"
    redundant "redundant task"
    lies "lie"
    judged "verdict"
    insufficient "insufficient answers"
    tie_breaks "tie-break"
    first_taken "first answer taken"
    rechecks "recheck"
    rechecks_agreed "recheck that agreed"
    reputations "reputation moved"
    set_aside "miner set aside"
    continued "continued"
    restarts "restart"
    broken "broken off"
    hedges "hedge"
    hedges_won "hedge that won"
    promoted "hedge that was left alone"
    late_readers "late reader"
    returned "reader that came back"
    batches_failed "batch that the store refused"
    ends_lost "end that could not be written"
    late_answers "accept that was answered after the end"
    reserved_offers "offer to a reserved miner"
    own_tasks "task of a restricted session"
    shadows "task of the router's own"
}
