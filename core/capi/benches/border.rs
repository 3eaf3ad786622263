//! Measures the cost of the C API: equal work through the C functions and through the Rust facade below them, in turns
//! within one run.
//!
//! Run it with `cargo xtask bench c`. The figures are nanoseconds for each call in the best round; the difference of
//! the two is the cost of the C API.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::unnecessary_box_returns,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a bench"
)]

use std::ffi::c_void;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use cortensor_router::embed;
use cortensor_router_capi as c;

const ROUNDS: usize = 7;
/// With `--quick`.
const QUICK_ROUNDS: usize = 2;
const CALLS: usize = 2_000;
const TASKS: usize = 500;
/// Emitted, then read, so that the reader never lags behind its window.
const BATCH: usize = 1_000;
const BATCHES: usize = 50;
const PIECE: &[u8] = b"token";
const REQUEST: &str = r#"{"prompt": "x"}"#;
const FOREVER: i64 = -1;

/// Nanoseconds for each of `count` in one round.
fn each(count: usize, work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_nanos() as f64 / count as f64
}

fn made<T>(call: impl FnOnce(&mut MaybeUninit<*mut T>) -> c::Status) -> Box<T> {
    let mut out = MaybeUninit::new(ptr::null_mut());
    assert_eq!(call(&mut out), c::Status::Ok);
    // SAFETY: the call gave it, and it is ours.
    unsafe { Box::from_raw(out.assume_init()) }
}

/// A router with one miner that hands its jobs over.
struct Rust {
    router: embed::Router,
    jobs: Receiver<embed::Job>,
}

struct Abi {
    router: Box<c::Router>,
    jobs: Receiver<Box<c::Job>>,
}

struct Pass(Mutex<Sender<embed::Job>>);

impl embed::HostMiner for Pass {
    fn on_job(&self, job: embed::Job) {
        self.0.lock().unwrap().send(job).unwrap();
    }

    fn is_quick(&self) -> bool {
        true
    }
}

unsafe extern "C" fn pass(user: *mut c_void, job: *mut c::Job) {
    // SAFETY: `user` is the sender that `Abi::new` leaks, and the job is ours.
    let (sender, job) = unsafe { (&*user.cast::<Mutex<Sender<Box<c::Job>>>>(), Box::from_raw(job)) };
    sender.lock().unwrap().send(job).unwrap();
}

impl Rust {
    fn new() -> Self {
        let router = embed::Router::open("", None).wait().unwrap();
        let (give, jobs) = channel();
        router.add_miner(r#"{"name": "pass"}"#, Pass(Mutex::new(give))).unwrap();
        Self { router, jobs }
    }

    fn calls(&self) {
        for _ in 0..CALLS {
            black_box(self.router.info().unwrap());
        }
    }

    fn tasks(&self) {
        for _ in 0..TASKS {
            let task = self.router.submit(0, REQUEST).wait().unwrap();
            let job = self.jobs.recv().unwrap();
            let stream = task.stream(0).unwrap();
            job.emit(PIECE).unwrap();
            job.finish("").unwrap();
            while let embed::Next::Event(event) = stream.next(None).unwrap() {
                black_box(&event);
            }
        }
    }

    fn tokens(&self) -> f64 {
        let task = self.router.submit(0, REQUEST).wait().unwrap();
        let job = self.jobs.recv().unwrap();
        let stream = task.stream(0).unwrap();
        let spent = each(BATCH * BATCHES, || {
            for _ in 0..BATCHES {
                for _ in 0..BATCH {
                    job.emit(PIECE).unwrap();
                }
                for _ in 0..BATCH {
                    let embed::Next::Event(embed::Event::Token { text, .. }) = stream.next(None).unwrap() else {
                        panic!("no token");
                    };
                    assert_eq!(black_box(text).len(), PIECE.len());
                }
            }
        });
        job.finish("").unwrap();
        spent
    }
}

impl Abi {
    fn new() -> Self {
        // SAFETY: there is no text and no table.
        let router = made(|out| unsafe { c::cortensor_router_open(ptr::null(), 0, ptr::null(), Some(out), None) });
        let (give, jobs) = channel::<Box<c::Job>>();
        let callbacks = c::MinerCallbacks {
            struct_size: size_of::<c::MinerCallbacks>(),
            user: Box::into_raw(Box::new(Mutex::new(give))).cast(),
            on_job: Some(pass),
            drop: None,
            flags: c::CORTENSOR_MINER_QUICK,
        };
        let spec = r#"{"name": "pass"}"#;
        // SAFETY: the text has that many bytes, and the table its size.
        let added = unsafe {
            c::cortensor_router_add_miner(
                Some(&router),
                spec.as_ptr().cast(),
                spec.len(),
                &raw const callbacks,
                None,
                None,
            )
        };
        assert_eq!(added, c::Status::Ok);
        Self { router, jobs }
    }

    fn calls(&self) {
        for _ in 0..CALLS {
            let bytes = made(|out| c::cortensor_router_info(Some(&self.router), Some(out), None));
            black_box(c::cortensor_bytes_data(Some(&bytes)));
            c::cortensor_bytes_free(Some(bytes));
        }
    }

    fn submit(&self) -> (Box<c::Task>, Box<c::Job>, Box<c::Stream>) {
        // SAFETY: the text has that many bytes.
        let task = made(|out| unsafe {
            c::cortensor_router_submit(Some(&self.router), 0, REQUEST.as_ptr().cast(), REQUEST.len(), Some(out), None)
        });
        let job = self.jobs.recv().unwrap();
        let stream = made(|out| c::cortensor_task_stream(Some(&task), 0, Some(out), None));
        (task, job, stream)
    }

    fn emit(job: &c::Job) {
        // SAFETY: the text has that many bytes.
        let status = unsafe { c::cortensor_job_emit(Some(job), PIECE.as_ptr().cast(), PIECE.len(), None, None) };
        assert_eq!(status, c::Status::Ok);
    }

    fn finish(job: Box<c::Job>) {
        // SAFETY: there is no text.
        assert_eq!(unsafe { c::cortensor_job_finish(Some(&job), ptr::null(), 0, None) }, c::Status::Ok);
        c::cortensor_job_free(Some(job));
    }

    fn next(stream: &c::Stream, event: &mut c::Event) -> c::Status {
        // SAFETY: the event has its size.
        unsafe { c::cortensor_stream_next(Some(stream), FOREVER, event, None) }
    }

    fn event() -> c::Event {
        let (data, error) = (ptr::null(), ptr::null());
        c::Event { struct_size: size_of::<c::Event>(), kind: c::EventKind::End, seq: 0, data, len: 0, error }
    }

    fn tasks(&self) {
        for _ in 0..TASKS {
            let (task, job, stream) = self.submit();
            Self::emit(&job);
            Self::finish(job);
            let mut event = Self::event();
            while Self::next(&stream, &mut event) == c::Status::Ok {
                black_box(&event);
            }
            c::cortensor_stream_free(Some(stream));
            c::cortensor_task_free(Some(task));
        }
    }

    fn tokens(&self) -> f64 {
        let (task, job, stream) = self.submit();
        let mut event = Self::event();
        let spent = each(BATCH * BATCHES, || {
            for _ in 0..BATCHES {
                for _ in 0..BATCH {
                    Self::emit(&job);
                }
                for _ in 0..BATCH {
                    assert_eq!(Self::next(&stream, &mut event), c::Status::Ok);
                    assert_eq!(black_box(&event).len, PIECE.len());
                }
            }
        });
        Self::finish(job);
        c::cortensor_stream_free(Some(stream));
        c::cortensor_task_free(Some(task));
        spent
    }
}

fn figure(rounds: usize, name: &str, rust: impl Fn() -> f64, abi: impl Fn() -> f64) {
    let (mut of_rust, mut of_abi) = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        of_rust = of_rust.min(rust());
        of_abi = of_abi.min(abi());
    }
    println!("bench: {name}: {of_rust:.0} ns from Rust, {of_abi:.0} ns from C, the border {:+.0} ns", of_abi - of_rust);
}

fn main() {
    // `cargo test` runs benches to see that they work; it gives no `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = if std::env::args().any(|argument| argument == "--quick") { QUICK_ROUNDS } else { ROUNDS };
    let (rust, abi) = (Rust::new(), Abi::new());
    figure(
        rounds,
        "a call that gives a record (info)",
        || each(CALLS, || rust.calls()),
        || each(CALLS, || abi.calls()),
    );
    figure(rounds, "a token, emitted and read", || rust.tokens(), || abi.tokens());
    figure(
        rounds,
        "a task, submitted, answered, streamed and freed",
        || each(TASKS, || rust.tasks()),
        || each(TASKS, || abi.tasks()),
    );
    rust.router.shutdown(None).unwrap();
    assert_eq!(c::cortensor_router_shutdown(Some(&abi.router), FOREVER, None), c::Status::Ok);
}
