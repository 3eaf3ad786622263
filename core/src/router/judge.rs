//! Compares the answers of a task, outside the core's lock and on a blocking thread, and reports the verdict to the
//! engine as one event.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::admit::{Admitted, Entrant, Origin};
use super::core::Core;
use super::live::{Given, Live};
use super::shared::Shared;
use super::wait::Waiter;
use crate::engine::{Demand, Event};
use crate::model::{
    Answer, Fence, Gid, Matching, MinerVerdict, RequestKind, Retention, Standing, TaskRequest, Timestamp, Validation,
    Verdict,
};
use crate::task::{Judged, TaskSpec, hash_of};
use crate::verdict::{self, Ruling, Vectors, vectors_of};

/// The text of an answer for the comparison. An answer without text is compared by the tools that it calls.
pub(crate) fn said(answer: &Answer) -> String {
    if !answer.text.trim().is_empty() {
        return answer.text.clone().into();
    }
    answer.raw.as_deref().and_then(tool_calls).unwrap_or_default()
}

/// The names and arguments of the tools that a raw answer calls, as JSON.
fn tool_calls(raw: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(raw).ok()?;
    let calls: Vec<_> = answer
        .pointer("/choices/0/message/tool_calls")?
        .as_array()?
        .iter()
        .filter_map(|call| {
            let name = call.pointer("/function/name")?.as_str()?;
            let arguments = call.pointer("/function/arguments")?.as_str()?;
            let read = serde_json::from_str(arguments).unwrap_or_else(|_| serde_json::Value::from(arguments));
            Some(serde_json::json!({"name": name, "arguments": read}))
        })
        .collect();
    if calls.is_empty() { None } else { serde_json::to_string(&calls).ok() }
}

/// The answers of a task at the time of the comparison.
struct Case {
    fences: Vec<Fence>,
    miners: Vec<String>,
    texts: Vec<String>,
    primary: Option<usize>,
}

impl Case {
    fn of(live: &Live) -> Self {
        let state = live.state.lock();
        let each = || state.answers.iter();
        Self {
            fences: each().map(|given| given.fence).collect(),
            miners: each().map(|given| given.miner.to_string()).collect(),
            texts: each().map(|given| said(&given.answer)).collect(),
            primary: state.primary.and_then(|fence| each().position(|given| given.fence == fence)),
        }
    }

    fn verdict(&self, how: &Validation, ruling: &Ruling) -> Verdict {
        let mut per_miner: Vec<MinerVerdict> = self
            .miners
            .iter()
            .zip(ruling.scores.iter().zip(&ruling.agrees))
            .map(|(miner, (score, agrees))| MinerVerdict::default().miner(miner.clone()).score(*score).agrees(*agrees))
            .collect();
        if ruling.winner < per_miner.len() {
            per_miner[..=ruling.winner].rotate_right(1);
        }
        Verdict::new(ruling.standing, how.matching)
            .score(ruling.score)
            .policy(Some(how.policy))
            .winner(self.miners.get(ruling.winner).cloned())
            .per_miner(per_miner)
    }
}

impl Shared {
    /// Puts the shadow task of an audit into memory, with the answer that it checks. That answer is in memory, because
    /// the same step of the engine has ended its task.
    pub(super) fn hold_check(&self, core: &mut Core, of: Gid, fence: Fence, gid: Gid, now: Timestamp) {
        let Some(live) = core.live.get(&of).cloned() else {
            debug_assert!(false, "task {of} is audited and not in memory");
            return;
        };
        let (given, model) = {
            let state = live.state.lock();
            let Some(given) = state.answers.iter().find(|given| given.fence == fence) else {
                debug_assert!(false, "task {of} is audited without its answer");
                return;
            };
            let hash = hash_of(&given.answer.text);
            let (miner, name) = (given.miner.clone(), given.name.clone());
            let given = Given { fence, miner, name, answer: given.answer.clone(), hash, took_ms: given.took_ms };
            (given, state.model(&live.spec).cloned())
        };
        let how = Validation::default().tie_break(true);
        let first = &live.spec;
        let spec = TaskSpec {
            gid,
            session_id: first.session_id,
            request: first.request.clone(),
            model,
            created_at: now,
            deadline: first.deadline.max(now.plus(first.deadline.since(first.created_at))),
            retention: Retention::Nothing,
            judged: Some(Box::new(Judged { how, asked: 2 })),
            shadow: true,
            ..TaskSpec::default()
        };
        let check = self.hold(core, spec, 0, true);
        let mut state = check.state.lock();
        state.accepted = Some(Ok(()));
        state.primary = Some(fence);
        state.answers.push(given);
        drop(state);
        self.metrics.audited();
    }

    /// Compares the answers of a task in the background and reports the verdict to the engine.
    pub(super) fn compare(self: &Arc<Self>, live: Arc<Live>) {
        let embeds = live.spec.judged.as_ref().is_some_and(|judged| judged.how.matching == Matching::Embedding);
        if !embeds {
            let shared = self.clone();
            self.background.spawn_blocking_on(move || shared.rule(&live, None), &self.runtime);
            return;
        }
        let shared = self.clone();
        self.background.spawn_on(
            async move {
                let vectors = shared.vectors(&live).await;
                let inner = shared.clone();
                shared.background.spawn_blocking_on(move || inner.rule(&live, vectors.as_deref()), &shared.runtime);
            },
            &self.runtime,
        );
    }

    fn rule(self: &Arc<Self>, live: &Arc<Live>, vectors: Option<&[Vec<f32>]>) {
        let (gid, case) = (live.spec.gid, Case::of(live));
        let (standing, agrees) = match &live.spec.judged {
            None => (Standing::Insufficient, Vec::new()),
            Some(judged) => {
                let texts: Vec<&str> = case.texts.iter().map(String::as_str).collect();
                let ruling = verdict::judge(&judged.how, &texts, judged.asked, case.primary, vectors);
                let mut state = live.state.lock();
                state.verdict = Some(case.verdict(&judged.how, &ruling));
                state.winner = case.fences.get(ruling.winner).copied();
                (ruling.standing, case.fences.iter().copied().zip(ruling.agrees).collect())
            }
        };
        if standing == Standing::Disputed {
            let (session, task, audit) = (live.spec.session_id.0, live.spec.id.0, live.spec.shadow);
            let miners = live.state.lock().answers.iter().map(|given| &*given.name).collect::<Vec<_>>().join(", ");
            tracing::info!(%gid, session, task, audit, miners, "the answers of miners differ");
        }
        // If the task runs again since the comparison began, the answers of that run are others.
        let is_running = |core: &Core| core.live.get(&gid).is_some_and(|running| Arc::ptr_eq(running, live));
        let verdict = Event::Verdict { gid, standing, agrees };
        self.step_with(self.clock.now(), |core| is_running(core).then_some(verdict));
        // Whoever sees the count finds the verdict done.
        self.metrics.verdict(standing.as_str());
    }

    /// A vector for each answer, from a miner that makes embeddings; `None`: no such miner answered in time.
    async fn vectors(self: &Arc<Self>, live: &Arc<Live>) -> Option<Vectors> {
        let how = &live.spec.judged.as_ref()?.how;
        let texts = Case::of(live).texts;
        let input = RawValue::from_string(serde_json::to_string(&texts).ok()?).ok()?;
        let model = how.model.as_deref().map(Arc::<str>::from);
        let mut request = TaskRequest::default().kind(RequestKind::Embedding).input(input);
        request.model = model.as_deref().map(str::to_owned);
        let request = Arc::new(request);
        let now = self.clock.now();
        let bytes = texts.iter().map(String::len).sum::<usize>() as u64;
        let demand = Demand {
            session: live.spec.session_id,
            model,
            embedding: true,
            prompt_tokens: bytes / 4,
            max_tokens: 1,
            bytes,
            deadline: now.plus(self.settings.now().dispatch.verdict_timeout_ms),
            shadow: true,
            ..Demand::default()
        };
        let entrant = Entrant {
            demand,
            key: None,
            request,
            judged: None,
            created_at: now,
            retention: Retention::Nothing,
            trace: None,
            origin: Origin::Router,
            base: 0,
        };
        let Admitted { live: asked, deeds, .. } = self.admit(&mut self.core.lock(), entrant, now).ok()?;
        self.perform(deeds);
        let waiter = Waiter::new(&asked);
        let end = std::future::poll_fn(|cx| waiter.poll(cx, |state| state.end.clone())).await.ok()?;
        let vectors = match &end.answer.raw {
            Some(raw) => vectors_of(raw),
            None => vectors_of(end.answer.text.as_bytes()),
        };
        vectors.filter(|vectors| vectors.len() == texts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_words_says_which_tools_it_calls() {
        let raw = br#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"x","function":{"name":"f","arguments":"{\"b\":1, \"a\":2}"}}]}}]}"#;
        let answer = Answer::default().raw(Some(bytes::Bytes::from_static(raw)));
        assert_eq!(said(&answer), r#"[{"arguments":{"a":2,"b":1},"name":"f"}]"#);
        assert_eq!(said(&answer.text("words")), "words");
        assert_eq!(said(&Answer::default()), "");
    }
}
