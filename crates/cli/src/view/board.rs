//! A roll at one moment, as values.

use lifeboat_executor::Snapshot;
use lifeboat_model::{Effect, HostId, Millis, Phase, Progress, RollEnd, Timestamp};
use lifeboat_roll::{EffectState, HostRun, Status, to_approve, waiting_on, waiting_on_pool};
use serde::{Deserialize, Serialize};

use super::Timeline;

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostLine {
    /// Its name.
    pub(crate) host: HostId,
    /// Whether the pool's control depends on it.
    pub(crate) coordinator: bool,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// Since when.
    pub(crate) since: Timestamp,
    /// The bank it runs from; `?` if it does not say.
    pub(crate) bank: String,
    /// The version it runs; `?` if it does not say.
    pub(crate) version: String,
    /// Guests that run on it.
    pub(crate) guests: usize,
    /// Whether it takes no guests.
    pub(crate) maintenance: bool,
    /// How far its longest step has come.
    pub(crate) progress: Option<Progress>,
    /// What it waits for.
    pub(crate) waiting_on: Vec<String>,
}

/// A feature that is off until the roll ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SuspendedLine {
    /// Which one.
    pub(crate) feature: String,
    /// The value it gets back.
    pub(crate) original: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Somebody has switched it on meanwhile: it is on now.
    #[serde(default)]
    pub(crate) on: bool,
    /// The value that it had before somebody changed it.
    #[serde(default)]
    pub(crate) before_touch: Option<String>,
}

impl SuspendedLine {
    /// As a line for people, without how long.
    pub(crate) fn tell(&self) -> String {
        let before = self.before_touch.as_ref().map(|was| format!(", before that {was}")).unwrap_or_default();
        if self.on {
            format!("SWITCHED ON by somebody: {} is {}{before}", self.feature, self.original)
        } else if self.before_touch.is_some() {
            format!("SUSPENDED {} (somebody had set it to {}{before})", self.feature, self.original)
        } else {
            format!("SUSPENDED {} (was {})", self.feature, self.original)
        }
    }
}

/// A guest that this roll shut down and has not started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoppedLine {
    /// Which one.
    pub(crate) guest: String,
    /// Where it is.
    pub(crate) host: HostId,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A roll at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Board {
    /// Its name.
    pub(crate) roll: String,
    /// The pool.
    pub(crate) pool: String,
    /// What the hosts shall run.
    pub(crate) target: String,
    /// `running`, `pausing`, `paused`, `aborting`, `completed`, `completed with exceptions`, `stopped`, `aborted`.
    pub(crate) state: String,
    /// Why it stopped.
    pub(crate) reason: Option<String>,
    /// The pool's time at this moment.
    pub(crate) now: Timestamp,
    /// When it began.
    pub(crate) started: Timestamp,
    /// Hosts that run the release and serve.
    pub(crate) committed: usize,
    /// Guests moved, of how many moves planned.
    pub(crate) moved: u64,
    /// Moves planned.
    pub(crate) moves: u64,
    /// Time until the end, at the present pace.
    pub(crate) left: Option<Millis>,
    /// What the roll as a whole waits for.
    pub(crate) waiting_on: Vec<String>,
    /// Features that are off because of this roll.
    pub(crate) suspended: Vec<SuspendedLine>,
    /// Guests that are down because of this roll.
    #[serde(default)]
    pub(crate) stopped: Vec<StoppedLine>,
    /// What went other than planned, while the roll went on.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
    /// The wave that waits for a person's approval.
    #[serde(default)]
    pub(crate) to_approve: Option<u32>,
    /// The hosts in the order of the plan.
    pub(crate) hosts: Vec<HostLine>,
    /// The controller, if one is at work.
    pub(crate) controller: Option<String>,
}

impl Board {
    /// Draws a roll as it is seen by its controller.
    pub(crate) fn of(snapshot: Snapshot<'_>, timeline: &Timeline) -> Self {
        let journal = snapshot.journal;
        let (state, reason) = state_of(journal.status(), journal.halted(), journal.held());
        let hosts = journal.hosts().iter().map(|run| line(snapshot, run)).collect();
        let suspended = journal
            .suspensions()
            .iter()
            .filter(|suspension| !suspension.restored)
            .map(|suspension| SuspendedLine {
                feature: suspension.feature.to_string(),
                original: suspension.original.clone(),
                since: suspension.since,
                on: !journal.is_suspended(suspension) && suspension.before_touch.is_some(),
                before_touch: suspension.before_touch.clone(),
            })
            .collect();
        let ended = matches!(journal.status(), Status::Ended(_));
        Self {
            roll: snapshot.roll.to_string(),
            pool: journal.plan().pool.to_string(),
            target: format!("{} {}", journal.plan().target.name, journal.plan().target.version),
            state,
            reason,
            now: snapshot.now,
            started: journal.started().unwrap_or(snapshot.now),
            committed: journal.committed(),
            moved: timeline.moved(),
            moves: journal.plan().figures.moves.planned,
            left: if ended { None } else { timeline.left(journal, snapshot.now) },
            waiting_on: waiting_on_pool(snapshot.world, journal, snapshot.now),
            suspended,
            stopped: journal
                .stopped_guests()
                .map(|(host, guest, since)| StoppedLine {
                    guest: guest.to_string(),
                    host: host.clone(),
                    since,
                })
                .collect(),
            warnings: journal.warnings().iter().map(|w| format!("{}: {}", w.subject, w.text)).collect(),
            to_approve: to_approve(snapshot.world, journal, snapshot.now),
            hosts,
            controller: journal.holder().map(str::to_owned),
        }
    }

    /// Hosts that are neither at their good end nor waiting for their turn.
    pub(crate) fn in_flight(&self) -> usize {
        self.hosts.iter().filter(|host| host.phase.in_flight()).count()
    }

    /// Whether it has ended.
    pub(crate) fn ended(&self) -> bool {
        !matches!(self.state.as_str(), "running" | "pausing" | "paused" | "aborting" | "stopping")
    }
}

fn state_of(status: &Status, halted: Option<&str>, held: Option<&str>) -> (String, Option<String>) {
    let (state, reason) = match status {
        Status::Running if halted.is_some() => ("stopping", halted.map(str::to_owned)),
        Status::Running => ("running", None),
        Status::Paused => ("paused", held.map(str::to_owned)),
        Status::Finishing => ("pausing", held.map(str::to_owned)),
        Status::Aborting => ("aborting", None),
        Status::Ended(RollEnd::Completed) => ("completed", None),
        Status::Ended(RollEnd::CompletedWithExceptions { hosts }) => {
            let reason = format!("{hosts} host{} not upgraded", if *hosts == 1 { " was" } else { "s were" });
            ("completed with exceptions", Some(reason))
        }
        Status::Ended(RollEnd::Stopped { reason }) => ("stopped", Some(reason.clone())),
        Status::Ended(RollEnd::Aborted) => ("aborted", None),
    };
    (state.to_owned(), reason)
}

fn line(snapshot: Snapshot<'_>, run: &HostRun) -> HostLine {
    let world = snapshot.world;
    let host = world.host(&run.host);
    let unknown = || "?".to_owned();
    let running = run.effects.values().filter(|effect| matches!(effect.state, EffectState::Open { .. }));
    let progress = running
        .filter(|effect| matches!(effect.effect, Effect::Stage { .. } | Effect::Install { .. }))
        .find_map(|effect| snapshot.progress.get(&effect.effect.key()).copied());
    HostLine {
        host: run.host.clone(),
        coordinator: world.coordinator() == Some(&run.host),
        phase: run.phase.clone(),
        since: if run.since.0 == 0 { snapshot.journal.started().unwrap_or(snapshot.now) } else { run.since },
        bank: host.and_then(|host| host.active).map_or_else(unknown, |bank| bank.to_string()),
        version: host.and_then(|host| host.version.as_ref()).map_or_else(unknown, ToString::to_string),
        guests: world.running_on(&run.host).count(),
        maintenance: host.is_some_and(|host| host.maintenance),
        progress,
        waiting_on: waiting_on(world, snapshot.journal, run, snapshot.now),
    }
}
