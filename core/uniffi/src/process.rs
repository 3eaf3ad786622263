//! The forks of this process.

use std::sync::Once;

static COUNTED: Once = Once::new();

/// Counts the forks of this process from now on.
pub(crate) fn count_forks() {
    COUNTED.call_once(|| {
        #[cfg(unix)]
        {
            extern "C" fn child() {
                cortensor_router::embed::forked();
            }
            // SAFETY: the handler lives as long as the library, which is never unloaded, and only changes a number.
            if unsafe { libc::pthread_atfork(None, None, Some(child)) } != 0 {
                return;
            }
        }
        cortensor_router::embed::count_forks();
    });
}
