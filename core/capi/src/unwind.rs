//! Ends panics of calls that cannot report an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs something that cannot fail; a panic of a destructor ends here.
pub(crate) fn quietly(call: impl FnOnce()) {
    // There is nobody to tell: the panic hook has reported the panic.
    let _ = catch_unwind(AssertUnwindSafe(call));
}

/// Reads from a handle, which cannot fail; gives `other` for NULL.
pub(crate) fn look<T, V>(handle: Option<&T>, other: V, call: impl FnOnce(&T) -> V) -> V {
    let Some(handle) = handle else { return other };
    catch_unwind(AssertUnwindSafe(|| call(handle))).unwrap_or(other)
}
