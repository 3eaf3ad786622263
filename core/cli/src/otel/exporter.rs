//! The queue of spans, and the task that sends them. Nobody ever waits for it: a span that finds no room is dropped and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cortensor_router::Result;
use cortensor_router::config::OtelConfig;
use cortensor_router::internals::{Span, SpanSink, chain, client_tls, retry_after_ms};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::otlp;

/// The maximum number of times that a batch is sent.
const TRIES: u32 = 3;

/// The wait before a batch is sent again; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait before a batch is sent again, whatever the collector asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The bytes of a collector's answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// An export that runs.
pub(crate) struct Exporter {
    sink: Arc<Sink>,
    stop: oneshot::Sender<()>,
    sending: JoinHandle<()>,
    /// The time that the last export may take.
    patience: Duration,
}

/// The entrance of the queue.
struct Sink {
    queue: mpsc::Sender<Span>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl SpanSink for Sink {
    fn take(&self, spans: Vec<Span>) {
        let lost = spans.into_iter().filter_map(|span| self.queue.try_send(span).err()).count();
        self.counts.dropped.fetch_add(lost as u64, Ordering::Relaxed);
    }

    fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

impl Exporter {
    /// Starts the export; `None`: the configuration asks for none.
    ///
    /// # Errors
    /// `InvalidArgument` names the key.
    pub(crate) fn start(config: &OtelConfig) -> Result<Option<Self>> {
        let Some(target) = config.target()? else { return Ok(None) };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(config.ca_file.as_deref(), "otel.ca_file")?.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let mut headers: HeaderMap = config.header_list()?.into_iter().collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("cortensor-router/", env!("CARGO_PKG_VERSION"))));
        let counts = Arc::new(Counts::default());
        let (queue, spans) = mpsc::channel(config.max_queued_spans);
        let (stop, stopped) = oneshot::channel();
        let patience = Duration::from_millis(config.timeout_ms);
        let sender = Sender {
            client: Client::builder(TokioExecutor::new()).build(connector),
            target,
            headers,
            service: config.service_name.clone(),
            patience,
            interval: Duration::from_millis(config.interval_ms),
            most: config.max_batch_spans,
            counts: Arc::clone(&counts),
            is_down: AtomicBool::new(false),
        };
        let sending = tokio::spawn(sender.run(spans, stopped));
        Ok(Some(Self { sink: Arc::new(Sink { queue, counts }), stop, sending, patience }))
    }

    /// The receiver of spans for the router.
    pub(crate) fn sink(&self) -> Arc<dyn SpanSink> {
        self.sink.clone()
    }

    /// Sends the spans that still wait, within the time of one export, and ends.
    pub(crate) async fn close(mut self) {
        let _ = self.stop.send(());
        if timeout(self.patience, &mut self.sending).await.is_err() {
            self.sending.abort();
            tracing::warn!("the collector did not take the last spans within otel.timeout_ms");
        }
    }
}

/// The side of the queue that sends.
struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: Uri,
    headers: HeaderMap,
    service: String,
    patience: Duration,
    interval: Duration,
    most: usize,
    counts: Arc<Counts>,
    /// Whether the last export failed.
    is_down: AtomicBool,
}

/// The failure of an export.
struct Refusal {
    why: String,
    /// The time after which the batch may be sent again; `None`: it must not be sent again.
    again: Option<Duration>,
}

impl Sender {
    async fn run(self, mut spans: mpsc::Receiver<Span>, stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        let work = async {
            loop {
                self.gather(&mut spans, &mut batch).await;
                self.export(&batch, TRIES).await;
                batch.clear();
            }
        };
        tokio::select! {
            biased;
            _ = stopped => {}
            () = work => {}
        }
        spans.close();
        // First comes the batch that was under way.
        while !batch.is_empty() || spans.recv_many(&mut batch, self.most).await > 0 {
            self.export(&batch, 1).await;
            batch.clear();
        }
    }

    /// Takes the next batch from the queue: a full one, or what has come in within the interval after the first span.
    async fn gather(&self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
        if spans.recv_many(batch, self.most).await == 0 {
            // The queue has ended; the stop is about to come.
            return std::future::pending().await;
        }
        let until = Instant::now() + self.interval;
        while batch.len() < self.most {
            let room = self.most - batch.len();
            match timeout_at(until, spans.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Sends a batch, and counts what became of it.
    async fn export(&self, batch: &[Span], tries: u32) {
        let (count, body) = (batch.len() as u64, otlp::body(&self.service, batch));
        let mut wait = FIRST_WAIT;
        for left in (0..tries).rev() {
            let sent = timeout(self.patience, self.send(body.clone())).await;
            let refusal = match sent {
                Ok(Ok(refused)) => {
                    let refused = refused.min(count);
                    self.counts.sent.fetch_add(count - refused, Ordering::Relaxed);
                    self.counts.dropped.fetch_add(refused, Ordering::Relaxed);
                    if self.is_down.swap(false, Ordering::Relaxed) {
                        tracing::info!("the collector takes spans again");
                    }
                    return;
                }
                Ok(Err(refusal)) => refusal,
                Err(_) => Refusal { why: "it did not answer within otel.timeout_ms".to_owned(), again: Some(wait) },
            };
            if !self.is_down.swap(true, Ordering::Relaxed) {
                let target = self.target.authority().map_or("", |authority| authority.as_str());
                tracing::warn!(collector = target, why = refusal.why, "the collector does not take spans");
            }
            match refusal.again.filter(|_| left > 0) {
                Some(asked) => sleep(asked.max(wait).min(LONGEST_WAIT)).await,
                None => break,
            }
            wait *= 2;
        }
        self.counts.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Sends a batch once. Gives the number of spans that the collector has refused.
    async fn send(&self, body: Bytes) -> Result<u64, Refusal> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        let unreached = |why: String| Refusal { why, again: Some(Duration::ZERO) };
        let answer = self.client.request(request).await.map_err(|error| unreached(chain(&error)))?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            // An answer that cannot be read is still a success.
            return Ok(body.map_or(0, |body| otlp::refused(&body.to_bytes())));
        }
        let asked = retry_after_ms(&head.headers, SystemTime::now());
        // The statuses after which OTLP lets a client send again.
        let again = matches!(
            head.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Refusal {
            why: format!("it answered {}", head.status),
            again: again.then(|| Duration::from_millis(asked.unwrap_or(0))),
        })
    }
}
