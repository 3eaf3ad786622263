//! Miners that routers keep for sessions: their slots are lent to tasks of these sessions alone, and the reservation holds
//! while such tasks come from other routers.

use super::*;

impl Lending {
    /// Checks a slot that is lent. Gives the session for which its miner is kept.
    pub(super) fn lent(&mut self, at: usize, miner: MinerKey, kept: bool, want: &Want) -> Option<SessionId> {
        if want.races {
            self.lent_for_race(at, miner, want);
        }
        let reserved = self.places[at].engine.miner(miner).and_then(|view| view.reserved);
        let only = kept.then_some(want.session);
        assert_eq!(reserved, only, "a slot of {miner:?} is lent to session {:?} at {}", want.session, self.now);
        self.kept_loans += u64::from(kept);
        only
    }

    /// Tells the other routers which miners are kept for whom, where that has changed.
    pub(super) fn tell_kept(&mut self, at: usize) {
        let own: Vec<MinerKey> = self.places[at].own_miners(at);
        for miner in own {
            let now = self.places[at].engine.miner(miner).and_then(|view| view.reserved);
            if self.places[at].kept.insert(miner, now).unwrap_or_default() != now {
                for other in (0..self.places.len()).filter(|other| *other != at) {
                    self.say(at, other, Word::Kept(miner, now));
                }
            }
        }
    }
}

impl Place {
    /// The own miners.
    fn own_miners(&self, at: usize) -> Vec<MinerKey> {
        (0..10).map(|miner| key(at, miner)).filter(|miner| self.engine.miner(*miner).is_some()).collect()
    }
}

#[test]
fn slots_of_miners_that_are_kept_go_to_tasks_of_their_sessions_alone() {
    let mut kept = 0;
    for seed in 0..2 {
        let mut random = Random::new(seed);
        // Two routers without miners, and sessions that reserve one each where there are miners.
        let manner = Manner { mean: 40, reserve: 2, hedges: seed % 2 == 1, ..Manner::default() };
        let mut lending = Lending::new(seed, 3, &[4, 0, 0], manner);
        let tasks = 120;
        for _ in 0..tasks {
            let (at, session) = (random.below(3) as usize, random.below(5));
            lending.after(random.below(2_000), Thing::Submit { at, session, tokens: random.range(1, 400) });
        }
        lending.run(5_000, true);
        assert_eq!((lending.ended, lending.open.len()), (tasks, 0), "world {seed}");
        assert_eq!(lending.places[0].engine.free_slots(), 8, "world {seed}");
        kept += lending.kept_loans;
    }
    println!("kept: {kept} slots of miners that are kept were lent");
    assert!(kept > 20, "{kept} loans say nothing");
}

/// A session that reserves a miner, at a router without miners: the miner that the other router keeps for it serves it at
/// once, while tasks of other sessions wait.
#[test]
fn a_session_at_a_router_without_miners_has_the_miner_that_another_one_keeps_for_it() {
    let manner = Manner { mean: 100_000, reserve: 1, ..Manner::default() };
    let mut lending = Lending::new(3, 2, &[2, 0], manner);
    lending.after(10, Thing::Submit { at: 1, session: 0, tokens: 5 });
    lending.run(1_050, true);
    assert_eq!((lending.kept_loans, lending.places[1].borrowed.len()), (1, 1));
    for _ in 0..8 {
        lending.after(1, Thing::Submit { at: 1, session: 5, tokens: 5 });
    }
    lending.run(1_200, true);
    // The two slots of the other miner are lent, and one of the miner that is kept is free.
    assert_eq!((lending.places[1].borrowed.len(), lending.places[0].engine.free_slots()), (3, 1));
    lending.after(1, Thing::Submit { at: 1, session: 0, tokens: 5 });
    lending.run(1_250, true);
    assert_eq!((lending.kept_loans, lending.places[0].engine.free_slots()), (2, 0));
}

/// A reservation holds for its period from the session's last task, wherever that came in.
#[test]
fn a_reservation_holds_while_tasks_of_the_session_come_from_other_routers() {
    let mut lending = Lending::new(3, 2, &[2, 0], Manner { mean: 20, reserve: 1, ..Manner::default() });
    let kept = |lending: &Lending| {
        let of = |miner| lending.places[0].engine.miner(key(0, miner)).and_then(|view| view.reserved);
        [of(0), of(1)].into_iter().flatten().count()
    };
    for at in [300, 600, 900] {
        lending.after(at, Thing::Submit { at: 1, session: 0, tokens: 5 });
    }
    lending.run(2_250, true);
    assert_eq!(kept(&lending), 1, "the last task came 350 ms ago");
    lending.run(2_400, true);
    assert_eq!(kept(&lending), 0, "the period is over");
}

/// A loan says itself for whom its slot is, because the router that borrows may not know yet that the miner is kept.
#[test]
fn a_slot_of_a_miner_that_is_kept_is_given_back_rather_than_used_for_another_session() {
    let mut lending = Lending::new(3, 2, &[2, 0], Manner { mean: 20, reserve: 1, ..Manner::default() });
    let offers = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Offer { .. })).count();
    let loan = || Event::Borrow { miner: key(0, 0), only: Some(SessionId(0)) };
    lending.happen(Thing::Submit { at: 1, session: 5, tokens: 5 });
    assert_eq!(offers(&lending.step(1, loan())), 0);
    lending.happen(Thing::Submit { at: 1, session: 0, tokens: 5 });
    assert_eq!(offers(&lending.step(1, loan())), 1);
}
