//! What is to be installed: the request, and the plan that a person looks at.
//!
//! Owns: their words and serde forms. Promises: a plan names the exact version that each package has and gets. Does not:
//! make one; [`crate::Guard::plan`] does.

use std::path::PathBuf;

use lifeboat_model::Finding;
use serde::{Deserialize, Serialize};

use crate::agents::Caller;
use crate::conffiles::Conffile;
use crate::manager::ManagerKind;
use crate::snapshot::Snapshot;
use crate::space::Room;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Package files, or folders of them.
    pub packages: Vec<PathBuf>,
    /// Folders where packages of the installed versions may lie.
    pub old_packages: Vec<PathBuf>,
    /// Whether versions may go down.
    pub downgrade: bool,
}

/// How the installed version of a package is kept for a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum WayBack {
    /// It is removed again: it was not there before.
    Remove,
    /// Its package file was found.
    File {
        /// Where.
        path: PathBuf,
    },
    /// Its package is rebuilt from the installed files.
    Rebuilt {
        /// Files whose content is not the package's, configuration files left out.
        changed: Vec<String>,
    },
    /// There is none.
    None {
        /// Why.
        why: String,
    },
}

/// One package of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// The installed version; none when it is new.
    pub from: Option<String>,
    /// The version it gets.
    pub to: String,
    /// The file of the new version.
    pub file: PathBuf,
    /// Its hash (SHA-256, hexadecimal).
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// How to go back.
    pub back: WayBack,
}

impl Change {
    /// Its file name in the transaction's folder.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// One call of a package manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// `dpkg --unpack` of files in the transaction's folder.
    Unpack {
        /// File names.
        files: Vec<String>,
        /// Whether they are the old versions.
        old: bool,
    },
    /// `dpkg --configure` of packages.
    Configure {
        /// Names; empty means all that wait.
        names: Vec<String>,
    },
    /// `dpkg --purge` or `rpm -e` of packages that were not there before.
    Remove {
        /// Names, with the version where rpm wants it.
        names: Vec<String>,
    },
    /// `rpm -U` of files in the transaction's folder, as one transaction.
    Upgrade {
        /// File names.
        files: Vec<String>,
        /// Whether they are the old versions.
        old: bool,
    },
    /// Brings the database itself in order: pending parts of dpkg, environment of a Berkeley database.
    Repair,
}

/// The reviewable result of planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionPlan {
    /// `lifeboat.package-plan.v1`.
    pub schema: String,
    /// Identity of the plan: the hash of its changes.
    pub id: String,
    /// The package manager.
    pub manager: ManagerKind,
    /// Packages, by name.
    pub changes: Vec<Change>,
    /// Calls in their order.
    pub steps: Vec<Step>,
    /// Room on each file system.
    pub room: Vec<Room>,
    /// Configuration files that were changed here.
    pub conffiles: Vec<Conffile>,
    /// What calls the package manager by itself.
    pub callers: Vec<Caller>,
    /// The snapshot that will be taken, if the root can.
    pub snapshot: Option<Snapshot>,
    /// Everything worth saying.
    pub findings: Vec<Finding>,
}

impl TransactionPlan {
    /// Name of the schema.
    pub const SCHEMA: &'static str = "lifeboat.package-plan.v1";

    /// Findings that forbid to begin.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == lifeboat_model::Severity::Blocker)
    }

    /// Packages without a way back.
    pub fn without_way_back(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| matches!(change.back, WayBack::None { .. }))
    }
}
