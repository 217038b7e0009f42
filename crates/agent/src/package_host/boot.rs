//! What a host without banks does about its own boot, before it speaks to anybody.
//!
//! Owns: the acts that follow a verdict on a boot. Promises: a generation on trial is blessed only after its packages and
//! every check were found good; one that fails is remembered before anything of it is taken back; the boot that it
//! failed in ends. Does not: reboot (it says so), or run checks (they are handed in).

use std::time::Duration;

use lifeboat_model::chain;
use lifeboat_packages::{HostState, Request};

use super::extract::keep;
use super::host::{PackageHost, PackageHostError};
use super::install::packages_of;
use crate::{BootAnswer, CheckResult, Generations, Next, PackageVerdict, judge_packages};

impl PackageHost {
    /// Judges this boot and does what follows. `check` is asked only if a release is on trial.
    pub fn act_on_boot(
        &self,
        check: &mut dyn FnMut() -> Vec<CheckResult>,
    ) -> Result<BootAnswer, PackageHostError> {
        let _work = self.work();
        // Whatever else follows: half-installed packages are not rebooted.
        if let Ok(guard) = self.open_guard()
            && let Err(error) = guard.hold_if_incomplete()
        {
            self.note(format!("reboots cannot be held back: {}", chain(&error)));
        }
        let record = self.record()?;
        let serve = |notes: Vec<String>| Ok(BootAnswer::Serve { notes });
        match judge_packages(&record, &self.boot_id) {
            PackageVerdict::Steady => {
                self.keep_packages(&record);
                serve(Vec::new())
            }
            PackageVerdict::Interrupted => {
                let release = record.next.release().map(ToString::to_string).unwrap_or_default();
                serve(vec![format!(
                    "installing {release} was interrupted: it goes on when it is ordered again, and another release \
                     takes it back first"
                )])
            }
            PackageVerdict::NeverBegan { record } => {
                self.keep(&record)?;
                serve(vec!["a trial was ordered and never began; it can be ordered again".to_owned()])
            }
            PackageVerdict::Trial { record } => {
                self.keep(&record)?;
                self.try_out(&record, check)
            }
            PackageVerdict::Lost { record } | PackageVerdict::GoBack { record } => {
                self.keep(&record)?;
                Ok(self.leave(&record))
            }
            PackageVerdict::Leave { reason } => Ok(BootAnswer::Leave { reason }),
        }
    }

    fn try_out(
        &self,
        record: &Generations,
        check: &mut dyn FnMut() -> Vec<CheckResult>,
    ) -> Result<BootAnswer, PackageHostError> {
        let Next::Trying { release, transaction, .. } = &record.next else {
            return Ok(BootAnswer::Serve { notes: Vec::new() });
        };
        let mut results = vec![self.check_packages(transaction.as_deref())];
        results.extend(check());
        let failures: Vec<String> = results
            .into_iter()
            .filter_map(|result| Some(format!("health check {} failed: {}", result.name, result.failure?)))
            .collect();
        if failures.is_empty() {
            let blessed = record.with_blessed(release);
            self.keep(&blessed)?;
            self.keep_packages(&blessed);
            let number = blessed.generation;
            let note = format!("{release} passed its health checks; generation {number} is the proven one");
            return Ok(BootAnswer::Serve { notes: vec![note] });
        }
        let reason = failures.join("; ");
        let failed = record.with_failure(release, transaction.clone(), &reason, Some(self.boot_id.clone()));
        self.keep(&failed)?;
        Ok(self.leave(&failed))
    }

    /// Keeps the packages of what runs, unless that was done. A way back that is missing is told when the next release is
    /// planned.
    fn keep_packages(&self, record: &Generations) {
        let Some(running) = &record.release else { return };
        let folder = self.unpacked(running);
        if folder.is_dir()
            && let Err(error) = keep(&folder, &self.kept())
        {
            self.note(format!(
                "the packages of {running} cannot be kept for the way back: {}",
                chain(&error)
            ));
        }
    }

    /// Takes the release back; then the boot has to end, unless the packages are half-way.
    fn leave(&self, record: &Generations) -> BootAnswer {
        let back = match self.go_back(record, &mut |_, _, _| ()) {
            Ok(back) => back,
            Err(error) => {
                let release = record.next.release().map(ToString::to_string).unwrap_or_default();
                return BootAnswer::Serve { notes: vec![format!("{release} failed: {}", chain(&error))] };
            }
        };
        match judge_packages(&back, &self.boot_id) {
            PackageVerdict::Leave { reason } => BootAnswer::Leave { reason },
            _ => BootAnswer::Serve {
                notes: vec!["a release was taken back; the versions before it are installed".to_owned()],
            },
        }
    }

    /// Whether the packages are whole, and those of the transaction.
    fn check_packages(&self, transaction: Option<&str>) -> CheckResult {
        let failure = self.packages_differ(transaction).unwrap_or_else(|error| Some(chain(&error)));
        CheckResult { name: "packages".to_owned(), failure, took: Duration::ZERO }
    }

    fn packages_differ(&self, transaction: Option<&str>) -> Result<Option<String>, PackageHostError> {
        let guard = self.open_guard()?;
        let failed = PackageHostError::guard;
        let status = guard.status().map_err(failed("looking at the packages"))?;
        if status.state == HostState::Incomplete {
            let what: Vec<String> = status
                .defects
                .iter()
                .map(|defect| format!("{}: {}", defect.subject, defect.evidence))
                .collect();
            return Ok(Some(format!("packages are half-installed: {}", what.join("; "))));
        }
        let Some(transaction) = transaction else { return Ok(None) };
        let folder = packages_of(&self.paths.state, transaction);
        let request = Request { packages: vec![folder], downgrade: true, ..Request::default() };
        let plan = guard.plan(&request).map_err(failed("comparing the packages"))?;
        let other: Vec<String> = plan
            .changes
            .iter()
            .map(|change| {
                let there = change.from.as_deref().unwrap_or("nothing");
                format!("{} is {there}, not {}", change.name, change.to)
            })
            .collect();
        Ok((!other.is_empty()).then(|| other.join("; ")))
    }
}
