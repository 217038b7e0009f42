//! What a lab remembers: `lab.json`.
//!
//! Owns: the file, the lab's folder and where things lie in it. Promises: the file is replaced as a whole. Does
//! not: hold anything that the machines change.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{LabError, Machine};

/// Number of the form of `lab.json`.
const SCHEMA: u32 = 1;

/// The file `lab.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSettings {
    /// Number of the form.
    pub schema: u32,
    /// Random identity: part of the name of every process of the lab.
    pub id: String,
    /// Port on the loopback address that the agents dial.
    pub port: u16,
    /// Memory of each machine.
    pub memory_mib: u32,
    /// The machines.
    pub hosts: Vec<LabHost>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabHost {
    /// Its name.
    pub name: String,
    /// The secret that its agent shows.
    pub token: String,
    /// Whether it takes no new guests. The lab's hosts have no guests; the mark is kept for the roll.
    #[serde(default)]
    pub maintenance: bool,
}

impl LabSettings {
    /// Settings of a new lab.
    pub(crate) fn new(id: String, port: u16, memory_mib: u32, hosts: Vec<LabHost>) -> Self {
        Self { schema: SCHEMA, id, port, memory_mib, hosts }
    }

    /// Reads the settings of the lab in `folder`; none if there is no lab.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, LabError> {
        let path = settings_path(folder);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LabError::File { doing: "read", path, source }),
        };
        let settings: Self = serde_json::from_slice(&text)
            .map_err(|error| LabError::Damaged { path: path.clone(), why: error.to_string() })?;
        if settings.schema != SCHEMA {
            let why = format!("its schema is {}, known is {SCHEMA}", settings.schema);
            return Err(LabError::Damaged { path, why });
        }
        Ok(Some(settings))
    }

    /// Writes the settings of the lab in `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), LabError> {
        let path = settings_path(folder);
        let beside = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| LabError::Damaged { path: path.clone(), why: error.to_string() })?;
        // It holds the hosts' secrets.
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let mut file = opened.map_err(LabError::file("create", &beside))?;
        file.write_all(&text).map_err(LabError::file("write", &beside))?;
        fs::rename(&beside, &path).map_err(LabError::file("rename", beside))
    }

    /// The machine of a host.
    pub(crate) fn machine(&self, folder: &Path, host: &str) -> Machine {
        Machine::new(&self.id, host, folder.join("hosts").join(host), self.memory_mib)
    }

    /// Tokens by host.
    pub(crate) fn tokens(&self) -> BTreeMap<String, String> {
        self.hosts.iter().map(|host| (host.name.clone(), host.token.clone())).collect()
    }
}

fn settings_path(folder: &Path) -> PathBuf {
    folder.join("lab.json")
}
