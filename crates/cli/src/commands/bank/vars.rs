//! Firmware variables wherever they are kept: an OVMF image, a JSON file, efivarfs.
//!
//! Promises: every change is in the file before the call returns. Does not: make a file that is not there.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lifeboat_bank::efi::{MemVars, Var, VarError, VarName, VarStore};
use lifeboat_bank::guid::Guid;
use lifeboat_bank::ovmf::OvmfVars;
use lifeboat_device::{EFIVARFS, EfivarFs};

use crate::error::{CliError, Kind, file_error};
use crate::files::replace;

/// Largest image of variables that is read: flash chips have 64 MiB at most.
const LIMIT: u64 = 64 << 20;

#[derive(Debug)]
enum Store {
    Ovmf(OvmfVars),
    Json(MemVars),
    /// The variables of a simulated host, for reading.
    Simulated(MemVars),
    Efivarfs(EfivarFs),
}

/// Firmware variables in a file or in the machine.
#[derive(Debug)]
pub(in crate::commands) struct Vars {
    path: PathBuf,
    store: Store,
    dry: bool,
}

impl Vars {
    /// Opens what lies at `path`. With `dry`, changes stay in memory.
    pub(in crate::commands) fn open(path: &Path, dry: bool) -> Result<Self, CliError> {
        let fail = |source| file_error("reading the firmware variables", path, source);
        let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| {
            CliError::new(Kind::Failed, format!("{} holds no firmware variables", path.display()))
                .because(cause)
                .remedy(
                    "give an OVMF variable image (.fd), a JSON file of variables, or an efivarfs directory",
                )
        };
        let metadata = path.metadata().map_err(fail)?;
        let store = if metadata.is_dir() {
            let store = EfivarFs::open(path).map_err(|cause| wrong(cause.into()))?;
            if dry {
                Store::Json(copy(&store).map_err(|cause| wrong(cause.into()))?)
            } else {
                Store::Efivarfs(store)
            }
        } else {
            if metadata.len() > LIMIT {
                return Err(wrong(format!("it has {} bytes", metadata.len()).into()));
            }
            let bytes = std::fs::read(path).map_err(fail)?;
            if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
                let mut form: serde_json::Value =
                    serde_json::from_slice(&bytes).map_err(|cause| wrong(cause.into()))?;
                // A simulated host keeps more than variables in its file; it is read, and never written here.
                let simulated = form.get("booted").is_some() && form.get("vars").is_some();
                let vars = if simulated { form["vars"].take() } else { form };
                let vars = serde_json::from_value(vars).map_err(|cause| wrong(cause.into()))?;
                if simulated { Store::Simulated(vars) } else { Store::Json(vars) }
            } else {
                Store::Ovmf(OvmfVars::open(bytes).map_err(|cause| wrong(cause.into()))?)
            }
        };
        Ok(Self { path: path.to_owned(), store, dry })
    }

    /// The place that holds the variables of a disk: the one given, one beside an image file, or this machine's
    /// own if the disk holds the running system.
    pub(super) fn find(given: Option<&Path>, disk: &Path, running: bool) -> Option<PathBuf> {
        if let Some(path) = given {
            return Some(path.to_owned());
        }
        if running {
            return Some(PathBuf::from(EFIVARFS)).filter(|path| path.is_dir());
        }
        let beside = |suffix: &str| {
            let mut whole = disk.as_os_str().to_owned();
            whole.push(suffix);
            [PathBuf::from(whole), disk.with_extension(suffix.trim_start_matches('.'))]
        };
        // A simulated host and a machine of the lab have them in their folder.
        let folder = ["vars.json", "vars.fd"].map(|name| disk.with_file_name(name));
        let mut places = beside(".vars.json").into_iter().chain(beside(".vars.fd")).chain(folder);
        places.find(|path| path.is_file())
    }

    /// Where they are, for people.
    pub(in crate::commands) fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn store(&mut self) -> &mut dyn VarStore {
        match &mut self.store {
            Store::Ovmf(store) => store,
            Store::Json(store) | Store::Simulated(store) => store,
            Store::Efivarfs(store) => store,
        }
    }

    fn save(&self, name: &str) -> Result<(), VarError> {
        if self.dry {
            return Ok(());
        }
        let io = |source| VarError::Io { doing: "write", name: name.to_owned(), source };
        let bytes = match &self.store {
            Store::Efivarfs(_) => return Ok(()),
            Store::Simulated(_) => {
                return Err(io(std::io::Error::other(
                    "they belong to a simulated host; only its pool writes them",
                )));
            }
            Store::Ovmf(store) => store.image().to_vec(),
            Store::Json(store) => {
                serde_json::to_vec_pretty(store).map_err(|cause| io(std::io::Error::other(cause)))?
            }
        };
        let mode = self.path.metadata().map_err(io)?.permissions().mode() & 0o777;
        replace(&self.path, mode, |file| file.write_all(&bytes))
            .map_err(|cause| io(std::io::Error::other(cause)))
    }
}

/// The boot variables of a store, in memory.
fn copy(store: &EfivarFs) -> Result<MemVars, VarError> {
    let mut copy = MemVars::new();
    for VarName { vendor, name } in store.list()? {
        if name.starts_with("Boot")
            && let Some(var) = store.get(&name, &vendor)?
        {
            copy.set(&name, &vendor, &var)?;
        }
    }
    Ok(copy)
}

impl VarStore for Vars {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        match &self.store {
            Store::Ovmf(store) => store.get(name, vendor),
            Store::Json(store) | Store::Simulated(store) => store.get(name, vendor),
            Store::Efivarfs(store) => store.get(name, vendor),
        }
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        self.store().set(name, vendor, var)?;
        self.save(name)
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        self.store().delete(name, vendor)?;
        self.save(name)
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        match &self.store {
            Store::Ovmf(store) => store.list(),
            Store::Json(store) | Store::Simulated(store) => store.list(),
            Store::Efivarfs(store) => store.list(),
        }
    }
}
