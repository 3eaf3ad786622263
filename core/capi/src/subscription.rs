//! The stream of a task's tokens, pushed to the host.

use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of};

use cortensor_router::embed;

use crate::guard::{done, give, not_yet, null, of, timeout};
use crate::stream::{Shown, in_use, subscribed};
use crate::table::{self, Table, User};
use crate::unwind::quietly;
use crate::{Error, Event, Status, Stream};

/// The receiver of the events of one stream. Calls come one after the other, from threads of the router that may
/// block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StreamCallbacks {
    /// `sizeof(cortensor_stream_callbacks)`.
    pub struct_size: usize,
    /// The pointer that every call gets.
    pub user: *mut c_void,
    /// Takes an event, whose data is valid during the call.
    pub on_event: Option<unsafe extern "C" fn(user: *mut c_void, event: *const Event)>,
    /// Called once, after the last event or after the subscription was closed; may be NULL.
    pub drop: Option<unsafe extern "C" fn(user: *mut c_void)>,
}

// SAFETY: it is `repr(C)` with the size first; zero is a NULL pointer and a function that is absent.
unsafe impl Table for StreamCallbacks {
    const LEAST: usize = offset_of!(Self, drop) + size_of::<usize>();
}

struct Subscriber {
    user: User,
    on_event: unsafe extern "C" fn(*mut c_void, *const Event),
}

impl embed::Subscriber for Subscriber {
    fn on_event(&self, event: embed::Event) {
        let shown = Shown::from(event);
        let event = shown.event();
        // SAFETY: this is the host's function with the host's pointer; the event lives until it returns.
        unsafe { (self.on_event)(self.user.data, &raw const event) };
    }
}

/// A handle of a subscription.
#[derive(Debug)]
pub struct Subscription(embed::Subscription);

impl From<embed::Subscription> for Subscription {
    fn from(subscription: embed::Subscription) -> Self {
        Self(subscription)
    }
}

/// Gives every further event of the stream to `callbacks`; the last one is `CORTENSOR_EVENT_KIND_END`. The stream
/// cannot be read any more, but must still be freed, at any time. `out` may be NULL if the program never closes the
/// subscription.
///
/// The library takes over `user` in any case: `drop` is also called if the call fails.
///
/// # Safety
/// `callbacks` is NULL or has as many bytes as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_stream_subscribe(
    stream: Option<&Stream>,
    callbacks: *const StreamCallbacks,
    out: Option<&mut MaybeUninit<*mut Subscription>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    // SAFETY: the caller promises its size.
    let callbacks = unsafe { table::read(callbacks, "callbacks") };
    let subscribe = || {
        let callbacks = callbacks?;
        let user = User::new(callbacks.user, callbacks.drop);
        let on_event = callbacks.on_event.ok_or_else(|| null("callbacks.on_event"))?;
        let mut source = of(stream, "stream")?.source.try_write().ok_or_else(in_use)?;
        source.take().ok_or_else(subscribed)?.subscribe(Subscriber { user, on_event })
    };
    if out.is_none() { done(err, || subscribe().map(drop)) } else { give(out, err, subscribe) }
}

/// Ends a subscription: no further event is pushed. Waits for the running call, at most for `timeout_ms`; a negative
/// time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: the call has not ended; `CORTENSOR_STATUS_WOULD_DEADLOCK`
/// inside a callback.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_subscription_close(
    subscription: Option<&Subscription>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let ended = of(subscription, "subscription")?.0.close(timeout(timeout_ms))?;
        if ended { Ok(()) } else { Err(not_yet("the subscriber had not returned")) }
    })
}

/// Frees the handle. Events continue until the end or until a close.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_subscription_free(subscription: Option<Box<Subscription>>) {
    quietly(|| drop(subscription));
}
