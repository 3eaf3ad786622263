//! The log of a test's process, read line by line.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Every line that this process logs, as JSON. All tests of a process share one log, so each looks for lines that only
/// it can have caused.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of this process at the level `debug`, from the first call on.
    pub fn of_process() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let begin = || {
            let log = Self::default();
            let sink = log.clone();
            tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_env_filter("cortensor_router=debug")
                .with_writer(move || sink.clone())
                .init();
            log
        };
        LOG.get_or_init(begin).clone()
    }

    /// The whole log as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The lines that meet the condition.
    pub fn lines(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(parse).filter(|line| wanted(line)).collect()
    }

    /// Waits for a line that meets the condition. Gives the first one.
    pub async fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_000 {
            if let Some(line) = self.lines(&wanted).into_iter().next() {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no such line in:\n{}", self.text());
    }
}
