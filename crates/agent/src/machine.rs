//! This machine, with or without banks.
//!
//! Owns: where things lie, the facts that every Linux host has, the agent's log and notes, and what holds a reboot
//! back. Promises: opening it changes nothing. Does not: know disks or packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lifeboat_model::agent::{AgentStatus, HealthReport, HostKind};
use lifeboat_model::{Bank, Mib, Millis};
use lifeboat_wire::Identity;

use crate::{AgentConfig, CheckResult, HostError, Log};

/// Where things lie on a host.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
    /// What the release brings: `/etc/lifeboat`
    pub etc: PathBuf,
    /// The state partition: `/var/lib/lifeboat`
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            dev: "/dev".into(),
            etc: "/etc/lifeboat".into(),
            state: "/var/lib/lifeboat".into(),
        }
    }
}

impl Paths {
    /// Keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// A file in here holds every reboot back; its text is the reason.
    pub fn holds(&self) -> PathBuf {
        self.state.join("reboot-holds")
    }
}

/// A machine, opened.
#[derive(Debug)]
pub struct Machine {
    /// Where things lie.
    pub paths: Paths,
    /// Whom it reports to.
    pub config: AgentConfig,
    /// Identity of this boot.
    pub boot_id: String,
    /// The agent's log.
    pub log: Log,
    name: String,
    notes: Mutex<Vec<String>>,
    health: Mutex<Vec<HealthReport>>,
    certificate_until: Mutex<Option<u64>>,
}

impl Machine {
    /// Opens this machine.
    pub fn open(paths: Paths, config: AgentConfig) -> Result<Self, HostError> {
        let path = config.boot_id_file.clone();
        let path = path.unwrap_or_else(|| paths.proc.join("sys/kernel/random/boot_id"));
        let boot_id = fs::read_to_string(&path).map_err(|source| HostError::Fact { path, source })?;
        let mut notes = Vec::new();
        let name = match Identity::read(&paths.pki()) {
            Ok(Some(identity)) => identity.host.as_str().to_owned(),
            Ok(None) => config.host.clone(),
            Err(error) => {
                notes.push(lifeboat_model::chain(&error));
                config.host.clone()
            }
        };
        Ok(Self {
            paths,
            config,
            boot_id: boot_id.trim().to_owned(),
            log: Log::default(),
            name,
            notes: Mutex::new(notes),
            health: Mutex::default(),
            certificate_until: Mutex::default(),
        })
    }

    /// Name of the host: its certificate's if it has one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a finding of this boot.
    pub fn note(&self, text: String) {
        self.log.line(&text);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Findings of this boot.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps how the health checks ended.
    pub fn keep_health(&self, results: &[CheckResult]) {
        let reports = results
            .iter()
            .map(|result| HealthReport { name: result.name.clone(), failure: result.failure.clone() })
            .collect();
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = reports;
    }

    /// Keeps when the certificate in use ends.
    pub fn keep_certificate(&self, until: Option<u64>) {
        *self.certificate_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Time since the kernel started.
    pub fn uptime(&self) -> Millis {
        let text = fs::read_to_string(self.paths.proc.join("uptime")).unwrap_or_default();
        let (secs, hundredths) =
            text.split_whitespace().next().and_then(|word| word.split_once('.')).unwrap_or_default();
        Millis(secs.parse::<u64>().unwrap_or(0) * 1000 + hundredths.parse::<u64>().unwrap_or(0) * 10)
    }

    /// Memory of the host.
    pub fn memory(&self) -> Mib {
        let text = fs::read_to_string(self.paths.proc.join("meminfo")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
        let kib: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Mib(kib / 1024)
    }

    /// Why the host must not be rebooted now, if so.
    pub fn held(&self) -> Option<String> {
        held_by(&self.paths.holds())
    }

    /// The host as it is now, as one without banks tells it.
    pub fn status(&self) -> AgentStatus {
        AgentStatus {
            host: self.name.clone(),
            boot_id: self.boot_id.clone(),
            kind: HostKind::Packages,
            active: Bank::A,
            default: None,
            version: self.system(),
            digest: None,
            banks: Vec::new(),
            floor: 0,
            failed: Vec::new(),
            on_trial: false,
            notes: self.notes(),
            uptime: self.uptime(),
            memory: self.memory(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            health: self.health.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            held: self.held(),
            certificate_until: *self.certificate_until.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Distribution and kernel, as `debian 12, kernel 6.1.0-28-amd64`.
    fn system(&self) -> String {
        // Beside /etc/lifeboat.
        let etc = self.paths.etc.parent().unwrap_or(Path::new("/etc"));
        let text = fs::read_to_string(etc.join("os-release")).unwrap_or_default();
        let word = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.map(|value| value.trim_matches('"').to_owned())
        };
        let kernel = fs::read_to_string(self.paths.proc.join("sys/kernel/osrelease")).unwrap_or_default();
        let id = word("ID").unwrap_or_else(|| "linux".to_owned());
        let version = word("VERSION_ID").map(|version| format!(" {version}")).unwrap_or_default();
        format!("{id}{version}, kernel {}", kernel.trim())
    }
}

/// The reasons that lie in the folder of holds. A folder that cannot be read holds too: what is in it is not known.
fn held_by(folder: &Path) -> Option<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("{} cannot be read: {error}", folder.display())),
    };
    let mut reasons: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let text = text.trim();
            if text.is_empty() { name } else { text.chars().take(1000).collect() }
        })
        .collect();
    reasons.sort();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_reboot_is_held_back_as_long_as_a_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let holds = folder.path().join("holds");
        assert_eq!(held_by(&holds), None);
        fs::create_dir(&holds).unwrap();
        assert_eq!(held_by(&holds), None);
        fs::write(holds.join("packages"), "dpkg was interrupted\n").unwrap();
        fs::write(holds.join("other"), "").unwrap();
        assert_eq!(held_by(&holds).unwrap(), "dpkg was interrupted; other");
        fs::remove_dir_all(&holds).unwrap();
        fs::write(&holds, "a file where a folder should be").unwrap();
        assert!(held_by(&holds).unwrap().contains("cannot be read"));
    }
}
