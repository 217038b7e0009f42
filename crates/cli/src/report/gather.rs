//! From events to facts.

use std::collections::BTreeMap;

use lifeboat_model::{
    Effect, EffectKey, Event, EventKind, FeatureKind, HostId, Mib, Millis, OperatorVerb, Outcome, Phase,
    Plan, RollEnd, Timestamp,
};
use lifeboat_store::{Link, RollRow, RollState};

use super::Report;
use super::facts::{
    Activity, Band, Compared, ControllerFacts, FeatureFacts, HostFacts, Mark, Moved, OrderFacts, Span,
};
use crate::view::tell;

/// The facts of a roll. `before` is what an earlier roll brought to the pool.
pub(crate) fn gather(row: &RollRow, links: &[Link], before: Option<String>) -> Report {
    let mut gatherer = Gatherer::new(&row.plan);
    for link in links {
        gatherer.take(&link.event);
    }
    let tail = links.last().map_or(row.plan_hash, |link| link.hash);
    gatherer.finish(row, before, links.len(), &tail.to_string())
}

/// A host while its events are read.
struct Run {
    facts: HostFacts,
    phase: Phase,
    since: Timestamp,
}

struct Gatherer<'p> {
    plan: &'p Plan,
    index: BTreeMap<&'p HostId, usize>,
    memory: BTreeMap<(&'p str, &'p str), Mib>,
    runs: Vec<Run>,
    began: Option<Timestamp>,
    last: Timestamp,
    end: Option<RollEnd>,
    controllers: Vec<ControllerFacts>,
    features: Vec<(FeatureKind, FeatureFacts)>,
    orders: Vec<OrderFacts>,
    marks: Vec<Mark>,
    bands: Vec<Band>,
    warnings: Vec<Mark>,
    /// Since when nothing begins, and why.
    closed: BTreeMap<&'static str, Timestamp>,
    open: BTreeMap<EffectKey, Effect>,
    moves_done: u64,
    moves_failed: u64,
    moved: Mib,
    guest_starts: u64,
    retries: u64,
    failures: u64,
    flying: u32,
    peak: u32,
}

impl<'p> Gatherer<'p> {
    fn new(plan: &'p Plan) -> Self {
        let runs = plan.steps.iter().map(|step| Run {
            facts: HostFacts {
                host: step.host.to_string(),
                wave: step.wave,
                coordinator: plan.coordinator.as_ref() == Some(&step.host),
                phase: String::new(),
                reason: None,
                begun: None,
                ended: None,
                waited: None,
                took: Millis(0),
                turns: 0,
                retries: 0,
                failures: 0,
                reboots: 0,
                stops: 0,
                still_stopped: Vec::new(),
                spans: Vec::new(),
                moves: Vec::new(),
            },
            phase: Phase::Pending,
            since: Timestamp(0),
        });
        let moves = plan.steps.iter().flat_map(|step| &step.moves).chain(&plan.placement);
        Self {
            plan,
            index: plan.steps.iter().enumerate().map(|(at, step)| (&step.host, at)).collect(),
            memory: moves.map(|m| ((m.guest.as_str(), m.from.as_str()), m.memory)).collect(),
            runs: runs.collect(),
            began: None,
            last: Timestamp(0),
            end: None,
            controllers: Vec::new(),
            features: Vec::new(),
            orders: Vec::new(),
            marks: Vec::new(),
            bands: Vec::new(),
            warnings: Vec::new(),
            closed: BTreeMap::new(),
            open: BTreeMap::new(),
            moves_done: 0,
            moves_failed: 0,
            moved: Mib(0),
            guest_starts: 0,
            retries: 0,
            failures: 0,
            flying: 0,
            peak: 0,
        }
    }

    fn run(&mut self, host: &HostId) -> Option<&mut Run> {
        self.index.get(host).and_then(|&at| self.runs.get_mut(at))
    }

    fn mark(&mut self, event: &Event, kind: &'static str) {
        if let Some(text) = tell(event, true) {
            self.marks.push(Mark { seq: event.seq, at: event.at, kind, text });
        }
    }

    fn take(&mut self, event: &Event) {
        let at = event.at;
        self.began.get_or_insert(at);
        self.last = at;
        match &event.what {
            EventKind::RollStarted { .. } | EventKind::Unknown => {}
            EventKind::ControllerStarted { holder } => {
                if !self.controllers.is_empty() {
                    self.mark(event, "controller");
                }
                self.end = None;
                self.controllers.push(ControllerFacts { holder: holder.clone(), at, fence: event.fence });
            }
            EventKind::Intent { key, attempt, effect } => self.intent(at, key, *attempt, effect),
            EventKind::Outcome { key, outcome } => self.outcome(at, key, outcome),
            EventKind::HostPhase { host, phase } => {
                self.phase(at, host, phase);
                if phase.is_failure() {
                    self.mark(event, "host");
                }
            }
            EventKind::Halted { .. } => self.mark(event, "halted"),
            EventKind::CoordinatorLost { .. } => {
                self.mark(event, "coordinator");
                self.close("coordinator lost", at);
            }
            EventKind::CoordinatorBack { .. } => {
                self.mark(event, "coordinator");
                self.reopen("coordinator lost", at);
            }
            EventKind::Operator { verb, who } => {
                self.mark(event, "order");
                self.order(event, verb, who);
            }
            EventKind::RollEnded { end } => {
                self.mark(event, "ended");
                self.end = Some(end.clone());
                for why in ["paused", "coordinator lost", "window closed"] {
                    self.reopen(why, at);
                }
            }
            EventKind::Held { .. } => {
                self.mark(event, "held");
                self.close("paused", at);
            }
            EventKind::FeatureTouched { feature, value } => {
                self.mark(event, "feature");
                if let Some(facts) = self.suspended(*feature) {
                    value.clone_into(&mut facts.original);
                }
            }
            EventKind::FeatureKept { feature, value, .. } => {
                self.mark(event, "feature");
                if let Some(facts) = self.suspended(*feature) {
                    facts.kept = Some(value.clone());
                }
            }
            EventKind::WindowOpened { .. } => {
                self.mark(event, "window");
                self.reopen("window closed", at);
            }
            EventKind::WindowClosed { .. } => {
                self.mark(event, "window");
                self.close("window closed", at);
            }
            EventKind::Warned { code, subject, text } => {
                let text = format!("{subject}: {text} [{code}]");
                self.warnings.push(Mark { seq: event.seq, at, kind: "warning", text });
            }
            EventKind::SuspensionAdopted { feature, original, from } => {
                self.mark(event, "feature");
                self.suspend(*feature, original, at, Some(from.to_string()));
            }
        }
    }

    fn order(&mut self, event: &Event, verb: &OperatorVerb, who: &str) {
        let text = tell(event, true).unwrap_or_default();
        let order = text.strip_prefix(who).unwrap_or(&text).trim_start().to_owned();
        self.orders.push(OrderFacts { seq: event.seq, at: event.at, who: who.to_owned(), order });
        match verb {
            OperatorVerb::Pause | OperatorVerb::PauseAfterHost => self.close("paused", event.at),
            OperatorVerb::Resume
            | OperatorVerb::Abort
            | OperatorVerb::Stop
            | OperatorVerb::Retry { .. }
            | OperatorVerb::Skip { .. } => self.reopen("paused", event.at),
            OperatorVerb::Approve { .. } | OperatorVerb::SetPolicy { .. } | OperatorVerb::HandOver => {}
        }
    }

    fn close(&mut self, why: &'static str, at: Timestamp) {
        self.closed.entry(why).or_insert(at);
    }

    fn reopen(&mut self, why: &'static str, at: Timestamp) {
        if let Some(from) = self.closed.remove(why) {
            self.bands.push(Band { from, to: at, why });
        }
    }

    fn suspended(&mut self, feature: FeatureKind) -> Option<&mut FeatureFacts> {
        let mut off = self.features.iter_mut().rev();
        off.find(|(kind, facts)| *kind == feature && facts.restored.is_none() && facts.kept.is_none())
            .map(|(_, facts)| facts)
    }

    fn suspend(&mut self, feature: FeatureKind, original: &str, since: Timestamp, from: Option<String>) {
        if self.suspended(feature).is_some() {
            return;
        }
        let facts = FeatureFacts {
            feature: feature.to_string(),
            original: original.to_owned(),
            since,
            restored: None,
            kept: None,
            adopted_from: from,
        };
        self.features.push((feature, facts));
    }

    fn intent(&mut self, at: Timestamp, key: &EffectKey, attempt: u32, effect: &Effect) {
        if attempt > 1 {
            self.retries += 1;
        }
        if let Some(run) = effect.host().cloned().and_then(|host| self.run(&host)) {
            run.facts.retries += u32::from(attempt > 1);
            run.facts.reboots += u32::from(
                matches!(effect, Effect::RebootInto { .. } | Effect::Restart { .. }) && attempt == 1,
            );
        }
        if let Effect::SuspendFeature { feature, original } = effect {
            self.suspend(*feature, original, at, None);
        }
        self.open.insert(key.clone(), effect.clone());
    }

    fn outcome(&mut self, at: Timestamp, key: &EffectKey, outcome: &Outcome) {
        let Some(effect) = self.open.remove(key) else { return };
        let done = match outcome {
            Outcome::Done { .. } => true,
            Outcome::NothingToDo { .. } => return,
            Outcome::Failed { .. } => false,
        };
        if !done {
            self.failures += 1;
            self.moves_failed += u64::from(effect.migration().is_some());
            if let Some(run) = effect.host().and_then(|host| self.run(host)) {
                run.facts.failures += 1;
            }
            return;
        }
        if let Some((guest, from, to)) = effect.migration() {
            self.moves_done += 1;
            self.moved += self.memory.get(&(guest.as_str(), from.as_str())).copied().unwrap_or_default();
            let moved = Moved { guest: guest.to_string(), to: to.to_string(), at };
            if let Some(run) = effect.host().and_then(|host| self.run(host)) {
                run.facts.moves.push(moved);
            }
        }
        match &effect {
            Effect::RestoreFeature { feature, .. } => {
                if let Some(facts) = self.suspended(*feature) {
                    facts.restored = Some(at);
                }
            }
            Effect::StopGuest { guest, host } => {
                if let Some(run) = self.run(host) {
                    run.facts.stops += 1;
                    run.facts.still_stopped.push(guest.to_string());
                }
            }
            Effect::StartGuest { guest, host } => {
                self.guest_starts += 1;
                if let Some(run) = self.run(host) {
                    run.facts.still_stopped.retain(|name| name != guest.as_str());
                }
            }
            Effect::SuspendFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Migrate { .. }
            | Effect::Stage { .. }
            | Effect::Install { .. }
            | Effect::RebootInto { .. }
            | Effect::Restart { .. }
            | Effect::Place { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => {}
        }
    }

    fn phase(&mut self, at: Timestamp, host: &HostId, phase: &Phase) {
        let began = self.began.unwrap_or(at);
        let Some(run) = self.run(host) else { return };
        run.close(at);
        let (before, after) = (run.phase.in_flight(), phase.in_flight());
        run.phase = phase.clone();
        run.since = at;
        if after && !before {
            run.facts.begun.get_or_insert(at);
            run.facts.waited.get_or_insert(at.since(began));
            run.facts.turns += 1;
            self.flying += 1;
            self.peak = self.peak.max(self.flying);
        } else if before && !after {
            run.facts.ended = Some(at);
            self.flying = self.flying.saturating_sub(1);
        }
    }

    fn finish(mut self, row: &RollRow, before: Option<String>, events: usize, tail: &str) -> Report {
        let (plan, last) = (self.plan, self.last);
        for why in ["paused", "coordinator lost", "window closed"] {
            self.reopen(why, last);
        }
        let began = self.began.unwrap_or(row.created);
        let last = if self.began.is_some() { last } else { row.created };
        let mut phases: BTreeMap<(u8, &'static str), u64> = BTreeMap::new();
        for run in &mut self.runs {
            run.close(last);
            run.facts.took = Millis(run.facts.spans.iter().map(|span| span.to.since(span.from).0).sum());
            run.facts.phase = run.phase.word().to_owned();
            run.facts.reason = run.phase.reason().map(str::to_owned);
            // The good end first, then the way back to its begin, then the other ends.
            let rank = run.phase.step().map_or(20, |step| 10 - step.min(10));
            *phases.entry((rank, run.phase.word())).or_default() += 1;
        }
        let hosts: Vec<HostFacts> = self.runs.into_iter().map(|run| run.facts).collect();
        let upgraded = hosts.iter().filter(|host| host.committed()).count() as u64;
        let (state, state_text) =
            state(self.end.as_ref(), row.state, self.closed.is_empty(), upgraded, hosts.len());
        let first = hosts.iter().filter_map(|host| host.begun).min();
        let end = hosts.iter().filter_map(|host| host.ended).max();
        let makespan_real = first.zip(end).map_or(Millis(0), |(first, end)| end.since(first));
        let compared = Compared {
            hosts_planned: hosts.len() as u64,
            hosts_upgraded: upgraded,
            moves_planned: plan.figures.moves.planned + plan.placement.len() as u64,
            moves_done: self.moves_done,
            moves_failed: self.moves_failed,
            memory_planned: plan
                .steps
                .iter()
                .flat_map(|step| &step.moves)
                .chain(&plan.placement)
                .map(|m| m.memory)
                .sum(),
            memory_moved: self.moved,
            makespan_planned: plan.figures.makespan.planned,
            makespan_real,
            peak_planned: plan.figures.peak_hosts_down.planned,
            peak_real: self.peak,
            waves: plan.figures.waves,
        };
        Report {
            roll: row.id.to_string(),
            pool: row.pool.to_string(),
            release: plan.target.name.clone(),
            version: plan.target.version.to_string(),
            serial: plan.target.serial,
            digest: plan.target.digest.to_string(),
            before,
            plan: row.plan_hash.to_string(),
            state: state.to_owned(),
            state_text,
            began,
            last,
            ended: self.end.is_some() || row.state == RollState::Ended,
            duration: last.since(began),
            controllers: self.controllers,
            phases: phases.into_iter().map(|((_, word), count)| (word.to_owned(), count)).collect(),
            compared,
            reboots: hosts.iter().map(|host| u64::from(host.reboots)).sum(),
            guest_stops: hosts.iter().map(|host| u64::from(host.stops)).sum(),
            guest_starts: self.guest_starts,
            retries: self.retries,
            failures: self.failures,
            unchanged: plan.unchanged.iter().map(ToString::to_string).collect(),
            excluded: plan.excluded.iter().map(ToString::to_string).collect(),
            hosts,
            features: self.features.into_iter().map(|(_, facts)| facts).collect(),
            orders: self.orders,
            marks: self.marks,
            bands: self.bands,
            warnings: self.warnings,
            notes: plan.notes.clone(),
            events: events as u64,
            tail: tail.to_owned(),
            verify: format!("lifeboat roll verify {}", row.id),
        }
    }
}

impl Run {
    /// Ends the activity that goes on.
    fn close(&mut self, at: Timestamp) {
        if let Some(activity) = activity(&self.phase) {
            match self.facts.spans.last_mut() {
                Some(last) if last.activity == activity && last.to == self.since => last.to = at,
                Some(_) | None => {
                    self.facts.spans.push(Span { activity, from: self.since, to: at });
                }
            }
        }
    }
}

/// What is done to a host that has reached a phase.
fn activity(phase: &Phase) -> Option<Activity> {
    match phase {
        Phase::Admitted | Phase::Checked => Some(Activity::Check),
        Phase::StateSaved => Some(Activity::Drain),
        Phase::Drained => Some(Activity::Stage),
        Phase::Staged => Some(Activity::Install),
        Phase::Installed | Phase::Rebooted => Some(Activity::Reboot),
        Phase::Verified | Phase::Leaving { .. } => Some(Activity::GiveBack),
        Phase::Pending
        | Phase::Committed
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Skipped { .. }
        | Phase::NeedsYou { .. } => None,
    }
}

fn state(
    end: Option<&RollEnd>,
    row: RollState,
    moving: bool,
    upgraded: u64,
    hosts: usize,
) -> (&'static str, String) {
    let of = format!("{upgraded} of {hosts} planned hosts run the release");
    match end {
        Some(RollEnd::Completed) => ("completed", format!("Completed: {of} and serve.")),
        Some(RollEnd::CompletedWithExceptions { hosts: left }) => {
            ("completed-with-exceptions", format!("Ended with exceptions: {of}; {left} do not."))
        }
        Some(RollEnd::Stopped { reason }) => ("stopped", format!("Stopped: {reason}. {of}.")),
        Some(RollEnd::Aborted) => {
            ("aborted", format!("Aborted by a person's order; what could be undone was undone. {of}."))
        }
        None if row == RollState::Ended => {
            ("given-up", format!("Given up: it was ended without its journal. {of}."))
        }
        None if moving => ("running", format!("Not ended yet: {of} so far.")),
        None => ("paused", format!("Not ended yet, nothing begins at present: {of} so far.")),
    }
}
