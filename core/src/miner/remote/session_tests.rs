//! The session without sockets: its answers to single frames, and its invariants for any order of frames.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::output::{Output, SessionLimits};
use super::session::Session;
use crate::miner::Settled;
use crate::miner::protocol::frame::{
    Accept, Channel, Class, Credit, Done, ErrorFrame, Fail, Fate, Held, MinerFrame, Ping, Reject, RouterFrame,
    TaskFrame, Tokens,
};
use crate::model::Fence;
use crate::model::hex;

const LIMITS: SessionLimits =
    SessionLimits { window: 4_096, output: 256, answer: 256, cancel_ms: 20_000, attempts: 64 };

fn task(fence: u64) -> TaskFrame {
    TaskFrame { fence, model: Some("m".into()), ..TaskFrame::default() }
}

fn offered(session: &mut Session, fence: u64) -> u64 {
    match session.offer(task(fence)).unwrap() {
        RouterFrame::Task(task) => task.attempt,
        other => panic!("{other:?}"),
    }
}

fn tokens(attempt: u64, fence: u64, seq: u64, off: u64, data: &str) -> MinerFrame {
    Tokens { attempt, fence, seq, off, data: data.into(), ..Tokens::default() }.into()
}

fn done(attempt: u64, fence: u64, seq: u64, text: &str) -> MinerFrame {
    Done { attempt, fence, seq, sha256: hex(&Sha256::digest(text)), ..Done::default() }.into()
}

/// The outputs in a short form.
fn said(outputs: &[Output]) -> Vec<String> {
    outputs
        .iter()
        .map(|output| match output {
            Output::Send(RouterFrame::Error(error)) => format!("error {}", error.code),
            Output::Send(frame) => format!("send {}", frame.kind()),
            Output::Accepted(fence) => format!("accepted {fence}"),
            Output::Rejected { fence, .. } => format!("rejected {fence}"),
            Output::Piece(fence, chunk) => format!("piece {fence} {}", chunk.text),
            Output::Done(fence, _) => format!("done {fence}"),
            Output::Failed(fence, failure) => format!("failed {fence} {:?}", failure.class),
            Output::Forgotten(fence) => format!("forgotten {fence}"),
            Output::Credits(credits) => format!("credits {credits}"),
            Output::Draining => "draining".into(),
            Output::Bye => "bye".into(),
            Output::Close(error) => format!("close {}", error.code),
        })
        .collect()
}

#[test]
fn an_answer_from_offer_to_final() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 7);
    let mut tell = |frame| said(&session.frame(frame, 50, 0));
    assert_eq!(tell(Accept { attempt, fence: 7 }.into()), ["accepted 7"]);
    assert_eq!(tell(tokens(attempt, 7, 1, 0, "ä")), ["piece 7 ä"]);
    assert_eq!(tell(tokens(attempt, 7, 2, 2, "b")), ["piece 7 b"]);
    assert_eq!(tell(done(attempt, 7, 2, "äb")), ["done 7"]);
    assert!(tell(done(attempt, 7, 2, "äb")).is_empty(), "said again");
    assert!(!session.is_idle(), "kept until its fate is known");
    match session.settled(Fence(7), Settled::Committed) {
        Some(RouterFrame::Final(last)) => assert_eq!((last.attempt, last.result), (attempt, Fate::Committed.into())),
        other => panic!("{other:?}"),
    }
    assert!(session.is_idle());
    assert_eq!(said(&session.frame(done(attempt, 7, 2, "äb"), 50, 0)), ["send drop"]);
    assert!(session.frame(done(attempt, 7, 2, "äb"), 50, 0).is_empty(), "answered once");
}

#[test]
fn an_answer_whose_hash_is_false_is_not_taken() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 7);
    session.frame(tokens(attempt, 7, 1, 0, "right"), 50, 0);
    let outputs = session.frame(done(attempt, 7, 1, "wrong"), 50, 0);
    assert_eq!(said(&outputs), ["error hash_mismatch", "send drop", "failed 7 Internal", "forgotten 7"]);
    assert!(session.is_idle());
}

#[test]
fn acknowledgements_come_by_count_by_size_and_by_time() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    assert_eq!(said(&session.frame(tokens(attempt, 1, 1, 0, "a"), 10, 0)), ["accepted 1", "piece 1 a"]);
    assert_eq!(session.ack_at(), Some(250));
    assert!(session.tick(249).is_empty());
    assert_eq!(said(&session.tick(250)), ["send ack"]);
    assert!(session.tick(1_000).is_empty(), "there is nothing new");
    assert_eq!(said(&session.frame(tokens(attempt, 1, 2, 1, "b"), 1_024, 0)), ["piece 1 b", "send ack"]);
    for seq in 3..66 {
        assert_eq!(session.frame(tokens(attempt, 1, seq, seq - 1, "c"), 1, 0).len(), 1, "{seq}");
    }
    assert_eq!(said(&session.frame(tokens(attempt, 1, 66, 65, "c"), 1, 0)), ["piece 1 c", "send ack"]);
}

#[test]
fn a_miner_that_has_fewer_pieces_than_came_holds_another_run() {
    for (sent_seq, adopted) in [(0, false), (1, false), (2, true), (3, true), (u64::MAX, true)] {
        let mut session = Session::new(LIMITS, 4);
        let attempt = offered(&mut session, 1);
        session.frame(tokens(attempt, 1, 1, 0, "a"), 10, 0);
        session.frame(tokens(attempt, 1, 2, 1, "b"), 10, 0);
        let (adopt, drop, out) = session.resume(&[Held { attempt, fence: 1, sent_seq }]);
        assert_eq!((adopt.len(), drop.len()), if adopted { (1, 0) } else { (0, 1) }, "{sent_seq}");
        let lost = said(&out).iter().any(|word| word.contains("failed 1"));
        assert_eq!(lost, !adopted, "{sent_seq}: {:?}", said(&out));
    }
}

#[test]
fn a_slow_reader_holds_acknowledgements_back() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    session.block(Fence(1));
    assert_eq!(said(&session.frame(tokens(attempt, 1, 1, 0, "a"), 4_000, 0)), ["accepted 1", "piece 1 a"]);
    assert!(session.tick(10_000).is_empty());
    assert_eq!(said(&session.frame(tokens(attempt, 1, 2, 1, "b"), 4_000, 0)), ["piece 1 b"]);
    assert!(matches!(session.resume_reading(Fence(1)), Some(RouterFrame::Ack(ack)) if ack.seq == 2));
    session.block(Fence(1));
    session.frame(tokens(attempt, 1, 3, 2, "c"), 8_192, 0);
    assert_eq!(said(&session.frame(tokens(attempt, 1, 4, 3, "d"), 1, 0)), ["close window"]);
}

#[test]
fn a_piece_beyond_the_window_comes_again_on_the_next_connection() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    let lost = session.frame(tokens(attempt, 1, 1, 0, "a"), 8_193, 0);
    assert_eq!(said(&lost), ["accepted 1", "close window"]);
    let (adopt, _, _) = session.resume(&[Held { attempt, fence: 1, sent_seq: 1 }]);
    assert_eq!(adopt[0].ack_seq, 0, "the piece was not taken");
    assert_eq!(said(&session.frame(tokens(attempt, 1, 1, 0, "a"), 50, 0)), ["piece 1 a"]);
    session.check().unwrap();
}

#[test]
fn a_miner_that_leaves_cancelled_attempts_unanswered_gets_no_more_than_it_may_hold() {
    let mut session = Session::new(SessionLimits { attempts: 3, ..LIMITS }, 1);
    for fence in 1..=3 {
        offered(&mut session, fence);
        session.cancel(Fence(fence), "", 0);
    }
    assert!(session.offer(task(4)).unwrap_err().contains("miners.max_resumed"));
    session.tick(20_000);
    offered(&mut session, 5);
    session.check().unwrap();
}

#[test]
fn credits_count_what_the_miner_had_not_seen() {
    let mut session = Session::new(LIMITS, 8);
    let credit = |generation, free: &[(&str, u32)], seen| {
        MinerFrame::from(Credit { generation, free: free.iter().map(|(m, n)| ((*m).to_owned(), *n)).collect(), seen })
    };
    assert_eq!(said(&session.frame(credit(1, &[("*", 4)], 0), 0, 0)), ["credits 4"]);
    let one = offered(&mut session, 1);
    offered(&mut session, 2);
    // The miner had seen the first offer when it counted three free slots, so it has four slots.
    assert_eq!(said(&session.frame(credit(2, &[("*", 3)], one), 0, 0)), ["credits 4"]);
    assert!(session.frame(credit(2, &[("*", 99)], one), 0, 0).is_empty(), "not newer");
    assert_eq!(said(&session.frame(credit(3, &[("*", 99)], one), 0, 0)), ["credits 8"], "never above its own bound");
    assert_eq!(said(&session.frame(credit(4, &[("m", 1), ("n", 3)], 2), 0, 0)), ["credits 5"]);
    offered(&mut session, 3);
    assert!(session.offer(task(4)).is_err(), "the one slot of this model is taken");
    assert!(session.offer(TaskFrame { model: Some("n".into()), ..task(5) }).is_ok());
}

#[test]
fn other_channels_pass_as_openais_json() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    let piece = |seq, off, ch: Channel, data: &str| {
        MinerFrame::from(Tokens { attempt, fence: 1, seq, off, ch: ch.into(), data: data.into(), raw: None })
    };
    let raw = |outputs: Vec<Output>| match outputs.into_iter().last() {
        Some(Output::Piece(_, chunk)) => String::from_utf8(chunk.delta.unwrap().chunk().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    let thought = raw(session.frame(piece(1, 0, Channel::Reasoning, "hm"), 9, 0));
    assert!(thought.contains(r#""delta":{"reasoning_content":"hm"}"#), "{thought}");
    let call = raw(session.frame(piece(2, 2, Channel::Tool, r#"[{"index":0}]"#), 9, 0));
    assert!(call.contains(r#""tool_calls":[{"index":0}]"#), "{call}");
    assert!(session.frame(piece(3, 15, Channel::Answer, r#"{"da"#), 9, 0).is_empty());
    assert!(session.frame(piece(4, 19, Channel::Answer, r#"ta":[]}"#), 9, 0).is_empty());
    match session.frame(done(attempt, 1, 4, ""), 9, 0).pop() {
        Some(Output::Done(_, answer)) => assert_eq!(&answer.raw.unwrap()[..], br#"{"data":[]}"#),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_piece_of_an_unknown_channel_stands_beside_the_text() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    let heard = r#"{"type":"tokens","attempt":1,"fence":1,"seq":1,"off":0,"ch":"sound","data":"beep"}"#;
    let heard = MinerFrame::parse(heard).unwrap().unwrap();
    assert_eq!(heard.unknown_word().unwrap().to_string(), r#"ch "sound""#);
    assert!(session.frame(heard, 9, 0).iter().all(|output| !matches!(output, Output::Piece(..))));
    assert_eq!(said(&session.frame(tokens(attempt, 1, 2, 4, "text"), 9, 0)), ["piece 1 text"]);
    assert_eq!(said(&session.frame(done(attempt, 1, 2, "text"), 9, 0)), ["done 1"]);
}

#[test]
fn a_cancel_waits_for_its_answer_but_not_for_ever() {
    let mut session = Session::new(LIMITS, 4);
    let (one, two, three) = (offered(&mut session, 1), offered(&mut session, 2), offered(&mut session, 3));
    for fence in 1..=3 {
        assert!(matches!(session.cancel(Fence(fence), "", 5), Some(RouterFrame::Cancel(_))));
        assert!(session.cancel(Fence(fence), "", 5).is_none(), "said once");
    }
    assert!(session.frame(tokens(one, 1, 1, 0, "late"), 9, 0).is_empty());
    let fail = Fail { attempt: one, fence: 1, class: Class::Cancelled.into(), ..Fail::default() };
    assert_eq!(said(&session.frame(fail.into(), 9, 0)), ["forgotten 1"]);
    assert_eq!(said(&session.frame(done(two, 2, 0, ""), 9, 0)), ["send final", "forgotten 2"]);
    assert_eq!(session.next_deadline(), Some(20_005));
    assert_eq!(said(&session.tick(20_005)), ["forgotten 3"]);
    assert_eq!(said(&session.frame(done(three, 3, 0, ""), 9, 0)), ["send drop"]);
}

#[test]
fn an_answer_beyond_its_bound_is_cut_and_its_miner_told_to_stop() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    let long = "x".repeat(257);
    let outputs = said(&session.frame(tokens(attempt, 1, 1, 0, &long), 300, 0));
    assert_eq!(outputs, [format!("piece 1 {}", "x".repeat(256)), "done 1".into(), "send cancel".into()]);
}

#[test]
fn a_text_and_the_same_text_in_a_whole_answer_have_a_bound_each() {
    let mut session = Session::new(LIMITS, 4);
    let attempt = offered(&mut session, 1);
    let text = "x".repeat(200);
    session.frame(tokens(attempt, 1, 1, 0, &text), 300, 0);
    let whole = Tokens {
        attempt,
        fence: 1,
        seq: 2,
        off: 200,
        ch: Channel::Answer.into(),
        data: format!(r#"{{"content":"{text}"}}"#),
        ..Tokens::default()
    };
    assert_eq!(said(&session.frame(whole.into(), 300, 0)), Vec::<String>::new());
    let outputs = session.frame(done(attempt, 1, 2, &text), 9, 0);
    let [Output::Done(_, answer)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(answer.raw.as_ref().is_some_and(|raw| raw.len() > 200), "the whole answer is not lost");
    session.check().unwrap();
    // Text behind a whole answer is cut at its own bound.
    let attempt = offered(&mut session, 2);
    let whole = Tokens { attempt, fence: 2, seq: 1, ch: Channel::Answer.into(), data: text, ..Tokens::default() };
    session.frame(whole.into(), 300, 0);
    let outputs = said(&session.frame(tokens(attempt, 2, 2, 200, &"y".repeat(257)), 300, 0));
    assert_eq!(outputs, [format!("piece 2 {}", "y".repeat(256)), "done 2".into(), "send cancel".into()]);
}

/// An event of the random test.
#[derive(Debug, Clone)]
enum Step {
    Offer,
    /// The miner continues an attempt correctly.
    Say(u8),
    Finish(u8),
    /// Frames that a broken or hostile miner sends.
    Wild {
        attempt: u64,
        fence: u64,
        seq: u64,
        off: u64,
        what: u8,
    },
    Reject(u8),
    Fail(u8),
    Cancel(u8),
    Settle(u8),
    Block(u8),
    Unblock(u8),
    Ping {
        keep: u8,
    },
    Resume {
        keep: u8,
    },
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Offer),
        12 => any::<u8>().prop_map(Step::Say),
        6 => any::<u8>().prop_map(Step::Finish),
        6 => (0u64..6, 0u64..6, 0u64..4, 0u64..8, any::<u8>())
            .prop_map(|(attempt, fence, seq, off, what)| Step::Wild { attempt, fence, seq, off, what }),
        1 => any::<u8>().prop_map(Step::Reject),
        1 => any::<u8>().prop_map(Step::Fail),
        2 => any::<u8>().prop_map(Step::Cancel),
        4 => any::<u8>().prop_map(Step::Settle),
        1 => any::<u8>().prop_map(Step::Block),
        1 => any::<u8>().prop_map(Step::Unblock),
        1 => any::<u8>().prop_map(|keep| Step::Ping { keep }),
        1 => any::<u8>().prop_map(|keep| Step::Resume { keep }),
        2 => (0u64..40_000).prop_map(Step::Tick),
    ]
}

/// An attempt as an honest miner sees it, and the state of it that the router reported.
#[derive(Debug, Default)]
struct Seen {
    attempt: u64,
    seq: u64,
    off: u64,
    text: String,
    pieces: String,
    ended: bool,
    finished: bool,
    forgotten: bool,
}

#[derive(Default)]
struct World {
    seen: BTreeMap<u64, Seen>,
    closed: bool,
}

impl World {
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Piece(fence, chunk) => {
                    let seen = self.seen.get_mut(&fence.0).expect("a piece of an attempt that was offered");
                    assert!(!seen.ended && !seen.forgotten, "a piece after the end of {fence}");
                    seen.pieces.push_str(&chunk.text);
                }
                Output::Done(fence, answer) => {
                    let seen = self.seen.get_mut(&fence.0).expect("an end of an attempt that was offered");
                    assert!(!std::mem::replace(&mut seen.ended, true), "two ends of {fence}");
                    assert_eq!(answer.sha256.as_deref(), Some(hex(&Sha256::digest(&seen.pieces)).as_str()));
                    seen.finished = true;
                }
                Output::Failed(fence, _) | Output::Rejected { fence, .. } => {
                    let seen = self.seen.get_mut(&fence.0).expect("an end of an attempt that was offered");
                    assert!(!std::mem::replace(&mut seen.ended, true), "two ends of {fence}");
                }
                Output::Forgotten(fence) => {
                    let seen = self.seen.get_mut(&fence.0).expect("an attempt that was offered");
                    assert!(!std::mem::replace(&mut seen.forgotten, true), "forgotten twice: {fence}");
                }
                Output::Close(ErrorFrame { .. }) => self.closed = true,
                Output::Accepted(fence) => assert!(!self.seen[&fence.0].ended, "accepted after its end"),
                Output::Send(_) | Output::Credits(_) | Output::Draining | Output::Bye => {}
            }
        }
    }

    fn pick(&self, index: u8) -> Option<u64> {
        let fences: Vec<u64> = self.seen.keys().copied().collect();
        (!fences.is_empty()).then(|| fences[usize::from(index) % fences.len()])
    }

    fn held(&self, keep: u8) -> Vec<Held> {
        let kept = self.seen.iter().filter(|(fence, _)| (*fence ^ u64::from(keep)) % 3 != 0);
        kept.map(|(fence, seen)| Held { attempt: seen.attempt, fence: *fence, sent_seq: seen.seq }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_frames_breaks_a_promise(steps in proptest::collection::vec(step(), 1..80)) {
        let mut session = Session::new(LIMITS, 4);
        let mut world = World::default();
        let (mut next_fence, mut now) = (1_u64, 0_u64);
        for step in steps {
            match step {
                Step::Offer => {
                    if let Ok(RouterFrame::Task(task)) = session.offer(task(next_fence)) {
                        world.seen.insert(next_fence, Seen { attempt: task.attempt, ..Seen::default() });
                    }
                    next_fence += 1;
                }
                Step::Say(index) => {
                    let Some(fence) = world.pick(index) else { continue };
                    let seen = world.seen.get_mut(&fence).unwrap();
                    let piece = ["a", "ö", "", "long words"][usize::from(index) % 4];
                    seen.seq += 1;
                    let frame = tokens(seen.attempt, fence, seen.seq, seen.off, piece);
                    seen.off += piece.len() as u64;
                    seen.text.push_str(piece);
                    let outputs = session.frame(frame, 80, now);
                    world.take(outputs);
                }
                Step::Finish(index) => {
                    let Some(fence) = world.pick(index) else { continue };
                    let seen = &world.seen[&fence];
                    let outputs = session.frame(done(seen.attempt, fence, seen.seq, &seen.text), 200, now);
                    world.take(outputs);
                }
                Step::Wild { attempt, fence, seq, off, what } => {
                    let frame = match what % 5 {
                        0 => tokens(attempt, fence, seq, off, "wild"),
                        1 => done(attempt, fence, seq, "wild"),
                        2 => Accept { attempt, fence }.into(),
                        3 => Fail { attempt, fence, ..Fail::default() }.into(),
                        _ => Reject { attempt, fence, ..Reject::default() }.into(),
                    };
                    let outputs = session.frame(frame, 80, now);
                    world.take(outputs);
                }
                Step::Reject(index) | Step::Fail(index) => {
                    let Some(fence) = world.pick(index) else { continue };
                    let attempt = world.seen[&fence].attempt;
                    let frame: MinerFrame = match step {
                        Step::Reject(_) => Reject { attempt, fence, ..Reject::default() }.into(),
                        _ => Fail { attempt, fence, class: Class::Model.into(), ..Fail::default() }.into(),
                    };
                    let outputs = session.frame(frame, 80, now);
                    world.take(outputs);
                }
                Step::Cancel(index) => {
                    let Some(fence) = world.pick(index) else { continue };
                    session.cancel(Fence(fence), "", now);
                }
                Step::Settle(index) => {
                    let Some(fence) = world.pick(index) else { continue };
                    let seen = world.seen.get_mut(&fence).unwrap();
                    // Only a finished answer has a fate.
                    if seen.finished && session.settled(Fence(fence), Settled::Committed).is_some() {
                        assert!(!std::mem::replace(&mut seen.forgotten, true));
                    }
                }
                Step::Block(index) => {
                    if let Some(fence) = world.pick(index) {
                        session.block(Fence(fence));
                    }
                }
                Step::Unblock(index) => {
                    if let Some(fence) = world.pick(index) {
                        session.resume_reading(Fence(fence));
                    }
                }
                Step::Ping { keep } => {
                    let ping = Ping { t: now, inflight: world.held(keep) };
                    let outputs = session.frame(ping.into(), 80, now);
                    world.take(outputs);
                }
                Step::Resume { keep } => {
                    let held = world.held(keep);
                    let (adopt, drop, outputs) = session.resume(&held);
                    let named: BTreeSet<u64> = held.iter().map(|held| held.fence).collect();
                    let told: BTreeSet<u64> =
                        adopt.iter().map(|a| a.fence).chain(drop.iter().map(|d| d.fence)).collect();
                    prop_assert_eq!(&named, &told, "all that the miner names is answered, and nothing else");
                    for adopted in &adopt {
                        // An honest miner continues after the last piece that the router has.
                        let seen = world.seen.get_mut(&adopted.fence).unwrap();
                        prop_assert!(adopted.ack_seq <= seen.seq || seen.pieces != seen.text);
                    }
                    world.take(outputs);
                }
                Step::Tick(by) => {
                    now += by;
                    let outputs = session.tick(now);
                    world.take(outputs);
                }
            }
            let living = world.seen.values().filter(|seen| !seen.forgotten).count();
            prop_assert_eq!(session.inflight().len(), living, "what is not forgotten is held, and nothing else");
            prop_assert_eq!(session.check(), Ok(()));
            if world.closed {
                break;
            }
        }
    }
}
