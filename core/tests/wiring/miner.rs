//! The miners: the real miner client, on a simulated network, with a backend that marks every word of an answer.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cortensor_router::miner::client::{Connecting, MinerClient, MinerClientConfig, Surroundings, Transport};
use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::Answer;
use cortensor_router_testkit::random::Random;
use parking_lot::Mutex;
use turmoil::net::TcpStream;

use crate::router::{PORT, TOKEN};

/// The number of the next answer in the process. No two answers are alike, so that a mixture of two shows.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

/// The simulated network, and random numbers that the seed repeats.
struct Simulated(Mutex<Random>);

impl Surroundings for Simulated {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream: io::Result<TcpStream> = TcpStream::connect((host, port)).await;
            Ok(Box::new(stream?) as Box<dyn Transport>)
        })
    }

    fn chance(&self) -> u64 {
        self.0.lock().number()
    }
}

/// Runs a miner until its host crashes.
pub(crate) async fn run(name: String, seed: u64, run: u64) -> turmoil::Result {
    let mut chance = Random::new(seed ^ run.wrapping_mul(0x9e37));
    let mut config = MinerClientConfig::new(format!("ws://router:{PORT}"), name).token(TOKEN);
    config = config.capacity(chance.range(1, 3) as u32).reconnect_base_ms(100).reconnect_max_ms(800);
    config.connect_timeout_ms = 2_000;
    let surroundings = Arc::new(Simulated(Mutex::new(chance.clone())));
    let _client = MinerClient::start_in(
        config,
        move |job: Job| {
            let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(job, number, Random::new(seed ^ number)));
        },
        surroundings,
    )?;
    pending().await
}

/// Gives the answer word by word. Each word names the prompt, the answer and its place in it.
async fn answer(job: Job, number: u64, mut chance: Random) {
    let prompt = job.prompt().into_owned();
    let words = words_of(&prompt);
    let word = |place: u64| word(&prompt, number, place);
    if chance.chance(15) {
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        let text: String = (0..words).map(word).collect();
        return job.finish(Answer::default().text(text));
    }
    for place in 0..words {
        let wait = Duration::from_millis(if chance.chance(5) { chance.below(1_200) } else { chance.below(60) });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = job.cancelled() => return,
        }
        if job.emit(word(place)) == Emit::Cancelled {
            return;
        }
    }
    job.finish(Answer::default());
}

fn word(prompt: &str, number: u64, place: u64) -> String {
    format!("{prompt}/{number}/{place} ")
}

/// The number of words of a prompt's answer, from 1 to 24.
fn words_of(prompt: &str) -> u64 {
    1 + prompt.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) % 24
}

/// The reason why a text is not a whole answer to the prompt, if it is not one.
pub(crate) fn fault_of(prompt: &str, text: &str) -> Option<String> {
    let number = text.split('/').nth(1).and_then(|number| number.parse().ok()).unwrap_or(u64::MAX);
    let whole: String = (0..words_of(prompt)).map(|place| word(prompt, number, place)).collect();
    (text != whole).then(|| format!("{text:?} is no answer to {prompt:?}"))
}
