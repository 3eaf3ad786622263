//! Tasks and their streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cortensor_router::embed::{Canceller, Event, Stream, Task};
use napi::bindgen_prelude::{Array, Env, ToNapiValue, Uint32Array};
use napi_derive::napi;

use crate::bridge::{Id, Queue};
use crate::error::{Result, released, throw};
use crate::payload::Payload;
use crate::{near, run};

/// The least number of texts that cross the border as one.
const FEW: usize = 4;

/// A submitted task. It is held until it ends or is released, because the time of garbage collection must not decide
/// whether a task is cancelled.
#[napi]
pub struct NativeTask {
    task: Option<Task>,
    hold: Canceller,
    queue: Arc<Queue>,
}

impl NativeTask {
    pub(crate) fn new(task: Task, queue: Arc<Queue>) -> Self {
        // The wait for the end holds the task.
        let end = task.result();
        let hold = end.canceller();
        end.then(drop);
        Self { task: Some(task), hold, queue }
    }

    fn task(&self) -> Result<&Task> {
        self.task.as_ref().ok_or_else(|| released("task"))
    }
}

#[napi]
impl NativeTask {
    /// The session, the task in its session, the task among all sessions, and whether it existed already (0 or 1).
    #[napi(catch_unwind)]
    pub fn ids(&self) -> Result<Vec<i64>> {
        let task = self.task()?;
        Ok(vec![task.session_id() as i64, task.task_id() as i64, task.gid() as i64, i64::from(task.joined())])
    }

    /// Answers with the task's record.
    #[napi(catch_unwind)]
    pub fn record(&self, id: Id) -> Result<()> {
        self.queue.answer(id, self.task()?.record(), Payload::Text);
        Ok(())
    }

    /// Answers with the completion, when the task has ended. Gives whether JavaScript must empty the queue in its next
    /// turn.
    #[napi(catch_unwind)]
    pub fn result(&self, id: Id) -> Result<bool> {
        let asked = near::during(&self.queue, || {
            self.queue.answer(id, self.task()?.result(), Payload::Text);
            Ok(())
        });
        asked.map(|((), filled)| filled)
    }

    /// The task's tokens after that number.
    #[napi(catch_unwind)]
    pub fn stream(&self, after: i64) -> Result<NativeStream> {
        let after = after.max(0) as u64;
        let stream = self.task()?.stream(after).map_err(throw)?;
        Ok(NativeStream { stream: Some(stream), queue: self.queue.clone(), last: after.into() })
    }

    /// Cancels the task, even if other callers wait for it.
    #[napi(catch_unwind)]
    pub fn cancel(&self) -> Result<()> {
        self.task.as_ref().map_or(Ok(()), |task| task.cancel().map_err(throw))
    }

    /// Detaches the task: from now on, no caller that leaves cancels it.
    #[napi(catch_unwind)]
    pub fn detach(&self) -> Result<()> {
        self.task()?.detach().map_err(throw)
    }

    /// Releases the task. This cancels it if no other caller holds it and it is not detached.
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.hold.cancel();
        self.task = None;
    }
}

/// A task's tokens as they come.
#[napi]
pub struct NativeStream {
    stream: Option<Stream>,
    queue: Arc<Queue>,
    /// The number of the last event that JavaScript has.
    last: AtomicU64,
}

#[napi]
impl NativeStream {
    /// Takes the events that are ready: a text for a token, whose number is one more than that of the event before it
    /// unless `[number]` comes first, a number for a restart, `[whether it succeeded, JSON]` for the end. The texts of
    /// several tokens may come as one, after a `Uint32Array` of their lengths.
    /// Gives an empty list after the end, and null if no event is ready; `id` is signalled once one is.
    #[napi(catch_unwind)]
    pub fn take<'env>(&self, env: &'env Env, id: Id) -> Result<Option<Array<'env>>> {
        let Some(stream) = &self.stream else { return env.create_array(0).map(Some) };
        let Some(events) = stream.take_ready().map_err(throw)? else { return env.create_array(0).map(Some) };
        if events.is_empty() {
            stream.notify(self.queue.signal(id)).map_err(throw)?;
            return Ok(None);
        }
        let mut told = Told { list: env.create_array(0)?, texts: Vec::new() };
        for event in events {
            match event {
                Event::Token { seq, text } => {
                    if self.last.swap(seq, Ordering::Relaxed) + 1 != seq {
                        let mut number = env.create_array(1)?;
                        number.set(0, seq as i64)?;
                        told.put(number)?;
                    }
                    told.texts.push(text);
                }
                Event::Restart { seq } => {
                    self.last.store(seq, Ordering::Relaxed);
                    told.put(seq as i64)?;
                }
                Event::End(end) => {
                    let mut pair = env.create_array(2)?;
                    pair.set(0, end.is_ok())?;
                    pair.set(1, end.unwrap_or_else(|error| cortensor_router::embed::error_json(&error)))?;
                    told.put(pair)?;
                }
            }
        }
        told.texts()?;
        Ok(Some(told.list))
    }

    /// Stops reading.
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        self.stream = None;
    }
}

/// The events for JavaScript.
struct Told<'env> {
    list: Array<'env>,
    /// The texts of the last tokens, which are not in the list yet.
    texts: Vec<Bytes>,
}

impl Told<'_> {
    /// Puts an event after all texts before it.
    fn put(&mut self, event: impl ToNapiValue) -> Result<()> {
        self.texts()?;
        self.list.insert(event)
    }

    fn texts(&mut self) -> Result<()> {
        let texts = std::mem::take(&mut self.texts);
        if texts.len() < FEW {
            return texts.iter().try_for_each(|text| self.list.insert(String::from_utf8_lossy(text).as_ref()));
        }
        // Pieces are whole characters.
        let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
        let lengths: Vec<u32> = texts.iter().map(|text| run::units(text) as u32).collect();
        self.list.insert(Uint32Array::new(lengths))?;
        self.list.insert(texts.concat())
    }
}
