//! Applying one event to the state of a roll.

use lifeboat_model::{
    EVENT_SCHEMA, Effect, EffectKey, Event, EventKind, FeatureKind, GuestId, HookStage, HostId, IllegalPhase,
    OperatorVerb, Outcome, Phase, RollEnd, Timestamp,
};
use thiserror::Error;

use crate::journal::{EffectRun, EffectState, HostRun, Journal, Status, Suspension, Warning, WindowState};

/// Why an event cannot follow the ones before it. The journal is damaged, or was written by a faulty program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// A gap or a repetition.
    #[error("event {found} follows event {last}; {} was expected", last + 1)]
    Sequence {
        /// Position of the event before.
        last: u64,
        /// Position of this one.
        found: u64,
    },
    /// A controller that had been replaced wrote again.
    #[error("event {seq} was written with fencing number {found}, after one with {last}")]
    Fence {
        /// Position of the event.
        seq: u64,
        /// Number of the event before.
        last: u64,
        /// Number of this one.
        found: u64,
    },
    /// A newer program wrote it.
    #[error("event {seq} has form {found}; this program reads up to {EVENT_SCHEMA}: use a newer lifeboat")]
    Schema {
        /// Position of the event.
        seq: u64,
        /// Its form.
        found: u32,
    },
    /// The first event is not the start, or the start is repeated, or names another plan.
    #[error("event {seq}: {reason}")]
    Start {
        /// Position of the event.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// A host that the plan has no step for.
    #[error("event {seq} is about host {host}, for which the plan has no step")]
    UnknownHost {
        /// Position of the event.
        seq: u64,
        /// The host.
        host: HostId,
    },
    /// An outcome without an intent.
    #[error("event {seq} is the outcome of {key}, which was not open")]
    NotOpen {
        /// Position of the event.
        seq: u64,
        /// The effect.
        key: EffectKey,
    },
    /// A transition that the table does not have.
    #[error("event {seq}, host {host}")]
    Phase {
        /// Position of the event.
        seq: u64,
        /// The host.
        host: HostId,
        /// The transition.
        #[source]
        source: IllegalPhase,
    },
}

impl Journal {
    /// Takes an event over.
    ///
    /// # Errors
    /// [`FoldError`] if it cannot follow the ones before; the state is unchanged then.
    pub fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        let seq = event.seq;
        if seq != self.last_seq + 1 {
            return Err(FoldError::Sequence { last: self.last_seq, found: seq });
        }
        if event.schema > EVENT_SCHEMA {
            return Err(FoldError::Schema { seq, found: event.schema });
        }
        if event.fence < self.fence {
            return Err(FoldError::Fence { seq, last: self.fence, found: event.fence });
        }
        let starts = matches!(event.what, EventKind::RollStarted { .. });
        if starts != self.started.is_none() {
            let reason = if starts { "the roll was started before" } else { "the roll was not started" };
            return Err(FoldError::Start { seq, reason: reason.to_owned() });
        }
        self.apply_kind(event)?;
        self.last_seq = seq;
        self.fence = event.fence;
        self.last_at = event.at;
        Ok(())
    }

    fn apply_kind(&mut self, event: &Event) -> Result<(), FoldError> {
        let (seq, at) = (event.seq, event.at);
        match &event.what {
            EventKind::RollStarted { plan, pool, .. } => {
                if *plan != self.plan_hash || *pool != self.plan.pool {
                    let reason = format!("it carries out plan {} of pool {pool}, not this one", plan.short());
                    return Err(FoldError::Start { seq, reason });
                }
                self.started = Some(at);
            }
            EventKind::ControllerStarted { holder } => {
                self.holder = Some(holder.clone());
                self.handed_over = false;
                self.interrupt();
            }
            EventKind::Intent { key, attempt, effect } => {
                let state = EffectState::Open { interrupted: false };
                let run = EffectRun { effect: effect.clone(), attempt: *attempt, since: at, state };
                self.apply_intent(seq, key, run)?;
            }
            EventKind::Outcome { key, outcome } => self.apply_outcome(seq, at, key, outcome)?,
            EventKind::HostPhase { host, phase } => self.apply_phase(seq, at, host, phase)?,
            EventKind::Halted { reason } => {
                self.halted = Some(reason.clone());
                self.touched.extend(self.in_flight.iter().copied());
            }
            EventKind::CoordinatorLost { .. } => self.coordinator_lost_since = Some(at),
            EventKind::CoordinatorBack { .. } => self.coordinator_lost_since = None,
            EventKind::Operator { verb, .. } => {
                self.forget_failed_restores();
                self.apply_verb(seq, verb)?;
            }
            EventKind::RollEnded { end } => {
                self.status = Status::Ended(end.clone());
                if !matches!(end, RollEnd::Stopped { .. }) {
                    self.forget_started();
                }
            }
            EventKind::Held { reason, finish } => {
                if self.status == Status::Running || self.status == Status::Finishing {
                    self.status = if *finish { Status::Finishing } else { Status::Paused };
                }
                self.held = Some(match self.held.take() {
                    Some(before) if before != *reason => format!("{before}; {reason}"),
                    Some(_) | None => reason.clone(),
                });
            }
            EventKind::FeatureTouched { feature, value } => self.feature_touched(*feature, value, at),
            EventKind::FeatureKept { feature, value, .. } => {
                for suspension in self.suspensions.iter_mut().filter(|s| s.feature == *feature) {
                    suspension.restored = true;
                    suspension.kept = Some(value.clone());
                }
                // An order to restore that a dead controller left must not be repeated over it.
                self.forget_orders(*feature);
            }
            EventKind::WindowOpened { until } => {
                self.forget_failed_restores();
                self.window = Some(WindowState { open: true, since: at, until: *until });
            }
            EventKind::WindowClosed { until } => {
                self.window = Some(WindowState { open: false, since: at, until: *until });
            }
            EventKind::Warned { code, subject, text } => {
                if let (true, Ok(guest)) = (code.starts_with("placement-"), GuestId::new(subject)) {
                    self.unplaced.insert(guest);
                    self.count_placed();
                }
                let (code, subject, text) = (code.clone(), subject.clone(), text.clone());
                self.warnings.push(Warning { at, code, subject, text });
            }
            EventKind::SuspensionAdopted { feature, original, .. } => self.adopt(*feature, original, at),
            EventKind::Unknown => {}
        }
        Ok(())
    }

    /// At the end for good only those guests are down that the roll has named.
    fn forget_started(&mut self) {
        let warnings = &self.warnings;
        let named = |guest: &GuestId| {
            warnings.iter().any(|w| w.code == crate::pool::LEFT_DOWN && w.subject == guest.as_str())
        };
        for run in self.hosts.iter_mut().filter(|run| !run.stopped.is_empty()) {
            run.stopped.retain(|guest, _| named(guest));
        }
    }

    /// A restoration that failed is tried again when something else has happened.
    fn forget_failed_restores(&mut self) {
        let failed = |run: &EffectRun| {
            matches!(run.effect, Effect::RestoreFeature { .. })
                && matches!(run.state, EffectState::Failed { .. })
        };
        self.pool_effects.retain(|_, run| !failed(run));
    }

    /// What somebody gave a feature meanwhile is what it gets back; it is to be suspended anew.
    fn feature_touched(&mut self, feature: FeatureKind, value: &str, since: Timestamp) {
        if !self.suspensions.iter().any(|s| s.feature == feature && !s.restored) {
            self.adopt(feature, value, since);
        }
        for suspension in self.suspensions.iter_mut().filter(|s| s.feature == feature && !s.restored) {
            let before = std::mem::replace(&mut suspension.original, value.to_owned());
            suspension.before_touch.get_or_insert(before);
        }
        self.forget_orders(feature);
    }

    /// The next order about a feature begins anew.
    fn forget_orders(&mut self, feature: FeatureKind) {
        self.pool_effects.retain(|_, run| {
            !matches!(
                &run.effect,
                Effect::SuspendFeature { feature: kind, .. } | Effect::RestoreFeature { feature: kind, .. }
                    if *kind == feature
            )
        });
    }

    /// Takes over what an earlier roll switched off, as if this one had.
    fn adopt(&mut self, feature: FeatureKind, original: &str, since: Timestamp) {
        let original = original.to_owned();
        self.suspensions.push(Suspension {
            feature,
            original,
            since,
            restored: false,
            kept: None,
            before_touch: None,
        });
    }

    fn interrupt(&mut self) {
        let of_hosts = self.hosts.iter_mut().flat_map(|run| run.effects.values_mut());
        for run in of_hosts.chain(self.pool_effects.values_mut()).chain(self.placements.values_mut()) {
            if run.state == (EffectState::Open { interrupted: false }) {
                run.state = EffectState::Open { interrupted: true };
            }
        }
        self.touched.extend(self.in_flight.iter().copied());
    }

    fn apply_intent(&mut self, seq: u64, key: &EffectKey, run: EffectRun) -> Result<(), FoldError> {
        match &run.effect {
            Effect::SuspendFeature { feature, original } => {
                if !self.suspensions.iter().any(|s| s.feature == *feature && !s.restored) {
                    let (feature, original) = (*feature, original.clone());
                    self.pool_effects.retain(
                        |_, run| !matches!(&run.effect, Effect::RestoreFeature { feature: kind, .. } if *kind == feature),
                    );
                    self.suspensions.push(Suspension {
                        feature,
                        original,
                        since: run.since,
                        restored: false,
                        kept: None,
                        before_touch: None,
                    });
                }
            }
            Effect::Install { host, bank, .. } => self.run_mut(seq, host)?.bank = Some(*bank),
            Effect::RebootInto { host, bank, boot_id_before } => {
                let host = self.run_mut(seq, host)?;
                host.bank = Some(*bank);
                host.boot_id_before = Some(boot_id_before.clone());
            }
            Effect::StopGuest { host, guest } => {
                let since = run.since;
                let start = Effect::StartGuest { guest: guest.clone(), host: host.clone() }.key();
                let host = self.run_mut(seq, host)?;
                host.stopped.entry(guest.clone()).or_insert(since);
                // A start of an earlier turn has ended: this shutdown has one of its own.
                host.effects.remove(&start);
            }
            Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Migrate { .. }
            | Effect::Restart { .. }
            | Effect::StartGuest { .. }
            | Effect::Place { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. }
            | Effect::Stage { .. } => {}
            Effect::RunHook { host, stage, .. } => {
                if matches!(stage, HookStage::PreMaintenance | HookStage::Maintenance) {
                    self.run_mut(seq, host)?.prepared = true;
                }
            }
        }
        match run.effect.host().cloned() {
            Some(host) => {
                self.run_mut(seq, &host)?.effects.insert(key.clone(), run);
            }
            None if matches!(run.effect, Effect::Place { .. }) => {
                self.placing.insert(key.clone());
                self.placements.insert(key.clone(), run);
            }
            None => {
                self.pool_effects.insert(key.clone(), run);
            }
        }
        Ok(())
    }

    fn apply_outcome(
        &mut self,
        seq: u64,
        at: Timestamp,
        key: &EffectKey,
        outcome: &Outcome,
    ) -> Result<(), FoldError> {
        let not_open = || FoldError::NotOpen { seq, key: key.clone() };
        let host = key.0.split_once('/').and_then(|(host, _)| HostId::new(host).ok());
        let step = host.and_then(|host| self.index.get(&host).copied());
        let effects = match step.and_then(|step| self.hosts.get_mut(step)) {
            Some(run) if run.effects.contains_key(key) => &mut run.effects,
            Some(_) | None if self.placements.contains_key(key) => &mut self.placements,
            Some(_) | None => &mut self.pool_effects,
        };
        let run = effects.get_mut(key).ok_or_else(not_open)?;
        if !matches!(run.state, EffectState::Open { .. }) {
            return Err(not_open());
        }
        run.since = at;
        run.state = match outcome {
            Outcome::Done { .. } => EffectState::Done,
            Outcome::NothingToDo { detail } => {
                EffectState::NothingToDo { reason: detail.clone().unwrap_or_default() }
            }
            Outcome::Failed { reason, retriable } => {
                EffectState::Failed { reason: reason.clone(), retriable: *retriable }
            }
        };
        if let (Effect::StartGuest { guest, .. }, EffectState::Done, Some(step)) =
            (&run.effect, &run.state, step)
        {
            let guest = guest.clone();
            if let Some(run) = self.hosts.get_mut(step) {
                // A shutdown that was told to have failed may still be carried out, after this start.
                let stop = Effect::StopGuest { guest: guest.clone(), host: run.host.clone() }.key();
                let failed = |stop: &EffectRun| matches!(stop.state, EffectState::Failed { .. });
                if !run.effects.get(&stop).is_some_and(failed) {
                    run.stopped.remove(&guest);
                }
            }
        } else if let (Effect::RestoreFeature { feature, .. }, EffectState::Done) = (&run.effect, &run.state)
        {
            let feature = *feature;
            for suspension in self.suspensions.iter_mut().filter(|s| s.feature == feature) {
                suspension.restored = true;
            }
            // A roll that goes on after all suspends it anew.
            self.pool_effects.retain(
                |_, run| !matches!(&run.effect, Effect::SuspendFeature { feature: kind, .. } if *kind == feature),
            );
        }
        self.touched.extend(step);
        if self.placing.remove(key) {
            self.count_placed();
        }
        Ok(())
    }

    /// Moves after the last host that have ended, from the first on.
    fn count_placed(&mut self) {
        while let Some(planned) = self.plan.placement.get(self.placed) {
            let (guest, from, to) = (planned.guest.clone(), planned.from.clone(), planned.to.clone());
            let done = self
                .placements
                .get(&Effect::Place { guest, from, to }.key())
                .is_some_and(|run| matches!(run.state, EffectState::Done | EffectState::NothingToDo { .. }));
            if !done && !self.unplaced.contains(&planned.guest) {
                return;
            }
            self.placed += 1;
        }
    }

    fn apply_phase(
        &mut self,
        seq: u64,
        at: Timestamp,
        host: &HostId,
        phase: &Phase,
    ) -> Result<(), FoldError> {
        let unknown = || FoldError::UnknownHost { seq, host: host.clone() };
        let step = self.index.get(host).copied().ok_or_else(unknown)?;
        let run = self.hosts.get_mut(step).ok_or_else(unknown)?;
        let before = run.phase.clone();
        before.check_next(phase).map_err(|source| FoldError::Phase { seq, host: host.clone(), source })?;
        run.phase = phase.clone();
        run.since = at;
        // Only a person's part can be left: every other end comes after the hooks of the last stage.
        if before.in_flight() && !phase.in_flight() && !matches!(phase, Phase::NeedsYou { .. }) {
            run.prepared = false;
        }
        if before.in_flight() && !phase.in_flight() {
            run.effects.clear();
        } else if !phase.in_flight() {
            run.forget_ended();
        }
        if !phase.in_flight() {
            run.boot_id_before = None;
        }
        if matches!(phase, Phase::Admitted) {
            run.bank = None;
            self.forget_failed_restores();
        }
        self.touched.insert(step);
        self.count(step, &before, phase, at);
        Ok(())
    }

    /// Keeps the counters and sets that make questions quick.
    fn count(&mut self, step: usize, before: &Phase, after: &Phase, at: Timestamp) {
        let links = std::sync::Arc::clone(&self.links);
        let links = links.get(step);
        if matches!(after, Phase::Pending) {
            self.pending.insert(step);
        } else {
            self.pending.remove(&step);
        }
        if before.in_flight() != after.in_flight() {
            if after.in_flight() {
                self.in_flight.insert(step);
            } else {
                self.in_flight.remove(&step);
            }
        }
        if matches!(after, Phase::NeedsYou { .. }) {
            self.out.insert(step);
        } else if !matches!(after, Phase::Pending | Phase::Skipped { .. }) {
            // One that is left out, or tried again later, serves no more than before.
            self.out.remove(&step);
        }
        if matches!(after, Phase::Committed) {
            self.committed += 1;
            self.first_committed.get_or_insert(at);
            for &waiter in links.iter().flat_map(|links| &links.before) {
                if let Some(unmet) = self.unmet.get_mut(waiter) {
                    *unmet = unmet.saturating_sub(1);
                }
            }
        }
        if after.is_failure() {
            self.failures += 1;
        }
    }

    fn apply_verb(&mut self, seq: u64, verb: &OperatorVerb) -> Result<(), FoldError> {
        // What has ended for good is not changed by an order that came late.
        if matches!(&self.status, Status::Ended(end) if !matches!(end, RollEnd::Stopped { .. })) {
            return Ok(());
        }
        match verb {
            OperatorVerb::Pause => {
                if matches!(self.status, Status::Running | Status::Finishing) {
                    self.status = Status::Paused;
                }
            }
            OperatorVerb::PauseAfterHost => {
                if self.status == Status::Running {
                    self.status = Status::Finishing;
                }
            }
            OperatorVerb::Stop => {
                if !matches!(self.status, Status::Aborting | Status::Ended(_)) {
                    self.status = Status::Running;
                    self.held = None;
                    self.halted = Some("stopped by a person's order".to_owned());
                }
            }
            OperatorVerb::Approve { wave } => self.approved = self.approved.max(*wave),
            OperatorVerb::SetPolicy { policy } => self.policy = std::sync::Arc::new((**policy).clone()),
            OperatorVerb::HandOver => self.handed_over = true,
            // After a crash it means "go on with what was going on": a failure that stops the roll still does.
            OperatorVerb::Resume => match self.status {
                Status::Paused | Status::Finishing => {
                    self.status = Status::Running;
                    // What it was held for was seen by a person: failures up to here are decided.
                    if self.held.take().is_some() {
                        self.failures = 0;
                        self.forget_failed_commands();
                    }
                }
                Status::Ended(RollEnd::Stopped { .. }) => self.reopen(),
                // A stop that a person or a gate ordered and that is still under way is taken back.
                Status::Running if self.halted.is_some() && !self.stopped_by_failure() => self.reopen(),
                Status::Running | Status::Aborting | Status::Ended(_) => {}
            },
            OperatorVerb::Abort => {
                if matches!(self.status, Status::Ended(RollEnd::Stopped { .. })) {
                    self.reopen();
                }
                self.aborted = true;
                if !matches!(self.status, Status::Ended(_)) {
                    self.status = Status::Aborting;
                }
            }
            OperatorVerb::Retry { host } => {
                self.decided(host);
                let step = self.index.get(host).copied();
                let run = self.run_mut(seq, host)?;
                run.retry = true;
                run.skip = false;
                if let Phase::Leaving { exit } = &mut run.phase {
                    **exit = Phase::Pending;
                }
                if !run.phase.in_flight() && !matches!(run.phase, Phase::Committed) {
                    run.phase = Phase::Pending;
                    // A guest may be on its way up; its end is still to be heard.
                    run.forget_ended();
                    self.pending.extend(step);
                }
                if let Some(step) = step {
                    self.skips.remove(&step);
                }
            }
            OperatorVerb::Skip { host } => {
                self.decided(host);
                self.run_mut(seq, host)?.skip = true;
                self.skips.extend(self.index.get(host));
            }
        }
        self.touched.extend(self.in_flight.iter().copied());
        Ok(())
    }

    /// A person decided about a host. Where that host is what the roll waits for, it goes on; an order about another one
    /// lifts no pause and no stop.
    fn decided(&mut self, host: &HostId) {
        let ended = matches!(self.status, Status::Ended(RollEnd::Stopped { .. }));
        if ended || self.host(host).is_some_and(|run| run.phase.is_failure()) {
            self.reopen();
        }
    }

    /// Takes a paused or stopped roll up again. What was restored at the stop is to be suspended anew.
    fn reopen(&mut self) {
        if let Status::Ended(RollEnd::Stopped { .. }) = self.status {
            self.pool_effects.clear();
            // Guests that could not be started are tried again.
            for run in self.hosts.iter_mut().filter(|run| !run.phase.in_flight()) {
                run.effects.clear();
            }
        }
        let may = matches!(
            self.status,
            Status::Paused | Status::Finishing | Status::Ended(RollEnd::Stopped { .. })
        );
        if may {
            self.status = if self.aborted { Status::Aborting } else { Status::Running };
        }
        if !matches!(self.status, Status::Ended(_)) {
            self.forget_failed_commands();
            self.halted = None;
            self.held = None;
            self.failures = 0;
        }
    }

    /// A gate or a preflight hook that failed is asked anew when a person goes on.
    fn forget_failed_commands(&mut self) {
        let failed =
            |run: &EffectRun| run.effect.is_command() && matches!(run.state, EffectState::Failed { .. });
        self.pool_effects.retain(|_, run| !failed(run));
        for &step in &self.pending {
            if let Some(host) = self.hosts.get_mut(step) {
                host.effects.retain(|_, run| !failed(run));
            }
        }
    }

    fn run_mut(&mut self, seq: u64, host: &HostId) -> Result<&mut HostRun, FoldError> {
        let unknown = || FoldError::UnknownHost { seq, host: host.clone() };
        let step = self.index.get(host).copied().ok_or_else(unknown)?;
        self.touched.insert(step);
        self.hosts.get_mut(step).ok_or_else(unknown)
    }
}
