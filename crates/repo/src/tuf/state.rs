//! What a reader remembers of a repository: `lifeboat.repo-state/1`.
//!
//! Owns: a directory with the last metadata that was believed, and the floor of versions. Promises: whatever moment
//! the power is cut at, the directory holds the old state or the new one, whole (tough writes three files in place,
//! without syncing: it is given a copy, and the copy is committed by sync and rename); a state that is not whole is
//! refused, never taken for none. Does not: judge metadata (`client`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lifeboat_model::Sha256Hex;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tough::schema::{Root, Snapshot, Targets, Timestamp};

use super::client::Floor;
use super::error::RepoError;
use super::roles::parse_role;

const SCHEMA: &str = "lifeboat.repo-state/1";
const STATE: &str = "state.json";
const TIME: &str = "latest_known_time.json";

/// The commit point: which generation counts, and what is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    schema: String,
    generation: u64,
    floor: Floor,
    files: BTreeMap<String, Sha256Hex>,
}

/// The directory, locked.
pub(crate) struct State {
    dir: PathBuf,
    form: Option<Form>,
    /// Kept open: the lock ends with it.
    _lock: File,
}

impl State {
    /// Opens and checks the directory; makes it if it is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, RepoError> {
        fs::create_dir_all(dir).map_err(RepoError::local("making the directory", dir))?;
        let lock_path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(RepoError::local("opening", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(RepoError::Locked { dir: dir.to_owned() }),
            Err(errno) => return Err(RepoError::local("locking", &lock_path)(errno.into())),
        }
        let form = read_form(dir)?;
        if let Some(form) = &form {
            check_files(dir, form)?;
        } else if dir.join(generation(2)).exists() {
            // The first commit can be cut before state.json; a later one never leaves it missing.
            return Err(damaged(dir, "state.json is missing"));
        }
        Ok(Self { dir: dir.to_owned(), form, _lock: lock })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn floor(&self) -> Option<Floor> {
        self.form.as_ref().map(|form| form.floor)
    }

    /// The last root that was believed.
    pub(crate) fn root(&self) -> Result<Option<Vec<u8>>, RepoError> {
        let Some(form) = &self.form else { return Ok(None) };
        let path = self.dir.join(generation(form.generation)).join("root.json");
        fs::read(&path).map(Some).map_err(RepoError::local("reading", path))
    }

    /// A copy for tough to write into.
    pub(crate) fn working_copy(&self) -> Result<PathBuf, RepoError> {
        let work = self.dir.join("work");
        remove(&work)?;
        fs::create_dir(&work).map_err(RepoError::local("making the directory", &work))?;
        if let Some(form) = &self.form {
            for name in form.files.keys() {
                let from = self.dir.join(generation(form.generation)).join(name);
                fs::copy(&from, work.join(name)).map_err(RepoError::local("copying", from))?;
            }
        }
        Ok(work)
    }

    /// Makes the working copy the state. `floor` is `None` when tough refused something: what it had believed before
    /// that is kept (a newer root above all), and the floor stays, but for the root's.
    pub(crate) fn commit(&mut self, floor: Option<Floor>) -> Result<(), RepoError> {
        let work = self.dir.join("work");
        let failed = |source| RepoError::Local { doing: "keeping", path: work.clone(), source };
        let mut files = BTreeMap::new();
        let mut root_version = None;
        for entry in fs::read_dir(&work).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let bytes = fs::read(entry.path()).map_err(failed)?;
            root_version =
                check_role(&name, &bytes).map_err(|what| damaged(&self.dir, &what))?.or(root_version);
            File::open(entry.path()).and_then(|file| file.sync_all()).map_err(failed)?;
            files.insert(name, Sha256Hex::of(&bytes));
        }
        let Some(root) = root_version else {
            // Not even the trusted root was good: there is nothing to remember.
            return remove(&work);
        };
        let floor = floor.unwrap_or_else(|| {
            let old = self.floor().unwrap_or_default();
            Floor { root: old.root.max(root), ..old }
        });
        sync(&work).map_err(failed)?;
        let number = self.form.as_ref().map_or(0, |form| form.generation) + 1;
        let to = self.dir.join(generation(number));
        // What a cut commit left.
        remove(&to)?;
        fs::rename(&work, &to).map_err(failed)?;
        sync(&self.dir).map_err(failed)?;
        let form = Form { schema: SCHEMA.to_owned(), generation: number, floor, files };
        write_form(&self.dir, &form).map_err(RepoError::local("writing", self.dir.join(STATE)))?;
        if let Some(old) = self.form.replace(form) {
            remove(&self.dir.join(generation(old.generation)))?;
        }
        Ok(())
    }
}

fn generation(number: u64) -> String {
    format!("generation-{number}")
}

fn damaged(dir: &Path, what: &str) -> RepoError {
    RepoError::Damaged { dir: dir.to_owned(), what: what.to_owned() }
}

fn read_form(dir: &Path) -> Result<Option<Form>, RepoError> {
    let path = dir.join(STATE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RepoError::Local { doing: "reading", path, source }),
    };
    let form: Form =
        serde_json::from_slice(&bytes).map_err(|error| damaged(dir, &format!("state.json: {error}")))?;
    if form.schema != SCHEMA {
        return Err(damaged(dir, &format!("state.json is of the form {:?}, not {SCHEMA}", form.schema)));
    }
    Ok(Some(form))
}

fn check_files(dir: &Path, form: &Form) -> Result<(), RepoError> {
    if !form.files.contains_key("root.json") {
        return Err(damaged(dir, "no root.json is named"));
    }
    for (name, expected) in &form.files {
        let path = dir.join(generation(form.generation)).join(name);
        let bytes = fs::read(&path).map_err(|error| damaged(dir, &format!("{name}: {error}")))?;
        if Sha256Hex::of(&bytes) != *expected {
            return Err(damaged(dir, &format!("{name} was altered")));
        }
        check_role(name, &bytes).map_err(|what| damaged(dir, &what))?;
    }
    Ok(())
}

/// Whether a file of the state is what its name says; the version, if it is the root.
fn check_role(name: &str, bytes: &[u8]) -> Result<Option<u64>, String> {
    let wrong = |error: serde_json::Error| format!("{name}: {error}");
    match name {
        "root.json" => {
            return parse_role::<Root>(bytes).map(|root| Some(root.signed.version.get())).map_err(wrong);
        }
        "timestamp.json" => parse_role::<Timestamp>(bytes).map(|_| ()).map_err(wrong)?,
        "snapshot.json" => parse_role::<Snapshot>(bytes).map(|_| ()).map_err(wrong)?,
        "targets.json" => parse_role::<Targets>(bytes).map(|_| ()).map_err(wrong)?,
        TIME => serde_json::from_slice::<jiff::Timestamp>(bytes).map(|_| ()).map_err(wrong)?,
        _ => return Err(format!("{name} does not belong there")),
    }
    Ok(None)
}

fn write_form(dir: &Path, form: &Form) -> io::Result<()> {
    let mut scratch = tempfile::NamedTempFile::new_in(dir)?;
    scratch.write_all(&serde_json::to_vec(form)?)?;
    scratch.as_file().sync_all()?;
    scratch.persist(dir.join(STATE)).map_err(|error| error.error)?;
    sync(dir)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn remove(dir: &Path) -> Result<(), RepoError> {
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RepoError::Local { doing: "removing", path: dir.to_owned(), source }),
    }
}
