//! Measures the accepted tasks a second while each of 128 submitters waits until its task is on disk. The reference is
//! the least that a disk must do for them: records appended to a file, with one `fdatasync` for all that wait.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cortensor_router::config::{Config, Durability};
use cortensor_router::internals::store::SqliteStore;
use cortensor_router::miner::Job;
use cortensor_router::model::{MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Router, SubmitOptions};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::report::{Gate, Row, median, quantile};
use crate::{Context, Outcome, runtime};

const SUBMITTERS: usize = 128;
/// The size of a prompt in bytes.
const PROMPT: usize = 1_024;

/// The results of the submitters.
#[derive(Default)]
struct Accepts {
    rates: Vec<f64>,
    /// The wait of each submit, in milliseconds.
    waits: Vec<f64>,
}

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let (rounds, time) = context.pick((3, Duration::from_millis(1_500)), (5, Duration::from_secs(4)));
    let (mut raw, mut store) = (Accepts::default(), Accepts::default());
    let runtime = runtime()?;
    for _ in 0..rounds {
        let file = File::create(context.fresh_dir("raw")?.join("log")).map_err(|error| error.to_string())?;
        let (sender, receiver) = channel();
        let writer = std::thread::spawn(move || append(file, &receiver));
        runtime.block_on(submit(time, &mut raw, |_| {
            let sender = sender.clone();
            async move {
                let (done, written) = oneshot::channel();
                sender.send(done).map_err(|_| "the writer ended".to_owned())?;
                written.await.map_err(|_| "a record was not written".to_owned())
            }
        }))?;
        drop(sender);
        writer.join().map_err(|_| "the writer panicked".to_owned())?.map_err(|error| error.to_string())?;

        runtime.block_on(async {
            let router = open(context).await?;
            // The one miner keeps its one job, so that all other tasks stay queued.
            let kept: Arc<Mutex<Vec<Job>>> = Arc::default();
            let keep = Arc::clone(&kept);
            router.add_miner(MinerSpec::new("keeper", 1), move |job| keep.lock().push(job)).map_err(text)?;
            let done = submit(time, &mut store, |turn| {
                let router = router.clone();
                async move {
                    let request = TaskRequest::completion(prompt(turn)).timeout(3_600.0);
                    let options = SubmitOptions::default().detach(true);
                    let task = router.submit(SessionId(0), request, options).await.map_err(text)?;
                    task.accepted().await.map_err(text)
                }
            })
            .await;
            router.close().await;
            done
        })?;
    }
    let ratios = store.rates.iter().zip(&raw.rates).map(|(store, raw)| store / raw.max(1e-9)).collect();
    let (rate, reference) = (median(store.rates), median(raw.rates));
    let reference_p99 = quantile(&mut raw.waits, 0.99);
    rows.push(Row::new("accepts", "F1 durable, 128 submitters", rate, "accepts/s").gate(Gate::AtLeast(5_000.0)));
    rows.push(
        Row::new("accepts", "F1 beside grouped fdatasync", rate, "accepts/s")
            .beside_at("raw", reference, median(ratios))
            .gate(Gate::RatioAtLeast(0.25)),
    );
    rows.push(
        Row::new("accepts", "F1 p99", quantile(&mut store.waits, 0.99), "ms")
            .beside("raw", reference_p99)
            .gate(Gate::AtMost(50.0)),
    );
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn prompt(turn: u64) -> String {
    format!("{turn:0PROMPT$}")
}

async fn open(context: &Context) -> Outcome<Router> {
    let mut config = Config::default();
    config.limits.max_queued_tasks = 10_000_000;
    config.limits.max_queued_per_session = 10_000_000;
    config.limits.max_queued_bytes = 64 << 30;
    let store = SqliteStore::open(&context.fresh_dir("accepts")?, Durability::Full).map_err(text)?;
    Router::builder().config(config).store(Arc::new(store)).open().await.map_err(text)
}

/// Lets the submitters call `accept` again and again for that time.
async fn submit<F>(time: Duration, into: &mut Accepts, accept: impl Fn(u64) -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let until = Instant::now() + time;
    let mut running = JoinSet::new();
    let mut turn = 0;
    let mut again = |running: &mut JoinSet<_>| {
        turn += 1;
        let accepted = accept(turn);
        running.spawn(async move {
            let from = Instant::now();
            accepted.await.map(|()| from.elapsed())
        });
    };
    (0..SUBMITTERS).for_each(|_| again(&mut running));
    let (from, mut count) = (Instant::now(), 0_u32);
    while let Some(done) = running.join_next().await {
        into.waits.push(done.map_err(text)??.as_secs_f64() * 1e3);
        count += 1;
        if Instant::now() < until {
            again(&mut running);
        }
    }
    into.rates.push(f64::from(count) / from.elapsed().as_secs_f64());
    Ok(())
}

/// Writes a record for each waiting submitter, syncs once for all of them, and notifies them.
fn append(mut file: File, waiting: &Receiver<oneshot::Sender<()>>) -> std::io::Result<()> {
    let record = [b'x'; PROMPT];
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter().take(511)).collect();
        file.write_all(&record.repeat(group.len()))?;
        file.sync_data()?;
        for done in group {
            // A submitter that has gone need not be notified.
            let _ = done.send(());
        }
    }
    Ok(())
}
