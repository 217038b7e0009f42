//! The service manager of a host, behind a trait.
//!
//! Owns: [`Services`], with systemd's own command as one form and "there is none" as the other. Promises: a state is
//! reported as found, also "was stopped already" and "was masked already". Does not: stop a process by a signal, ever:
//! a service in the middle of a transaction of its own is waited for.

use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::PackageError;

/// A unit as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// Its name.
    pub unit: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`.
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`, `masked-runtime`, or empty.
    pub file: String,
    /// Whether it ends by itself (`oneshot`).
    pub oneshot: bool,
    /// Processes in it.
    pub main_pid: u32,
}

impl UnitState {
    /// Whether something of it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "deactivating" | "reloading")
    }

    /// Whether it was masked by somebody else.
    #[must_use]
    pub fn masked(&self) -> bool {
        self.file.starts_with("masked")
    }
}

/// Whether a unit's name is one of a kind (`timer`, `service`).
pub(crate) fn is_kind(unit: &str, kind: &str) -> bool {
    unit.rsplit_once('.').is_some_and(|(_, end)| end == kind)
}

/// What a service manager can be asked.
pub trait Services: std::fmt::Debug {
    /// Whether there is one.
    fn manages(&self) -> bool;
    /// Names of all services and timers it knows.
    fn units(&self) -> Vec<String>;
    /// The state of a unit; none when there is no such unit.
    fn state(&self, unit: &str) -> Result<Option<UnitState>, PackageError>;
    /// Keeps a unit from starting until the next boot.
    fn mask(&self, unit: &str) -> Result<(), PackageError>;
    /// Takes [`Services::mask`] back, and nothing that an administrator masked for good.
    fn unmask(&self, unit: &str) -> Result<(), PackageError>;
    /// Stops a unit.
    fn stop(&self, unit: &str) -> Result<(), PackageError>;
    /// Starts a unit.
    fn start(&self, unit: &str) -> Result<(), PackageError>;
    /// Reads unit files again.
    fn reload(&self) -> Result<(), PackageError>;
}

/// systemd, through `systemctl`.
#[derive(Debug, Clone)]
pub struct Systemctl {
    /// The program and its first arguments.
    program: Vec<String>,
}

impl Systemctl {
    /// The host's own; none when systemd did not boot it.
    #[must_use]
    pub fn of_host() -> Option<Self> {
        // As sd_booted(3).
        PathBuf::from("/run/systemd/system").is_dir().then(|| Self::through(&["systemctl"]))
    }

    /// Through another command, for example `nsenter … systemctl`.
    #[must_use]
    pub fn through(program: &[&str]) -> Self {
        Self { program: program.iter().map(|word| (*word).to_owned()).collect() }
    }

    fn run(&self, doing: &'static str, unit: &str, arguments: &[&str]) -> Result<String, PackageError> {
        let (program, first) = self.program.split_first().ok_or_else(|| PackageError::Unit {
            doing,
            unit: unit.to_owned(),
            why: "no command for the service manager".to_owned(),
        })?;
        let output = Command::new(program)
            .args(first)
            .arg("--no-ask-password")
            .arg("--no-pager")
            .args(arguments)
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| PackageError::Start { program: program.clone(), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(PackageError::Unit { doing, unit: unit.to_owned(), why })
    }
}

impl Services for Systemctl {
    fn manages(&self) -> bool {
        true
    }

    fn units(&self) -> Vec<String> {
        let arguments = ["list-units", "--all", "--plain", "--no-legend", "--type=service,timer"];
        let text = self.run("listing", "*", &arguments).unwrap_or_default();
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    fn state(&self, unit: &str) -> Result<Option<UnitState>, PackageError> {
        let properties = "--property=LoadState,ActiveState,UnitFileState,Type,MainPID";
        Ok(parse_state(unit, &self.run("looking at", unit, &["show", properties, "--", unit])?))
    }

    fn mask(&self, unit: &str) -> Result<(), PackageError> {
        self.run("masking", unit, &["mask", "--runtime", "--", unit]).map(|_| ())
    }

    fn unmask(&self, unit: &str) -> Result<(), PackageError> {
        self.run("unmasking", unit, &["unmask", "--runtime", "--", unit]).map(|_| ())
    }

    fn stop(&self, unit: &str) -> Result<(), PackageError> {
        self.run("stopping", unit, &["stop", "--", unit]).map(|_| ())
    }

    fn start(&self, unit: &str) -> Result<(), PackageError> {
        self.run("starting", unit, &["start", "--no-block", "--", unit]).map(|_| ())
    }

    fn reload(&self) -> Result<(), PackageError> {
        self.run("reloading", "*", &["daemon-reload"]).map(|_| ())
    }
}

fn parse_state(unit: &str, text: &str) -> Option<UnitState> {
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    let load = value("LoadState");
    (!load.is_empty() && load != "not-found").then(|| UnitState {
        unit: unit.to_owned(),
        active: value("ActiveState"),
        file: value("UnitFileState"),
        oneshot: value("Type") == "oneshot",
        main_pid: value("MainPID").parse().unwrap_or(0),
    })
}

/// A host without a service manager: nothing can be stopped, processes are waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

impl Services for NoServices {
    fn manages(&self) -> bool {
        false
    }
    fn units(&self) -> Vec<String> {
        Vec::new()
    }
    fn state(&self, _unit: &str) -> Result<Option<UnitState>, PackageError> {
        Ok(None)
    }
    fn mask(&self, _unit: &str) -> Result<(), PackageError> {
        Ok(())
    }
    fn unmask(&self, _unit: &str) -> Result<(), PackageError> {
        Ok(())
    }
    fn stop(&self, _unit: &str) -> Result<(), PackageError> {
        Ok(())
    }
    fn start(&self, _unit: &str) -> Result<(), PackageError> {
        Ok(())
    }
    fn reload(&self) -> Result<(), PackageError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_not_there_has_no_state() {
        assert_eq!(parse_state("x.timer", "LoadState=not-found\nActiveState=inactive\n"), None);
        assert_eq!(parse_state("x.timer", ""), None);
    }

    #[test]
    fn a_masked_unit_is_told_from_a_disabled_one() {
        let text =
            "Type=oneshot\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked-runtime\nMainPID=0\n";
        let state = parse_state("x.service", text);
        assert!(state.is_some_and(|state| state.masked() && !state.runs() && state.oneshot));
    }
}
