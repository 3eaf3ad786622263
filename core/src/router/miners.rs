//! Miners, from the first contact to their removal.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::Core;
use super::drive::Deeds;
use super::shared::{Router, Shared};
use super::skills::skills_of;
use super::slot::{Abroad, Entrance, MinerSlot, is_cooling, only_of, takes_every_offer};
use super::upstreams::Origin;
use crate::config::UpstreamConfig;
use crate::engine::{BreakerState, Event, MinerKey, MinerRules, MinerView, Skills};
use crate::miner::{FailClass, Failure, Miner, ProbeReport};
use crate::model::{
    Breaker, CONTINUE, Gid, MinerInfo, MinerKind, MinerSpec, MinerStatus, NodeKind, Timestamp, address_of,
};
use crate::{Error, ErrorKind, Result};

/// A model that clients can ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct ModelInfo {
    /// The model's name.
    pub id: String,
    /// The time at which the first miner of the model joined, in Unix seconds.
    pub created: u64,
    /// The owner of the first miner that offers the model, or else that miner's name.
    pub owned_by: String,
    /// The number of miners that offer the model.
    pub miners: u64,
    /// Whether one of these miners makes embeddings.
    pub embeddings: bool,
}

/// A handle of a miner that was added. Dropping it changes nothing; [`remove`](Self::remove) removes the miner.
#[derive(Clone)]
pub struct MinerHandle {
    shared: Arc<Shared>,
    pub(super) key: MinerKey,
}

impl std::fmt::Debug for MinerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerHandle").field("key", &self.key).finish_non_exhaustive()
    }
}

impl MinerHandle {
    /// Removes the miner. Other miners take over its tasks.
    pub fn remove(&self) {
        if let Some(gone) = self.shared.dismiss(self.key) {
            self.shared.see_off(gone);
        }
    }

    /// Drains the miner: it gets no new tasks and finishes its present ones.
    pub fn drain(&self) {
        let name = self.shared.core.lock().miners.get(&self.key).map(|slot| slot.name.clone());
        tracing::info!(miner = name.as_deref(), "a miner drains: it gets no new tasks");
        self.shared.step(Event::Drain(self.key));
        self.shared.roster_changed();
    }

    /// Sets the maximum number of concurrent tasks.
    pub fn set_credits(&self, credits: u32) {
        self.change(|slot| slot.credits = credits);
    }

    /// Sets whether the miner can be reached. A miner that is down gets no tasks.
    pub fn set_up(&self, up: bool) {
        self.change(|slot| slot.up = up);
        self.shared.serves_more();
    }

    /// Sets whether the miner can be reached, by a question that is asked under the lock of the core.
    pub(super) fn set_up_if(&self, up: impl FnOnce() -> bool) {
        self.change(|slot| slot.up = up());
    }

    /// Sets whether the miner comes up when tasks wait for it.
    pub(super) fn set_on_call(&self, on_call: bool) {
        self.shared.step(Event::OnCall(self.key, on_call));
    }

    /// Takes a report of the probe of an upstream. `may_work` is asked under the lock of the core: a server that is about to
    /// be stopped gets no tasks, whatever its probe says.
    pub(super) fn take_report(&self, report: ProbeReport, may_work: impl Fn() -> bool) {
        if report.up {
            self.set_models(report.models);
            self.set_max_context_tokens(report.max_context_tokens);
        }
        self.set_reason(if report.up { report.warning } else { report.reason });
        self.set_up_if(|| report.up && may_work());
        self.shared.step_with(self.shared.clock.now(), |_| may_work().then_some(Event::OnCall(self.key, false)));
        self.heard();
    }

    /// Sets the text that lists of miners show: the reason why the miner is down, or a warning while it is up.
    pub fn set_reason(&self, reason: Option<String>) {
        if let Some(slot) = self.shared.core.lock().miners.get_mut(&self.key) {
            slot.reason = reason;
        }
    }

    fn change(&self, with: impl FnOnce(&mut MinerSlot)) {
        let now = self.shared.clock.now();
        self.shared.step_with(now, |core| {
            let slot = core.miners.get_mut(&self.key)?;
            with(slot);
            if slot.up {
                slot.last_seen = now;
            }
            Some(Event::Credits(self.key, if slot.up { slot.credits } else { 0 }))
        });
        self.shared.roster_changed();
    }

    /// Sets the models that the miner serves from now on; empty: any model.
    pub fn set_models(&self, models: Vec<String>) {
        let rules = models.iter().map(|model| Arc::from(model.as_str())).collect();
        self.shared.step_with(self.shared.clock.now(), |core| {
            let slot = core.miners.get_mut(&self.key).filter(|slot| slot.spec.models != models)?;
            slot.set_models(models);
            Some(Event::Models(self.key, rules))
        });
        self.shared.serves_more();
        self.shared.roster_changed();
    }

    /// Notes the miner's first report. Tasks that waited to see which models it lists wait no longer.
    pub(super) fn heard(&self) {
        self.shared.step_with(self.shared.clock.now(), |core| {
            let slot = core.miners.get_mut(&self.key)?;
            std::mem::take(&mut slot.awaited).then_some(Event::Heard(self.key))
        });
    }

    /// Sets the maximum number of tokens of prompt and answer together; `None`: unknown.
    pub fn set_max_context_tokens(&self, tokens: Option<NonZeroU64>) {
        if let Some(slot) = self.shared.core.lock().miners.get_mut(&self.key) {
            slot.spec.max_context_tokens = tokens;
            slot.spec.numbers_in_json();
        }
    }
}

impl Core {
    /// The failure of a task that no miner can serve at present: the reason for each miner, and when to try again.
    pub(super) fn absence(&self, gid: Gid, now: Timestamp) -> Failure {
        let absent = self.engine.absent(gid);
        let out = absent.iter().filter_map(|key| Some((self.miners.get(key)?, self.engine.miner(*key)?)));
        let mut wait = None::<u64>;
        let mut words = Vec::new();
        for (slot, view) in out {
            if let BreakerState::Open(until) = view.breaker {
                wait = Some(wait.unwrap_or(u64::MAX).min(until.since(now)));
            }
            if words.len() < MOST_NAMED
                && let Some(why) = slot.why_out(view)
            {
                words.push(format!("{}: {why}", slot.spec.name));
            }
        }
        if absent.len() > words.len() && !words.is_empty() {
            words.push(format!("and {} more", absent.len() - words.len()));
        }
        let mut failure = Failure::new(FailClass::Unreachable, words.join("; "));
        failure.retry_after_ms = Some(wait.unwrap_or(1_000).clamp(1_000, 60_000));
        failure
    }
}

/// The maximum number of miners that such an error names.
const MOST_NAMED: usize = 3;

impl Shared {
    /// The handle of a miner that joined.
    #[cfg(feature = "listener")]
    pub(super) fn miner(self: &Arc<Self>, key: MinerKey) -> MinerHandle {
        MinerHandle { shared: self.clone(), key }
    }

    /// Keeps the message of a failure for which this miner was blamed; lists of miners show it.
    pub(super) fn blamed(&self, key: MinerKey, words: &str) {
        if let Some(slot) = self.core.lock().miners.get_mut(&key) {
            slot.blamed(words);
        }
    }

    /// Adds a miner whose name is also its identity.
    pub(super) fn join(
        self: &Arc<Self>,
        spec: MinerSpec,
        miner: Arc<dyn Miner>,
        entrance: Entrance,
    ) -> Result<MinerHandle> {
        let identity = spec.name.clone();
        self.join_as(&identity, spec, miner, entrance)
    }

    /// Adds a miner. Its reputation belongs to the identity, because a miner that dials in may choose any name.
    pub(super) fn join_as(
        self: &Arc<Self>,
        identity: &str,
        spec: MinerSpec,
        miner: Arc<dyn Miner>,
        entrance: Entrance,
    ) -> Result<MinerHandle> {
        let enlisted = self.enlist(identity, spec, miner, entrance)?;
        Ok(self.bring_in(enlisted))
    }

    /// Puts a miner into the tables and into the engine at the same moment. The caller [brings it in](Self::bring_in)
    /// when it holds no lock.
    pub(super) fn enlist(
        self: &Arc<Self>,
        identity: &str,
        spec: MinerSpec,
        miner: Arc<dyn Miner>,
        entrance: Entrance,
    ) -> Result<Enlisted> {
        self.enlist_from(identity, spec, miner, entrance, None)
    }

    /// [Enlists](Self::enlist) a miner, which may be another router's.
    pub(super) fn enlist_from(
        self: &Arc<Self>,
        identity: &str,
        mut spec: MinerSpec,
        miner: Arc<dyn Miner>,
        entrance: Entrance,
        abroad: Option<Abroad>,
    ) -> Result<Enlisted> {
        spec.validate()?;
        spec.numbers_in_json();
        if self.closed.load(Ordering::Acquire) {
            return Err(Self::closed_error());
        }
        let now = self.clock.now();
        let (kind, foreign) = (spec.kind, abroad.is_some());
        let rules = MinerRules {
            identity: Arc::from(identity),
            dedicated: spec.dedicated,
            continues: spec.features.iter().any(|feature| feature == CONTINUE),
            models: spec.models.iter().map(|model| Arc::from(model.as_str())).collect(),
            called: Arc::from(spec.name.as_str()),
            awaited: entrance.awaited,
            on_call: entrance.on_call,
            capacity: if entrance.up { spec.capacity } else { 0 },
            weight: spec.weight,
            embeddings: spec.embeddings,
            skills: if abroad.as_ref().is_none_or(|abroad| abroad.passes) {
                skills_of(&spec)
            } else {
                Skills::default()
            },
            owner: Arc::from(spec.owner.as_deref().unwrap_or_default()),
            auto_accept: takes_every_offer(kind) && !foreign,
            last_resort: entrance.last_resort,
            host: abroad.as_ref().map_or(0, |abroad| abroad.host),
        };
        let identity = rules.identity.clone();
        let (key, deeds) = {
            let mut core = self.core.lock();
            let beside = core.miners.values().filter(|slot| slot.abroad.is_some() == foreign).count() as u64;
            if beside >= self.settings.now().limits.max_miners {
                return Err(Error::new(ErrorKind::Overloaded, "there are as many miners as limits.max_miners allows"));
            }
            if !foreign && core.has_name(&spec.name) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("a miner called {:?} is there already", spec.name),
                )
                .with_param("name"));
            }
            let key = MinerKey(core.next_miner);
            core.next_miner += 1;
            let slot = MinerSlot {
                key,
                address: address_of(&spec.name).into(),
                name: Arc::from(spec.name.as_str()),
                figures: self.metrics.miner(&spec.name),
                credits: spec.capacity,
                only_model: only_of(&spec.models),
                spec,
                miner,
                upstream: None,
                retired: false,
                connected_at: now,
                last_seen: now,
                up: entrance.up,
                awaited: entrance.awaited,
                reason: None,
                last_failure: None,
                abroad,
            };
            core.miners.insert(key, slot);
            let effects = core.engine.step(Event::MinerUp(key, rules), now);
            (key, self.apply(&mut core, effects, now))
        };
        Ok(Enlisted { key, identity, kind, foreign, last_resort: entrance.last_resort, deeds })
    }

    /// Carries out what follows from a new miner. No lock may be held, because code of other miners runs.
    pub(super) fn bring_in(self: &Arc<Self>, enlisted: Enlisted) -> MinerHandle {
        let Enlisted { key, identity, kind, foreign, last_resort, deeds } = enlisted;
        if foreign {
            tracing::debug!(miner = &*identity, kind = kind.as_str(), "a miner of another router can be borrowed");
        } else {
            tracing::info!(miner = &*identity, kind = kind.as_str(), "a miner joined");
        }
        self.perform(deeds);
        if !last_resort {
            self.relieve_stand_in(&identity, kind, foreign);
        }
        if !foreign {
            self.serves_more();
            self.roster_changed();
        }
        MinerHandle { shared: self.clone(), key }
    }

    /// Takes a miner out of the tables and out of the engine at the same moment, so that nothing is offered to it in
    /// between. The caller [sees it off](Self::see_off) when it holds no lock.
    pub(super) fn dismiss(self: &Arc<Self>, key: MinerKey) -> Option<Dismissed> {
        let now = self.clock.now();
        let mut core = self.core.lock();
        let slot = core.miners.remove(&key)?;
        if let Some(upstream) = &slot.upstream {
            upstream.stop.cancel();
        }
        let effects = core.engine.step(Event::MinerGone(key), now);
        let deeds = self.apply(&mut core, effects, now);
        Some(Dismissed { slot, deeds })
    }

    /// Carries out what follows from the end of a miner. No lock may be held, because code of other miners runs.
    pub(super) fn see_off(self: &Arc<Self>, gone: Dismissed) {
        let Dismissed { slot, deeds } = gone;
        if slot.abroad.is_some() {
            tracing::debug!(miner = &*slot.name, "a miner of another router cannot be borrowed any more");
        } else {
            tracing::info!(
                miner = &*slot.name,
                kind = slot.spec.kind.as_str(),
                "a miner is gone: others get its tasks"
            );
        }
        self.perform(deeds);
        if slot.abroad.is_none() {
            self.roster_changed();
        }
    }

    /// The record of a miner, as lists show it.
    pub(super) fn miner_info(&self, slot: &MinerSlot, view: MinerView) -> MinerInfo {
        if let Some(abroad) = &slot.abroad {
            return (*abroad.info).clone().router(abroad.router.to_string());
        }
        let status = match () {
            () if view.draining => MinerStatus::Draining,
            () if let Some(status) = slot.server_status() => status,
            () if !slot.up => MinerStatus::Down,
            () if view.set_aside => MinerStatus::SetAside,
            () if is_cooling(&view) => MinerStatus::Cooling,
            () if view.in_flight > 0 => MinerStatus::Busy,
            () => MinerStatus::Idle,
        };
        MinerInfo::default()
            .id(slot.spec.name.clone())
            .miner_id(slot.spec.name.clone())
            .router(self.membership.as_ref().map(|_| self.settings.now().name.clone()).unwrap_or_default())
            .address(slot.address.to_string())
            .active(slot.is_active(&view))
            .status(status)
            .kind(slot.spec.kind)
            .node_type(if slot.spec.dedicated { NodeKind::Dedicated } else { NodeKind::Ephemeral })
            .models(slot.spec.models.clone())
            .capacity(slot.spec.capacity)
            .credits(view.credits)
            .in_flight(view.in_flight)
            .owner(slot.spec.owner.clone())
            .embeddings(slot.spec.embeddings)
            .max_context_tokens(slot.spec.max_context_tokens)
            .features(slot.spec.features.clone())
            .agent(slot.spec.agent.clone())
            .hardware(slot.spec.hardware.clone())
            .model_details(slot.spec.model_details.clone())
            .load(share(view.in_flight.into(), view.credits.into()))
            .error_rate(share(view.failed, view.completed + view.failed))
            .tokens_per_second((view.tokens_per_second * 100.0).round() / 100.0)
            .first_token_ms((view.first_token_ms * 100.0).round() / 100.0)
            .completed(view.completed)
            .failed(view.failed)
            .breaker(match view.breaker {
                BreakerState::Closed => Breaker::Closed,
                BreakerState::Open(_) => Breaker::Open,
                BreakerState::HalfOpen => Breaker::HalfOpen,
            })
            .reputation((view.reputation * 1_000.0).round() / 1_000.0)
            .service_class(view.service_class)
            .reserved_for(view.reserved)
            .reason(slot.why_out(view).or_else(|| slot.reason.clone()))
            .connected_at(slot.connected_at.as_secs())
            .last_seen(if slot.up { self.clock.now() } else { slot.last_seen }.as_secs())
    }

    /// Tells other routers that the miners of this one have changed.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nobody to tell")
    )]
    fn roster_changed(&self) {
        #[cfg(feature = "postgres")]
        self.miners_changed();
    }

    /// Looks at the tasks again that no router has: a miner is there that may serve them.
    fn serves_more(&self) {
        if let Some(membership) = &self.membership {
            membership.reconsider();
        }
    }
}

/// A miner that has just come into the tables.
pub(super) struct Enlisted {
    pub(super) key: MinerKey,
    identity: Arc<str>,
    kind: MinerKind,
    foreign: bool,
    last_resort: bool,
    deeds: Deeds,
}

/// A miner that has just been taken out of the tables.
pub(super) struct Dismissed {
    slot: MinerSlot,
    deeds: Deeds,
}

impl Shared {
    /// Removes the stand-in now that another miner has joined, and lets the store remember that one has joined.
    fn relieve_stand_in(self: &Arc<Self>, identity: &str, kind: MinerKind, foreign: bool) {
        let stand_in = self.core.lock().stand_in.take();
        let echo = stand_in.and_then(|key| self.dismiss(key));
        let relieved = echo.is_some();
        if let Some(echo) = echo {
            self.perform(echo.deeds);
            tracing::info!(miner = identity, "a miner is there: the built-in echo answers no more");
        }
        // Callbacks of the host program join at every start, so the store need not remember them.
        if !foreign && (relieved || kind != MinerKind::Local) {
            self.remember_first(identity);
        }
    }
}

/// The ratio of `part` to `whole`, rounded to three decimals; 0 if `whole` is 0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1_000.0 / whole as f64).round() / 1_000.0 }
}

impl Router {
    /// Adds a miner that is code of the host program.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Conflict` if the name is taken; `Overloaded` if there are as many miners as
    /// `limits.max_miners` allows; `Closed`.
    pub fn add_miner(&self, spec: MinerSpec, miner: impl Miner) -> Result<MinerHandle> {
        self.shared.join(spec, Arc::new(miner), Entrance { up: true, ..Entrance::default() })
    }

    /// Adds an OpenAI-compatible server as a miner. The router probes its models and its health from now on.
    ///
    /// # Errors
    /// The errors of [`add_miner`](Self::add_miner).
    pub fn add_upstream(&self, upstream: UpstreamConfig) -> Result<()> {
        self.attach_upstream(upstream, Origin::Host)
    }

    /// Removes the miner of this name, of any kind. Other miners take over its tasks.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove_miner(&self, name: &str) -> Result<()> {
        let key = {
            let core = self.shared.core.lock();
            let named = || core.own_miners().filter(|(_, slot)| slot.spec.name == name);
            named().find(|(_, slot)| !slot.retired).or_else(|| named().next()).map(|(key, _)| *key)
        };
        let key = key.ok_or_else(|| {
            Error::not_found(format!("there is no miner called {name:?}"))
                .with_code("miner_not_found")
                .with_param("name")
        })?;
        MinerHandle { shared: self.shared.clone(), key }.remove();
        Ok(())
    }

    /// All miners, in the order in which they joined.
    pub fn miners(&self) -> Vec<MinerInfo> {
        let core = self.shared.core.lock();
        core.miners
            .iter()
            .filter_map(|(key, slot)| Some(self.shared.miner_info(slot, core.engine.miner(*key)?)))
            .collect()
    }

    /// The models that clients can ask for, in the order of their names. A miner that lists no models appears under
    /// its own name.
    pub fn models(&self) -> Vec<ModelInfo> {
        let core = self.shared.core.lock();
        let mut models: BTreeMap<&str, ModelInfo> = BTreeMap::new();
        for slot in core.miners.values() {
            for id in slot.names() {
                let entry = models.entry(id).or_insert_with(|| ModelInfo {
                    id: id.clone(),
                    created: slot.connected_at.as_secs(),
                    owned_by: slot.spec.owner.as_ref().unwrap_or(&slot.spec.name).clone(),
                    ..ModelInfo::default()
                });
                entry.miners += 1;
                entry.embeddings |= slot.spec.embeddings;
            }
        }
        let known = models.clone();
        let settings = self.shared.settings.now();
        for (name, targets) in settings.aliases.lists() {
            let mut info = ModelInfo { id: name.to_owned(), owned_by: settings.name.clone(), ..ModelInfo::default() };
            for target in targets.filter_map(|target| known.get(target)) {
                info.created = if info.miners == 0 { target.created } else { info.created.min(target.created) };
                info.miners += target.miners;
                info.embeddings |= target.embeddings;
            }
            models.insert(name, info);
        }
        models.into_values().collect()
    }
}
