//! What each effect does to the pool: how it begins, and how it ends.
//!
//! Promises: an effect that is done already is answered and not done again; one that is at work is not begun a
//! second time; every other effect ends by an outcome unless a fault keeps it from ending.

use lifeboat_model::{
    Effect, EffectKey, FeatureKind, FeatureView, HostId, Millis, Outcome, Progress, ReleaseRef, Timestamp,
};

use super::banks::{InstallOrder, Refusal};
use super::fault::{Fault, FaultStep};
use super::pool::{SimPool, Timer};
use super::state::{Host, Job, Offered};

/// How an effect begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// There is nothing to do.
    Already(String),
    /// It ends after this time.
    Takes(Millis),
    /// Something else ends it.
    Waits,
}

impl SimPool {
    /// Begins an effect, unless it is done or at work already.
    pub(super) fn begin(&mut self, key: &EffectKey, effect: &Effect, now: Timestamp) {
        if let Some(job) = self.state.jobs.get_mut(key) {
            if job.effect == *effect {
                job.owned = true;
            } else {
                let reason = format!("the host is still at work on another order: {}", job.effect);
                self.tell_outcome(key.clone(), failed(Refusal::for_now(reason)));
            }
            return;
        }
        match self.try_begin(effect, now) {
            Ok(Begin::Already(detail)) => {
                self.tell_outcome(key.clone(), Outcome::Done { detail: Some(detail) });
            }
            Ok(Begin::Takes(time)) => {
                let ends = !self.never_ends(effect);
                self.add_job(key, effect, now, ends.then(|| now.after(time)));
            }
            Ok(Begin::Waits) => self.add_job(key, effect, now, None),
            Err(refusal) => self.tell_outcome(key.clone(), failed(refusal)),
        }
    }

    fn add_job(&mut self, key: &EffectKey, effect: &Effect, now: Timestamp, due: Option<Timestamp>) {
        let seq = match due {
            Some(due) => self.schedule(due, Timer::Job(key.clone())).1,
            None => 0,
        };
        let job = Job { effect: effect.clone(), began: now, due, seq, owned: true, reports: 0 };
        self.state.jobs.insert(key.clone(), job);
        self.plan_report(key);
    }

    fn try_begin(&mut self, effect: &Effect, now: Timestamp) -> Result<Begin, Refusal> {
        let about_coordinator =
            effect.host().is_some_and(|host| Some(host) == self.state.coordinator.as_ref());
        if let Some(reason) = self.out_of_reach()
            && !(about_coordinator && matches!(effect, Effect::RebootInto { .. }))
        {
            return Err(Refusal::for_now(reason));
        }
        let times = self.state.spec.times.clone();
        let takes = |pool: &Self, time: Millis, host: &HostId| {
            Ok(Begin::Takes(pool.duration(time, &effect.key().0, Some(host))))
        };
        match effect {
            Effect::SuspendFeature { feature, .. } => self.begin_feature(*feature, FeatureView::OFF),
            Effect::RestoreFeature { feature, original } => self.begin_feature(*feature, original),
            Effect::CheckHost { host, release, .. } => {
                self.host_up(host)?;
                self.offered(release)?;
                takes(self, times.check, host)
            }
            Effect::SaveState { host } => {
                self.host_up(host)?;
                takes(self, times.save_state, host)
            }
            Effect::EnterMaintenance { host } => {
                if self.host_up(host)?.maintenance {
                    return Ok(Begin::Already(format!("{host} is in maintenance")));
                }
                let admission = self.state.feature(FeatureKind::HaAdmissionControl);
                if let Some(feature) = admission.filter(FeatureView::is_on) {
                    return Err(Refusal::firm(format!(
                        "{} is {} and keeps {host} from entering maintenance: suspend it first",
                        feature.kind, feature.value
                    )));
                }
                takes(self, times.maintenance, host)
            }
            Effect::LeaveMaintenance { host } => {
                if !self.host_up(host)?.maintenance {
                    return Ok(Begin::Already(format!("{host} is not in maintenance")));
                }
                takes(self, times.maintenance, host)
            }
            Effect::Migrate { guest, from, to } | Effect::Place { guest, from, to } => {
                self.begin_move(guest, from, to)
            }
            Effect::StopGuest { guest, host } => self.begin_power(guest, host, false),
            Effect::StartGuest { guest, host } => self.begin_power(guest, host, true),
            Effect::RunHook { .. } | Effect::RunGate { .. } => {
                Err(Refusal::firm("the controller runs commands of the policy itself".to_owned()))
            }
            Effect::Mend { fix } | Effect::Unmend { fix } => {
                Err(Refusal::firm(format!("a simulated pool cannot do this: {fix}")))
            }
            Effect::Stage { host, release } => {
                self.offered(release)?;
                if self.host_up(host)?.staged == Some(release.digest) {
                    return Ok(Begin::Already(format!("{release} is on {host} and verified")));
                }
                takes(self, times.stage, host)
            }
            Effect::Install { host, release, bank, .. } => {
                let up = self.host_up(host)?;
                if up.active == *bank {
                    return Err(Refusal::firm(format!("bank {bank} of {host} runs; it is never written")));
                }
                if up.staged != Some(release.digest) {
                    return Err(Refusal::firm(format!("{release} was not staged on {host}")));
                }
                if up.banks.holds(*bank, release) {
                    return Ok(Begin::Already(format!("bank {bank} of {host} holds {release}, verified")));
                }
                takes(self, times.install, host)
            }
            Effect::RebootInto { host, bank, boot_id_before } => {
                self.begin_reboot(host, *bank, boot_id_before, now)
            }
        }
    }

    fn begin_feature(&self, kind: FeatureKind, wanted: &str) -> Result<Begin, Refusal> {
        let feature = self
            .state
            .feature(kind)
            .ok_or_else(|| Refusal::firm(format!("pool {} has no feature {kind}", self.state.pool)))?;
        if feature.value == wanted {
            return Ok(Begin::Already(format!("{kind} is {wanted}")));
        }
        Ok(Begin::Takes(self.duration(self.state.spec.times.feature, kind.word(), None)))
    }

    /// A host that is there and can be spoken to.
    pub(super) fn host_up(&self, id: &HostId) -> Result<&Host, Refusal> {
        let host = self.state.hosts.get(id);
        let host = host.ok_or_else(|| Refusal::firm(format!("pool {} has no host {id}", self.state.pool)))?;
        if host.is_up() { Ok(host) } else { Err(Refusal::for_now(format!("{id} does not answer"))) }
    }

    fn offered(&self, release: &ReleaseRef) -> Result<&Offered, Refusal> {
        self.state.offered(&release.digest).ok_or_else(|| {
            Refusal::firm(format!(
                "release {release} is not offered to pool {}: offer its bundle",
                self.state.pool
            ))
        })
    }

    fn never_ends(&self, effect: &Effect) -> bool {
        self.state.faults.iter().any(|fault| match fault {
            Fault::NeverEnds { host, step } => {
                effect.host() == Some(host) && FaultStep::of(effect) == Some(*step)
            }
            Fault::NoBoot { .. }
            | Fault::MigrationFails { .. }
            | Fault::NeverReturns { .. }
            | Fault::CoordinatorLost { .. }
            | Fault::DiskError { .. }
            | Fault::Slow { .. } => false,
        })
    }

    /// The time of an effect has come.
    pub(super) fn end_job(&mut self, key: &EffectKey, seq: u64, now: Timestamp) {
        // An entry of the queue whose effect was ended by something else is stale.
        if self.state.jobs.get(key).is_none_or(|job| job.seq != seq) {
            return;
        }
        if let Some(job) = self.state.jobs.remove(key) {
            let outcome = self.finish(&job.effect, now);
            self.answer(key, &job, outcome);
        }
    }

    /// Ends an effect before its time.
    pub(super) fn cut_short(&mut self, key: &EffectKey, outcome: Result<String, Refusal>) {
        if let Some(job) = self.state.jobs.remove(key) {
            self.answer(key, &job, outcome);
        }
    }

    fn answer(&mut self, key: &EffectKey, job: &Job, outcome: Result<String, Refusal>) {
        let outcome = match outcome {
            Ok(detail) => Outcome::Done { detail: Some(detail) },
            Err(refusal) => failed(refusal),
        };
        // Nobody waits for an effect whose controller died; the next one looks at the world.
        if job.owned {
            self.tell_outcome(key.clone(), outcome);
        }
    }

    fn finish(&mut self, effect: &Effect, now: Timestamp) -> Result<String, Refusal> {
        match effect {
            Effect::SuspendFeature { feature, .. } => Ok(self.set_feature(*feature, FeatureView::OFF)),
            Effect::RestoreFeature { feature, original } => Ok(self.set_feature(*feature, original)),
            Effect::CheckHost { host, release, retry } => {
                let up = self.host_up(host)?;
                up.banks.check(release, up.active, *retry)?;
                let alternate = up.active.other();
                Ok(format!("bank {} is good, bank {alternate} can be written", up.active))
            }
            Effect::SaveState { host } => self.save_host_state(host),
            Effect::EnterMaintenance { host } => self.set_maintenance(host, true),
            Effect::LeaveMaintenance { host } => self.set_maintenance(host, false),
            Effect::Migrate { guest, from, to } | Effect::Place { guest, from, to } => {
                self.end_move(guest, from, to)
            }
            Effect::StopGuest { guest, host } => self.end_power(guest, host, false),
            Effect::StartGuest { guest, host } => self.end_power(guest, host, true),
            Effect::RunHook { .. } | Effect::RunGate { .. } | Effect::Mend { .. } | Effect::Unmend { .. } => {
                Err(Refusal::firm(format!("this was not begun: {effect}")))
            }
            Effect::Stage { host, release } => {
                self.host_up(host)?;
                let offered = self.offered(release)?.clone();
                self.stage_on_disk(host, &offered, now)?;
                self.change_host(host, |host| host.staged = Some(release.digest))?;
                Ok(format!("{release} is on {host} and verified"))
            }
            Effect::Install { host, release, bank, retry } => {
                self.host_up(host)?;
                let offered = self.offered(release)?.clone();
                let fails_at = self.state.faults.iter().find_map(|fault| match fault {
                    Fault::DiskError { host: bad, at_byte } if bad == host => Some(*at_byte),
                    Fault::DiskError { .. }
                    | Fault::NoBoot { .. }
                    | Fault::MigrationFails { .. }
                    | Fault::NeverReturns { .. }
                    | Fault::CoordinatorLost { .. }
                    | Fault::NeverEnds { .. }
                    | Fault::Slow { .. } => None,
                });
                let (trust, unix) = (self.trust.clone(), now.0 / 1000);
                self.change_host(host, |host| {
                    let (active, release) = (host.active, &offered);
                    let order = InstallOrder { release, bank: *bank, active, retry: *retry, fails_at };
                    host.banks.install(&order, trust.as_ref(), unix)
                })??;
                Ok(format!("bank {bank} of {host} holds {release}, verified"))
            }
            // A reboot is ended by its host, at `now` of its own timer.
            Effect::RebootInto { host, .. } => {
                Err(Refusal::for_now(format!("{host} is rebooting since {}", now.0)))
            }
        }
    }

    /// Changes a host and tells the controller what it is like now.
    pub(super) fn change_host<T>(
        &mut self,
        id: &HostId,
        change: impl FnOnce(&mut Host) -> T,
    ) -> Result<T, Refusal> {
        let host = self.state.hosts.get_mut(id);
        let host = host.ok_or_else(|| Refusal::firm(format!("pool {} has no host {id}", self.state.pool)))?;
        let result = change(host);
        self.tell_host(id);
        Ok(result)
    }

    fn set_feature(&mut self, kind: FeatureKind, value: &str) -> String {
        self.state.features.insert(kind, value.to_owned());
        self.tell_feature(kind);
        format!("{kind} is {value}")
    }

    fn set_maintenance(&mut self, id: &HostId, on: bool) -> Result<String, Refusal> {
        self.host_up(id)?;
        self.change_host(id, |host| host.maintenance = on)?;
        Ok(format!("{id} is {}in maintenance", if on { "" } else { "not " }))
    }

    fn save_host_state(&mut self, id: &HostId) -> Result<String, Refusal> {
        let version = self.host_up(id)?.running.version.clone();
        self.save_state_on_disk(id)?;
        self.change_host(id, |host| host.saved_by = Some(version.clone()))?;
        Ok(format!("the state of {id} is saved by {version}"))
    }

    fn plan_report(&mut self, key: &EffectKey) {
        let steps = u64::from(self.state.spec.progress_steps);
        let Some(job) = self.state.jobs.get(key) else { return };
        let long = matches!(job.effect, Effect::Install { .. } | Effect::Stage { .. })
            || job.effect.migration().is_some();
        let next = u64::from(job.reports) + 1;
        let Some(due) = job.due.filter(|_| long && next < steps) else { return };
        let at = job.began.after(Millis(due.since(job.began).0 * next / steps));
        self.schedule(at, Timer::Report(key.clone()));
    }

    /// Tells how far an effect has come; stale entries of the queue find no effect.
    pub(super) fn report(&mut self, key: &EffectKey, now: Timestamp) {
        let Some(job) = self.state.jobs.get_mut(key) else { return };
        let Some(due) = job.due else { return };
        job.reports += 1;
        let bytes = match &job.effect {
            Effect::Migrate { guest, .. } | Effect::Place { guest, .. } => {
                self.state.guests.get(guest).map_or(0, |guest| guest.memory.0 * 1024 * 1024)
            }
            Effect::Install { .. } | Effect::Stage { .. } => {
                (self.state.spec.sizes.boot + self.state.spec.sizes.root) * 1024 * 1024
            }
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::StopGuest { .. }
            | Effect::StartGuest { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. }
            | Effect::RebootInto { .. } => 0,
        };
        let (gone, all) = (now.since(job.began).0, due.since(job.began).0.max(1));
        let done = u64::try_from(u128::from(bytes) * u128::from(gone) / u128::from(all)).unwrap_or(bytes);
        self.tell_progress(key.clone(), Progress { done: done.min(bytes), total: bytes });
        self.plan_report(key);
    }
}

fn failed(refusal: Refusal) -> Outcome {
    Outcome::Failed { reason: refusal.reason, retriable: refusal.retriable }
}
