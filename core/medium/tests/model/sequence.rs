//! Makes sequences. The model without failures steers them, so that most calls concern tasks that exist.

use cortensor_router::internals::store::{ActKind, UsageBy};
use cortensor_router::model::{PageStart, Retention, TaskState};
use cortensor_router_medium::{Fault, Operation, Strike};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;

use crate::operation::{Ids, Key, Read, Step, Stop, Write};
use crate::world::World;

/// The number of sessions.
pub(crate) const SESSIONS: u64 = 3;

/// The distance between ids, so that they spread over several blocks of ids in each store.
const STRIDE: u64 = 97;

/// The state machine that proptest steers: a [`World`] in which nothing fails.
pub(crate) struct Sequence;

impl ReferenceStateMachine for Sequence {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        Just(World::new(None)).boxed()
    }

    fn transitions(world: &World) -> BoxedStrategy<Step> {
        let writes = || vec(write(world), 1..20);
        let reads = || vec(read(), 0..4);
        prop_oneof![
            8 => (vec(write(world), 1..6), reads()).prop_map(|(writes, reads)| step(writes, reads, false, None)),
            4 => (writes(), reads()).prop_map(|(writes, reads)| step(writes, reads, true, None)),
            3 => (writes(), reads(), strike())
                .prop_map(|(writes, reads, strike)| step(writes, reads, true, Some(strike))),
            2 => stop().prop_map(Step::Reopen),
        ]
        .boxed()
    }

    fn apply(mut world: World, step: &Step) -> World {
        match step {
            Step::Batch { writes, .. } => {
                for write in writes {
                    // Sequences are steered by what would happen; trials check the answers.
                    let _ = world.write(write);
                }
            }
            Step::Reopen(_) => {}
        }
        world
    }
}

fn step(writes: Vec<Write>, reads: Vec<Read>, held: bool, strike: Option<Strike>) -> Step {
    Step::Batch { writes, reads, held, strike }
}

fn ids() -> impl Strategy<Value = Ids> {
    let gid = prop_oneof![12 => Just(None), 1 => (0u64..3).prop_map(Some)];
    (0..SESSIONS, 0u64..16, gid).prop_map(|(session, n, gid)| Ids { session, id: n * STRIDE, gid })
}

fn key() -> impl Strategy<Value = Key> {
    (0u8..2, 0u8..6, 0u8..2)
}

fn write(world: &World) -> BoxedStrategy<Write> {
    let open = world.open();
    let to_end = if open.is_empty() { ids().boxed() } else { prop_oneof![3 => select(open), 1 => ids()].boxed() };
    let kept = || select(vec![Retention::All, Retention::Result, Retention::Nothing]);
    let length = || prop_oneof![3 => 0usize..40, 1 => 0usize..6_000];
    prop_oneof![
        30 => (ids(), proptest::option::of(key()), length())
            .prop_map(|(task, key, length)| Write::Accept { task, key, length }),
        24 => (to_end, 0u64..50, kept(), proptest::bool::weighted(0.2), length())
            .prop_map(|(task, at, kept, fails, length)| Write::Finish { task, at, kept, fails, length }),
        12 => (ids(), 0u64..50, kept(), proptest::bool::weighted(0.2), length())
            .prop_map(|(task, at, kept, fails, length)| Write::Record { task, at, kept, fails, length }),
        4 => (0u64..50, prop_oneof![Just(0), 500u64..20_000], 0u64..8)
            .prop_map(|(before, max_bytes, limit)| Write::Purge { before, max_bytes, limit }),
        3 => ids().prop_map(|task| Write::DeleteTask(task.gid())),
        3 => (0..SESSIONS, 0u8..9, any::<bool>())
            .prop_map(|(id, name, active)| Write::PutSession { id, name, active }),
        4 => (0..SESSIONS).prop_map(Write::DeleteSession),
        2 => (0u8..4, 0u32..9).prop_map(|(id, name)| Write::PutKey { id, name }),
        2 => (0u8..4).prop_map(Write::DeleteKey),
        2 => (0u8..4, 0u64..9).prop_map(|(id, seen)| Write::PutMiner { id, seen }),
        2 => (0u8..4).prop_map(Write::DeleteMiner),
        1 => (0u64..2).prop_map(Write::ForgetUsage),
        1 => (0u64..9).prop_map(Write::ForgetAudit),
        1 => Just(Write::Recover),
    ]
    .boxed()
}

fn read() -> impl Strategy<Value = Read> {
    let state = select(vec![None, Some(TaskState::Ended), Some(TaskState::Queued), Some(TaskState::Acked)]);
    let start = prop_oneof![(0u64..20).prop_map(PageStart::Oldest), (0u64..20).prop_map(PageStart::Newest)];
    prop_oneof![
        4 => ids().prop_map(|task| Read::Task { session: task.session, id: task.id }),
        2 => ids().prop_map(|task| Read::ByGid(task.gid())),
        2 => Just(Read::Unfinished),
        3 => key().prop_map(Read::Find),
        6 => (0..SESSIONS, state, proptest::option::of(0u64..5), start, 0u64..9)
            .prop_map(|(session, state, key, start, limit)| Read::Page { session, state, key, start, limit }),
        1 => Just(Read::Keys),
        1 => Just(Read::Miners),
        2 => (select(vec![None, Some(ActKind::KeyCreated)]), proptest::option::of(0u64..9), 0u64..5)
            .prop_map(|(act, after, limit)| Read::Audit { act, after, limit }),
        3 => select(vec![UsageBy::Day, UsageBy::Key, UsageBy::Session, UsageBy::Miner]).prop_map(Read::Usage),
    ]
}

/// A fault of which the medium tells. Every further operation may fail too, until the medium is healed.
fn strike() -> impl Strategy<Value = Strike> {
    let kinds = vec![
        (Operation::Write, Fault::Error),
        (Operation::Write, Fault::Full),
        (Operation::Write, Fault::Half),
        (Operation::Sync, Fault::Error),
        (Operation::Read, Fault::Error),
        (Operation::Truncate, Fault::Error),
        (Operation::Lock, Fault::Error),
        (Operation::Map, Fault::Error),
        (Operation::Open, Fault::Error),
    ];
    (select(kinds), 1u64..40, any::<bool>()).prop_map(|((operation, fault), nth, lasts)| Strike {
        operation,
        nth,
        fault,
        lasts,
    })
}

fn stop() -> impl Strategy<Value = Stop> {
    prop_oneof![Just(Stop::Close), Just(Stop::Kill), any::<u64>().prop_map(Stop::PowerLoss)]
}
