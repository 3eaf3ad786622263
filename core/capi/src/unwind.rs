//! Ends panics of calls that cannot report an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a call that cannot report an error. A panic of a destructor ends here.
pub(crate) fn quietly(call: impl FnOnce()) {
    // The call has no way to report the panic. The panic hook has done so.
    let _ = catch_unwind(AssertUnwindSafe(call));
}

/// Reads from a handle; returns `other` for NULL and after a panic.
pub(crate) fn look<T, V>(handle: Option<&T>, other: V, call: impl FnOnce(&T) -> V) -> V {
    let Some(handle) = handle else { return other };
    catch_unwind(AssertUnwindSafe(|| call(handle))).unwrap_or(other)
}
