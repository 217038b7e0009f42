//! The facts of a report, in the form in which programs read them (`lifeboat.report/1`).

use lifeboat_model::{Mib, Millis, Timestamp};
use serde::Serialize;

/// What is being done to a host between two phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Activity {
    /// It is checked and its state is saved.
    Check,
    /// Its guests leave it.
    Drain,
    /// The release is brought to it.
    Stage,
    /// The alternate bank is written.
    Install,
    /// It reboots and is judged.
    Reboot,
    /// It is given back to the pool.
    GiveBack,
}

impl Activity {
    /// In the order in which they happen.
    pub(crate) const ALL: [Self; 6] =
        [Self::Check, Self::Drain, Self::Stage, Self::Install, Self::Reboot, Self::GiveBack];

    /// Word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Check => "check, save state",
            Self::Drain => "drain",
            Self::Stage => "stage",
            Self::Install => "install",
            Self::Reboot => "reboot, health",
            Self::GiveBack => "give back",
        }
    }

    /// The letter that stands on it, so that colour is not the only sign.
    pub(crate) const fn letter(self) -> &'static str {
        match self {
            Self::Check => "C",
            Self::Drain => "D",
            Self::Stage => "S",
            Self::Install => "I",
            Self::Reboot => "R",
            Self::GiveBack => "G",
        }
    }

    /// Class of the shapes that stand for it.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Check => "a0",
            Self::Drain => "a1",
            Self::Stage => "a2",
            Self::Install => "a3",
            Self::Reboot => "a4",
            Self::GiveBack => "a5",
        }
    }
}

/// One activity of one host.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Span {
    pub(crate) activity: Activity,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// One guest that left a host.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Moved {
    pub(crate) guest: String,
    pub(crate) to: String,
    pub(crate) at: Timestamp,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HostFacts {
    pub(crate) host: String,
    pub(crate) wave: u32,
    pub(crate) coordinator: bool,
    /// The phase at the end of the journal.
    pub(crate) phase: String,
    /// Why it left the way, if it did.
    pub(crate) reason: Option<String>,
    /// When its first turn began.
    pub(crate) begun: Option<Timestamp>,
    /// When its last turn ended.
    pub(crate) ended: Option<Timestamp>,
    /// Time from the begin of the roll until its turn.
    pub(crate) waited: Option<Millis>,
    /// Time in its turns.
    pub(crate) took: Millis,
    /// Turns: more than one after an order to try again.
    pub(crate) turns: u32,
    /// Tries of steps beyond the first.
    pub(crate) retries: u32,
    /// Steps that failed.
    pub(crate) failures: u32,
    /// Orders to reboot.
    pub(crate) reboots: u32,
    /// Guests that were shut down on it.
    pub(crate) stops: u32,
    /// Of those, guests that were not started again.
    pub(crate) still_stopped: Vec<String>,
    pub(crate) spans: Vec<Span>,
    pub(crate) moves: Vec<Moved>,
}

impl HostFacts {
    /// Whether it runs the release and serves.
    pub(crate) fn committed(&self) -> bool {
        self.phase == "committed"
    }

    /// The activity that took longest, and how long.
    pub(crate) fn longest(&self) -> Option<(Activity, Millis)> {
        let mut sums = [0_u64; Activity::ALL.len()];
        for span in &self.spans {
            let at = Activity::ALL.iter().position(|activity| *activity == span.activity);
            if let Some(sum) = at.and_then(|at| sums.get_mut(at)) {
                *sum += span.to.since(span.from).0;
            }
        }
        let longest = Activity::ALL.into_iter().zip(sums).max_by_key(|(_, sum)| *sum);
        longest.filter(|(_, sum)| *sum > 0).map(|(activity, sum)| (activity, Millis(sum)))
    }
}

/// A feature that was off during the roll.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FeatureFacts {
    pub(crate) feature: String,
    pub(crate) original: String,
    pub(crate) since: Timestamp,
    /// When it had its value again; none if it has not.
    pub(crate) restored: Option<Timestamp>,
    /// The value that somebody gave it and that it keeps.
    pub(crate) kept: Option<String>,
    /// The earlier roll that had switched it off.
    pub(crate) adopted_from: Option<String>,
}

/// A person's order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OrderFacts {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) who: String,
    pub(crate) order: String,
}

/// Something that happened to the roll as a whole.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    /// `controller`, `order`, `halted`, `held`, `window`, `coordinator`, `feature`, `warning`, `ended`, `host`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// A time in which nothing began.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Band {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) why: &'static str,
}

/// A controller of the roll.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ControllerFacts {
    pub(crate) holder: String,
    pub(crate) at: Timestamp,
    pub(crate) fence: u64,
}

/// What was planned, and what came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Compared {
    pub(crate) hosts_planned: u64,
    pub(crate) hosts_upgraded: u64,
    pub(crate) moves_planned: u64,
    pub(crate) moves_done: u64,
    pub(crate) moves_failed: u64,
    pub(crate) memory_planned: Mib,
    pub(crate) memory_moved: Mib,
    pub(crate) makespan_planned: Millis,
    pub(crate) makespan_real: Millis,
    pub(crate) peak_planned: u32,
    pub(crate) peak_real: u32,
    pub(crate) waves: u32,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) roll: String,
    pub(crate) pool: String,
    pub(crate) release: String,
    pub(crate) version: String,
    pub(crate) serial: u64,
    pub(crate) digest: String,
    /// What an earlier roll of the same pool brought; none if there is none in this journal.
    pub(crate) before: Option<String>,
    pub(crate) plan: String,
    /// `running`, `paused`, `completed`, `completed-with-exceptions`, `stopped`, `aborted`, `given-up`.
    pub(crate) state: String,
    /// The same as a sentence.
    pub(crate) state_text: String,
    pub(crate) began: Timestamp,
    /// When the last event was written.
    pub(crate) last: Timestamp,
    pub(crate) ended: bool,
    pub(crate) duration: Millis,
    pub(crate) controllers: Vec<ControllerFacts>,
    /// Hosts by their phase at the end, in the order of the way.
    pub(crate) phases: Vec<(String, u64)>,
    pub(crate) compared: Compared,
    pub(crate) reboots: u64,
    pub(crate) guest_stops: u64,
    pub(crate) guest_starts: u64,
    pub(crate) retries: u64,
    pub(crate) failures: u64,
    pub(crate) unchanged: Vec<String>,
    pub(crate) excluded: Vec<String>,
    pub(crate) hosts: Vec<HostFacts>,
    pub(crate) features: Vec<FeatureFacts>,
    pub(crate) orders: Vec<OrderFacts>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) bands: Vec<Band>,
    pub(crate) warnings: Vec<Mark>,
    pub(crate) notes: Vec<String>,
    pub(crate) events: u64,
    /// Hash of the last event.
    pub(crate) tail: String,
    /// What checks the journal against this report.
    pub(crate) verify: String,
}

impl Report {
    /// Features that have not their value again.
    pub(crate) fn left_off(&self) -> impl Iterator<Item = &FeatureFacts> {
        self.features.iter().filter(|feature| feature.restored.is_none() && feature.kept.is_none())
    }
}
