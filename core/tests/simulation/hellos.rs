//! Hellos that the router must refuse, or must not believe.

use cortensor_router::internals::protocol::frame::{Held, Hello, Resume};
use cortensor_router::internals::protocol::identity::encode;

use crate::people::Credential;
use crate::process::key_pair;
use crate::seats::MAX_RESUMED;
use crate::world::World;

/// The fault of a hello.
#[derive(Debug, Clone)]
pub(crate) enum Wrong {
    /// The token was revoked.
    StaleToken,
    /// The signature is that of an earlier challenge.
    OldSignature,
    /// It speaks a version of the protocol that the router does not.
    Version,
    /// It names more attempts than a miner may.
    TooMany,
    /// It names one of its attempts under the fence of an earlier one.
    StaleFence,
    /// It names the attempts of another process of this miner.
    Copied(Vec<Held>),
    /// It has the name of another miner.
    Namesake,
}

impl World {
    /// Spoils a hello now and then.
    pub(crate) fn spoil(&mut self, number: u32, connection: u32, hello: &mut Hello) {
        let planned = self.dial.processes.get_mut(&number).and_then(|process| process.wrong.take());
        let wrong = match planned {
            Some(wrong) => wrong,
            None if !self.random.chance(14) => return,
            None => match self.random.range(0, 5) {
                0 => Wrong::StaleToken,
                1 => Wrong::OldSignature,
                2 => Wrong::Version,
                3 => Wrong::TooMany,
                _ => Wrong::StaleFence,
            },
        };
        let old = self.dead.iter().nth(self.random.range(0, 20) as usize).copied();
        let Some(process) = self.dial.processes.get(&number) else { return };
        let mut expects = None;
        match wrong {
            Wrong::StaleToken if process.who.dials == Some(Credential::Token) => {
                hello.auth.token = Some("revoked".into());
                self.report.stale_tokens += 1;
                expects = Some("unauthorized");
            }
            Wrong::OldSignature => {
                if let (Some(Credential::Key), Some(challenge)) = (process.who.dials, &process.last_challenge) {
                    hello.auth.signature = Some(encode(&key_pair(&process.who.name).sign(challenge, None)));
                    self.report.old_signatures += 1;
                    expects = Some("bad_signature");
                }
            }
            Wrong::Version => {
                hello.v = 2;
                self.report.versions += 1;
                expects = Some("version");
            }
            Wrong::TooMany => {
                let held = |n| Held { attempt: n, fence: n, sent_seq: 0 };
                hello.resume = Some(Resume { inflight: (0..=MAX_RESUMED as u64).map(held).collect() });
                self.report.resumed_too_many += 1;
                expects = Some("invalid_argument");
            }
            Wrong::StaleFence => {
                if let (Some(resume), Some(old)) = (&mut hello.resume, old) {
                    resume.inflight[0].fence = old.0;
                    self.report.stale_resumes += 1;
                }
            }
            Wrong::Copied(held) => {
                hello.resume = Some(Resume { inflight: held });
                self.report.twins += 1;
            }
            Wrong::Namesake => {
                hello.miner_id = format!("another-{}", process.who.name);
                hello.auth.public_key = None;
                self.report.namesakes += 1;
                if let Some(process) = self.dial.processes.get_mut(&number) {
                    process.namesake = true;
                }
            }
            Wrong::StaleToken => {}
        }
        if let Some(connection) = self.dial.connections.get_mut(&connection) {
            connection.expects = expects;
        }
    }
}
