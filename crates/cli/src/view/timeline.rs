//! What the events tell about time: how long hosts took, how much is done, when it will end.

use std::collections::BTreeMap;

use lifeboat_model::{Event, EventKind, HostId, Millis, Outcome, Phase, Timestamp};
use lifeboat_roll::Journal;

/// Times of a roll, gathered from its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    admitted: BTreeMap<HostId, Timestamp>,
    took: Vec<Millis>,
    moved: u64,
}

impl Timeline {
    /// Takes an event over.
    pub(crate) fn note(&mut self, event: &Event) {
        match &event.what {
            EventKind::HostPhase { host, phase: Phase::Admitted } => {
                self.admitted.insert(host.clone(), event.at);
            }
            EventKind::HostPhase { host, phase: Phase::Committed } => {
                if let Some(since) = self.admitted.remove(host) {
                    self.took.push(event.at.since(since));
                }
            }
            EventKind::Outcome { key, outcome: Outcome::Done { .. } } if key.0.contains("/migrate/") => {
                self.moved += 1;
            }
            EventKind::RollStarted { .. }
            | EventKind::ControllerStarted { .. }
            | EventKind::Intent { .. }
            | EventKind::Outcome { .. }
            | EventKind::HostPhase { .. }
            | EventKind::Halted { .. }
            | EventKind::CoordinatorLost { .. }
            | EventKind::CoordinatorBack { .. }
            | EventKind::Operator { .. }
            | EventKind::RollEnded { .. }
            | EventKind::Held { .. }
            | EventKind::FeatureTouched { .. }
            | EventKind::FeatureKept { .. }
            | EventKind::WindowOpened { .. }
            | EventKind::WindowClosed { .. }
            | EventKind::Warned { .. }
            | EventKind::SuspensionAdopted { .. }
            | EventKind::Unknown => {}
        }
    }

    /// Guests that were moved.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Time until the last host is done: hosts that are left, at the pace of those that are done.
    /// `None` before the first is done.
    pub(crate) fn left(&self, journal: &Journal, now: Timestamp) -> Option<Millis> {
        let done = u64::try_from(self.took.len()).ok().filter(|&count| count > 0)?;
        let mean = self.took.iter().map(|took| took.0).sum::<u64>() / done;
        let waiting = journal.hosts().iter().filter(|run| run.phase == Phase::Pending).count();
        let lanes = journal.plan().policy.in_flight_of(journal.hosts().len());
        let rounds = waiting.div_ceil(lanes.max(1));
        let flying = journal.in_flight().map(|run| {
            let gone = self.admitted.get(&run.host).map_or(0, |since| now.since(*since).0);
            mean.saturating_sub(gone)
        });
        let last = flying.max().unwrap_or(0);
        Some(Millis(last.saturating_add(mean.saturating_mul(u64::try_from(rounds).unwrap_or(u64::MAX)))))
    }
}
