//! Miners of other routers race attempts that are slow to begin: nothing that waits stands behind a race, no race runs at a
//! miner of the same owner, and a race that is lost gives its slot back.

use super::*;

impl Lending {
    /// Notes that a miner of another router races the attempt of a task.
    pub(super) fn raced(&mut self, at: usize, gid: Gid, miner: MinerKey, fence: Fence) {
        let rival = self.places[at].primaries[&gid];
        let (ours, theirs) = (owner_of(miner), owner_of(rival));
        assert!(miner != rival, "miner {miner:?} races itself");
        assert!(ours.is_empty() || ours != theirs, "{miner:?} races {rival:?}, which {ours} owns as well");
        self.races.0 += 1;
        self.racing.insert(fence);
    }

    /// Checks a slot that is lent for a race.
    pub(super) fn lent_for_race(&self, at: usize, miner: MinerKey, want: &Want) {
        let ours = owner_of(miner);
        let same = want.apart.iter().find(|(_, owner)| !ours.is_empty() && **owner == *ours);
        assert_eq!(same, None, "miner {miner:?} of {ours} is lent for a race");
        // Where no attempt fails, each miner may have each task.
        if !self.manner.fails && self.manner.reserve == 0 {
            let place = &self.places[at];
            let waits = place.deputies.values().find(|(_, _, other)| !other.races);
            assert_eq!((place.engine.queued(), waits), (0, None), "a race of {want:?} goes first at {}", self.now);
        }
    }
}

/// Routers whose few miners are sometimes slow to begin, and another one whose miners race them.
#[test]
fn races_at_other_routers_take_no_slot_that_a_task_waits_for() {
    let (mut races, mut won) = (0, 0);
    for seed in 0..2 {
        let mut random = Random::new(seed);
        let manner = Manner { mean: 60, hedges: true, ..Manner::default() };
        let mut lending = Lending::new(seed, 3, &[2, 1, 3], manner);
        let tasks = 300;
        for _ in 0..tasks {
            let (at, session) = (random.below(2) as usize, random.below(6));
            lending.after(random.below(3_000), Thing::Submit { at, session, tokens: random.range(1, 400) });
        }
        // Now and then the host has enough to do itself.
        for burst in 0..3 {
            for _ in 0..10 {
                lending.after(burst * 1_000, Thing::Submit { at: 2, session: 7, tokens: 50 });
            }
        }
        lending.run(6_000, true);
        assert_eq!((lending.ended, lending.open.len()), (tasks + 30, 0), "world {seed}");
        for (at, place) in lending.places.iter().enumerate() {
            assert_eq!((place.engine.deputies(), place.loans.len(), place.borrowed.len()), (0, 0, 0), "world {seed}");
            assert_eq!(place.engine.free_slots(), [4, 2, 6][at], "world {seed}: slots of router {at}");
        }
        races += lending.races.0;
        won += lending.races.1;
    }
    println!("races: {races} at other routers, of which {won} were won");
    assert!(races > 10 && won > 3 && won < races, "{races} races and {won} won ones say nothing");
}

/// The host of a race has miners of the rival's owner alone. An answer may come from them, but no race is run there.
#[test]
fn a_race_is_run_at_a_miner_of_another_owner_or_at_none() {
    for races in [false, true] {
        let mut engine = Engine::new(EngineSettings { first_gid: Gid(2 << 33), epoch: 2, ..EngineSettings::default() });
        let rules = MinerRules {
            identity: "lent".into(),
            owner: "one".into(),
            capacity: 1,
            weight: 1,
            auto_accept: true,
            ..MinerRules::default()
        };
        engine.step(Event::MinerUp(MinerKey(1), rules), Timestamp(1));
        let want = Want { races, apart: vec![("rival".into(), "one".into())], ..want_of(Gid(1 << 33)) };
        let effects = engine.step(Event::Deputy(Box::new(Deputy { need: Need::default(), want })), Timestamp(2));
        let is_lent = effects.iter().any(|effect| matches!(effect, Effect::Lend { .. }));
        assert_eq!((is_lent, engine.deputies(), engine.check()), (!races, 1, Ok(())));
    }
}
