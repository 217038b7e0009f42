//! What is refused although it was signed.
//!
//! Owns: the file `revoked.json` with serial numbers and hosts, its number, and the list that a running server looks
//! at in every handshake. Promises: what was revoked stays so across a crash; the number grows with every change; an
//! entry leaves the list only after its certificate ended by itself. Does not: close connections; it says which host
//! is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{PeerCertificate, write_durably};

const SCHEMA: u32 = 1;

/// A certificate that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSerial {
    /// Serial number as hexadecimal digits.
    pub serial: String,
    /// The host that it was made for.
    pub host: String,
    /// When it was revoked, in seconds since 1970.
    pub at: u64,
    /// When it ends by itself, in seconds since 1970.
    pub until: u64,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationList {
    schema: u32,
    /// Number of the list; it grows with every change.
    pub number: u64,
    /// Certificates.
    pub serials: Vec<RevokedSerial>,
    /// Hosts of which every certificate is refused, with the time of the order.
    pub hosts: BTreeMap<String, u64>,
}

/// Why the list cannot be used.
#[derive(Debug, Error)]
pub enum RevokedError {
    /// The file failed.
    #[error("{doing} the revocation list {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is damaged. Nothing is guessed: a host that was revoked would be let in again.
    #[error("the revocation list {} is damaged: put it back from a backup, or revoke again after moving it away", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The file is of a newer version.
    #[error("the revocation list {} has schema {found}; this program knows {SCHEMA}: use a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
}

/// The list as a running server sees it.
#[derive(Debug)]
pub struct Revocations {
    path: PathBuf,
    list: RwLock<RevocationList>,
}

impl Revocations {
    /// Reads the file at `path`; one that is not there is an empty list.
    pub fn open(path: &Path) -> Result<Self, RevokedError> {
        let list = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                RevocationList { schema: SCHEMA, ..RevocationList::default() }
            }
            Err(source) => {
                return Err(RevokedError::File { doing: "reading", path: path.to_owned(), source });
            }
            Ok(bytes) => serde_json::from_slice::<RevocationList>(&bytes)
                .map_err(|source| RevokedError::Damaged { path: path.to_owned(), source })?,
        };
        if list.schema != SCHEMA {
            return Err(RevokedError::Newer { path: path.to_owned(), found: list.schema });
        }
        Ok(Self { path: path.to_owned(), list: RwLock::new(list) })
    }

    /// The list as it is now.
    pub fn list(&self) -> RevocationList {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why this certificate is refused, if it is.
    pub fn refuses(&self, certificate: &PeerCertificate) -> Option<String> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let host = certificate.host.as_ref().map(|(_, host)| host.as_str());
        if let Some(host) = host
            && list.hosts.contains_key(host)
        {
            return Some(format!("every certificate of host {host} was revoked"));
        }
        let serial = list.serials.iter().find(|entry| entry.serial == certificate.serial)?;
        Some(format!("certificate {} of host {} was revoked", serial.serial, serial.host))
    }

    /// Refuses these certificates from now on, and every one of `host` if that is given.
    pub fn revoke(
        &self,
        host: Option<&str>,
        serials: &[RevokedSerial],
        now: u64,
    ) -> Result<(), RevokedError> {
        self.change(now, |list| {
            if let Some(host) = host {
                list.hosts.entry(host.to_owned()).or_insert(now);
            }
            let known: BTreeSet<String> = list.serials.iter().map(|entry| entry.serial.clone()).collect();
            list.serials.extend(serials.iter().filter(|entry| !known.contains(&entry.serial)).cloned());
        })
    }

    /// Lets a host in again that was refused by name; its old certificates stay refused by their numbers.
    pub fn readmit(&self, host: &str, now: u64) -> Result<(), RevokedError> {
        if !self.list.read().unwrap_or_else(PoisonError::into_inner).hosts.contains_key(host) {
            return Ok(());
        }
        self.change(now, |list| {
            list.hosts.remove(host);
        })
    }

    /// The file is on stable storage before anybody sees the change.
    fn change(&self, now: u64, edit: impl FnOnce(&mut RevocationList)) -> Result<(), RevokedError> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = list.clone();
        edit(&mut next);
        // An hour more than its life: clocks are never the same.
        next.serials.retain(|entry| entry.until + 3600 > now);
        next.number += 1;
        let bytes = serde_json::to_vec_pretty(&next).unwrap_or_default();
        write_durably(&self.path, &bytes).map_err(|source| RevokedError::File {
            doing: "writing",
            path: self.path.clone(),
            source,
        })?;
        *list = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::{HostId, PoolName, Sha256Hex};

    use super::*;

    fn certificate(host: &str, serial: &str) -> PeerCertificate {
        PeerCertificate {
            host: Some((PoolName::new("pool").unwrap(), HostId::new(host).unwrap())),
            serial: serial.to_owned(),
            not_before: 0,
            not_after: 100,
            key: Sha256Hex::of(b""),
            common_name: None,
        }
    }

    fn entry(serial: &str, until: u64) -> RevokedSerial {
        RevokedSerial { serial: serial.to_owned(), host: "one".to_owned(), at: 5, until }
    }

    #[test]
    fn what_was_revoked_stays_so_and_the_number_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked.json");
        let list = Revocations::open(&path).unwrap();
        assert_eq!(list.refuses(&certificate("one", "a1")), None);
        list.revoke(Some("one"), &[entry("a1", 100)], 10).unwrap();
        let list = Revocations::open(&path).unwrap();
        assert!(list.refuses(&certificate("one", "b2")).unwrap().contains("every certificate"));
        list.readmit("one", 11).unwrap();
        let list = Revocations::open(&path).unwrap();
        assert_eq!(list.list().number, 2);
        assert!(list.refuses(&certificate("one", "a1")).is_some());
        assert_eq!(list.refuses(&certificate("one", "b2")), None);
        list.revoke(None, &[entry("c3", 100_000)], 10_000).unwrap();
        let serials: Vec<_> = list.list().serials.into_iter().map(|entry| entry.serial).collect();
        assert_eq!(serials, ["c3"], "one that ended long ago leaves the list");
    }

    #[test]
    fn a_damaged_list_is_an_error_and_never_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked.json");
        Revocations::open(&path).unwrap().revoke(Some("one"), &[], 1).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Revocations::open(&path).is_err(), "cut to {length}");
        }
        fs::write(&path, String::from_utf8(whole).unwrap().replace("\"schema\": 1", "\"schema\": 9"))
            .unwrap();
        assert!(matches!(Revocations::open(&path), Err(RevokedError::Newer { found: 9, .. })));
    }
}
