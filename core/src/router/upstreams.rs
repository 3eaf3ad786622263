//! Adds an upstream as a miner and passes on what its probe reports.

use std::sync::Arc;

use super::shared::Shared;
use super::slot::Entrance;
use crate::Result;
use crate::config::UpstreamConfig;
use crate::miner::UpstreamMiner;
use crate::model::{CONTINUE, MinerKind, MinerSpec};

pub(super) fn attach(shared: &Arc<Shared>, config: UpstreamConfig) -> Result<()> {
    config.validate(0)?;
    let mut spec = MinerSpec::new(config.miner_name(), config.max_concurrency)
        .kind(MinerKind::Upstream)
        .models(config.models.clone())
        .weight(config.weight)
        .embeddings(config.makes_embeddings())
        .dedicated(config.dedicated)
        .features(config.continues.then_some(CONTINUE));
    spec.owner.clone_from(&config.owner);
    let miner = UpstreamMiner::new_in(config, &shared.config.limits, shared.network.clone())?;
    // Until the first probe has ended, tasks wait for the upstream instead of failing.
    let handle = shared.join(spec, miner.clone(), Entrance { awaited: true, ..Entrance::default() })?;
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
