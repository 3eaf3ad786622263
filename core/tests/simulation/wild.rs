//! Faults that come to miners that dial in: frames that break the protocol, doubles of a miner, and cuts.

use cortensor_router::internals::protocol::frame::{Accept, Credit, Done, Fail, Hello, MinerFrame, Reject, Tokens};
use cortensor_router::model::Fence;

use crate::hellos::Wrong;
use crate::network::Way;
use crate::seats::{FRAME, WINDOW};
use crate::work::Work;
use crate::world::{Happening, World};

impl World {
    /// A process that has been welcomed, with its connection.
    fn some_process(&mut self) -> Option<(u32, u32)> {
        let all: Vec<(u32, u32)> =
            self.dial.processes.keys().filter_map(|number| Some((*number, self.dial.welcomed(*number)?))).collect();
        let at = self.random.range(0, all.len().max(1) as u64 - 1) as usize;
        all.get(at).copied()
    }

    /// Starts another process of a miner beside its first one, or a process with the name of another miner.
    pub(crate) fn double(&mut self) {
        let Some((number, _)) = self.some_process() else { return };
        let namesake = self.random.chance(40);
        let Some(process) = self.dial.processes.get(&number) else { return };
        let mut who = process.who.clone();
        let held = process.inflight();
        if namesake {
            who.dials = Some(crate::people::Credential::Token);
            self.start_process(who, Some(Wrong::Namesake));
        } else {
            self.start_process(who, Some(Wrong::Copied(held)));
        }
    }

    /// Lets a miner read nothing for a time.
    pub(crate) fn deafen(&mut self) {
        let Some((_, number)) = self.some_process() else { return };
        if let Some(connection) = self.dial.connections.get_mut(&number) {
            connection.unread = true;
            self.report.deaf += 1;
            let at = self.random.range(200, 5_000);
            self.after(at, Happening::Reads(number));
        }
    }

    /// Cuts one direction of a connection, until it heals or one side takes the other for dead.
    pub(crate) fn cut_way(&mut self, number: u32) {
        let way = if self.random.chance(70) { Way::Up } else { Way::Down };
        if let Some(connection) = self.dial.connections.get_mut(&number) {
            connection.lane(way).held.get_or_insert_default();
            self.report.cuts += 1;
            let at = self.random.range(50, 5_000);
            self.after(at, Happening::HealWay(number, way));
        }
    }

    /// Sends a frame that breaks the protocol.
    pub(crate) fn run_wild(&mut self) {
        let Some((number, connection)) = self.some_process() else { return };
        let (kind, pick) = (self.random.range(0, 11), self.random.number());
        let (foreign, dead) = (
            self.dial.spoken.iter().nth(pick as usize % self.dial.spoken.len().max(1)).map(|(fence, _)| *fence),
            self.dead.iter().nth(pick as usize % self.dead.len().max(1)).copied(),
        );
        let Some(process) = self.dial.processes.get_mut(&number) else { return };
        let skew = process.who.skew;
        let working = process.held.iter_mut().find(|(_, work)| work.is_all_sent());
        match (kind, working) {
            (0 | 1, Some((attempt, work))) => {
                // Number or offset are wrong.
                let (seq, off) = if kind == 0 { (work.seq + 2, 0) } else { (work.seq + 1, 1_000) };
                let frame = Tokens { attempt: *attempt, fence: work.fence.0, seq, off, ..Tokens::default() };
                self.report.gaps += 1;
                self.misbehave(number, "gap", &frame.into());
            }
            (2 | 3, Some((attempt, work))) => {
                let MinerFrame::Done(done) = work.done(*attempt, 3) else { return };
                let done = Done { sha256: "0".repeat(64), ..done };
                self.report.false_hashes += 1;
                self.misbehave(number, "hash_mismatch", &done.into());
            }
            (4 | 5, Some((attempt, work))) => {
                // It counts as a piece, and is larger than two windows.
                let attempt = *attempt;
                let content = cortensor_router::internals::protocol::frame::Channel::Content;
                Work::push(work, attempt, content.into(), "", false, skew, 2 * WINDOW as usize);
                self.report.overruns += 1;
                self.pardon(number, "window", u32::MAX);
                self.flush_work(number, attempt);
            }
            (6, _) => {
                self.report.oversized += 1;
                self.pardon(number, "too_large", 1);
                self.send(connection, Way::Up, format!("{{\"type\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(FRAME)));
            }
            (7, _) => {
                self.report.bad_frames += 1;
                self.pardon(number, "bad_frame", 1);
                let text = ["{\"type\":\"tokens\",\"attempt\":1}", "[1", "{\"attempt\":1}", "{\"type\":7}"];
                self.send(connection, Way::Up, text[pick as usize % text.len()].to_owned());
            }
            (8, _) => {
                self.report.bad_frames += 1;
                self.misbehave(number, "unexpected", &MinerFrame::Hello(Hello::default()));
            }
            (9, _) => {
                self.report.unknown_types += 1;
                self.send(connection, Way::Up, "{\"type\":\"weather\",\"attempt\":1,\"fence\":1}".to_owned());
            }
            (_, _) => {
                let attempt = process.held.keys().next().copied().unwrap_or(1);
                for fence in [foreign, dead, Some(Fence(7))].into_iter().flatten() {
                    self.forge(number, attempt, fence, pick);
                }
            }
        }
    }

    /// Sends a frame about an attempt that the miner does not have.
    fn forge(&mut self, number: u32, attempt: u64, fence: Fence, pick: u64) {
        let Some(process) = self.dial.processes.get(&number) else { return };
        if process.held.values().any(|work| work.fence == fence) {
            return;
        }
        self.report.forged += 1;
        let fence = fence.0;
        let frame: MinerFrame = match pick % 5 {
            0 => Accept { attempt, fence }.into(),
            1 => Reject { attempt, fence, ..Reject::default() }.into(),
            2 => Tokens { attempt, fence, seq: 1, data: "forged".into(), ..Tokens::default() }.into(),
            3 => Done { attempt, fence, ..Done::default() }.into(),
            _ => Fail { attempt, fence, ..Fail::default() }.into(),
        };
        self.say(number, &frame);
        // An old count of free slots must not replace a newer one.
        self.say(number, &Credit { generation: 0, ..Credit::default() }.into());
    }

    fn misbehave(&mut self, number: u32, code: &str, frame: &MinerFrame) {
        self.pardon(number, code, 1);
        self.say(number, frame);
    }

    /// Lets the router send a miner an error that it has earned, so many times. A frame may arrive twice.
    fn pardon(&mut self, number: u32, code: &str, times: u32) {
        if let Some(process) = self.dial.processes.get_mut(&number) {
            let pardons = process.pardons.entry(code.to_owned()).or_default();
            *pardons = pardons.saturating_add(times.saturating_mul(2));
        }
    }
}
