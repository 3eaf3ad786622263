//! The router's door for miners that dial in. As the router does, it drives the machine of the handshake, looks tokens and
//! keys up, and gives an admitted miner its seat.

use cortensor_router::internals::protocol::frame::{ErrorFrame, RouterFrame};
use cortensor_router::internals::protocol::handshake::{Admitted, Enrolled, Greeting, Holder, Step, unauthorized};
use cortensor_router::internals::protocol::hello::check_resumed;
use cortensor_router::internals::protocol::identity::encode;

use crate::network::{Connection, Way};
use crate::process::key_pair;
use crate::seats::{MAX_RESUMED, replaced};
use crate::world::{Happening, World};

/// The time within which a miner must say hello.
const HELLO_MS: u64 = 2_000;

impl World {
    /// Opens a connection for a process, and sends the challenge.
    pub(crate) fn dials(&mut self, process: u32) {
        let nonce = encode(&[self.random.number().to_le_bytes(), self.random.number().to_le_bytes()].concat());
        let number = self.dial.next_number();
        let Some(caller) = self.dial.processes.get_mut(&process).filter(|caller| caller.connection.is_none()) else {
            return;
        };
        caller.connection = Some(number);
        let greeting = Greeting::new(nonce, self.now, "router".into(), None);
        let challenge = greeting.challenge().to_text();
        self.dial.connections.insert(number, Connection::new(process, greeting, self.now));
        self.after(HELLO_MS, Happening::HelloDue(number));
        self.send(number, Way::Down, challenge);
    }

    /// Refuses a miner that has not said hello in time.
    pub(crate) fn hello_due(&mut self, number: u32) -> Result<(), String> {
        let greeting = self.dial.connections.get_mut(&number).and_then(|connection| connection.greeting.take());
        greeting.map_or(Ok(()), |greeting| self.greet(number, greeting.timed_out()))
    }

    /// Plays the handshake until it waits for a frame or is over.
    pub(crate) fn greet(&mut self, number: u32, mut step: Step) -> Result<(), String> {
        loop {
            step = match step {
                Step::Greeting(greeting) => {
                    if let Some(connection) = self.dial.connections.get_mut(&number) {
                        connection.greeting = Some(greeting);
                    }
                    return Ok(());
                }
                Step::Token(shown) => {
                    let holder = self.holder_of(shown.token());
                    shown.held_by(holder)
                }
                Step::Key(shown) => {
                    let known = self.dial.enrolled.contains(shown.key_id());
                    let record = Enrolled { owner: self.owner_of(shown.key_id()), ..Enrolled::default() };
                    shown.known(known.then_some(record))
                }
                Step::Enrolment(enrolment) => {
                    self.report.enrolled += 1;
                    self.dial.enrolled.insert(enrolment.key_id().to_owned());
                    let owner = self.owner_of(enrolment.key_id());
                    enrolment.recorded(Ok(Enrolled { owner, ..Enrolled::default() }))
                }
                Step::Admitted(admitted) => return self.admit(number, &admitted),
                Step::Refused(error) => {
                    self.refuse(number, &error);
                    return Ok(());
                }
            };
        }
    }

    pub(crate) fn refuse(&mut self, number: u32, error: &ErrorFrame) {
        self.send(number, Way::Down, RouterFrame::Error(error.clone()).to_text());
        self.router_closes(number, 1008, &error.code);
    }

    /// The holder of a token. Each miner has its own, and the router knows the owner of each.
    fn holder_of(&self, token: &str) -> cortensor_router::Result<Holder> {
        let who = self.identities.iter().find(|who| token.strip_prefix("token-") == Some(&who.name));
        let who = who.ok_or_else(unauthorized)?;
        let owner = (!who.owner.is_empty()).then(|| who.owner.to_string());
        Ok(Holder { id: "holder".into(), owner, ..Holder::default() })
    }

    fn owner_of(&self, key: &str) -> Option<String> {
        let who = self.identities.iter().find(|who| key_pair(&who.name).id() == key)?;
        (!who.owner.is_empty()).then(|| who.owner.to_string())
    }

    /// Gives an admitted miner its seat.
    fn admit(&mut self, number: u32, admitted: &Admitted) -> Result<(), String> {
        let Admitted { identity, hello, spec, .. } = admitted;
        let Some(connection) = self.dial.connections.get(&number) else { return Ok(()) };
        if let Some(code) =
            connection.expects.filter(|code| ["unauthorized", "bad_signature", "version"].contains(code))
        {
            return Err(format!("I3: a hello was believed that must be refused with {code}"));
        }
        let process = connection.process;
        if let Err(error) = check_resumed(hello, MAX_RESUMED) {
            self.refuse(number, &ErrorFrame::of(&error));
            return Ok(());
        }
        let taken = self.dial.seats.iter().any(|(id, seat)| *id != identity.id && seat.name == spec.name);
        if taken {
            if let Some(connection) = self.dial.connections.get_mut(&number) {
                connection.expects = Some("conflict");
            }
            self.refuse(number, &ErrorFrame::fatal("conflict", "a miner of this name is there already"));
            return Ok(());
        }
        let stays =
            self.dial.seats.get(&identity.id).is_some_and(|seat| seat.occupancy.continues(hello.epoch, &spec.name));
        if !stays {
            if let Some(old) = self.vacate(&identity.id)? {
                self.refuse(old, &replaced());
            }
            self.seat(admitted)?;
        }
        self.sit_down(number, process, admitted)
    }
}
