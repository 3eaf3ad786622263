//! A waker that calls a function once.

use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;

/// A function that is called once, on the thread that wakes it. It must neither block nor call the router.
pub(super) type Notify = Box<dyn FnOnce() + Send>;

struct Once(Mutex<Option<Notify>>);

impl Wake for Once {
    fn wake(self: Arc<Self>) {
        let f = self.0.lock().take();
        if let Some(f) = f {
            f();
        }
    }
}

/// A waker that calls `f` when it is woken for the first time.
pub(super) fn waker(f: Notify) -> Waker {
    Waker::from(Arc::new(Once(Mutex::new(Some(f)))))
}
