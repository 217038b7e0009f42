//! Settings of `lifeboatd`.
//!
//! Owns: the file `lifeboatd.toml`. Promises: a key that is not known is an error with its place. Does not: hold
//! secrets.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lifeboat_wire::HUB_SOCKET;
use serde::Deserialize;
use thiserror::Error;

/// The file, and what is taken for what it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of the authority and the ledger.
    pub dir: PathBuf,
    /// Address of the port for agents.
    pub listen: SocketAddr,
    /// The control socket.
    pub socket: PathBuf,
    /// Names and addresses by which agents dial this computer, added to those given at `init`.
    pub names: Vec<String>,
    /// Life of a host's certificate, in seconds.
    pub agent_certificate_secs: u64,
    /// Connections of agents at the same time.
    pub max_connections: usize,
    /// Downloads at the same time; others wait for their turn.
    pub max_downloads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dir: "/var/lib/lifeboat/controller".into(),
            listen: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 0], crate::AGENT_PORT)),
            socket: HUB_SOCKET.into(),
            names: Vec::new(),
            agent_certificate_secs: lifeboat_wire::AGENT_LIFE.as_secs(),
            max_connections: 8192,
            max_downloads: 32,
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{} does not hold settings of lifeboatd; see docs/ops/agents.md", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Settings {
    /// Reads the file at `path`, which need not be there unless `must` says so.
    pub fn read(path: &Path, must: bool) -> Result<Self, SettingsError> {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must => Ok(Self::default()),
            Err(source) => Err(SettingsError::Read { path: path.to_owned(), source }),
            Ok(text) => toml::from_str(&text)
                .map_err(|source| SettingsError::Parse { path: path.to_owned(), source: Box::new(source) }),
        }
    }
}
