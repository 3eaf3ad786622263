//! The outbox: the ends of tasks on their way to webhooks.
//!
//! The store writes a delivery in the transaction that ends its task, so that no crash loses one. This module keeps the
//! deliveries that are not done in memory, sends each until its receiver has taken it, and gives up in the end. A crash
//! between an answer and its note in the store lets a message go out twice, under the same id.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::message::{self, Sender, Target};
use super::shared::{Router, Shared};
use crate::config::{Config, WebhooksConfig};
use crate::model::{
    Gid, SessionId, Task, TaskId, TaskRequest, TaskState, Timestamp, Webhook, WebhookDelivery, WebhookState,
};
use crate::store::Deliveries;
use crate::{Error, ErrorKind, Result};

/// The time after which a delivery is looked at again, if the store could not tell what became of its task.
const STORE_PAUSE_MS: u64 = 1_000;

/// The deliveries that are not done.
pub(super) struct Outbox {
    pub(super) sender: Sender,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    /// Each with the host to which it goes.
    deliveries: HashMap<Gid, (String, WebhookDelivery)>,
    /// Those that are not being sent, by the time of their next try.
    due: BTreeSet<(Timestamp, Gid)>,
    /// The deliveries that are being sent, by host.
    hosts: HashMap<String, usize>,
    sending: usize,
}

/// A delivery that is taken to be sent.
struct Taken {
    gid: Gid,
    delivery: WebhookDelivery,
    host: String,
}

impl Waiting {
    /// Adds a delivery, in the place of its older self: it is due once at most.
    fn add(&mut self, gid: Gid, delivery: WebhookDelivery) {
        self.remove(gid);
        let host = Target::of(&delivery.webhook.url).map(|target| target.host).unwrap_or_default();
        self.due.insert((delivery.next_at, gid));
        self.deliveries.insert(gid, (host, delivery));
    }

    fn remove(&mut self, gid: Gid) {
        if let Some((_, delivery)) = self.deliveries.remove(&gid) {
            self.due.remove(&(delivery.next_at, gid));
        }
    }

    /// Takes the deliveries that are due and for which there is room. Gives the time of the next one.
    fn take(&mut self, now: Timestamp, config: &WebhooksConfig) -> (Vec<Taken>, Option<Timestamp>) {
        let (mut taken, mut next) = (Vec::new(), None);
        let due: Vec<_> = self.due.iter().copied().take_while(|(at, _)| *at <= now).collect();
        for (at, gid) in due {
            if self.sending >= config.max_concurrency {
                // The end of a try makes room.
                return (taken, None);
            }
            let Some((host, delivery)) = self.deliveries.get(&gid) else { continue };
            if self.hosts.get(host).is_some_and(|busy| *busy >= config.max_per_host) {
                continue;
            }
            *self.hosts.entry(host.clone()).or_default() += 1;
            self.sending += 1;
            self.due.remove(&(at, gid));
            taken.push(Taken { gid, delivery: delivery.clone(), host: host.clone() });
        }
        if let Some((at, _)) = self.due.iter().find(|(at, _)| *at > now) {
            next = Some(*at);
        }
        (taken, next)
    }

    fn sent(&mut self, host: &str) {
        self.sending -= 1;
        if let Some(busy) = self.hosts.get_mut(host) {
            *busy -= 1;
            if *busy == 0 {
                self.hosts.remove(host);
            }
        }
    }
}

impl Outbox {
    pub(super) fn new(config: &WebhooksConfig) -> Result<Self> {
        Ok(Self { sender: Sender::new(config)?, waiting: Mutex::default(), changed: Notify::new() })
    }

    /// The deliveries that are not done: their number, and those that are due first, of which some are being sent.
    #[cfg(feature = "listener")]
    pub(super) fn first(&self, most: usize) -> (usize, Vec<(Gid, bool, WebhookDelivery)>) {
        let waiting = self.waiting.lock();
        let mut order: Vec<_> = waiting.deliveries.iter().map(|(gid, (_, one))| (one.next_at, *gid)).collect();
        let all = order.len();
        order.sort_unstable();
        let first = order.into_iter().take(most).filter_map(|at| {
            let (_, delivery) = waiting.deliveries.get(&at.1)?;
            Some((at.1, !waiting.due.contains(&at), delivery.clone()))
        });
        (all, first.collect())
    }

    /// The number of deliveries that are not done.
    pub(super) fn pending(&self) -> usize {
        self.waiting.lock().deliveries.len()
    }

    /// Takes over a configuration.
    pub(super) fn settle(&self, config: &Config) {
        self.sender.reach.allow(&config.webhooks.networks);
        self.changed.notify_one();
    }

    fn add(&self, gid: Gid, delivery: WebhookDelivery) {
        self.waiting.lock().add(gid, delivery);
        self.changed.notify_one();
    }

    /// Adds a delivery that was found in the store, unless it is there.
    pub(super) fn find(&self, gid: Gid, delivery: WebhookDelivery) {
        let mut waiting = self.waiting.lock();
        if waiting.deliveries.contains_key(&gid) {
            return;
        }
        waiting.add(gid, delivery);
        drop(waiting);
        self.changed.notify_one();
    }

    /// The tasks of all deliveries that are not done.
    pub(super) fn gids(&self) -> HashSet<Gid> {
        self.waiting.lock().deliveries.keys().copied().collect()
    }

    /// Drops a delivery that is another router's. A try that is under way goes on, and is not noted.
    pub(super) fn forget(&self, gid: Gid) {
        self.waiting.lock().remove(gid);
    }

    fn again(&self, gid: Gid, delivery: WebhookDelivery, host: &str) {
        let mut waiting = self.waiting.lock();
        waiting.sent(host);
        waiting.add(gid, delivery);
        drop(waiting);
        self.changed.notify_one();
    }

    fn done(&self, gid: Gid, host: &str) {
        let mut waiting = self.waiting.lock();
        waiting.sent(host);
        waiting.remove(gid);
        drop(waiting);
        self.changed.notify_one();
    }
}

impl Shared {
    /// Checks the webhook that a request names, if it names one.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Overloaded` if as many deliveries wait as `webhooks.max_pending` allows.
    pub(super) fn check_webhook(&self, request: &TaskRequest) -> Result<()> {
        let Some(webhook) = &request.webhook else { return Ok(()) };
        let settings = self.settings.now();
        let config = &settings.webhooks;
        if !config.enabled {
            let words = "webhooks are off here: leave the field out, or let the operator set webhooks.enabled";
            return Err(Error::invalid("webhook", words));
        }
        message::check(webhook, config, &self.outbox.sender.reach)?;
        if self.outbox.pending() >= config.max_pending {
            let words = "as many messages wait for their webhooks as webhooks.max_pending allows: try again later";
            let error = Error::new(ErrorKind::Overloaded, words).with_code("webhooks_full").with_retry_after_ms(1_000);
            return Err(error.with_param("webhook"));
        }
        Ok(())
    }

    /// The id of the message about a task: the same in every try, and that of no other task of any router.
    pub(super) fn message_id(&self, session: SessionId, id: TaskId) -> String {
        let core = self.core.lock();
        let sid = core.sessions.get(&session).map_or("", |session| session.sid.trim_start_matches("0x"));
        format!("task_{sid}_{id}")
    }

    /// The task that the message with this id is about, if its session is known here.
    #[cfg(feature = "listener")]
    pub(super) fn task_of_message(&self, id: &str) -> Option<(SessionId, TaskId)> {
        let (sid, task) = id.strip_prefix("task_")?.rsplit_once('_')?;
        let session = *self.core.lock().sids.get(&format!("0x{sid}"))?;
        Some((session, TaskId(task.parse().ok()?)))
    }

    /// Reads the deliveries that the last start left.
    pub(super) async fn restore_deliveries(&self) -> Result<()> {
        for (gid, delivery) in self.store.deliveries(Deliveries::Pending).await? {
            self.outbox.add(gid, delivery);
        }
        Ok(())
    }

    /// Takes the delivery of a task whose end is written.
    pub(super) fn post(&self, gid: Gid, delivery: WebhookDelivery) {
        self.outbox.find(gid, delivery);
    }

    /// Sends deliveries when they are due, until the router closes.
    pub(super) async fn keep_posting(self: Arc<Self>) {
        loop {
            let changed = self.outbox.changed.notified();
            let settings = self.settings.kept();
            let (taken, next) = self.outbox.waiting.lock().take(self.clock.now(), &settings.webhooks);
            self.metrics.webhooks_pending(self.outbox.pending());
            for taken in taken {
                let shared = self.clone();
                let sending = async move {
                    tokio::select! {
                        // The store has the delivery, and the next start sends it.
                        () = shared.stop.cancelled() => {}
                        () = shared.deliver(taken) => {}
                    }
                };
                self.background.spawn_on(sending, &self.runtime);
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = changed => {}
                () = self.clock.until(next) => {}
            }
        }
    }

    /// Sends a delivery once, and notes what became of it.
    async fn deliver(&self, taken: Taken) {
        let Taken { gid, mut delivery, host } = taken;
        let task = match self.store.task_by_gid(gid).await {
            Ok(Some(task)) => task,
            // The task was deleted, and its delivery with it.
            Ok(None) => return self.outbox.done(gid, &host),
            Err(error) if error.kind() == ErrorKind::Closed => return self.outbox.again(gid, delivery, &host),
            Err(error) => {
                tracing::warn!(%gid, %error, "the task of a webhook cannot be read: it is tried again");
                delivery.next_at = self.clock.now().plus(STORE_PAUSE_MS);
                return self.outbox.again(gid, delivery, &host);
            }
        };
        let settings = self.settings.kept();
        let config = &settings.webhooks;
        self.attempt(&task, &mut delivery, config).await;
        match delivery.state {
            WebhookState::Delivered => {
                self.metrics.webhook_tried("delivered");
                tracing::debug!(%gid, host, attempts = delivery.attempts, "the webhook of a task has its message");
            }
            WebhookState::Failed => {
                self.metrics.webhook_tried("given_up");
                let (status, why) = (delivery.last_status, delivery.last_error.as_deref());
                tracing::warn!(%gid, host, attempts = delivery.attempts, status, why, "the webhook of a task is given up");
            }
            WebhookState::Waiting | WebhookState::Pending => {
                self.metrics.webhook_tried("failed");
                let (status, why) = (delivery.last_status, delivery.last_error.as_deref());
                let wait_ms = delivery.next_at.since(self.clock.now());
                tracing::info!(%gid, host, attempts = delivery.attempts, status, why, wait_ms, "a webhook did not take its message: it is sent again");
            }
        }
        match self.store.put_delivery(gid, delivery.clone()).await {
            Ok(true) if delivery.state == WebhookState::Pending => self.outbox.again(gid, delivery, &host),
            Ok(_) => self.outbox.done(gid, &host),
            Err(error) if delivery.state == WebhookState::Pending => {
                tracing::warn!(%gid, %error, "a try of a webhook could not be noted");
                self.outbox.again(gid, delivery, &host);
            }
            Err(error) => {
                tracing::warn!(%gid, %error, "the end of a webhook could not be noted: the next start sends it again");
                self.outbox.done(gid, &host);
            }
        }
    }

    /// Sends the message, and changes the delivery by the answer.
    async fn attempt(&self, task: &Task, delivery: &mut WebhookDelivery, config: &WebhooksConfig) {
        let now = self.clock.now();
        let secret = delivery.webhook.secret.clone().or_else(|| config.signing_secret());
        let sent = async {
            let Some(secret) = secret else {
                return Err("it has no secret, and webhooks.secret is not set".to_owned());
            };
            let body = message::body(task, config.max_body_bytes).map_err(|error| error.message().to_owned())?;
            let sent = self.outbox.sender.send(delivery, &secret, body, now);
            match tokio::time::timeout(Duration::from_millis(config.timeout_ms), sent).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within webhooks.timeout_ms = {}", config.timeout_ms)),
            }
        };
        let answer = sent.await;
        delivery.attempts = delivery.attempts.saturating_add(1);
        let mut asked = None;
        let mut gone = false;
        (delivery.last_status, delivery.last_error) = match answer {
            Ok(answer) => {
                asked = answer.retry_after_ms;
                gone = answer.status == StatusCode::GONE;
                let failed = (!answer.status.is_success()).then(|| format!("it answered {}", answer.status));
                (Some(answer.status.as_u16()), failed)
            }
            Err(why) => (None, Some(why)),
        };
        if delivery.last_error.is_none() {
            settle(delivery, WebhookState::Delivered);
            return;
        }
        let now = self.clock.now();
        let wait = wait_ms(delivery, config).max(asked.unwrap_or(0).min(config.retry_max_ms));
        let next = now.plus(wait);
        let last = delivery.ended_at.plus(config.max_age_secs.saturating_mul(1_000));
        if gone || delivery.attempts >= config.max_tries || next > last {
            settle(delivery, WebhookState::Failed);
        } else {
            delivery.next_at = next;
        }
    }
}

/// Ends a delivery. Its secret is needed no more.
fn settle(delivery: &mut WebhookDelivery, state: WebhookState) {
    delivery.state = state;
    delivery.webhook.secret = None;
}

/// The wait after the tries so far: four times as long each time, and between half of that and all of it by chance, so
/// that the tries of many tasks do not come together.
fn wait_ms(delivery: &WebhookDelivery, config: &WebhooksConfig) -> u64 {
    let times = 4_u64.saturating_pow(delivery.attempts.saturating_sub(1).min(31));
    let wait = config.retry_base_ms.saturating_mul(times).min(config.retry_max_ms);
    let mut bytes = [0; 4];
    // Without chance the wait is the longest.
    let _ = getrandom::fill(&mut bytes);
    let chance = (u64::from(u32::from_le_bytes(bytes)) * (wait / 2)) >> 32;
    wait - chance
}

/// The delivery of a task that has just ended.
pub(super) fn delivery(id: String, webhook: &Webhook, ended_at: Timestamp) -> WebhookDelivery {
    WebhookDelivery {
        id,
        webhook: webhook.clone(),
        state: WebhookState::Pending,
        next_at: ended_at,
        ended_at,
        ..WebhookDelivery::default()
    }
}

impl Router {
    /// Adds to tasks with a webhook what became of its delivery.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn with_deliveries(&self, tasks: &mut [Task]) -> Result<()> {
        let has_one = |task: &&mut Task| task.request.webhook.is_some();
        let ended = tasks.iter().filter(|task| task.request.webhook.is_some() && task.state == TaskState::Ended);
        let gids: Vec<Gid> = ended.map(|task| task.gid).collect();
        let mut found: HashMap<Gid, WebhookDelivery> = HashMap::new();
        if !gids.is_empty() {
            found.extend(self.shared.store.deliveries(Deliveries::Of(gids)).await?);
        }
        for task in tasks.iter_mut().filter(has_one) {
            let waiting = || {
                let webhook = task.request.webhook.as_deref()?;
                let webhook = Webhook::default().url(webhook.url.clone());
                Some(WebhookDelivery { webhook, ..WebhookDelivery::default() })
            };
            let delivery = match task.state {
                TaskState::Ended => found.remove(&task.gid),
                _ => waiting(),
            };
            task.webhook = delivery.map(Box::new);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_fourfold_within_their_bounds() {
        let config = WebhooksConfig::default();
        for (attempts, longest) in
            [(1, 5_000), (2, 20_000), (3, 80_000), (7, 20_480_000), (8, 43_200_000), (40, 43_200_000)]
        {
            for _ in 0..50 {
                let wait = wait_ms(&WebhookDelivery { attempts, ..WebhookDelivery::default() }, &config);
                assert!((longest / 2..=longest).contains(&wait), "{attempts}: {wait}");
            }
        }
    }

    #[test]
    fn a_delivery_that_was_forgotten_and_comes_back_is_due_once() {
        let config = WebhooksConfig::default();
        let outbox = Outbox::new(&config).unwrap();
        let at = |next_at: u64| WebhookDelivery { next_at: Timestamp(next_at), ..WebhookDelivery::default() };
        let take = || outbox.waiting.lock().take(Timestamp(9), &config).0.len();
        // It waits when it is forgotten.
        outbox.find(Gid(1), at(1));
        outbox.forget(Gid(1));
        assert_eq!(take(), 0);
        outbox.find(Gid(1), at(2));
        assert_eq!(take(), 1);
        // It is being sent when it is forgotten, and comes back before the try has ended.
        outbox.forget(Gid(1));
        outbox.find(Gid(1), at(3));
        outbox.again(Gid(1), at(4), "");
        assert_eq!((take(), take()), (1, 0));
        outbox.done(Gid(1), "");
        assert_eq!((outbox.pending(), outbox.waiting.lock().due.len()), (0, 0));
    }

    #[test]
    fn one_host_does_not_hold_up_the_others() {
        let config = WebhooksConfig { max_concurrency: 3, max_per_host: 2, ..WebhooksConfig::default() };
        let mut waiting = Waiting::default();
        for (gid, host) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c")] {
            let webhook = Webhook::default().url(format!("https://{host}/x"));
            let delivery = WebhookDelivery { webhook, next_at: Timestamp(gid), ..WebhookDelivery::default() };
            waiting.add(Gid(gid), delivery);
        }
        let gids = |taken: &[Taken]| taken.iter().map(|taken| taken.gid.0).collect::<Vec<_>>();
        let (taken, next) = waiting.take(Timestamp(4), &config);
        assert_eq!((gids(&taken), next), (vec![1, 2, 4], Some(Timestamp(5))));
        assert_eq!(gids(&waiting.take(Timestamp(9), &config).0), [0; 0], "three at a time");
        waiting.sent("a");
        assert_eq!(gids(&waiting.take(Timestamp(9), &config).0), [3]);
        waiting.sent("b");
        assert_eq!(gids(&waiting.take(Timestamp(9), &config).0), [5]);
    }
}
