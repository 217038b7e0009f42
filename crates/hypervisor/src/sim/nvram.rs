//! `vars.json`: the boot variables of a simulated host, and what its last boot loaded.
//!
//! Promises: each change of a variable by the agent is on stable storage before the next thing is done, as in real
//! firmware; a power cycle changes everything that it changes at once. Does not: interpret the variables.

use std::fs;
use std::io;
use std::path::Path;

use lifeboat_bank::efi::{MemVars, Var, VarError, VarName, VarStore};
use lifeboat_bank::guid::Guid;
use serde::{Deserialize, Serialize};

use super::banks::Refusal;
use super::disk::told;
use super::state::write_durably;

const VARS: &str = "vars.json";
/// The form that is written here.
pub(super) const SCHEMA: u32 = 1;

/// The form of `vars.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Nvram {
    pub(super) schema: u32,
    /// Number of the last boot.
    pub(super) number: u32,
    /// What it loaded and the host runs now; none if nothing was bootable.
    pub(super) booted: Option<InMemory>,
    /// The firmware's own sentence on the last boot.
    pub(super) why: String,
    pub(super) vars: MemVars,
}

/// What a boot leaves in the memory of a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InMemory {
    pub(super) cmdline: String,
    pub(super) kernel: String,
}

impl InMemory {
    /// The value of the first word `key=value` of the kernel line.
    pub(super) fn says(&self, key: &str) -> &str {
        let words = self.cmdline.split_ascii_whitespace();
        words
            .filter_map(|word| word.split_once('='))
            .find(|(found, _)| *found == key)
            .map_or("", |(_, value)| value)
    }
}

impl Nvram {
    /// Reads the file in a host's folder.
    pub(super) fn read(dir: &Path) -> Result<Self, Refusal> {
        let path = dir.join(VARS);
        let doing = format!("reading {}", path.display());
        let bytes = fs::read(&path).map_err(|error| told(&doing, &error))?;
        let nvram: Self = serde_json::from_slice(&bytes).map_err(|error| told(&doing, &error))?;
        if nvram.schema == SCHEMA {
            Ok(nvram)
        } else {
            Err(Refusal::firm(format!("{doing}: its schema is {}, and {SCHEMA} is known", nvram.schema)))
        }
    }

    /// Writes the file.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Refusal> {
        self.try_write(dir).map_err(|error| told("writing the boot variables", &error))
    }

    fn try_write(&self, dir: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        write_durably(dir, VARS, &bytes).map_err(io::Error::other)
    }
}

/// The variables as the agent of a running host changes them.
#[derive(Debug)]
pub(super) struct NvramFile<'a> {
    dir: &'a Path,
    nvram: Nvram,
}

impl<'a> NvramFile<'a> {
    /// The variables of the host with this folder.
    pub(super) fn open(dir: &'a Path) -> Result<Self, Refusal> {
        Ok(Self { dir, nvram: Nvram::read(dir)? })
    }

    fn keep(&self, doing: &'static str, name: &str) -> Result<(), VarError> {
        self.nvram.try_write(self.dir).map_err(|source| VarError::Io { doing, name: name.to_owned(), source })
    }
}

impl VarStore for NvramFile<'_> {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        self.nvram.vars.get(name, vendor)
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        self.nvram.vars.set(name, vendor, var)?;
        self.keep("write", name)
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        self.nvram.vars.delete(name, vendor)?;
        self.keep("delete", name)
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        self.nvram.vars.list()
    }
}
