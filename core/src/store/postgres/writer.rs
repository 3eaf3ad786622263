//! The task that writes. It takes all operations that gathered during the last commit, and writes them in one
//! transaction.
//!
//! If the connection is lost, the operations wait for the next one: new tasks for a moment, ends for longer. A batch
//! whose commit was asked for is looked up before it is done again.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::answer::Answer;
use super::batch::{Batch, Failed, Ground, was_committed};
use super::flight::{Doubt, Flight, waits};
use super::link::{Link, Lost};
use super::options::PostgresOptions;
use super::seat::{Seat, Unseated};
use super::sums::UsageRows;
use super::target::Target;
use super::unusable;
use crate::Error;
use crate::store::figures::Commits;
use crate::store::front::Refusing;
use crate::store::op::{Op, Reply};
use crate::store::queue::{AbandonOnDrop, Queue, Taken};

/// The number of beats within a lease.
const BEATS: u32 = 10;

/// The time between two looks at operations that wait for a database that is away.
const LOOK: Duration = Duration::from_millis(50);

/// The state of the writer.
pub(super) struct Writer {
    pub(super) options: PostgresOptions,
    pub(super) target: Target,
    pub(super) ground: Arc<Ground>,
    pub(super) queue: Arc<Queue<Op>>,
    pub(super) refusing: Refusing,
    pub(super) commits: Commits,
    pub(super) settled: watch::Sender<u64>,
    pub(super) seat: Seat,
    pub(super) usage: UsageRows,
    /// The number of the last batch whose commit was asked for.
    pub(super) number: u64,
    pub(super) flights: VecDeque<Flight>,
    /// Refused writes that are not told as settled yet: older ones still wait, and a read behind all of them must not
    /// overtake those.
    pub(super) owed: u64,
    /// The operation that closes the store, once it was taken.
    pub(super) closing: Option<Op>,
}

/// The writer's next step.
enum Next {
    /// It works with this connection.
    Work(Link),
    /// It has no connection.
    Wait,
    /// Another router has the database; nothing is written any more.
    Refuse(Error),
    /// It ends.
    End,
}

impl Writer {
    /// Runs until the store is closed.
    pub(super) async fn run(mut self, link: Link) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        let mut next = Next::Work(link);
        loop {
            next = match next {
                Next::Work(link) => self.work(link).await,
                Next::Wait => self.wait().await,
                Next::Refuse(error) => self.refuse(error).await,
                Next::End => break,
            };
        }
        // From here on, no reader waits for the writer.
        let Self { closing, settled, .. } = self;
        drop(settled);
        if let Some(Op::Close(to)) = closing {
            Reply::Done(to, Ok(())).send();
        }
    }

    /// Works with a connection until it is lost or the store is closed.
    async fn work(&mut self, link: Link) -> Next {
        loop {
            #[cfg(test)]
            while self.ground.asleep.load(Ordering::Acquire) {
                tokio::time::sleep(LOOK).await;
            }
            let Some(mut flight) = self.flights.pop_front() else {
                if self.closing.is_some() {
                    return self.leave(link).await;
                }
                match tokio::time::timeout(self.ground.lease / BEATS, self.queue.filled()).await {
                    Ok(()) => self.take(),
                    Err(_) => match self.beat(link).await {
                        Ok(sound) => return Next::Work(sound),
                        Err(next) => return next,
                    },
                }
                continue;
            };
            match self.fly(&link, &mut flight).await {
                Ok(answers) => {
                    self.refusing.well();
                    let count = answers.len() as u64;
                    flight.ops.into_iter().zip(answers).for_each(|(op, answer)| answer.send(op));
                    self.settle(count);
                    self.settle_owed();
                }
                Err(Failed::Deposed) => {
                    self.flights.push_front(flight);
                    match self.sit_again(link).await {
                        Ok(sound) => return Next::Work(sound),
                        Err(next) => return next,
                    }
                }
                Err(Failed::Refused(error)) => {
                    link.cut();
                    // Whoever is refused finds the store refusing.
                    self.refusing.ill(&error);
                    self.settle(flight.fail(&error));
                    return Next::Refuse(error);
                }
                Err(Failed::Lost(lost)) => {
                    if let Some(error) = unusable::refused_value(&lost)
                        && bounded(self.ground.patience, async { Ok(link.run("ROLLBACK").await?) }).await.is_ok()
                    {
                        self.divide(flight, &error);
                        continue;
                    }
                    self.flights.push_front(flight);
                    self.refusing.ill(&unusable::lost(&lost));
                    link.cut();
                    return Next::Wait;
                }
            }
        }
    }

    /// Takes the operations of the next batch.
    fn take(&mut self) {
        let taken = self.queue.take_batch(Duration::ZERO, self.options.batch_ops, self.options.batch_bytes);
        if let Taken::Items(mut ops) = taken {
            if matches!(ops.last(), Some(Op::Close(_))) {
                self.closing = ops.pop();
            }
            if !ops.is_empty() {
                self.flights.push_back(Flight::of(ops));
            }
        }
    }

    /// Renews the lease. Gives the connection if it is sound.
    async fn beat(&mut self, link: Link) -> Result<Link, Next> {
        match bounded(self.ground.patience, self.seat.renew(&link, &self.ground)).await {
            Ok(()) => {
                self.refusing.well();
                Ok(link)
            }
            Err(Failed::Deposed) => self.sit_again(link).await,
            Err(Failed::Refused(error)) => {
                link.cut();
                Err(Next::Refuse(error))
            }
            Err(Failed::Lost(lost)) => {
                self.refusing.ill(&unusable::lost(&lost));
                link.cut();
                Err(Next::Wait)
            }
        }
    }

    /// Takes a new seat, because another router has declared this one gone. Gives the connection if it is sound.
    async fn sit_again(&mut self, link: Link) -> Result<Link, Next> {
        let (patience, ground) = (self.options.end_patience, Arc::clone(&self.ground));
        let taken = tokio::time::timeout(patience, self.seat.take_again(&link, &ground)).await;
        match taken.unwrap_or(Err(Unseated::Lost(Lost::Late(patience)))) {
            Ok(keeps_ids) => {
                self.ground.epoch.store(self.seat.epoch, Ordering::Release);
                self.seat.lost_ids |= !keeps_ids;
                Ok(link)
            }
            Err(Unseated::Lost(lost)) => {
                self.refusing.ill(&unusable::lost(&lost));
                link.cut();
                Err(Next::Wait)
            }
            Err(Unseated::Refused(error)) => {
                link.cut();
                Err(Next::Refuse(error))
            }
        }
    }

    /// Brings a batch into the database. Gives the answers once it is committed.
    async fn fly(&mut self, link: &Link, flight: &mut Flight) -> Result<Vec<Answer>, Failed> {
        if let Some(doubt) = flight.doubt.take() {
            let asked = was_committed(link, &self.ground, &doubt.seat.nonce, doubt.number);
            match bounded(self.ground.patience, asked).await {
                Ok(true) => return Ok(self.committed(doubt)),
                Ok(false) => {}
                Err(failed) => {
                    flight.doubt = Some(doubt);
                    return Err(failed);
                }
            }
        }
        // These operations may touch very many rows.
        let is_long = flight.ops.iter().any(Op::is_alone);
        let patience = if is_long { self.options.end_patience } else { self.ground.patience };
        // A link of 1 MB/s carries it in time.
        let patience = patience + Duration::from_millis(flight.weight() / 1_000);
        let begun = Instant::now();
        let mut batch = Batch::new(link, &self.ground, &self.seat, &mut self.usage);
        let answers = bounded(patience, batch.run(&flight.ops)).await?;
        // A number is used up when its commit is asked for, whatever becomes of the batch: another one with the same
        // number would be taken for it.
        self.number += 1;
        let number = self.number;
        flight.doubt = Some(Doubt { number, seat: batch.seat.clone(), answers });
        bounded(patience, batch.commit(number)).await?;
        self.commits.done(flight.ops.len(), begun.elapsed());
        Ok(flight.doubt.take().map(|doubt| self.committed(doubt)).unwrap_or_default())
    }

    /// Notes that a batch is in the database.
    fn committed(&mut self, doubt: Doubt) -> Vec<Answer> {
        // Another seat may have been taken meanwhile.
        if self.seat.nonce == doubt.seat.nonce {
            self.seat = doubt.seat;
            self.ground.epoch.store(self.seat.epoch, Ordering::Release);
        }
        doubt.answers
    }

    /// Does the halves of a batch by themselves, until the one operation that the database does not take fails alone.
    fn divide(&mut self, flight: Flight, error: &Error) {
        if flight.ops.len() == 1 {
            let count = flight.fail(error);
            self.settle(count);
            return self.settle_owed();
        }
        let [first, second] = flight.halves();
        self.flights.push_front(second);
        self.flights.push_front(first);
    }

    /// Waits without a connection until there is one.
    async fn wait(&mut self) -> Next {
        let since = Instant::now();
        loop {
            let target = self.target.clone();
            let attempt = async move {
                tokio::time::sleep(pause()).await;
                target.connect().await
            };
            tokio::pin!(attempt);
            let connected = loop {
                tokio::select! {
                    connected = &mut attempt => break connected,
                    () = self.queue.filled(), if self.closing.is_none() => self.hold(since.elapsed()),
                    () = tokio::time::sleep(LOOK) => {}
                }
                self.expire();
                if self.closing.is_some() && since.elapsed() >= self.options.patience {
                    return self.give_up();
                }
            };
            match connected {
                Ok(link) => match self.beat(link).await {
                    Ok(link) => {
                        self.seat.anew = true;
                        return Next::Work(link);
                    }
                    Err(Next::Wait) => {}
                    Err(next) => return next,
                },
                Err(error) => {
                    self.refusing.ill(&error);
                }
            }
        }
    }

    /// Takes what was asked for while the database is away, and refuses what cannot wait.
    fn hold(&mut self, away: Duration) {
        let before = self.flights.len();
        self.take();
        if self.flights.len() == before {
            return;
        }
        let Some(flight) = self.flights.pop_back() else { return };
        let mut room = self.options.waiting_bytes.saturating_sub(self.flights.iter().map(Flight::weight).sum());
        let error = self.away();
        let mut kept = Vec::new();
        for op in flight.ops {
            let fits = op.weight() <= room;
            if fits && (waits(&op) || away < self.options.patience) {
                room -= op.weight();
                kept.push(op);
            } else {
                op.fail(error.clone());
                self.owed += 1;
            }
        }
        if !kept.is_empty() {
            let rest = match self.flights.back_mut() {
                Some(last) => last.join(kept, self.options.batch_ops, LOOK).err(),
                None => Some(kept),
            };
            self.flights.extend(rest.map(Flight::of));
        }
        self.settle_owed();
    }

    /// Refuses what has waited too long.
    fn expire(&mut self) {
        let error = self.away();
        let (short, long) = (self.options.patience, self.options.end_patience);
        let refused: u64 = self.flights.iter_mut().map(|flight| flight.expire(short, long, &error)).sum();
        self.flights.retain(|flight| !flight.ops.is_empty());
        self.owed += refused;
        self.settle_owed();
    }

    /// Refuses everything that waits, because the store is closed.
    fn give_up(&mut self) -> Next {
        let error = self.away();
        for flight in std::mem::take(&mut self.flights) {
            self.settle(flight.fail(&error));
        }
        self.settle_owed();
        Next::End
    }

    /// Refuses every write until the store is closed.
    async fn refuse(&mut self, error: Error) -> Next {
        self.refusing.ill(&error);
        loop {
            self.give_up();
            if self.closing.is_some() {
                return Next::End;
            }
            self.queue.filled().await;
            self.take();
        }
    }

    /// Gives the seat up, and ends the connection.
    async fn leave(&mut self, link: Link) -> Next {
        #[cfg(test)]
        if self.ground.killed.load(Ordering::Acquire) {
            link.cut();
            return Next::End;
        }
        let left = bounded(self.ground.patience, async { Ok(self.seat.leave(&link, &self.ground).await?) }).await;
        if let Err(failed) = left {
            tracing::warn!(
                ?failed,
                "the database was not told that this router has ended: its lease runs out by itself"
            );
            link.cut();
        } else {
            link.end().await;
        }
        Next::End
    }

    /// The reason why the store does not write.
    fn away(&self) -> Error {
        self.refusing.reason().unwrap_or_else(|| Error::store("the database is away"))
    }

    fn settle(&self, count: u64) {
        if count > 0 {
            self.settled.send_modify(|settled| *settled += count);
        }
        // Whoever was refused has an answer, although it is not told as settled yet.
        self.ground.answered.store(*self.settled.borrow() + self.owed, Ordering::Release);
    }

    /// Tells refused writes as settled, once none waits that may be older.
    fn settle_owed(&mut self) {
        let owed = if self.flights.is_empty() { std::mem::take(&mut self.owed) } else { 0 };
        self.settle(owed);
    }
}

/// Waits for an answer of the server, but not for ever.
async fn bounded<T>(patience: Duration, answer: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failed::Lost(Lost::Late(patience))),
    }
}

/// The pause before the next try to connect: 100 ms to 1 s, by chance, so that routers do not come back all at once.
fn pause() -> Duration {
    let mut random = [0; 2];
    // Without randomness the pause is the shortest.
    let _ = getrandom::fill(&mut random);
    Duration::from_millis(100 + u64::from(u16::from_ne_bytes(random)) % 900)
}
