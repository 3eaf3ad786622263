//! One request to a busy route and its answer.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Poll, ready};

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::client::{Client, Incoming, keep, scratch};
use super::head::{Known, Lengths};
use super::reply::{self, Ending, Part, Reply};
use super::talk::Talk;
use crate::Error;
use crate::listener::access::{self, Line};
use crate::listener::answer::Named;
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::cut::{Ends, cut_off};
use crate::listener::fast_path::{FastPath, Order};
use crate::listener::gate::{Admitted, Gate, Refused};
use crate::listener::limits::Limits;
use crate::listener::peer::Connection;
use crate::listener::reply::{Failed, Family};
use crate::listener::request_id;
use crate::listener::sse::{Events, Layout};
use crate::listener::wire::Socket;
use crate::model::Timestamp;

/// The most bytes of a whole answer that go out in one write with its head, and of the events of one write.
const ONE_WRITE: usize = 64 << 10;

/// The bytes of a longer answer that go out with its head. They are copied, and the others are not.
const WITH_HEAD: usize = 16 << 10;

/// The most bytes of a refused body that are read before the next head. A client whose head and body come in two
/// packets keeps its connection.
const UNREAD: u64 = 64 << 10;

/// An answer before it is written.
struct Outcome {
    reply: Reply,
    /// The caller's limits, of which the answer tells.
    limits: Option<Limits>,
    /// The causes that end a stream early; `None`: the request did not get as far as its route.
    ends: Option<Ends>,
}

impl Outcome {
    /// The answer to a request that did not get as far as its route.
    fn refused(family: Family, limits: Option<Limits>, error: Error) -> Self {
        Self { reply: Failed::new(family, error).into(), limits, ends: None }
    }
}

impl<S: Socket> Talk<'_, S> {
    /// Answers the request whose head is next. `false`: the connection ends after the answer.
    ///
    /// # Errors
    /// The client has gone, or takes nothing.
    pub(super) async fn exchange(&mut self, lengths: Lengths) -> io::Result<bool> {
        let Self { gate, on, stop, client, known: last, unread, .. } = self;
        let gate: &Gate = gate;
        let Some(known) = last.as_deref_mut() else { return Ok(false) };
        client.asked(lengths.head);
        let (route, closes) = (known.route(), known.closes());
        let id = known.id().cloned();
        let line = Line::begin(&Method::POST, id.as_ref(), on, &gate.state().router.settings().log);
        let mut left = lengths.body;
        let answering = answer(gate, on, client, known, &mut left);
        // A client that has gone drops its request, and the line of the request tells of it.
        let outcome = Line::during(line.as_deref(), answering).await?;
        let ends_after = |client_wants: bool| client_wants || stop.graceful.is_cancelled();
        let sending = Sending { gate, client, known: last, route, id, line, closes: ends_after(closes) };
        sending.send(outcome).await?;
        *unread = client.skip(left);
        Ok(*unread <= UNREAD && !ends_after(closes))
    }
}

/// Finds the caller of a request once more if another router has made its key.
async fn found_again(
    gate: &Gate,
    on: &Connection,
    known: &mut Known,
    found: Result<Caller, Error>,
) -> Result<Caller, Error> {
    let Err(refusal) = found else { return found };
    if gate.learn(&refusal, known.marked().headers).await? {
        known.caller(gate, on, Timestamp::wall_clock())
    } else {
        Err(refusal)
    }
}

/// Checks a request, reads its body and makes its answer. `left` is the length of the body that was not read.
///
/// # Errors
/// The client has gone.
async fn answer<S: Socket>(
    gate: &Gate,
    on: &Connection,
    client: &mut Client<S>,
    known: &mut Known,
    left: &mut u64,
) -> io::Result<Outcome> {
    let (route, family) = (known.route(), known.route().family());
    let now = Timestamp::wall_clock();
    let mut found = known.caller(gate, on, now);
    if found.is_err() && gate.state().router.learns() {
        // The rarer way is boxed, so that the usual one does not reserve memory for it.
        found = Box::pin(found_again(gate, on, known, found)).await;
    }
    let found = found.map_err(|error| Refused { limits: None, error });
    let (caller, limits, key_life) = match found.and_then(|caller| gate.admit(caller, now)) {
        Ok(Admitted { caller, limits, key_life }) => (caller, limits, key_life),
        Err(Refused { limits, error }) => return Ok(Outcome::refused(family, limits, error)),
    };
    let (state, head) = (gate.state(), known.marked());
    access::on_fixed(route.path());
    let mut ends = Ends { closing: on.closing.clone(), key_life };
    let order: Result<Order, Failed> = match route.admit(&caller) {
        Err(refusal) => Err(refusal),
        Ok(()) if client.came().len() as u64 >= *left => {
            // The body came with its head, as it does in the usual case.
            let length = usize::try_from(*left).unwrap_or(usize::MAX);
            let body = &client.came()[..length];
            let order = body::check(state, family, head, body).and_then(|()| route.read(state, head, body));
            client.take(length);
            *left = 0;
            order
        }
        Ok(()) => {
            let body = Incoming { client: &mut *client, left: &mut *left };
            // The future is boxed, so that connections reserve no memory for it.
            let read = Box::pin(async {
                let body = body::read(state, family, head, body).await?;
                route.read(state, head, &body)
            });
            match ends.hold(pin!(read)).await {
                Ok(order) => order,
                Err(error) => return Ok(Outcome::refused(family, limits, error)),
            }
        }
    };
    let answer = match order {
        Err(refusal) => route.refuse(state, head, refusal),
        Ok(order) => {
            let mut answer = pin!(route.perform(state, &caller, head, order));
            let answer = poll_fn(|cx| {
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Ok(Ok(answer)));
                }
                if let Some(error) = ends.due(cx) {
                    return Poll::Ready(Ok(Err(error)));
                }
                client.poll_gone(cx, false).map(Err)
            });
            match answer.await? {
                Ok(answer) => answer,
                Err(error) => return Ok(Outcome::refused(family, limits, error)),
            }
        }
    };
    Ok(Outcome { reply: answer.into(), limits, ends: Some(ends) })
}

/// The way of an answer to its client.
struct Sending<'a, S> {
    gate: &'a Gate,
    client: &'a mut Client<S>,
    /// The connection's last head.
    known: &'a mut Option<Box<Known>>,
    route: FastPath,
    /// The request's id that its caller gave.
    id: Option<HeaderValue>,
    line: Option<Box<Line>>,
    /// Whether the connection ends after the answer.
    closes: bool,
}

impl<S: Socket> Sending<'_, S> {
    /// Counts an answer and writes it.
    ///
    /// # Errors
    /// When the client does not take it.
    async fn send(mut self, outcome: Outcome) -> io::Result<()> {
        let Outcome { reply, limits, ends } = outcome;
        let status = match &reply {
            Reply::Said(status, ..) => *status,
            Reply::Whole(..) | Reply::Events(..) => StatusCode::OK,
        };
        let traffic = &self.gate.state().traffic;
        if ends.is_some() {
            traffic.count_busy(self.route, status);
        } else {
            traffic.count(&Method::POST, None, status);
        }
        let mut more = HeaderMap::new();
        if let Some(limits) = limits {
            limits.tell(self.route.family(), &mut more);
        }
        match reply {
            Reply::Whole(named, body) => {
                let mut head = scratch();
                self.begin(&named, &more, Some(body.len()), &mut head);
                self.whole(head, &body.front, &body.rest).await
            }
            Reply::Events(named, events) => {
                let mut head = Vec::with_capacity(512);
                self.begin(&named, &more, None, &mut head);
                let Self { client, known, route, line, .. } = self;
                stream(client, known, head, events, ends.map(|ends| (ends, route.family())), line).await
            }
            Reply::Said(status, mut headers, body) => {
                headers.extend(more);
                self.gate.name_for(self.route.family(), &mut headers, self.id.take());
                if let Some(line) = &mut self.line {
                    line.answered(status, headers.get(request_id::HEADER));
                }
                let mut head = scratch();
                reply::head(status, &headers, Ending { body: Some(body.len()), closes: self.closes }, &mut head);
                self.whole(head, &body, &[]).await
            }
        }
    }

    /// Writes the head of an answer about a task. `body`: the length of its body, if the body is no stream.
    fn begin(&mut self, named: &Named, more: &HeaderMap, body: Option<usize>, out: &mut Vec<u8>) {
        if let Some(line) = &mut self.line {
            let own = || HeaderValue::try_from(named.id.id()).ok();
            line.answered(StatusCode::OK, self.id.clone().or_else(own).as_ref());
        }
        let ending = Ending { body, closes: self.closes };
        reply::task_head(named, self.route.family(), self.id.as_ref(), more, ending, out);
    }

    /// Writes an answer whose body is complete: `front` and `rest`.
    async fn whole(self, mut out: Vec<u8>, front: &[u8], rest: &[u8]) -> io::Result<()> {
        if let Some(line) = self.line {
            line.complete();
        }
        let room = if front.len() + rest.len() <= ONE_WRITE { ONE_WRITE } else { WITH_HEAD };
        let (first, front) = front.split_at(front.len().min(room));
        let (second, rest) = rest.split_at(rest.len().min(room - first.len()));
        out.extend_from_slice(first);
        out.extend_from_slice(second);
        // The front has bytes left only if the rest has all of its own left.
        let (mut part, mut at) = (0, 0);
        poll_fn(|cx| {
            let parts = [&out[..], front, rest];
            while let Some(bytes) = parts.get(part) {
                if !bytes.is_empty() {
                    ready!(self.client.poll_write(cx, bytes, &mut at))?;
                }
                (part, at) = (part + 1, 0);
            }
            Poll::Ready(io::Result::Ok(()))
        })
        .await?;
        keep(out);
        Ok(())
    }
}

/// Writes a stream of events. All events that are ready go out in one write. While the client takes nothing, no further
/// events are taken from the task.
async fn stream<S: Socket>(
    client: &mut Client<S>,
    known: &mut Option<Box<Known>>,
    mut head: Vec<u8>,
    events: Box<Events<dyn Layout>>,
    mut ends: Option<(Ends, Family)>,
    mut line: Option<Box<Line>>,
) -> io::Result<()> {
    // The events are dropped at their end, and with them the caller's attachment to the task.
    let mut events = Some(events);
    poll_fn(|cx| {
        loop {
            let sent = client.poll_sent(cx)?;
            let mut waits = sent.is_pending();
            if sent.is_ready() {
                let Some(open) = &mut events else { return Poll::Ready(Ok(())) };
                let mut part = Part::begin(scratch(), &head);
                let mut is_last = false;
                while part.len() < ONE_WRITE && !waits && !is_last {
                    if let Some((ends, family)) = &mut ends
                        && let Some(error) = ends.due(cx)
                    {
                        cut_off(*family, &error, part.data());
                        is_last = true;
                        break;
                    }
                    match open.poll_into(cx, part.data()) {
                        Poll::Ready(more) => is_last = !more,
                        Poll::Pending => waits = true,
                    }
                }
                if is_last {
                    events = None;
                    if let Some(line) = line.take() {
                        line.complete();
                    }
                }
                let (out, at) = part.end(&head, is_last);
                head = Vec::new();
                let sent = if at < out.len() { client.send(cx, &out[at..]) } else { Ok(()) };
                keep(out);
                sent?;
            }
            if waits {
                // A stream that waits may last for minutes, and reading the next head costs little beside it.
                *known = None;
                return client.poll_gone(cx, true).map(Err);
            }
        }
    })
    .await
}
