//! Messages that a call of a language causes on its own thread. That thread takes them itself at the end of its call,
//! so that no other thread has to be woken for them.

use std::cell::Cell;
use std::sync::Arc;

use crate::mailbox::Post;

thread_local! {
    /// The address of the mailbox of the present native call, 0 outside of one; and whether it has got a message.
    static HERE: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

fn address(post: &Post) -> usize {
    std::ptr::from_ref(post).addr()
}

/// Makes a native call. The flag tells that the mailbox has messages that nobody was woken for: the language must take
/// them.
fn during<R>(post: &Arc<Post>, call: impl FnOnce() -> R) -> (R, bool) {
    let _leave = Leave(HERE.replace((address(post), false)));
    let given = call();
    (given, HERE.get().1)
}

/// Makes a native call that gives only the flag.
pub(crate) fn filled(post: &Arc<Post>, call: impl FnOnce()) -> bool {
    during(post, call).1
}

/// Makes a native call that gives the flag where it succeeds. Where it fails, a thread that waits is woken.
pub(crate) fn told<E>(post: &Arc<Post>, call: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
    let (given, filled) = during(post, call);
    if given.is_err() && filled {
        post.wake();
    }
    given.map(|()| filled)
}

/// Makes a native call whose answer has no place for the flag: a thread that waits is woken.
pub(crate) fn waking<R>(post: &Arc<Post>, call: impl FnOnce() -> R) -> R {
    let (given, filled) = during(post, call);
    if filled {
        post.wake();
    }
    given
}

/// Restores what was there before, even after a panic.
struct Leave((usize, bool));

impl Drop for Leave {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

/// Notes that the mailbox has messages. `false`: this thread makes no native call for it, and another must be woken.
pub(crate) fn note(post: &Post) -> bool {
    // A thread that is ending makes no native call either.
    HERE.try_with(|here| {
        let inside = here.get().0 == address(post);
        if inside {
            here.set((address(post), true));
        }
        inside
    })
    .unwrap_or(false)
}
