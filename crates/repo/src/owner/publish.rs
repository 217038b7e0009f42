//! Publishing: new targets become visible, or wait for signatures.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use lifeboat_bundle::SecretKey;
use lifeboat_model::Sha256Hex;
use serde::Serialize;
use tough::schema::{Hashes, Metafile, Role, Root, Signed, Snapshot, Targets, Timestamp};

use crate::layout::{self, MAX_SMALL_ROLE, MAX_TARGETS};
use crate::transport::{Body, Key, Put, PutMode, Transport, TransportError};
use crate::tuf::{
    Lifetimes, ReleaseEntry, RepoError, SPEC, TrustedRoot, View, count_signatures, encode, load, parse_role,
    releases_of, sign_with, when,
};

/// For how long metadata is good when nothing else is said: root a year, targets and snapshot three months,
/// timestamp two weeks.
pub(crate) const LIFETIMES: Lifetimes = Lifetimes { root: 365, targets: 90, snapshot: 90, timestamp: 14 };
/// In the targets: version of the targets that they were made from.
const BASE: &str = "x-lifeboat-base";
/// Versions that cut attempts may have left behind.
const ORPHANS: u64 = 1000;

/// What is being done, for people.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A file is uploaded.
    Put {
        /// Which.
        key: &'a Key,
        /// Bytes.
        len: u64,
    },
    /// A file is there already.
    Kept {
        /// Which.
        key: &'a Key,
        /// Bytes.
        len: u64,
    },
    /// A file is removed.
    Deleted {
        /// Which.
        key: &'a Key,
    },
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Readers see it.
    Published {
        /// Version of the targets that they see.
        targets: u64,
    },
    /// It waits in `staging/` for more signatures; readers see nothing of it.
    Staged {
        /// Which role.
        role: String,
        /// Good signatures.
        have: u64,
        /// Its threshold.
        need: u64,
    },
    /// There was nothing to change.
    Unchanged,
}

/// What targets change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Releases that readers will see.
    pub added: Vec<ReleaseEntry>,
    /// Releases that they will see no more.
    pub removed: Vec<ReleaseEntry>,
}

/// The owner of a repository, or one of several.
pub struct Owner<'a> {
    pub(crate) view: View,
    pub(crate) keys: &'a [SecretKey],
    /// Unix seconds.
    pub(crate) now: u64,
    pub(crate) lifetimes: Lifetimes,
}

impl fmt::Debug for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("place", &self.view.place()).finish_non_exhaustive()
    }
}

impl<'a> Owner<'a> {
    /// Verifies the repository from the trusted root; expired metadata is fine, since owners renew it.
    pub fn open(
        transport: &Arc<dyn Transport>,
        trusted: &TrustedRoot,
        keys: &'a [SecretKey],
        now: u64,
    ) -> Result<Self, RepoError> {
        let trusted = TrustedRoot { expired_is_fine: true, ..trusted.clone() };
        Ok(Self { view: load(transport, &trusted)?, keys, now, lifetimes: LIFETIMES })
    }

    /// The timestamp that is published from now on is good for so many days.
    #[must_use]
    pub fn timestamp_days(mut self, days: u32) -> Self {
        self.lifetimes.timestamp = days.max(1);
        self
    }

    /// What readers see now.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.view.transport
    }

    fn place(&self) -> String {
        self.view.place()
    }

    /// The targets as they are, with the next version and a new date.
    pub(crate) fn next_targets(&self) -> Result<Targets, RepoError> {
        let mut targets = self.view.targets.signed.clone();
        let current = targets.version;
        targets.version = self.free_version("targets", next(current)?)?;
        targets.expires = when(self.now, self.lifetimes.targets);
        targets._extra.insert(BASE.to_owned(), current.get().into());
        Ok(targets)
    }

    /// The first version from `from` on that no cut attempt has used up.
    pub(crate) fn free_version(&self, role: &str, from: NonZeroU64) -> Result<NonZeroU64, RepoError> {
        let mut version = from;
        for _ in 0..ORPHANS {
            if self.transport().stat(&layout::versioned(role, version)?)?.is_none() {
                return Ok(version);
            }
            version = next(version)?;
        }
        Err(RepoError::Raced { place: self.place() })
    }

    /// Signs targets and publishes them, or stages them if signatures are missing.
    pub(crate) fn publish(
        &self,
        targets: Targets,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, RepoError> {
        let mut signed = Signed { signed: targets, signatures: Vec::new() };
        sign_with(&mut signed, &[&self.view.root.signed], self.keys)?;
        self.publish_signed(&signed, step)
    }

    fn publish_signed(
        &self,
        targets: &Signed<Targets>,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, RepoError> {
        let root = &self.view.root.signed;
        let (have, need) = count_signatures(root, targets);
        if have < need {
            self.put(&layout::staged("targets")?, &encode(targets)?, PutMode::Replace, step)?;
            return Ok(Outcome::Staged { role: "targets".to_owned(), have, need });
        }
        match self.finish(&[root], targets, step) {
            // The owner of the online keys can finish it.
            Err(RepoError::MoreSignatures { role, have, need }) => {
                self.put(&layout::staged("targets")?, &encode(targets)?, PutMode::Replace, step)?;
                Ok(Outcome::Staged { role, have, need })
            }
            other => other,
        }
    }

    /// Puts targets, snapshot and, last, the timestamp. All signatures are counted before anything is put.
    pub(crate) fn finish(
        &self,
        roots: &[&Root],
        targets: &Signed<Targets>,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Outcome, RepoError> {
        let (snapshot, timestamp) = self.make_tops(roots, targets)?;
        self.put_new("targets", targets, step)?;
        self.put_new("snapshot", &snapshot, step)?;
        self.put_timestamp(&timestamp, step)?;
        self.transport().delete(&layout::staged("targets")?)?;
        Ok(Outcome::Published { targets: targets.signed.version.get() })
    }

    /// Snapshot and timestamp over these targets, signed.
    pub(crate) fn make_tops(
        &self,
        roots: &[&Root],
        targets: &Signed<Targets>,
    ) -> Result<(Signed<Snapshot>, Signed<Timestamp>), RepoError> {
        let version = self.free_version("snapshot", next(self.view.snapshot.signed.version)?)?;
        let mut snapshot = Snapshot::new(SPEC.to_owned(), version, when(self.now, self.lifetimes.snapshot));
        snapshot.meta.insert("targets.json".to_owned(), metafile(targets, targets.signed.version)?);
        let snapshot = self.signed(roots, snapshot)?;
        let timestamp = self.make_timestamp(roots, &snapshot)?;
        Ok((snapshot, timestamp))
    }

    pub(crate) fn make_timestamp(
        &self,
        roots: &[&Root],
        snapshot: &Signed<Snapshot>,
    ) -> Result<Signed<Timestamp>, RepoError> {
        let version = next(self.view.timestamp.signed.version)?;
        let mut timestamp =
            Timestamp::new(SPEC.to_owned(), version, when(self.now, self.lifetimes.timestamp));
        timestamp.meta.insert("snapshot.json".to_owned(), metafile(snapshot, snapshot.signed.version)?);
        self.signed(roots, timestamp)
    }

    /// Signs a role with our keys; enough signatures for the last of the roots, or an error.
    pub(crate) fn signed<T: Role + Clone>(&self, roots: &[&Root], role: T) -> Result<Signed<T>, RepoError> {
        let mut signed = Signed { signed: role, signatures: Vec::new() };
        sign_with(&mut signed, roots, self.keys)?;
        if let Some(root) = roots.last() {
            let (have, need) = count_signatures(root, &signed);
            if have < need {
                return Err(RepoError::MoreSignatures { role: T::TYPE.to_string(), have, need });
            }
        }
        Ok(signed)
    }

    /// Renews what our keys can renew: the timestamp at least, the snapshot and the targets if their keys are here.
    pub fn refresh(&self, step: &mut dyn FnMut(Step<'_>)) -> Result<Outcome, RepoError> {
        let root = &self.view.root.signed;
        match self.signed(&[root], self.next_targets()?) {
            Ok(targets) => match self.finish(&[root], &targets, step) {
                Err(RepoError::MoreSignatures { .. }) => {}
                done => return done,
            },
            Err(RepoError::MoreSignatures { .. }) => {}
            Err(error) => return Err(error),
        }
        let version = self.view.targets.signed.version.get();
        match self.make_tops(&[root], &self.view.targets) {
            Ok((snapshot, timestamp)) => {
                self.put_new("snapshot", &snapshot, step)?;
                self.put_timestamp(&timestamp, step)?;
            }
            Err(RepoError::MoreSignatures { .. }) => {
                let timestamp = self.make_timestamp(&[root], &self.view.snapshot)?;
                self.put_timestamp(&timestamp, step)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Outcome::Published { targets: version })
    }

    /// Targets that wait for signatures: releases that they add, and releases that they take away.
    pub fn staged(&self) -> Result<Option<Change>, RepoError> {
        let Some(staged) = self.read_staged::<Targets>("targets", MAX_TARGETS)? else { return Ok(None) };
        let (then, now) = (releases_of(&staged.signed), self.view.releases());
        let added = then.iter().filter(|entry| !now.contains(entry)).cloned().collect();
        let removed = now.into_iter().filter(|entry| !then.contains(entry)).collect();
        Ok(Some(Change { added, removed }))
    }

    /// Adds our signatures to the targets that wait; publishes them if that was the last one missing.
    pub fn sign_staged(&self, step: &mut dyn FnMut(Step<'_>)) -> Result<Outcome, RepoError> {
        let staged = self.read_staged::<Targets>("targets", MAX_TARGETS)?;
        let mut staged = staged.ok_or_else(|| RepoError::NothingStaged { place: self.place() })?;
        let base = staged.signed._extra.get(BASE).and_then(serde_json::Value::as_u64);
        if base != Some(self.view.targets.signed.version.get()) {
            // What was published meanwhile would be lost.
            return Err(RepoError::Raced { place: self.place() });
        }
        sign_with(&mut staged, &[&self.view.root.signed], self.keys)?;
        self.publish_signed(&staged, step)
    }

    pub(crate) fn read_staged<T: serde::de::DeserializeOwned>(
        &self,
        role: &str,
        limit: u64,
    ) -> Result<Option<Signed<T>>, RepoError> {
        match self.transport().get(&layout::staged(role)?, limit) {
            Ok(bytes) => {
                let what = format!("staging/{role}.json");
                parse_role(&bytes).map(Some).map_err(|_| RepoError::Altered { place: self.place(), what })
            }
            Err(TransportError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn put(
        &self,
        key: &Key,
        bytes: &Vec<u8>,
        mode: PutMode,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Put, RepoError> {
        step(Step::Put { key, len: bytes.len() as u64 });
        Ok(self.transport().put(key, &Body::bytes(bytes), mode)?)
    }

    /// Puts a version that must not be there yet; one with the same bytes is ours from an attempt whose answer was
    /// lost.
    pub(crate) fn put_new<T: Role>(
        &self,
        role: &str,
        signed: &Signed<T>,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), RepoError> {
        let key = layout::versioned(role, signed.signed.version())?;
        let bytes = encode(signed)?;
        if self.put(&key, &bytes, PutMode::IfAbsent, step)? == Put::Existed
            && self.transport().get(&key, MAX_TARGETS)? != bytes
        {
            return Err(RepoError::Raced { place: self.place() });
        }
        Ok(())
    }

    /// The moment of publication. Another one's since our visit is not written over.
    pub(crate) fn put_timestamp(
        &self,
        timestamp: &Signed<Timestamp>,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), RepoError> {
        let key = layout::timestamp()?;
        let there = self.transport().get(&key, MAX_SMALL_ROLE)?;
        if parse_role::<Timestamp>(&there).ok().as_ref() != Some(&self.view.timestamp) {
            return Err(RepoError::Raced { place: self.place() });
        }
        self.put(&key, &encode(timestamp)?, PutMode::Replace, step)?;
        Ok(())
    }
}

pub(crate) fn next(version: NonZeroU64) -> Result<NonZeroU64, RepoError> {
    version.checked_add(1).ok_or_else(|| RepoError::Roles {
        what: "a version of the metadata is the highest there is; rotate the snapshot and timestamp keys"
            .to_owned(),
    })
}

fn metafile<T: Role>(signed: &Signed<T>, version: NonZeroU64) -> Result<Metafile, RepoError> {
    let bytes = encode(signed)?;
    Ok(Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256: Sha256Hex::of(&bytes).0.to_vec().into(), _extra: HashMap::new() }),
        version,
        _extra: HashMap::new(),
    })
}
