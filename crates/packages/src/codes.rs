//! The codes of findings about packages, each with its meaning and remedy.
//!
//! Owns: the table [`CODES`], from which findings take severity and remedy. Promises: a code never changes its meaning.
//! Does not: look at a host.

use lifeboat_model::{Finding, Severity};

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it means.
    pub meaning: &'static str,
    /// What a person can do.
    pub remedy: &'static str,
}

/// All codes, in the order of `docs/ops/packages.md`.
pub const CODES: &[Code] = &[
    Code {
        code: "package-db-held",
        severity: Severity::Warning,
        meaning: "another process has the package database locked",
        remedy: "Wait for it: an update waits by itself, up to --lock-wait seconds",
    },
    Code {
        code: "package-db-stuck",
        severity: Severity::Blocker,
        meaning: "the process that holds the package database, or waits for it, makes no progress",
        remedy: "Look at the named process. A stopped one goes on with `kill -CONT PID`; one that waits in a futex of a Berkeley database never wakes: end it, then run `packages finish`",
    },
    Code {
        code: "package-db-damaged",
        severity: Severity::Blocker,
        meaning: "the package database cannot be read or wants recovery",
        remedy: "Run `packages finish`: it moves stale Berkeley environment files away and rebuilds the database, with nobody in it",
    },
    Code {
        code: "packages-half-installed",
        severity: Severity::Blocker,
        meaning: "packages are between two versions",
        remedy: "Run `packages finish`, or `packages rollback` if Lifeboat made the transaction; do not reboot before",
    },
    Code {
        code: "packages-duplicated",
        severity: Severity::Blocker,
        meaning: "the rpm database holds two versions of one package: an update was cut off before it removed the old one",
        remedy: "Run `packages finish`, or `packages rollback` if Lifeboat made the transaction; do not reboot before",
    },
    Code {
        code: "package-transaction-open",
        severity: Severity::Blocker,
        meaning: "a transaction of Lifeboat has not ended",
        remedy: "Run `packages finish` to go forward or `packages rollback` to go back",
    },
    Code {
        code: "package-journal-damaged",
        severity: Severity::Blocker,
        meaning: "the journal of the transaction is damaged before its end",
        remedy: "Keep the folder, look at `packages status -o json`; bring the packages to one version by hand, then remove the file `current` beside the folder",
    },
    Code {
        code: "reboot-held",
        severity: Severity::Blocker,
        meaning: "the host must not be rebooted",
        remedy: "End the transaction first: `packages finish` or `packages rollback`",
    },
    Code {
        code: "reboot-hold-weak",
        severity: Severity::Warning,
        meaning: "the hold on rebooting binds Lifeboat alone: there is no systemd here, or the administrator's unit files outrank it",
        remedy: "Tell whoever may reboot this host; Lifeboat itself refuses",
    },
    Code {
        code: "reboot-needed",
        severity: Severity::Warning,
        meaning: "what is installed does not run yet",
        remedy: "Reboot the host in its roll",
    },
    Code {
        code: "services-outdated",
        severity: Severity::Note,
        meaning: "services run from files that were replaced",
        remedy: "Restart the named services, or reboot; a running guest keeps the old emulator until it moves or restarts",
    },
    Code {
        code: "conffile-changed",
        severity: Severity::Note,
        meaning: "a configuration file was changed here and the package brings another one; the file here is kept",
        remedy: "Compare it with the copy beside it (.dpkg-dist, .rpmnew) and merge by hand",
    },
    Code {
        code: "space-short",
        severity: Severity::Blocker,
        meaning: "a file system has not the room that the packages need",
        remedy: "Make room: old kernels in /boot, caches in /var/cache",
    },
    Code {
        code: "no-way-back",
        severity: Severity::Warning,
        meaning: "the installed version of a package cannot be kept for a rollback",
        remedy: "Give a folder that has it with --old-packages, or accept that the transaction can only be finished",
    },
    Code {
        code: "way-back-changed",
        severity: Severity::Note,
        meaning: "the way back of a package was rebuilt from its installed files, some of which were changed here",
        remedy: "A rollback brings back the files as they are now",
    },
    Code {
        code: "package-not-closed",
        severity: Severity::Blocker,
        meaning: "the packages need others that are neither installed nor given, or would remove some",
        remedy: "Add the named packages to the release",
    },
    Code {
        code: "package-unwanted",
        severity: Severity::Note,
        meaning: "the version given is installed already",
        remedy: "Nothing: it is left out",
    },
    Code {
        code: "package-downgrade",
        severity: Severity::Warning,
        meaning: "the version given is older than the installed one",
        remedy: "Check that the release is meant; downgrades are not tested by distributions",
    },
    Code {
        code: "package-caller",
        severity: Severity::Note,
        meaning: "a program here calls the package manager by itself",
        remedy: "Nothing: units are stopped for the transaction and restored after it; jobs of cron find the lock held",
    },
    Code {
        code: "package-caller-left",
        severity: Severity::Warning,
        meaning: "what was stopped for a transaction is not restored",
        remedy: "Run `packages finish`: it restores what the journal names",
    },
    Code {
        code: "snapshot-unavailable",
        severity: Severity::Note,
        meaning: "the root has snapshots in principle, and none is taken",
        remedy: "The way back is by packages",
    },
];

/// A finding with the severity and the remedy of its code.
pub(crate) fn finding(code: &str, subject: impl Into<String>, evidence: impl Into<String>) -> Finding {
    let row = CODES.iter().find(|row| row.code == code);
    Finding {
        code: code.to_owned(),
        severity: row.map_or(Severity::Warning, |row| row.severity),
        subject: subject.into(),
        evidence: evidence.into(),
        remedy: row.map_or_else(String::new, |row| row.remedy.to_owned()),
        fix: None,
        undo: None,
    }
}
