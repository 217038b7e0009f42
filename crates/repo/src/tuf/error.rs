//! Why a repository is not believed, or could not be changed.

use std::io;
use std::path::PathBuf;

use lifeboat_bundle::BundleError;
use thiserror::Error;

use crate::transport::{KeyError, TransportError};

/// Why a repository is not believed, or could not be changed.
#[derive(Debug, Error)]
pub enum RepoError {
    /// A file could not be had or put.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A role is past its date.
    #[error(
        "the {role} of {place} expired: nobody renewed it, or somebody holds back newer metadata; its owner renews it with `lifeboat release refresh`"
    )]
    Expired {
        /// Which repository.
        place: String,
        /// Which role.
        role: String,
    },
    /// An older version than one that was seen.
    #[error(
        "{place} offers {what} that is older than what was seen before; its server was rolled back, or somebody plays old metadata; it is not used"
    )]
    RolledBack {
        /// Which repository.
        place: String,
        /// Which role, with versions where they are known.
        what: String,
    },
    /// Not enough good signatures.
    #[error(
        "the {role} of {place} has not enough good signatures of its keys; it was altered, or the trusted root is that of another repository"
    )]
    NotSigned {
        /// Which repository.
        place: String,
        /// Which role.
        role: String,
        /// What was found.
        #[source]
        source: Box<tough::error::Error>,
    },
    /// The clock went back since the last visit.
    #[error("the clock of this machine is earlier than when {place} was last read; set it right")]
    ClockWentBack {
        /// Which repository.
        place: String,
    },
    /// Metadata that does not fit together or is no metadata.
    #[error("the metadata of {place} is not usable")]
    Metadata {
        /// Which repository.
        place: String,
        /// What is wrong with it.
        #[source]
        source: Box<tough::error::Error>,
    },
    /// A file is not what the signed metadata says.
    #[error("{what} of {place} is not what its signed metadata says; its server is damaged or lies")]
    Altered {
        /// Which repository.
        place: String,
        /// Which file.
        what: String,
    },
    /// The trusted root is no root.
    #[error(
        "the trusted root is not TUF root metadata; give the root.json that the owner of the repository gave you"
    )]
    NoRoot(#[source] serde_json::Error),
    /// Trusted root and state do not belong together.
    #[error("the state in {} is that of another repository: its root {version} differs from the trusted root; use another directory", dir.display())]
    OtherRepository {
        /// The directory of the state.
        dir: PathBuf,
        /// Version of both roots.
        version: u64,
    },
    /// The state on this machine is damaged.
    #[error("the state in {} is damaged: {what}; without it an older repository could be accepted; restore it, or remove the directory if you know that the repository is current", dir.display())]
    Damaged {
        /// The directory of the state.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another process uses the state.
    #[error("the state in {} is in use by another process; wait for it", dir.display())]
    Locked {
        /// The directory of the state.
        dir: PathBuf,
    },
    /// A local file or directory.
    #[error("{doing} {}", path.display())]
    Local {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// No such release.
    #[error("{place} has no release {wanted}; it has: {has}")]
    NoRelease {
        /// Which repository.
        place: String,
        /// What was asked for.
        wanted: String,
        /// What is there.
        has: String,
    },
    /// A release of this name is there, and it is another one.
    #[error(
        "{place} has another release as {what}; a published release is never replaced: build it with a higher serial and another version"
    )]
    Conflict {
        /// Which repository.
        place: String,
        /// Name and version, or name and serial.
        what: String,
    },
    /// Somebody else published meanwhile.
    #[error(
        "somebody else changed {place} meanwhile; nothing of yours is visible yet; run the command again"
    )]
    Raced {
        /// Which repository.
        place: String,
    },
    /// The keys given do not suffice.
    #[error(
        "{have} of {need} signatures for the {role} are there; give more of its keys, or let their owners run `lifeboat release sign`"
    )]
    MoreSignatures {
        /// Which role.
        role: String,
        /// Good signatures.
        have: u64,
        /// Its threshold.
        need: u64,
    },
    /// A key that no role of the repository knows.
    #[error("key {key} has no role in {place}; give a key of its root, targets, snapshot or timestamp")]
    StrangeKey {
        /// Which key.
        key: String,
        /// Which repository.
        place: String,
    },
    /// Numbers that make no roles.
    #[error("{what}")]
    Roles {
        /// What is wrong, and what to do.
        what: String,
    },
    /// A repository is there already.
    #[error("{place} holds a repository already; choose another place")]
    Exists {
        /// Which repository.
        place: String,
    },
    /// Format 1 has no chunks.
    #[error("{what} is a bundle of format 1, which has no chunks; build it again with this lifeboat")]
    NoChunks {
        /// Which bundle.
        what: String,
    },
    /// A delta bundle lacks what must be uploaded.
    #[error("{what} is a delta bundle without all of its chunks; push the full bundle")]
    NotFull {
        /// Which bundle.
        what: String,
    },
    /// The release itself.
    #[error("release {what} is refused")]
    Release {
        /// Which release.
        what: String,
        /// Why.
        #[source]
        source: Box<BundleError>,
    },
    /// Nothing waits for signatures.
    #[error("nothing of {place} waits for signatures")]
    NothingStaged {
        /// Which repository.
        place: String,
    },
    /// A name that no file can have.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Writing JSON failed.
    #[error("writing metadata")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RepoError {
    pub(crate) fn release(what: impl Into<String>, source: impl Into<BundleError>) -> Self {
        Self::Release { what: what.into(), source: Box::new(source.into()) }
    }

    pub(crate) fn local(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Local { doing, path, source }
    }

    /// What tough's error means here.
    pub(crate) fn from_tough(place: &str, error: tough::error::Error) -> Self {
        use tough::error::Error as E;
        let place = place.to_owned();
        match error {
            E::ExpiredMetadata { role, .. } => Self::Expired { place, role: role.to_string() },
            E::OlderMetadata { role, current_version, new_version, .. } => Self::RolledBack {
                place,
                what: format!("a {role} of version {new_version} (seen: {current_version})"),
            },
            E::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => Self::RolledBack {
                place,
                what: format!("a snapshot of version {snapshot_new} (seen: {snapshot_old})"),
            },
            E::SnapshotRoleRollback { role, old_role_version, new_role_version, .. } => Self::RolledBack {
                place,
                what: format!("{role} of version {new_role_version} (seen: {old_role_version})"),
            },
            E::SystemTimeSteppedBackward { .. } => Self::ClockWentBack { place },
            error @ E::VerifyMetadata { .. } => {
                let role = match &error {
                    E::VerifyMetadata { role, .. } => role.to_string(),
                    _ => String::new(),
                };
                Self::NotSigned { place, role, source: Box::new(error) }
            }
            error => Self::Metadata { place, source: Box::new(error) },
        }
    }
}
