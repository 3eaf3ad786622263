//! The phases of a task, and which may follow which.

/// The phase of a task inside the engine. Clients see its [`TaskState`](cortensor_router_model::TaskState) instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The store does not have it yet: no miner gets it.
    Held,
    /// It waits for miners, or they work on it.
    Open,
    /// All answers are in and are being compared.
    Judging,
    /// Its end is being written.
    Ending,
}

impl Phase {
    /// Whether that phase may follow this one. The table stands in `docs/ARCHITECTURE.md` too.
    pub(super) fn may_become(self, next: Self) -> bool {
        // Nothing follows an end, and no phase follows itself.
        match self {
            // It is stored, or ends before that. Its answers differ and one more miner is asked, or the verdict
            // stands.
            Self::Held | Self::Judging => matches!(next, Self::Open | Self::Ending),
            // All answers are in; or it ends, with an answer or without one.
            Self::Open => matches!(next, Self::Judging | Self::Ending),
            Self::Ending => false,
        }
    }
}

/// The phase of one task. It refuses a change that the table does not allow, and the self-check then reports that
/// change.
#[derive(Debug)]
pub(super) struct Phases {
    now: Phase,
    refused: Option<Phase>,
}

impl Phases {
    /// The phase of a new task, which is that one.
    pub(super) fn begin(now: Phase) -> Self {
        Self { now, refused: None }
    }

    /// The phase it is in.
    pub(super) fn now(&self) -> Phase {
        self.now
    }

    /// Goes on to the next phase.
    pub(super) fn enter(&mut self, next: Phase) {
        if self.now.may_become(next) {
            self.now = next;
        } else {
            self.refused = Some(next);
        }
    }

    /// Checks that every change was allowed.
    ///
    /// # Errors
    /// A text that names the first change that was not allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        self.refused.map_or(Ok(()), |next| Err(format!("it was {:?} and was to become {next:?}", self.now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_the_table_does_not_have_is_refused_and_told() {
        let mut phase = Phases::begin(Phase::Held);
        for next in [Phase::Open, Phase::Judging, Phase::Open, Phase::Judging, Phase::Ending] {
            phase.enter(next);
            assert_eq!((phase.now(), phase.check()), (next, Ok(())));
        }
        phase.enter(Phase::Open);
        assert_eq!(phase.now(), Phase::Ending);
        assert_eq!(phase.check(), Err("it was Ending and was to become Open".to_owned()));
    }
}
