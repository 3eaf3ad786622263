//! A miner that dials in, as the specification of the miner protocol describes it: it says hello, comes back after its
//! connection broke, and goes on with the attempts that it holds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cortensor_router::internals::protocol::frame::{
    Auth, Challenge, Credit, ErrorFrame, Held, Hello, Limits, MinerFrame, Ping, Pong, RAW, Resume, RouterFrame,
    VERSION, Welcome, Word,
};
use cortensor_router::internals::protocol::identity::{MinerKeyPair, encode};
use cortensor_router::model::{CONTINUE, NodeKind};

use crate::hellos::Wrong;
use crate::network::Way;
use crate::people::{Credential, Identity};
use crate::skew::{self, Skew};
use crate::work::Work;
use crate::world::{Happening, World};

/// A process of a miner.
pub(crate) struct Process {
    pub(crate) who: Identity,
    /// The number of tasks that it does at a time.
    pub(crate) slots: u32,
    pub(crate) epoch: u64,
    /// The connection that it has, or is making.
    pub(crate) connection: Option<u32>,
    /// The limits of its welcome on this connection.
    pub(crate) limits: Option<Limits>,
    /// Whether it sends OpenAI's JSON beside the text.
    pub(crate) raw: bool,
    pub(crate) held: BTreeMap<u64, Work>,
    generation: u64,
    pub(crate) seen: u64,
    /// The challenge of its last connection.
    pub(crate) last_challenge: Option<Challenge>,
    /// The errors that the router may send it, because it has earned them.
    pub(crate) pardons: BTreeMap<String, u32>,
    /// The fault of its next hello.
    pub(crate) wrong: Option<Wrong>,
    /// How often another process of this miner has taken its place.
    replaced: u32,
    /// Whether it has taken the name of another miner.
    pub(crate) namesake: bool,
}

impl Process {
    /// The attempts that it holds, as `ping` and `resume` list them.
    pub(crate) fn inflight(&self) -> Vec<Held> {
        self.held.iter().map(|(attempt, work)| work.listed(*attempt)).collect()
    }

    /// Lets go of the attempt with that number, if it has that fence.
    fn forget(&mut self, attempt: u64, fence: u64) {
        if self.held.get(&attempt).is_some_and(|work| work.fence.0 == fence) {
            self.held.remove(&attempt);
        }
    }
}

/// The keys of the miners that have one, by the numbers in their names.
pub(crate) fn key_pair(name: &str) -> &'static MinerKeyPair {
    static KEYS: OnceLock<Vec<MinerKeyPair>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        (0..8_u8)
            .map(|n| {
                // PKCS #8 of an Ed25519 key: a fixed head and the seed.
                let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
                let der = STANDARD.encode([&head[..], &[n + 1; 32]].concat());
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
                MinerKeyPair::from_pem(&pem).expect("the seed makes a key")
            })
            .collect()
    });
    let number: usize = name.trim_start_matches('m').parse().expect("miners are called m0 to m7");
    &keys[number]
}

impl World {
    /// Starts a process of a miner, which dials at once.
    pub(crate) fn start_process(&mut self, who: Identity, wrong: Option<Wrong>) {
        let number = self.dial.next_number();
        let process = Process {
            slots: self.random.range(1, 3) as u32,
            epoch: self.random.number() >> 11,
            connection: None,
            limits: None,
            raw: self.random.chance(50),
            held: BTreeMap::new(),
            generation: 0,
            seen: 0,
            last_challenge: None,
            pardons: BTreeMap::new(),
            wrong,
            replaced: 0,
            namesake: false,
            who,
        };
        self.dial.processes.insert(number, process);
        self.after(0, Happening::Dial(number));
    }

    /// Lets a process die. The router learns of it by the end of its connection, or by silence.
    pub(crate) fn process_dies(&mut self, number: u32) {
        let Some(process) = self.dial.processes.remove(&number) else { return };
        self.report.miners_lost += 1;
        if let Some(connection) = process.connection
            && self.random.chance(70)
        {
            self.miner_closes(connection);
        }
        self.after(crate::miners::REJOINS_AFTER, Happening::MinerJoins);
    }

    /// Notes that a process has lost its connection. It comes back.
    pub(crate) fn miner_lost(&mut self, connection: u32) {
        let wait = self.random.range(1, 1_500);
        for (number, process) in &mut self.dial.processes {
            if process.connection == Some(connection) {
                (process.connection, process.limits) = (None, None);
                let at = self.now + wait;
                let number = *number;
                return self.at(at, Happening::Dial(number));
            }
        }
    }

    /// Sends a frame of a process over its connection, as its version writes it.
    pub(crate) fn say(&mut self, number: u32, frame: &MinerFrame) {
        let Some(process) = self.dial.processes.get(&number) else { return };
        let (Some(connection), skew) = (process.connection, process.who.skew) else { return };
        // Before the welcome nothing but the hello is sent; the resume settles the difference.
        if process.limits.is_none() && !matches!(frame, MinerFrame::Hello(_)) {
            return;
        }
        let text = skew::written(skew, frame.to_text());
        self.report.newer += u64::from(skew == Skew::Newer);
        self.send(connection, Way::Up, text);
    }

    /// Handles a frame of the router.
    pub(crate) fn miner_hears(&mut self, connection: u32, text: &str) -> Result<(), String> {
        let Some(number) = self.dial.connections.get(&connection).map(|connection| connection.process) else {
            return Ok(());
        };
        let Some(process) = self.dial.processes.get_mut(&number).filter(|p| p.connection == Some(connection)) else {
            return Ok(());
        };
        let frame = if self.dial.newer_router {
            self.report.newer_router += 1;
            RouterFrame::parse(&skew::with_unknown_members(text))
        } else {
            RouterFrame::parse(text)
        };
        let Some(frame) = frame.map_err(|bad| format!("a frame of the router cannot be read: {bad}"))? else {
            return Err(format!("the router sent a frame of an unknown type: {text}"));
        };
        match frame {
            RouterFrame::Challenge(challenge) => self.says_hello(number, connection, challenge),
            RouterFrame::Welcome(welcome) => return self.welcomed(number, welcome),
            RouterFrame::Task(task) => return self.task_comes(number, &task),
            RouterFrame::Ack(ack) => {
                if let Some(work) = process.held.get_mut(&ack.attempt).filter(|work| work.fence.0 == ack.fence) {
                    work.acknowledged(ack.seq);
                    self.flush_work(number, ack.attempt);
                }
            }
            RouterFrame::Final(last) => process.forget(last.attempt, last.fence),
            RouterFrame::Cancel(cancel) => self.cancelled(number, cancel.attempt, cancel.fence),
            RouterFrame::Drop(drop) => process.forget(drop.attempt, drop.fence),
            RouterFrame::Ping(ping) => {
                let inflight = process.inflight();
                self.say(number, &Pong { t: ping.t, inflight }.into());
            }
            RouterFrame::Error(error) => return self.error_comes(number, connection, &error),
            RouterFrame::Pong(_) | RouterFrame::Drain(_) | RouterFrame::Bye(_) => {}
        }
        Ok(())
    }

    /// Sends a ping with the attempts that the process holds.
    pub(crate) fn miner_pings(&mut self, connection: u32) {
        let Some(number) = self.dial.connections.get(&connection).map(|connection| connection.process) else { return };
        let Some(process) = self.dial.processes.get(&number).filter(|p| p.connection == Some(connection)) else {
            return;
        };
        let inflight = process.inflight();
        self.say(number, &Ping { t: self.now, inflight }.into());
    }

    fn says_hello(&mut self, number: u32, connection: u32, challenge: Challenge) {
        let Some(process) = self.dial.processes.get_mut(&number) else { return };
        let who = process.who.clone();
        let inflight = process.inflight();
        let mut features = Vec::new();
        if who.continues {
            features.push(CONTINUE.to_owned());
        }
        if process.raw {
            features.push(RAW.to_owned());
        }
        let kind = if who.dedicated { NodeKind::Dedicated } else { NodeKind::Ephemeral };
        let mut hello = Hello {
            v: VERSION,
            miner_id: who.name.to_string(),
            name: Some(who.name.to_string()),
            auth: Auth { token: Some(format!("token-{}", who.name)), ..Auth::default() },
            epoch: process.epoch,
            agent: "model/1".into(),
            features,
            kind: kind.into(),
            max_concurrency: process.slots,
            resume: (!inflight.is_empty()).then_some(Resume { inflight }),
            ..Hello::default()
        };
        if who.dials == Some(Credential::Key) {
            let pair = key_pair(&who.name);
            hello.miner_id = pair.id();
            hello.auth.public_key = Some(encode(pair.public_key()));
            hello.auth.signature = Some(encode(&pair.sign(&challenge, None)));
        }
        match who.skew {
            Skew::Older => self.report.older += 1,
            Skew::Newer if !who.dedicated => hello.kind = Word::Unknown("floating".into()),
            Skew::Same | Skew::Newer => {}
        }
        self.spoil(number, connection, &mut hello);
        if let Some(process) = self.dial.processes.get_mut(&number) {
            process.last_challenge = Some(challenge);
        }
        self.say(number, &hello.into());
    }

    fn welcomed(&mut self, number: u32, welcome: Welcome) -> Result<(), String> {
        let Some(process) = self.dial.processes.get_mut(&number) else { return Ok(()) };
        if process.namesake {
            // The other miner was not there. It must get its name back.
            self.process_dies(number);
            return Ok(());
        }
        let adopted: BTreeMap<(u64, u64), u64> =
            welcome.adopt.iter().map(|adopt| ((adopt.attempt, adopt.fence), adopt.ack_seq)).collect();
        process.held.retain(|attempt, work| adopted.contains_key(&(*attempt, work.fence.0)));
        for (attempt, work) in &mut process.held {
            let ack_seq = adopted.get(&(*attempt, work.fence.0)).copied().unwrap_or_default();
            if ack_seq > work.listed(*attempt).sent_seq {
                return Err(format!("the router has {ack_seq} pieces of attempt {attempt}, which were never sent"));
            }
            work.resume(ack_seq);
        }
        process.limits = Some(welcome.limits);
        process.generation = 0;
        process.seen = process.held.keys().next_back().copied().unwrap_or(0);
        let held: Vec<u64> = process.held.keys().copied().collect();
        self.says_credit(number);
        for attempt in held {
            self.flush_work(number, attempt);
        }
        Ok(())
    }

    /// Tells the router how many tasks the process has room for.
    pub(crate) fn says_credit(&mut self, number: u32) {
        let Some(process) = self.dial.processes.get_mut(&number).filter(|p| p.limits.is_some()) else { return };
        let working = process.held.values().filter(|work| work.is_working()).count() as u32;
        process.generation += 1;
        let credit = Credit {
            generation: process.generation,
            free: BTreeMap::from([("*".to_owned(), process.slots - working)]),
            seen: process.seen,
        };
        self.say(number, &credit.into());
    }

    /// Handles an error of the router. A miner that has done nothing wrong gets none.
    fn error_comes(&mut self, number: u32, connection: u32, error: &ErrorFrame) -> Result<(), String> {
        let Some(process) = self.dial.processes.get_mut(&number) else { return Ok(()) };
        let expected = self.dial.connections.get(&connection).and_then(|connection| connection.expects);
        match error.code.as_str() {
            // Another process of this miner is there. It must not go on like that for ever.
            "replaced" => {
                self.report.replaced += 1;
                process.replaced += 1;
                if process.replaced > 2 {
                    self.process_dies(number);
                }
                Ok(())
            }
            // A cut may have held the hello back.
            "hello_timeout" => Ok(()),
            code if expected == Some(code) => {
                self.report.refused_hellos += u64::from(process.limits.is_none());
                if process.namesake {
                    self.process_dies(number);
                }
                Ok(())
            }
            code => match process.pardons.get_mut(code).filter(|pardons| **pardons > 0) {
                Some(pardons) => {
                    *pardons -= 1;
                    Ok(())
                }
                None => Err(format!("the miner {} was refused without a reason: {error:?}", process.who.name)),
            },
        }
    }
}
