//! One liar among three miners never wins, and is detected.

use std::collections::BTreeMap;
use std::sync::Arc;

use cortensor_router::internals::engine::{
    Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, Role, SessionRules,
};
use cortensor_router::internals::judge;
use cortensor_router::model::{
    Fence, Matching, Outcome, Policy, SessionId, SessionMode, Standing, Timestamp, Validation,
};

use crate::random::Random;

/// Makes words of an artificial language, so that answers look like text.
fn words(random: &mut Random, count: u64) -> Vec<String> {
    let syllables = ["ka", "to", "mi", "ren", "sol", "va", "ne", "dur", "il", "po", "sha", "gri"];
    (0..count).map(|_| (0..random.range(1, 3)).map(|_| syllables[random.range(0, 11) as usize]).collect()).collect()
}

/// Writes an answer as another honest miner would.
fn spelled(random: &mut Random, text: &str) -> String {
    match random.range(0, 2) {
        0 => text.to_owned(),
        1 => text.to_uppercase(),
        _ => format!("  {}\n", text.replace(' ', "\n ")),
    }
}

fn lie(random: &mut Random, right: &[String], other: &[String]) -> String {
    match random.range(0, 3) {
        0 => words(random, right.len() as u64).join(" "),
        1 => right[..right.len() * random.range(0, 40) as usize / 100].join(" "),
        2 => other.join(" "),
        _ => String::new(),
    }
}

struct Trial {
    engine: Engine,
    now: u64,
}

impl Trial {
    fn new() -> Self {
        let settings = EngineSettings { min_reputation: 0.0, ..EngineSettings::default() };
        let mut trial = Self { engine: Engine::new(settings), now: 1 };
        trial.step(Event::Session(
            SessionId(0),
            SessionRules { weight: 1, open: true, mode: SessionMode::Ephemeral, ..SessionRules::default() },
        ));
        for n in 0..3 {
            let name: Arc<str> = Arc::from(format!("m{n}"));
            let rules = MinerRules {
                owner: name.clone(),
                identity: name,
                capacity: 1,
                weight: 1,
                auto_accept: true,
                ..MinerRules::default()
            };
            trial.step(Event::MinerUp(MinerKey(n), rules));
        }
        trial
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.now += 1;
        self.engine.step(event, Timestamp(self.now))
    }

    /// Runs one task: three answers, the verdict, the end. Gives the outcome and the winner.
    fn task(&mut self, how: &Validation, answers: &BTreeMap<MinerKey, String>) -> (Outcome, MinerKey) {
        let task = Demand {
            prompt_tokens: 1,
            max_tokens: 1,
            bytes: 1,
            streaming: true,
            required: 3,
            judged: true,
            ..Demand::default()
        };
        let effects = self.step(Event::Submit(Box::new(task)));
        let mut primary = None;
        let mut given: Vec<(Fence, MinerKey)> = Vec::new();
        for effect in &effects {
            if let Effect::Offer { miner, fence, role, .. } = effect {
                if *role == Role::Primary {
                    primary = Some(given.len());
                }
                given.push((*fence, *miner));
            }
        }
        assert_eq!(given.len(), 3, "three miners get it at once");
        let mut judged = None;
        for (fence, _) in &given {
            let effects = self.step(Event::Done { fence: *fence, tokens: 1 });
            judged = effects.iter().find_map(|effect| match effect {
                Effect::Judge { gid } => Some(*gid),
                _ => judged,
            });
        }
        let gid = judged.expect("all answers are in");
        let texts: Vec<&str> = given.iter().map(|(_, miner)| answers[miner].as_str()).collect();
        let ruling = judge(how, &texts, 3, primary, None);
        let agrees = given.iter().map(|(fence, _)| *fence).zip(ruling.agrees).collect();
        let effects = self.step(Event::Verdict { gid, standing: ruling.standing, agrees });
        let outcome = effects.iter().find_map(|effect| match effect {
            Effect::Finish { outcome, .. } => Some(*outcome),
            _ => None,
        });
        self.step(Event::Committed(gid));
        (outcome.expect("the task ends"), given[ruling.winner].1)
    }
}

#[test]
fn a_liar_wins_none_of_ten_thousand_tasks() {
    let mut random = Random::new(11);
    for matching in [Matching::Exact, Matching::Normalized] {
        let how = Validation::default().matching(matching);
        let mut trial = Trial::new();
        let (mut agreed, mut won) = (0, 0);
        for _ in 0..5_000 {
            let length = random.range(3, 40);
            let (right, other) = (words(&mut random, length), words(&mut random, length));
            let text = right.join(" ");
            let liar = MinerKey(random.range(0, 2) as u32);
            let answers: BTreeMap<MinerKey, String> = (0..3)
                .map(|n| {
                    let key = MinerKey(n);
                    let said = match matching {
                        _ if key == liar => lie(&mut random, &right, &other),
                        Matching::Exact => text.clone(),
                        _ => spelled(&mut random, &text),
                    };
                    (key, said)
                })
                .collect();
            let (outcome, winner) = trial.task(&how, &answers);
            won += u64::from(winner == liar);
            agreed += u64::from(outcome == Outcome::Ok);
        }
        println!("{}: 5000 tasks, {agreed} agreed, the liar won {won}", matching.as_str());
        assert_eq!((won, agreed), (0, 5_000), "{matching:?}");
    }
}

#[test]
fn a_liar_that_rewrites_nothing_else_is_flagged_by_the_words_it_does_not_share() {
    let mut random = Random::new(12);
    let how = Validation::default().policy(Policy::Medoid).matching(Matching::Lexical).min_score(0.5);
    let (mut lies, mut flagged, mut honest, mut doubted) = (0_u64, 0_u64, 0_u64, 0_u64);
    for _ in 0..2_000 {
        let length = random.range(20, 200);
        let (right, other) = (words(&mut random, length), words(&mut random, length));
        // Honest miners change at most one word in forty.
        let mut reworded = right.clone();
        for _ in 0..length / 40 {
            let at = random.range(0, length - 1) as usize;
            reworded[at] = words(&mut random, 1).concat();
        }
        let liar = random.range(0, 2) as usize;
        let mut texts = vec![right.join(" "), reworded.join(" ")];
        texts.insert(liar, lie(&mut random, &right, &other));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let ruling = judge(&how, &texts, 3, Some(0), None);
        lies += 1;
        flagged += u64::from(!ruling.agrees[liar]);
        honest += 2;
        doubted += ruling.agrees.iter().enumerate().filter(|(at, agrees)| *at != liar && !**agrees).count() as u64;
        assert!(ruling.standing != Standing::Agreed || ruling.winner != liar, "the liar won: {texts:?}");
    }
    println!("lexical >= 0.5: {flagged} of {lies} lies flagged, {doubted} of {honest} honest answers doubted");
    assert!(flagged * 100 >= lies * 99, "{flagged} of {lies}");
    assert!(doubted * 100 <= honest, "{doubted} of {honest}");
}
