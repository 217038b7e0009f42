//! The agent's configuration: who it is, and whom it reports to.
//!
//! Owns: the file `agent.json` on the state partition. Promises: a wrong file is told with its place. Does not:
//! keep anything that changes while the agent runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of the form of `agent.json`.
pub const CONFIG_SCHEMA: u32 = 1;

/// The file `agent.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// [`CONFIG_SCHEMA`].
    pub schema: u32,
    /// Name of the host in its pool.
    pub host: String,
    /// Address of the controller, `host:port`.
    pub controller: String,
    /// Secret by which the controller of a lab knows the host; empty on a host that has a certificate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Whether the host has banks; if not said, the kernel line tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banks: Option<bool>,
    /// File that holds the identity of this boot, if it is another one than the kernel's: a container as host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id_file: Option<PathBuf>,
    /// Program that reboots the host, with its arguments, if it is not `systemctl reboot` or the kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reboot_command: Vec<String>,
    /// Root whose packages are the host's, if it is not `/`: a container as host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_root: Option<PathBuf>,
    /// Install releases of packages also where an installed version cannot be kept for the way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_no_way_back: bool,
    /// The host has no watchdog of its own; something outside of it (its management controller, a lab) ends a trial that
    /// hangs. Without this, a host that cannot arm its watchdog is not rebooted into a trial.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_watchdog: bool,
    /// Longest time that one health check may take, in seconds.
    #[serde(default = "default_check_secs")]
    pub check_secs: u64,
    /// Time that the watchdog gives firmware, loader and the start of the agent, in seconds.
    #[serde(default = "default_watchdog_secs")]
    pub watchdog_secs: u32,
}

fn default_check_secs() -> u64 {
    60
}

fn default_watchdog_secs() -> u32 {
    120
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the agent's configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file has not the form that it should.
    #[error("{} is not an agent configuration of schema {CONFIG_SCHEMA}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The file was written for another version of the agent.
    #[error("{} has schema {found}; this agent knows {CONFIG_SCHEMA}: use a newer agent", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// The watchdog's time has no meaning.
    #[error("{}: watchdog_secs = {secs} is outside 1 to 86400: give the seconds of one whole boot, with room", path.display())]
    Watchdog {
        /// The file.
        path: PathBuf,
        /// What it says.
        secs: u32,
    },
}

impl AgentConfig {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = serde_json::from_slice(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
        if config.schema != CONFIG_SCHEMA {
            return Err(ConfigError::Newer { path: path.to_owned(), found: config.schema });
        }
        // The driver is loaded with its timer running: with a time that cannot be set nobody would feed it.
        if !(1..=86_400).contains(&config.watchdog_secs) {
            return Err(ConfigError::Watchdog { path: path.to_owned(), secs: config.watchdog_secs });
        }
        Ok(config)
    }
}
