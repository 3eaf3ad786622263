//! Faults of the network and of the disk that come to a world from outside.

use cortensor_router::internals::engine::{Blame, Event, MinerKey};
use cortensor_router::model::Fence;

use crate::miners::REJOINS_AFTER;
use crate::network::Break;
use crate::world::{Happening, World};

/// A fault that comes at a time of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// All miners lose their connection at once, and come back at once.
    Storm,
    /// The frames of a miner do not arrive for a time, while offers still reach it.
    Cut,
    /// A frame names a fence that no attempt has.
    Forged,
    /// The disk stalls.
    Stall,
    /// A miner that dialled in sends a frame that breaks the protocol.
    Wild,
    /// A connection of a miner that dialled in breaks.
    Broken,
    /// Another process has the identity, or the name, of a miner that dialled in.
    Double,
    /// A miner that dialled in reads nothing for a time.
    Deaf,
}

impl World {
    pub(crate) fn plan_faults(&mut self) {
        let faults = [
            (Fault::Storm, 15),
            (Fault::Cut, 60),
            (Fault::Forged, 60),
            (Fault::Stall, 30),
            (Fault::Wild, 80),
            (Fault::Wild, 80),
            (Fault::Wild, 80),
            (Fault::Broken, 60),
            (Fault::Broken, 60),
            (Fault::Double, 30),
            (Fault::Deaf, 50),
        ];
        for (fault, percent) in faults {
            if self.random.chance(percent) {
                let at = self.random.range(0, 8_000);
                self.after(at, Happening::Fault(fault));
            }
        }
    }

    pub(crate) fn suffer(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Storm => {
                self.report.storms += 1;
                let all: Vec<MinerKey> = self.miners.keys().copied().collect();
                all.into_iter().try_for_each(|key| self.leave(key))?;
                let open: Vec<u32> = self.dial.connections.keys().copied().collect();
                open.into_iter().try_for_each(|number| self.break_connection(number, Break::Reset))
            }
            Fault::Cut => {
                let all: Vec<MinerKey> = self.miners.keys().copied().collect();
                if all.is_empty() {
                    return Ok(());
                }
                let key = all[self.random.range(0, all.len() as u64 - 1) as usize];
                if let Some(id) = self.dial.id_of(key) {
                    let number = self.dial.seats.get(&id).and_then(|seat| seat.occupancy.connection().copied());
                    if let Some(number) = number {
                        self.cut_way(number);
                    }
                    return Ok(());
                }
                self.report.cuts += 1;
                self.cut.entry(key).or_default();
                let at = self.random.range(50, 6_000);
                self.after(at, Happening::Heal(key));
                Ok(())
            }
            Fault::Forged => self.forged(),
            Fault::Wild => {
                self.run_wild();
                Ok(())
            }
            Fault::Broken => {
                let open: Vec<u32> = self.dial.processes.values().filter_map(|process| process.connection).collect();
                if open.is_empty() {
                    return Ok(());
                }
                let number = open[self.random.range(0, open.len() as u64 - 1) as usize];
                let how = self.some_break();
                self.break_connection(number, how)
            }
            Fault::Double => {
                self.double();
                Ok(())
            }
            Fault::Deaf => {
                self.deafen();
                Ok(())
            }
            Fault::Stall => {
                self.report.stalls += 1;
                let stall = self.random.range(200, 3_000);
                self.stalled_until = self.now + stall;
                // Many writes wait then, and a crash may tear them.
                if self.random.chance(40) {
                    self.after(stall / 2, Happening::Crash);
                }
                Ok(())
            }
        }
    }

    /// Ends a cut. Either the frames that were on their way arrive, or the connection turns out to be dead, and its
    /// frames arrive after the miner was given up.
    pub(crate) fn heal(&mut self, key: MinerKey) -> Result<(), String> {
        let Some(on_the_way) = self.cut.remove(&key) else { return Ok(()) };
        if self.random.chance(50) {
            self.report.half_open += 1;
            self.leave(key)?;
            for frame in on_the_way {
                let delay = self.random.range(0, 2 * REJOINS_AFTER);
                self.report.overtaken += u64::from(delay > REJOINS_AFTER);
                self.after(delay, frame);
            }
            return Ok(());
        }
        self.report.delayed += on_the_way.len() as u64;
        // At once, since the miner's next frame may come in the same millisecond and must not overtake these.
        on_the_way.iter().try_for_each(|frame| self.happen(frame))
    }

    /// Lets frames arrive under a fence that no attempt has, or has any more. They must change nothing.
    fn forged(&mut self) -> Result<(), String> {
        let made_up = Fence((self.epoch << 33) | (1 << 32) | self.random.range(0, 1_000));
        let old = self.dead.iter().nth(self.random.range(0, 5) as usize).copied();
        for fence in [Some(made_up), old].into_iter().flatten() {
            let events = [
                Event::Accept(fence),
                Event::Progress { fence, first: true, shown: true },
                Event::Shown(fence),
                Event::Done { fence, tokens: 3 },
                Event::Fail { fence, blame: Blame::Request },
                Event::Reject(fence),
            ];
            for event in events {
                self.report.forged += 1;
                let effects = self.effects_of(event);
                if let Some(effect) = effects.first() {
                    return Err(format!(
                        "I3: a frame under the fence {fence}, which nobody has, had the effect {effect:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}
