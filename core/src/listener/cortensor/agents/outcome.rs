//! The common answer of the tasks of an order: their evidence, and what follows from it.

use serde_json::value::RawValue;

use super::work::Ended;
use crate::listener::reply;
use crate::model::agents::{
    Attestation, Consensus, DelegateAnswer, Disagreement, Evidence, Finding, Judgement, Mode, Opinion, Quorum,
    Replicas, Strategy, Tier, ValidateAnswer,
};
use crate::model::{Standing, ValidationSpec};
use crate::router::said;
use crate::verdict;
use crate::{Error, ErrorKind, Result};

/// The form of an answer.
pub(super) enum Form {
    Delegation(Box<Delegation>),
    Validation(Box<Validation>),
}

/// The facts about a delegation that its answer shows.
pub(super) struct Delegation {
    pub(super) policy: Option<Tier>,
    /// The answers that must agree.
    pub(super) quorum: u32,
    pub(super) replicas: Option<Replicas>,
    pub(super) metadata: Option<Box<RawValue>>,
}

/// The facts about a validation that its answer shows.
pub(super) struct Validation {
    pub(super) claim: String,
    /// The miners that were asked for.
    pub(super) wanted: u32,
    pub(super) policy: Option<Tier>,
    pub(super) replicas: Option<Replicas>,
    pub(super) mode: Option<Mode>,
    pub(super) is_recorded: Option<bool>,
    pub(super) metadata: Option<Box<RawValue>>,
}

/// The ended tasks of an order, of which at least one has an answer.
pub(super) struct Outcome {
    tasks: Vec<Ended>,
    /// The place of the first task with an answer.
    first: usize,
}

impl Outcome {
    /// # Errors
    /// The error of the first task, if none has an answer.
    pub(super) fn of(tasks: Vec<Ended>) -> Result<Self> {
        if let Some(first) = tasks.iter().position(|task| task.done.is_ok()) {
            return Ok(Self { tasks, first });
        }
        let error = tasks.into_iter().find_map(|task| task.done.err());
        Err(error.unwrap_or_else(|| Error::internal("an order has no tasks")))
    }

    /// The answer as JSON.
    ///
    /// # Errors
    /// `Conflict` if the replicas do not agree and the caller wants that to fail.
    pub(super) async fn answer(&self, form: Form) -> Result<Vec<u8>> {
        match form {
            Form::Delegation(delegation) => self.delegated(&delegation).await,
            Form::Validation(validation) => self.validated(&validation),
        }
    }

    /// Every answer, and every replica without one.
    fn evidence(&self, are_replicas: bool) -> Vec<Evidence<'_>> {
        let mut all: Vec<Evidence<'_>> = self
            .tasks
            .iter()
            .flat_map(|task| match (&task.done, &task.submission) {
                (Ok(done), Some(submission)) => Evidence::of(done, |miner| submission.took_ms(miner)),
                (Ok(done), None) => Evidence::of(done, |_| None),
                (Err(error), _) => vec![Evidence::failed(error)],
            })
            .collect();
        if are_replicas {
            for (number, evidence) in (1..).zip(&mut all) {
                evidence.replica = Some(number);
            }
        }
        all
    }

    async fn delegated(&self, asked: &Delegation) -> Result<Vec<u8>> {
        let replicas = asked.replicas.as_ref();
        let mut evidence = self.evidence(replicas.is_some());
        let (mut winner, mut is_disputed) = (self.first, false);
        if let Some(replicas) = replicas.filter(|_| self.tasks.len() > 1) {
            let compared = self.compared(replicas).await?;
            is_disputed = compared.standing == Standing::Disputed;
            let answered: Vec<usize> = (0..self.tasks.len()).filter(|at| self.tasks[*at].done.is_ok()).collect();
            winner = answered.get(compared.winner).copied().unwrap_or(self.first);
            for (at, agrees) in answered.iter().zip(&compared.agrees) {
                evidence[*at].agrees = Some(*agrees);
            }
        }
        let Ok(done) = &self.tasks[winner].done else { return Err(Error::internal("the winner has no answer")) };
        is_disputed |= done.verdict.as_ref().is_some_and(|verdict| verdict.verdict == Standing::Disputed);
        let answered = evidence.iter().filter(|answer| answer.error.is_none()).count();
        // An answer that stands alone was compared with none, and agrees with itself.
        let agreeing = match evidence.iter().filter(|answer| answer.agrees == Some(true)).count() {
            _ if answered == 1 => 1,
            agreeing => agreeing as u32,
        };
        let quorum = replicas.map_or(asked.quorum, |replicas| replicas.strategy.quorum(replicas.count));
        let standing = match quorum {
            // Nothing is compared.
            0 | 1 if !is_disputed => Standing::Agreed,
            _ => standing(quorum, answered as u32, agreeing, is_disputed),
        };
        let consensus = replicas.map(|replicas| consensus(replicas, &evidence, agreeing, standing));
        refuse(consensus.as_ref())?;
        let hides = replicas.is_some_and(|replicas| replicas.disagreement == Disagreement::ReturnAll);
        let shows = standing == Standing::Agreed || !hides;
        let result = shows.then(|| done.answer.text.as_str());
        let answer = DelegateAnswer {
            status: match standing {
                Standing::Agreed => "completed",
                Standing::Disputed => "disputed",
                Standing::Insufficient => "insufficient",
            },
            result,
            output: result,
            tool_calls: if shows { done.answer.said().tool_calls } else { Vec::new() },
            policy: asked.policy,
            session_id: done.session_id.0,
            task_id: done.task_id.0,
            model: &done.model,
            usage: done.answer.usage,
            evidence,
            consensus,
            metadata: asked.metadata.as_deref(),
        };
        reply::written(&answer)
    }

    /// Compares the answers of the replicas on a thread that may block.
    async fn compared(&self, replicas: &Replicas) -> Result<verdict::Ruling> {
        let texts: Vec<String> =
            self.tasks.iter().filter_map(|task| task.done.as_ref().ok()).map(|done| said(&done.answer)).collect();
        let (how, asked) = (replicas.strategy.validation().over(&ValidationSpec::default())?, replicas.count);
        let judged = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            verdict::judge(&how, &texts, asked, None, None)
        });
        judged.await.map_err(Error::internal)
    }

    fn validated(&self, asked: &Validation) -> Result<Vec<u8>> {
        let mut evidence = self.evidence(asked.replicas.is_some());
        let given = evidence.iter_mut().filter(|answer| answer.error.is_none());
        let opinions: Vec<Opinion> = given.map(Evidence::opine).collect();
        let replicas = asked.replicas.as_ref();
        let rule = Quorum {
            wanted: asked.wanted,
            strategy: replicas.map_or(Strategy::default(), |replicas| replicas.strategy),
            best_effort: replicas.is_some_and(|replicas| replicas.disagreement == Disagreement::BestEffort),
        };
        let judged = Judgement::of(rule, &opinions);
        for answer in evidence.iter_mut().filter(|answer| answer.error.is_none()) {
            answer.agrees = Some(answer.verdict == Some(judged.finding));
        }
        let consensus = replicas.map(|replicas| {
            let standing = standing(
                replicas.strategy.quorum(replicas.count),
                opinions.len() as u32,
                judged.agreeing,
                !judged.is_agreed,
            );
            consensus(replicas, &evidence, judged.agreeing, standing)
        });
        refuse(consensus.as_ref())?;
        let answer = ValidateAnswer {
            verdict: judged.finding,
            is_valid: judged.finding == Finding::Valid,
            score: judged.score,
            confidence: judged.confidence,
            reasons: reasons(asked.wanted, &judged, &opinions),
            k_miners: opinions.len() as u32,
            wanted_miners: asked.wanted,
            policy: asked.policy,
            mode: asked.mode,
            is_recorded: asked.is_recorded,
            attestation: Attestation::of(&asked.claim, judged.finding, &evidence),
            evidence,
            consensus,
            metadata: asked.metadata.as_deref(),
        };
        reply::written(&answer)
    }
}

/// How answers stand to each other, if that many of them agree.
fn standing(quorum: u32, answered: u32, agreeing: u32, is_disputed: bool) -> Standing {
    match (agreeing >= quorum && !is_disputed, answered >= quorum) {
        (true, _) => Standing::Agreed,
        (false, true) => Standing::Disputed,
        (false, false) => Standing::Insufficient,
    }
}

/// The consensus of replicas that stand like this to each other.
fn consensus(replicas: &Replicas, evidence: &[Evidence<'_>], agreeing: u32, standing: Standing) -> Consensus {
    let mut miners: Vec<&str> =
        evidence.iter().filter(|answer| answer.error.is_none()).map(|answer| answer.miner_id).collect();
    let answered = miners.len() as u32;
    miners.sort_unstable();
    miners.dedup();
    Consensus {
        replicas: replicas.count,
        answered,
        agreeing,
        distinct_miners: miners.len() as u32,
        status: standing,
        strategy: replicas.strategy,
        disagreement_policy: replicas.disagreement,
    }
}

/// Fails where the caller wants a disagreement to fail.
fn refuse(consensus: Option<&Consensus>) -> Result<()> {
    let Some(consensus) = consensus else { return Ok(()) };
    if consensus.status == Standing::Agreed || consensus.disagreement_policy != Disagreement::FailHard {
        return Ok(());
    }
    let Consensus { replicas, answered, agreeing, .. } = consensus;
    let words = format!(
        "the replicas do not agree: {answered} of {replicas} answered, and {agreeing} of them agree; \
         consensus.disagreement_policy = return_all shows all answers"
    );
    Err(Error::new(ErrorKind::Conflict, words).with_code("consensus_not_reached"))
}

/// The reasons of a verdict: those of the opinions that gave it, behind the reason why there is none.
fn reasons(wanted: u32, judged: &Judgement, opinions: &[Opinion]) -> Vec<String> {
    let mut all = Vec::new();
    if !judged.is_agreed {
        let counts = [Finding::Valid, Finding::Invalid, Finding::NeedsSpec, Finding::Retry]
            .map(|finding| (finding, opinions.iter().filter(|opinion| opinion.finding == finding).count()))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(finding, count)| format!("{finding} {count}"))
            .collect::<Vec<_>>();
        all.push(format!(
            "{} of {wanted} miners answered and too few agree: {}",
            opinions.len(),
            if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
        ));
    }
    let own = opinions.iter().filter(|opinion| opinion.finding == judged.finding && !opinion.reason.is_empty());
    all.extend(own.map(|opinion| opinion.reason.clone()));
    all
}
