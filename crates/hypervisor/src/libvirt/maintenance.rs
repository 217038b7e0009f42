//! Hosts that take no new guests.
//!
//! Owns: the file `maintenance.json` in the pool's folder: which hosts are in maintenance, which of their guests started
//! with them, and how their guests were described. Promises: what is switched off is on disk before it is switched off;
//! leaving gives back exactly that; a description that was lost with a host is put back. Does not: move guests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lifeboat_libvirt::{Connection, DefineFlags, DomainFilter, Uuid, XmlFlags};
use lifeboat_model::{HostId, Timestamp, chain};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of the form of `maintenance.json`.
const SCHEMA: u32 = 1;
/// Larger files are not ours.
const MOST_BYTES: u64 = 64 << 20;

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub(super) enum MarksError {
    /// It cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It has wrong content.
    #[error("{} is damaged; it says which guests are to start with their hosts again: repair it, or remove it and set that by hand", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// It is of a newer program.
    #[error("{} has schema {found}, this program knows {SCHEMA}: use a newer lifeboat", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: u32,
    },
}

/// What is kept of a host in maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Since when.
    pub(super) since: Timestamp,
    /// Guests that started with it, by UUID.
    pub(super) autostart: BTreeSet<String>,
    /// Descriptions of its guests that did not run, by UUID.
    pub(super) defined: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Form {
    schema: u32,
    hosts: BTreeMap<HostId, Mark>,
}

/// All marks of a pool.
#[derive(Debug)]
pub(super) struct Marks {
    path: PathBuf,
    hosts: BTreeMap<HostId, Mark>,
}

impl Marks {
    /// Reads the file in `folder`; none is one without marks.
    pub(super) fn open(folder: &Path) -> Result<Self, MarksError> {
        let path = folder.join("maintenance.json");
        let fail = |source| MarksError::File { doing: "reading", path: path.clone(), source };
        let bytes = match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(file, MOST_BYTES), &mut bytes).map_err(fail)?;
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, hosts: BTreeMap::new() });
            }
            Err(error) => return Err(fail(error)),
        };
        let form: Form = serde_json::from_slice(&bytes)
            .map_err(|source| MarksError::Damaged { path: path.clone(), source })?;
        if form.schema != SCHEMA {
            return Err(MarksError::Newer { path, found: form.schema });
        }
        Ok(Self { path, hosts: form.hosts })
    }

    /// What is kept of a host.
    pub(super) fn get(&self, host: &HostId) -> Option<&Mark> {
        self.hosts.get(host)
    }

    /// Whether a guest started with any host before it was switched off.
    pub(super) fn started_with_host(&self, guest: &Uuid) -> bool {
        let uuid = guest.to_string();
        self.hosts.values().any(|mark| mark.autostart.contains(&uuid))
    }

    /// Keeps a host's mark, durably.
    pub(super) fn set(&mut self, host: &HostId, mark: Mark) -> Result<(), MarksError> {
        self.hosts.insert(host.clone(), mark);
        self.write()
    }

    /// Forgets a host's mark, durably.
    pub(super) fn clear(&mut self, host: &HostId) -> Result<(), MarksError> {
        if self.hosts.remove(host).is_some() { self.write() } else { Ok(()) }
    }

    fn write(&self) -> Result<(), MarksError> {
        let fail = |source| MarksError::File { doing: "writing", path: self.path.clone(), source };
        let form = Form { schema: SCHEMA, hosts: self.hosts.clone() };
        let bytes = serde_json::to_vec_pretty(&form).map_err(io::Error::other).map_err(fail)?;
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new).map_err(fail)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&new, &self.path).map_err(fail)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
    }
}

/// What is to be kept of a host before it enters maintenance. A guest that runs is described where it goes.
pub(super) fn look(conn: &Connection, before: Option<&Mark>, now: Timestamp) -> Result<Mark, String> {
    let mut mark =
        before.cloned().unwrap_or(Mark { since: now, autostart: BTreeSet::new(), defined: BTreeMap::new() });
    let domains = conn.domains(DomainFilter::ALL).map_err(|error| chain(&error))?;
    for domain in domains {
        let uuid = domain.uuid.to_string();
        if conn.autostart(&domain).unwrap_or(false) {
            mark.autostart.insert(uuid.clone());
        }
        if !conn.is_active(&domain).unwrap_or(true) {
            let flags = XmlFlags::SECURE | XmlFlags::INACTIVE;
            let text = conn.domain_xml(&domain, flags).map_err(|error| chain(&error))?;
            mark.defined.insert(uuid, text);
        }
    }
    Ok(mark)
}

/// Lets no guest start with its host.
pub(super) fn hold_guests(conn: &Connection) -> Result<usize, String> {
    let mut held = 0;
    for domain in conn.domains(DomainFilter::AUTOSTART).map_err(|error| chain(&error))? {
        match conn.set_autostart(&domain, false) {
            Ok(()) => held += 1,
            Err(error) if error.is_no_domain() => {}
            Err(error) => {
                return Err(format!("{} cannot be kept from starting: {}", domain.name, chain(&error)));
            }
        }
    }
    Ok(held)
}

/// Gives a host back what it had; `elsewhere` are guests that other hosts have now. Says what was done.
pub(super) fn give_back(
    conn: &Connection,
    mark: &Mark,
    elsewhere: &BTreeSet<String>,
) -> Result<Vec<String>, String> {
    let mut told = Vec::new();
    for (uuid, text) in mark.defined.iter().filter(|(uuid, _)| !elsewhere.contains(*uuid)) {
        let Ok(parsed) = uuid.parse::<Uuid>() else { continue };
        match conn.domain_by_uuid(&parsed) {
            Ok(_) => {}
            Err(error) if error.is_no_domain() => {
                let domain = conn.define_domain(text, DefineFlags::NONE).map_err(|error| chain(&error))?;
                told.push(format!("{} was described anew", domain.name));
            }
            Err(error) => return Err(chain(&error)),
        }
    }
    for uuid in mark.autostart.iter().filter(|uuid| !elsewhere.contains(*uuid)) {
        let Ok(parsed) = uuid.parse::<Uuid>() else { continue };
        match conn.domain_by_uuid(&parsed) {
            Ok(domain) => conn.set_autostart(&domain, true).map_err(|error| chain(&error))?,
            Err(error) if error.is_no_domain() => {
                told.push(format!("guest {uuid}, which started with this host, is on no host any more"));
            }
            Err(error) => return Err(chain(&error)),
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_mark_outlives_the_program_and_a_damaged_file_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostId::new("h1").unwrap();
        let uuid = "c7a5fdbd-edaf-9455-926a-d65c16db1809";
        let mark = Mark {
            since: Timestamp(5),
            autostart: BTreeSet::from([uuid.to_owned()]),
            defined: BTreeMap::new(),
        };
        Marks::open(folder.path()).unwrap().set(&host, mark.clone()).unwrap();
        let mut read = Marks::open(folder.path()).unwrap();
        assert_eq!(read.get(&host), Some(&mark));
        assert!(read.started_with_host(&uuid.parse().unwrap()));
        read.clear(&host).unwrap();
        assert_eq!(Marks::open(folder.path()).unwrap().get(&host), None);
        let path = folder.path().join("maintenance.json");
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(matches!(Marks::open(folder.path()), Err(MarksError::Damaged { .. })), "cut at {len}");
        }
        fs::write(&path, r#"{"schema":2,"hosts":{}}"#).unwrap();
        assert!(matches!(Marks::open(folder.path()), Err(MarksError::Newer { found: 2, .. })));
    }
}
