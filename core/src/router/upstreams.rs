//! Adds an upstream as a miner and passes on what its probe reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "listener")]
use serde_json::value::RawValue;

use super::shared::{Router, Shared};
use super::slot::Entrance;
#[cfg(feature = "listener")]
use super::slot::MinerSlot;
use crate::Result;
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::miner::UpstreamMiner;
use crate::model::{CONTINUE, MinerKind, MinerSpec};
#[cfg(feature = "listener")]
use crate::model::{TaskRequest, meant, original::kept};

pub(super) fn attach(shared: &Arc<Shared>, config: UpstreamConfig) -> Result<()> {
    config.validate(0)?;
    let mut spec = MinerSpec::new(config.miner_name(), config.max_concurrency)
        .kind(MinerKind::Upstream)
        .models(config.models.clone())
        .weight(config.weight)
        .embeddings(config.makes_embeddings())
        .dedicated(config.dedicated)
        .features(config.continues.then_some(CONTINUE).into_iter().chain(own_apis(&config).map(UpstreamApi::route)));
    spec.owner.clone_from(&config.owner);
    for speaks in own_apis(&config).filter_map(|api| shared.speaks(api)) {
        speaks.store(true, Ordering::Relaxed);
    }
    let miner = UpstreamMiner::new_in(config, &shared.config.limits, shared.network.clone())?;
    // Until the first probe has ended, tasks wait for the upstream instead of failing.
    let handle = shared.join(spec, miner.clone(), Entrance { awaited: true, ..Entrance::default() })?;
    if let Some(slot) = shared.core.lock().miners.get_mut(&handle.key) {
        slot.upstream = Some(miner.clone());
    }
    let credits = handle.clone();
    miner.on_credits(Box::new(move |now| credits.set_credits(now)));
    let stop = shared.stop.clone();
    let probe = miner.probe();
    shared.background.spawn_on(
        async move {
            let watch = probe.run(|report| {
                if report.up {
                    handle.set_models(report.models.clone());
                    handle.set_max_context_tokens(report.max_context_tokens);
                }
                handle.set_reason(if report.up { report.warning } else { report.reason });
                handle.set_up(report.up);
                handle.heard();
            });
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch => {}
            }
        },
        &shared.runtime,
    );
    Ok(())
}

/// The APIs other than OpenAI's chats whose bodies the upstream takes as they are.
fn own_apis(config: &UpstreamConfig) -> impl Iterator<Item = UpstreamApi> {
    config.also.iter().copied().chain([config.api]).filter(|api| *api != UpstreamApi::OpenAi)
}

impl Shared {
    /// The note whether an upstream speaks that API; `None`: chats pass without it.
    fn speaks(&self, api: UpstreamApi) -> Option<&AtomicBool> {
        match api {
            UpstreamApi::OpenAi => None,
            UpstreamApi::Anthropic => Some(&self.speaks_messages),
            UpstreamApi::Responses => Some(&self.speaks_responses),
        }
    }
}

impl Router {
    /// The body of a request of that API as a task keeps it, if an upstream speaks the API. `only`: no chat says all of
    /// it.
    #[cfg(feature = "listener")]
    pub(crate) fn original(&self, api: UpstreamApi, body: &[u8], only: bool) -> Option<Box<RawValue>> {
        let is_spoken = self.shared.speaks(api)?.load(Ordering::Relaxed);
        if is_spoken { kept(api.route(), body, only) } else { None }
    }

    /// The tokens of a body of the Messages API, which the chat stands for, by the tokenizer of an upstream that serves
    /// its model; `None`: no such upstream counts them.
    #[cfg(feature = "listener")]
    pub(crate) async fn count_tokens(&self, chat: &TaskRequest, body: &[u8]) -> Option<u64> {
        let asked = chat.model.as_deref().map(|model| self.shared.aliases.first(model));
        let upstreams: Vec<_> = {
            let core = self.shared.core.lock();
            let serves =
                |slot: &&MinerSlot| slot.up && asked.is_none_or(|model| meant(&slot.spec.models, model).is_some());
            core.miners.values().filter(serves).filter_map(|slot| slot.upstream.clone()).collect()
        };
        let mut named = chat.clone();
        named.model = asked.map(str::to_owned);
        for upstream in upstreams {
            if let Some(count) = upstream.count_tokens(&named, body).await {
                return Some(count);
            }
        }
        None
    }
}
