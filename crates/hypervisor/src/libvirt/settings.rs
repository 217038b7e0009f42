//! What a person says of a pool of libvirt hosts.
//!
//! Owns: the form of the file `kvm.toml`, its defaults and its ranges. Promises: a value that makes no sense is named
//! with what would; what is not said is safe. Does not: read files, or open connections.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lifeboat_libvirt::Uri;
use lifeboat_model::{HostId, Mib};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of the form of `kvm.toml`.
pub const KVM_SCHEMA: u32 = 1;

/// The file `kvm.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KvmSettings {
    /// [`KVM_SCHEMA`].
    pub schema: u32,
    /// Control socket of the controller that the hosts' agents dial; without one, hosts are looked at and emptied, not
    /// upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<PathBuf>,
    /// Folders that are the same on every host, beside the storage pools that are shared by their kind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub shared_folders: BTreeSet<String>,
    /// How guests are moved.
    #[serde(default)]
    pub migration: MigrationSettings,
    /// The hosts.
    #[serde(rename = "host", default)]
    pub hosts: Vec<KvmHost>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KvmHost {
    /// Its name in the pool; its agent has the same.
    pub name: HostId,
    /// How the controller reaches its libvirt, as for `virsh -c`.
    pub uri: String,
    /// How the other hosts reach its libvirt; by default as the controller does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_uri: Option<String>,
    /// Where memory of guests is sent to, `tcp://ADDRESS`; by default libvirt chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate_uri: Option<String>,
    /// Memory that guests may use, in MiB; by default what the host has, less what it needs for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Rack, room or power line that fails as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_domain: Option<String>,
}

/// What becomes of disks that only one host has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalDisks {
    /// A guest with one cannot be moved.
    #[default]
    Forbid,
    /// They are copied with the guest, while it runs.
    Copy,
}

/// How guests are moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the pool's file, named as in virsh"
)]
pub struct MigrationSettings {
    /// Most MiB a second that one migration may send; 0: as much as there is.
    pub bandwidth_mib: u64,
    /// Longest pause of a guest that is aimed at, in milliseconds.
    pub downtime_ms: u64,
    /// A guest that does not come to an end by itself gets this pause, doubled step by step, up to this many milliseconds.
    pub downtime_limit_ms: u64,
    /// Slows a guest down that writes faster than its memory can be sent.
    pub auto_converge: bool,
    /// After so many seconds the guest is switched over and fetches the rest of its memory from its old host; 0: never.
    /// A guest whose network is cut during that is lost, so it is off by default.
    pub post_copy_after_secs: u64,
    /// A migration that has not ended after so many seconds is called off; the guest stays.
    pub give_up_after_secs: u64,
    /// Connections that one migration sends memory over; 0: one, in the old way.
    pub parallel: u32,
    /// Memory of guests is sent over libvirt's own connection: slower, and encrypted if that is.
    pub tunnelled: bool,
    /// Memory of guests is sent encrypted by QEMU itself.
    pub tls: bool,
    /// Disks that only one host has.
    pub local_disks: LocalDisks,
    /// A shared folder is trusted although libvirt cannot tell that it is coherent (`--unsafe` of virsh).
    pub trust_shared_folders: bool,
}

impl Default for MigrationSettings {
    fn default() -> Self {
        Self {
            bandwidth_mib: 0,
            downtime_ms: 300,
            downtime_limit_ms: 2_000,
            auto_converge: true,
            post_copy_after_secs: 0,
            give_up_after_secs: 3_000,
            parallel: 0,
            tunnelled: false,
            tls: false,
            local_disks: LocalDisks::Forbid,
            trust_shared_folders: false,
        }
    }
}

/// Why `kvm.toml` cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file is of a newer Lifeboat.
    #[error("it has schema {found}; this program knows {KVM_SCHEMA}: use a newer lifeboat")]
    Schema {
        /// What it has.
        found: u32,
    },
    /// A pool without hosts.
    #[error("it names no host; add a [[host]] with name and uri")]
    NoHosts,
    /// A name is used twice.
    #[error("host {host} is named twice; give each host one entry")]
    Twice {
        /// The name.
        host: HostId,
    },
    /// An address cannot be read.
    #[error("{what} of host {host} is not an address of libvirt")]
    Uri {
        /// Which value.
        what: &'static str,
        /// The host.
        host: HostId,
        /// Why not.
        #[source]
        source: lifeboat_libvirt::UriError,
    },
    /// A number is outside of its range.
    #[error("{what} = {found} is outside {range}")]
    Range {
        /// Which value.
        what: &'static str,
        /// What it is.
        found: u64,
        /// What it may be.
        range: &'static str,
    },
    /// Two values that exclude each other.
    #[error("{one} and {other} exclude each other; choose one")]
    Both {
        /// One value.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
}

impl KvmSettings {
    /// Whether everything makes sense.
    ///
    /// # Errors
    /// [`SettingsError`] names the first value that does not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.schema != KVM_SCHEMA {
            return Err(SettingsError::Schema { found: self.schema });
        }
        if self.hosts.is_empty() {
            return Err(SettingsError::NoHosts);
        }
        let mut names = BTreeSet::new();
        for host in &self.hosts {
            if !names.insert(&host.name) {
                return Err(SettingsError::Twice { host: host.name.clone() });
            }
            let given = [("uri", Some(&host.uri)), ("peer-uri", host.peer_uri.as_ref())];
            for (what, uri) in given.into_iter().filter_map(|(what, uri)| Some((what, uri?))) {
                Uri::parse(uri).map_err(|source| SettingsError::Uri {
                    what,
                    host: host.name.clone(),
                    source,
                })?;
            }
            if let Some(found) = host.memory_mib.filter(|mib| !(64..=64 << 20).contains(mib)) {
                return Err(SettingsError::Range { what: "memory-mib", found, range: "64 to 67108864" });
            }
        }
        self.migration.validate()
    }

    /// One host.
    pub fn host(&self, name: &HostId) -> Option<&KvmHost> {
        self.hosts.iter().find(|host| host.name == *name)
    }
}

impl KvmHost {
    /// How the other hosts reach its libvirt.
    pub fn peer(&self) -> &str {
        self.peer_uri.as_deref().unwrap_or(&self.uri)
    }

    /// Memory that guests may use, if somebody said so.
    pub fn memory(&self) -> Option<Mib> {
        self.memory_mib.map(Mib)
    }
}

impl MigrationSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        let numbers = [
            ("bandwidth-mib", self.bandwidth_mib, 0..=1 << 20, "0 to 1048576"),
            ("downtime-ms", self.downtime_ms, 1..=2_000_000, "1 to 2000000"),
            ("downtime-limit-ms", self.downtime_limit_ms, 1..=2_000_000, "1 to 2000000"),
            ("post-copy-after-secs", self.post_copy_after_secs, 0..=86_400, "0 to 86400"),
            ("give-up-after-secs", self.give_up_after_secs, 10..=86_400, "10 to 86400"),
            ("parallel", u64::from(self.parallel), 0..=255, "0 to 255"),
        ];
        for (what, found, allowed, range) in numbers {
            if !allowed.contains(&found) {
                return Err(SettingsError::Range { what, found, range });
            }
        }
        if self.tunnelled && self.parallel > 0 {
            return Err(SettingsError::Both { one: "tunnelled", other: "parallel" });
        }
        if self.tunnelled && self.tls {
            return Err(SettingsError::Both { one: "tunnelled", other: "tls" });
        }
        if self.tunnelled && self.local_disks == LocalDisks::Copy {
            return Err(SettingsError::Both { one: "tunnelled", other: "local-disks = \"copy\"" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn settings() -> KvmSettings {
        let host = |name: &str| KvmHost {
            name: HostId::new(name).unwrap(),
            uri: format!("qemu+tcp://{name}/system"),
            peer_uri: None,
            migrate_uri: None,
            memory_mib: Some(512),
            fault_domain: None,
        };
        KvmSettings {
            schema: KVM_SCHEMA,
            controller: None,
            shared_folders: BTreeSet::new(),
            migration: MigrationSettings::default(),
            hosts: vec![host("h1"), host("h2")],
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(settings().validate().is_ok());
        let mut twice = settings();
        twice.hosts[1].name = twice.hosts[0].name.clone();
        assert!(twice.validate().unwrap_err().to_string().contains("h1 is named twice"));
        let mut none = settings();
        none.hosts.clear();
        assert!(matches!(none.validate(), Err(SettingsError::NoHosts)));
        let mut uri = settings();
        uri.hosts[0].peer_uri = Some("vmware://h1".to_owned());
        assert!(matches!(uri.validate(), Err(SettingsError::Uri { what: "peer-uri", .. })));
        let mut endless = settings();
        endless.migration.give_up_after_secs = 0;
        assert!(matches!(endless.validate(), Err(SettingsError::Range { .. })));
        let mut both = settings();
        both.migration.tunnelled = true;
        both.migration.tls = true;
        assert!(matches!(both.validate(), Err(SettingsError::Both { .. })));
    }
}
