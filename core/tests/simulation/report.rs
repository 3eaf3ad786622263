//! Counts how often each event happened in a world.

macro_rules! report {
    (events { $($field:ident $name:literal)* } faults { $($fault:ident $class:literal)* }) => {
        /// Counts of events.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct WorldReport {
            pub(crate) events: u64,
            pub(crate) accepted: u64,
            pub(crate) refused: u64,
            $(pub(crate) $field: u64,)*
            $(pub(crate) $fault: u64,)*
        }

        impl WorldReport {
            pub(crate) fn add(&mut self, other: &Self) {
                self.events += other.events;
                self.accepted += other.accepted;
                self.refused += other.refused;
                $(self.$field += other.$field;)*
                $(self.$fault += other.$fault;)*
            }

            /// The counts of what happened.
            pub(crate) fn coverage(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),*]
            }

            /// The counts of each class of faults, as docs/testing.md lists them.
            pub(crate) fn faults(&self) -> Vec<(&'static str, u64)> {
                vec![$(($class, self.$fault)),*]
            }
        }
    };
}

report! {
events {
    ok "ok"
    disputed "disputed"
    failed "failed"
    cancelled "cancelled"
    expired "expired"
    lost_commits "lost commit"
    requeues "requeue"
    joined "joined by key"
    redundant "redundant task"
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
    cut_short "stream that was cut short for the answer of another miner"
    hedges "hedge"
    hedges_won "hedge that won"
    promoted "hedge that was left alone"
    rerouted "task that went to another model"
    late_readers "late reader"
    returned "reader that came back"
    late_answers "accept that was answered after the end"
    reserved_offers "offer to a reserved miner"
    own_tasks "task of a restricted session"
    shadows "task of the router's own"
    enrolled "key that was enrolled"
    resumed "attempt that went on after a reconnect"
    dropped "attempt that a reconnect dropped"
    vacated "seat whose miner did not come back"
    replaced "connection that a newer one replaced"
    finals "fate that a miner was told"
    refused_hellos "hello that was refused"
    undelivered "offer that did not reach its miner"
    blocked "acknowledgement that waited for a reader"
    ends_written_again "end that was written later"
    reruns "task that ran again after its end was lost"
    shared "time in which two sessions shared the miners"
} faults {
    crashes "crash of the router"
    miners_lost "crash of a miner, or reset of its connection"
    readers_left "crash of a client"
    half_open "half-open connection"
    delayed "delayed frame"
    cuts "partition in one direction"
    overtaken "frame of an old connection behind those of the new one"
    storms "all miners reconnect at once"
    duplicates "duplicate frame"
    stale_frames "late frame"
    forged "forged frame"
    false_usage "false usage"
    lies "wrong, copied, empty or truncated answer"
    cut_off "answer that ends early"
    silent "miner that hangs"
    upstream_failures "upstream that fails"
    overloaded_upstreams "upstream that refuses for overload"
    slow_readers "slow reader"
    clock_jumps "clock jump"
    batches_failed "store error"
    ends_kept "end that the store refuses"
    ends_lost "end that cannot be kept"
    torn "torn tail"
    stalls "slow disk"
    overload "overload"
    doubled "frame that comes twice on a connection"
    silences "side that is silent for too long"
    deaf "miner that reads nothing for a time"
    unread "miner whose frames fill their queue"
    mute "cancellation without an answer"
    twins "another process of the same miner"
    namesakes "another miner under the same name"
    stale_tokens "token that was revoked"
    old_signatures "signature of an earlier challenge"
    stale_resumes "resume under an old fence"
    resumed_too_many "resume of too many attempts"
    gaps "piece with a wrong number or offset"
    false_hashes "false hash"
    overruns "piece beyond the window"
    oversized "frame that is too large"
    bad_frames "frame that cannot be read"
    unknown_types "frame of an unknown type"
    versions "unknown version of the protocol"
    older "older miner"
    newer "newer miner"
    newer_router "newer router"
}
}
