//! What each effect does to the pool: how it begins, and how it ends.
//!
//! Promises: an effect that is done already is answered and not done again; one that is at work is not begun a
//! second time; every other effect ends by an outcome unless a fault keeps it from ending.

use lifeboat_model::{
    Effect, EffectKey, FeatureKind, FeatureView, HostId, Millis, Outcome, Progress, ReleaseRef, Timestamp,
};

use super::banks::{InstallOrder, Refusal};
use super::condition::{HostCondition, SimPlace};
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
                let ends = !self.state.faults.never_ends(effect);
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
        self.keep_job(key, job);
        self.plan_report(key);
    }

    fn try_begin(&mut self, effect: &Effect, now: Timestamp) -> Result<Begin, Refusal> {
        let about_coordinator =
            effect.host().is_some_and(|host| Some(host) == self.state.coordinator.as_ref());
        if let Some(reason) = self.out_of_reach()
            && !(about_coordinator && matches!(effect, Effect::RebootInto { .. } | Effect::Restart { .. }))
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
            Effect::Restart { host, boot_id_before } => self.begin_restart(host, boot_id_before, now),
            Effect::StopGuest { guest, host } => self.begin_power(guest, host, false),
            Effect::StartGuest { guest, host } => self.begin_power(guest, host, true),
            Effect::RunHook { .. } | Effect::RunGate { .. } => {
                Err(Refusal::firm("the controller runs commands of the policy itself".to_owned()))
            }
            Effect::Mend { fix } => self.begin_mend(fix),
            Effect::Unmend { fix } => self.begin_unmend(fix),
            Effect::Stage { host, release } => {
                self.offered(release)?;
                if self.host_up(host)?.staged == Some(release.digest) {
                    return Ok(Begin::Already(format!("{release} is on {host} and verified")));
                }
                self.not_pending(host)?;
                takes(self, times.stage, host)
            }
            Effect::Install { host, release, bank, .. } => {
                let up = self.host_up(host)?;
                if up.active == *bank && !self.state.conditions.unguarded(host) {
                    return Err(Refusal::firm(format!("bank {bank} of {host} runs; it is never written")));
                }
                if up.staged != Some(release.digest) {
                    return Err(Refusal::firm(format!("{release} was not staged on {host}")));
                }
                if up.banks.holds(*bank, release) {
                    return Ok(Begin::Already(format!("bank {bank} of {host} holds {release}, verified")));
                }
                if let Some(ghost) = self.state.conditions.ghost(host, *bank) {
                    return Err(Refusal::firm(ghost));
                }
                if !self.state.conditions.foreign(host, *bank).is_empty() {
                    return Err(Refusal::firm(format!("cannot run the upgrade script on host {host}")));
                }
                takes(self, times.install, host)
            }
            Effect::RebootInto { host, bank, boot_id_before } => {
                self.begin_reboot(host, *bank, boot_id_before, now)
            }
        }
    }

    /// A host that waits for a reboot refuses with the words that such hosts have for it (I-03).
    fn not_pending(&self, host: &HostId) -> Result<(), Refusal> {
        if self.state.conditions.pending_reboot(host).is_empty() {
            return Ok(());
        }
        Err(Refusal::firm(format!("the software or the configuration of {host} is incompatible")))
    }

    /// After how many bytes writing to a place ends, if so much does not fit there (I-04).
    fn cut_at(&self, host: &HostId, place: SimPlace, needed: u64) -> Option<u64> {
        self.state.conditions.space(host, place).filter(|free| *free < needed)
    }

    /// Bytes of a release until it is installed.
    pub(super) fn staged_bytes(&self, offered: &Offered) -> u64 {
        if offered.staged_bytes > 0 { offered.staged_bytes } else { self.volume_bytes() }
    }

    /// Bytes of a release in a bank.
    pub(super) fn bank_bytes(&self, offered: &Offered) -> u64 {
        if offered.bank_bytes > 0 { offered.bank_bytes } else { self.volume_bytes() }
    }

    /// Bytes of both volumes of a bank: what a release counts for that has no bytes.
    pub(super) fn volume_bytes(&self) -> u64 {
        (self.state.spec.sizes.boot + self.state.spec.sizes.root) << 20
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

    pub(super) fn offered(&self, release: &ReleaseRef) -> Result<&Offered, Refusal> {
        self.state.offered(&release.digest).ok_or_else(|| {
            Refusal::firm(format!(
                "release {release} is not offered to pool {}: offer its bundle",
                self.state.pool
            ))
        })
    }

    /// The time of an effect has come.
    pub(super) fn end_job(&mut self, key: &EffectKey, seq: u64, now: Timestamp) {
        // An entry of the queue whose effect was ended by something else is stale.
        if self.state.jobs.get(key).is_none_or(|job| job.seq != seq) {
            return;
        }
        if let Some(job) = self.drop_job(key) {
            let outcome = self.finish(&job.effect, now);
            self.answer(key, &job, outcome);
        }
    }

    /// Ends an effect before its time.
    pub(super) fn cut_short(&mut self, key: &EffectKey, outcome: Result<String, Refusal>) {
        if let Some(job) = self.drop_job(key) {
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
            Effect::SuspendFeature { feature, .. } => Ok(self.put_feature(*feature, FeatureView::OFF)),
            Effect::RestoreFeature { feature, original } => Ok(self.put_feature(*feature, original)),
            Effect::CheckHost { host, release, retry } => {
                let up = self.host_up(host)?;
                up.banks.check(release, up.active, *retry)?;
                let damage = self.state.conditions.damage(host, up.active);
                if !damage.is_empty() {
                    let (bank, damage) = (up.active, damage.join("; "));
                    return Err(Refusal::firm(format!("bank {bank} runs but is not whole: {damage}")));
                }
                let alternate = up.active.other();
                Ok(format!("bank {} is good, bank {alternate} can be written", up.active))
            }
            Effect::SaveState { host } => self.save_host_state(host),
            Effect::EnterMaintenance { host } => self.set_maintenance(host, true),
            Effect::LeaveMaintenance { host } => self.set_maintenance(host, false),
            Effect::Migrate { guest, from, to } | Effect::Place { guest, from, to } => {
                self.end_move(guest, from, to, now)
            }
            Effect::StopGuest { guest, host } => self.end_power(guest, host, false, now),
            Effect::StartGuest { guest, host } => self.end_power(guest, host, true, now),
            Effect::RunHook { .. } | Effect::RunGate { .. } => {
                Err(Refusal::firm(format!("this was not begun: {effect}")))
            }
            Effect::Mend { fix } => self.end_mend(fix, now),
            Effect::Unmend { fix } => self.end_unmend(fix),
            Effect::Stage { host, release } => {
                self.host_up(host)?;
                let offered = self.offered(release)?.clone();
                let bytes = self.staged_bytes(&offered);
                if let Some(free) = self.cut_at(host, SimPlace::Staging, bytes) {
                    return Err(Refusal::for_now(format!(
                        "receiving {release} on {host}: end of file after {free} bytes; cannot run the upgrade script"
                    )));
                }
                self.stage_on_disk(host, &offered, now)?;
                self.change_host(host, |host| host.staged = Some(release.digest))?;
                Ok(format!("{release} is on {host} and verified"))
            }
            Effect::Install { host, release, bank, retry } => {
                self.host_up(host)?;
                let offered = self.offered(release)?.clone();
                if self.state.faults.nothing_installed(host) {
                    return Ok(format!("bank {bank} of {host} holds {release}"));
                }
                let at_fault = self.state.faults.disk_error(host);
                let too_small = self.cut_at(host, SimPlace::Bank(*bank), self.bank_bytes(&offered));
                let order = InstallOrder {
                    release: &offered,
                    bank: *bank,
                    active: self.host_up(host)?.active,
                    retry: *retry,
                    fails_at: at_fault.into_iter().chain(too_small).min(),
                    unguarded: self.state.conditions.unguarded(host),
                };
                let (trust, unix) = (self.trust.clone(), now.0 / 1000);
                self.change_host(host, |host| host.banks.install(&order, trust.as_ref(), unix))??;
                let damage =
                    |is: &HostCondition| matches!(is, HostCondition::Damage { bank: b, .. } if b == bank);
                self.state.conditions.clear_host(host, damage);
                Ok(format!("bank {bank} of {host} holds {release}, verified"))
            }
            // A reboot is ended by its host, at `now` of its own timer.
            Effect::RebootInto { host, .. } | Effect::Restart { host, .. } => {
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

    pub(super) fn put_feature(&mut self, kind: FeatureKind, value: &str) -> String {
        self.state.features.insert(kind, value.to_owned());
        self.tell_feature(kind);
        format!("{kind} is {value}")
    }

    pub(super) fn set_maintenance(&mut self, id: &HostId, on: bool) -> Result<String, Refusal> {
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
                (self.state.spec.sizes.boot + self.state.spec.sizes.root) << 20
            }
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::LeaveMaintenance { .. }
            | Effect::Restart { .. }
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
