//! The miners: the real miner client, on a simulated network, with a backend that marks every word of an answer.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cortensor_router::miner::client::{MinerClient, MinerClientConfig, Surroundings};
use cortensor_router::miner::{Connecting, Emit, Job, Network, Transport};
use cortensor_router::model::Answer;
use cortensor_router_testkit::random::Random;
use parking_lot::Mutex;
use turmoil::net::TcpStream;

use crate::certificate::CERTIFICATE;
use crate::router::{PORT, TOKEN};

/// The number of the next answer in the process. No two answers are alike, so that a mixture of two shows.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

/// The simulated network, and random numbers that the seed repeats.
pub(crate) struct Simulated(Mutex<Random>);

impl Simulated {
    pub(crate) fn new(chance: Random) -> Self {
        Self(Mutex::new(chance))
    }
}

impl Network for Simulated {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream: io::Result<TcpStream> = TcpStream::connect((host, port)).await;
            Ok(Box::new(stream?) as Box<dyn Transport>)
        })
    }
}

impl Surroundings for Simulated {
    fn chance(&self) -> u64 {
        self.0.lock().number()
    }
}

/// Runs a miner until its host crashes.
pub(crate) async fn run(name: String, seed: u64, run: u64, tls: bool) -> turmoil::Result {
    let mut chance = Random::new(seed ^ run.wrapping_mul(0x9e37));
    let scheme = if tls { "wss" } else { "ws" };
    let mut config = MinerClientConfig::new(format!("{scheme}://router:{PORT}"), name).token(TOKEN);
    config = config.ca_file(tls.then(|| CERTIFICATE.file()));
    config = config.capacity(chance.range(1, 3) as u32).reconnect_base_ms(100).reconnect_max_ms(800);
    config.connect_timeout_ms = 2_000;
    let surroundings = Arc::new(Simulated::new(chance.clone()));
    let _client = MinerClient::start_in(
        config,
        move |job: Job| {
            let number = next_answer();
            tokio::spawn(answer(job, number, Random::new(seed ^ number)));
        },
        surroundings,
    )?;
    pending().await
}

/// Gives the answer word by word. Each word names the prompt, the answer and its place in it.
async fn answer(job: Job, number: u64, mut chance: Random) {
    let prompt = job.prompt().into_owned();
    let words: Vec<String> = words(&prompt, number).collect();
    if chance.chance(15) {
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        return job.finish(Answer::default().text(words.concat()));
    }
    for word in words {
        let wait = Duration::from_millis(if chance.chance(5) { chance.below(1_200) } else { chance.below(60) });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = job.cancelled() => return,
        }
        if job.emit(word) == Emit::Cancelled {
            return;
        }
    }
    job.finish(Answer::default());
}

/// The number of the next answer.
pub(crate) fn next_answer() -> u64 {
    ANSWERS.fetch_add(1, Ordering::Relaxed)
}

/// The words of an answer to a prompt, from 1 to 24.
pub(crate) fn words(prompt: &str, number: u64) -> impl Iterator<Item = String> {
    (0..count_of(prompt)).map(move |place| format!("{prompt}/{number}/{place} "))
}

fn count_of(prompt: &str) -> u64 {
    1 + prompt.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 24
}

/// The reason why a text is not a whole answer to the prompt, if it is not one.
pub(crate) fn fault_of(prompt: &str, text: &str) -> Option<String> {
    let number = text.split('/').nth(1).and_then(|number| number.parse().ok()).unwrap_or(u64::MAX);
    let whole: String = words(prompt, number).collect();
    (text != whole).then(|| format!("{text:?} is no answer to {prompt:?}"))
}
