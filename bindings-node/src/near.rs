//! Messages for the environment whose own thread calls the native part.
//!
//! The thread runs JavaScript anyway, which empties the queue in its next turn. The event loop need not be woken from
//! outside, which takes a system call.

use std::cell::Cell;
use std::sync::Arc;

use crate::bridge::Queue;
use crate::error::Result;

/// The native call that this thread makes for JavaScript.
#[derive(Clone, Copy)]
struct Near {
    /// The address of the queue of the thread's environment.
    queue: *const Queue,
    /// Whether a message was added.
    filled: bool,
}

thread_local! {
    static NEAR: Cell<Option<Near>> = const { Cell::new(None) };
}

/// Runs a call of JavaScript that does not wait. Gives whether JavaScript must empty the queue in its next turn.
pub(crate) fn during<R>(queue: &Arc<Queue>, call: impl FnOnce() -> Result<R>) -> Result<(R, bool)> {
    let leave = Leave { queue, outer: NEAR.replace(Some(Near { queue: Arc::as_ptr(queue), filled: false })) };
    let given = call()?;
    let filled = NEAR.replace(None).is_some_and(|near| near.filled);
    drop(leave);
    Ok((given, filled))
}

/// Notes that a message was added to this queue. `false`: the event loop must be woken.
pub(crate) fn note(queue: &Queue) -> bool {
    let near = NEAR.get().filter(|near| std::ptr::eq(near.queue, queue));
    if let Some(near) = near {
        NEAR.set(Some(Near { filled: true, ..near }));
    }
    near.is_some()
}

/// The end of a call. If the call failed, JavaScript learns nothing of its messages, and the event loop is woken.
struct Leave<'a> {
    queue: &'a Arc<Queue>,
    outer: Option<Near>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let here = NEAR.replace(self.outer);
        if here.is_some_and(|near| near.filled) {
            self.queue.wake();
        }
    }
}
