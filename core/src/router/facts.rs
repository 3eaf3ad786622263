//! The facts of a task that the log shows.

use std::sync::Arc;

use super::live::Live;
use super::submission::Submission;
use crate::model::{Outcome, SessionId, TaskId, Usage};

/// A view of a task for the log. It does not attach its holder to the task.
#[derive(Clone)]
pub(crate) struct Observed(Arc<Live>);

/// The facts of a task at one moment.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
    /// The model that answered, or else the one that was asked for.
    pub(crate) model: Option<String>,
    /// The name of the miner whose answer counts, or else of the one that got the task last.
    pub(crate) miner: Option<Arc<str>>,
    pub(crate) attempts: usize,
    /// The milliseconds from the submission to the first token.
    pub(crate) first_token_ms: Option<u64>,
    /// The tokens of the answer that counts.
    pub(crate) usage: Option<Usage>,
    /// The outcome; `None`: the task has not ended.
    pub(crate) outcome: Option<Outcome>,
    /// The code of the error with which the task ended.
    pub(crate) code: Option<String>,
}

impl Observed {
    /// The facts at present.
    pub(crate) fn facts(&self) -> Facts {
        let spec = &self.0.spec;
        let state = self.0.state.lock();
        let answer = state.answers.first();
        // A task that was read from the store has its answer in its end alone.
        let stored = state.end.as_ref().and_then(|end| end.as_ref().ok()).map(|end| &end.answer);
        let given = answer.map(|given| &given.answer).or(stored);
        Facts {
            session: spec.session_id,
            task: spec.id,
            model: given.and_then(|answer| answer.model.clone()).or_else(|| state.model(spec).map(ToString::to_string)),
            miner: answer.map(|given| &given.name).or(state.tried.as_ref()).cloned(),
            attempts: state.assigned.len(),
            first_token_ms: state.first_token_at.map(|at| at.since(spec.created_at)),
            usage: given.map(|answer| answer.usage),
            outcome: if state.unwritten.is_some() { Some(Outcome::Failed) } else { state.outcome },
            code: state.end_code(),
        }
    }

    /// The prompt and the answer so far, at most that many bytes of each.
    pub(crate) fn words(&self, most: usize) -> (String, String) {
        let cut = |text: &str| text[..text.floor_char_boundary(most)].to_owned();
        let prompt = cut(&self.0.spec.request.prompt_text());
        let state = self.0.state.lock();
        let text = match state.answers.first() {
            Some(given) => given.answer.text.as_str(),
            None => state.transcript.text(),
        };
        (prompt, cut(text))
    }
}

impl Submission {
    /// A view of the task for the log.
    pub(crate) fn observed(&self) -> Observed {
        Observed(self.live().clone())
    }
}
