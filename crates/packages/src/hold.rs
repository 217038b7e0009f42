//! Holding a host back from rebooting.
//!
//! Owns: the hold's parts: the note in `/run`, the masked targets of systemd, the inhibitor of logind. Promises: with
//! systemd an ordinary reboot is refused before anything is stopped, with a reason; only what Lifeboat masked is unmasked;
//! a power cut leaves no mask behind, because it lives in `/run`. Does not: hold against `reboot --force`, SysRq or power.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::{PackageError, at};
use crate::process::Process;
use crate::roots::Roots;
use crate::services::Services;

/// Targets through which a host goes down.
const TARGETS: &[&str] =
    &["reboot.target", "poweroff.target", "halt.target", "kexec.target", "soft-reboot.target"];

/// Why a host may not be rebooted.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
pub struct Held {
    /// Each reason, for people.
    pub reasons: Vec<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reboot-held: the host must not be rebooted: {}; `lifeboat-agent packages finish` or `packages rollback` \
             brings it to an end",
            self.reasons.join("; ")
        )
    }
}

/// What a hold is made of, in `/run`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Parts {
    reason: String,
    masked: Vec<String>,
    inhibitor: Option<(u32, u64)>,
}

/// The hold of one host.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    roots: &'a Roots,
    services: &'a dyn Services,
}

impl<'a> Hold<'a> {
    pub(crate) fn new(roots: &'a Roots, services: &'a dyn Services) -> Self {
        Self { roots, services }
    }

    fn path(&self) -> PathBuf {
        self.roots.run.join("lifeboat/reboot-held.json")
    }

    fn parts(&self) -> Option<Parts> {
        // A damaged note is a hold with nothing known to be masked: what is masked is then asked from systemd by a person.
        let text = fs::read_to_string(self.path()).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Whether it is placed, and whether it binds others than Lifeboat.
    pub(crate) fn is_placed(&self) -> Option<bool> {
        self.parts().map(|parts| !parts.masked.is_empty())
    }

    /// Places it, or what of it is missing.
    pub(crate) fn place(&self, reason: &str) -> Result<(), PackageError> {
        let mut parts = self.parts().unwrap_or_default();
        reason.clone_into(&mut parts.reason);
        // The note first: a mask that no note names would never be taken back.
        let mut wanted = Vec::new();
        for target in TARGETS.iter().filter(|_| self.services.manages()) {
            if parts.masked.iter().any(|known| known == target) {
                continue;
            }
            if self.services.state(target)?.is_some_and(|state| !state.masked()) {
                wanted.push((*target).to_owned());
            }
        }
        parts.masked.extend(wanted.clone());
        self.write(&parts)?;
        for target in &wanted {
            let is_masked =
                || self.services.state(target).is_ok_and(|state| state.is_some_and(|state| state.masked()));
            // A file of the administrator in /etc outranks the mask: then the hold is weak, and the findings say so.
            if self.services.mask(target).is_err() || !is_masked() {
                parts.masked.retain(|known| known != target);
                self.write(&parts)?;
            }
        }
        if parts.inhibitor.is_none_or(|(pid, start)| !self.is_alive(pid, start)) {
            parts.inhibitor = self.inhibit(reason);
            self.write(&parts)?;
        }
        Ok(())
    }

    /// Lifts it.
    pub(crate) fn lift(&self) -> Result<(), PackageError> {
        let Some(parts) = self.parts() else { return Ok(()) };
        for target in &parts.masked {
            self.services.unmask(target)?;
        }
        if let Some((pid, start)) = parts.inhibitor
            && self.is_alive(pid, start)
            && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            // It is the child that `place` started; gone is as good.
            let _ = kill_process(pid, Signal::TERM);
        }
        let path = self.path();
        fs::remove_file(&path).map_err(at("removing", &path))
    }

    fn write(&self, parts: &Parts) -> Result<(), PackageError> {
        let path = self.path();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at("creating", folder))?;
        }
        let text = serde_json::to_string(parts).unwrap_or_default();
        fs::write(&path, text).map_err(at("writing", &path))
    }

    fn is_alive(&self, pid: u32, start: u64) -> bool {
        Process::read(&self.roots.proc, pid).is_some_and(|process| process.start_ticks == start)
    }

    /// A block inhibitor of logind, where logind runs: it also stops the power key and the desktop.
    fn inhibit(&self, reason: &str) -> Option<(u32, u64)> {
        if !self.roots.run.join("systemd/inhibit").is_dir() || !self.roots.is_host() {
            return None;
        }
        let child = Command::new("systemd-inhibit")
            .args(["--what=shutdown", "--mode=block", "--who=lifeboat", "--why", reason, "sleep", "infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Process::read(&self.roots.proc, child.id()).map(|process| (process.pid, process.start_ticks))
    }
}
