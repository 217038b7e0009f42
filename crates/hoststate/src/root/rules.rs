//! Which path belongs to which section, and what is left out.
//!
//! The tables are documented for people in `docs/ops/host-state.md`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::path::RelPath;

/// A section of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Names by which a host is known: host name, machine-id.
    Identity,
    /// Network: files, and the network cards that were there.
    Network,
    /// Storage: tables of file systems, RAID, LVM, iSCSI, multipath, and the devices that they name.
    Storage,
    /// Definitions of guests, networks, pools, filters.
    Libvirt,
    /// Accounts and keys of SSH.
    Users,
    /// What runs by the clock.
    Schedule,
    /// All else in `/etc`.
    Configuration,
    /// List of installed packages; for information, never restored.
    Packages,
}

impl Section {
    /// All, in the order in which they lie in a backup.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Network,
        Self::Storage,
        Self::Libvirt,
        Self::Users,
        Self::Schedule,
        Self::Configuration,
        Self::Packages,
    ];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Network => "network",
            Self::Storage => "storage",
            Self::Libvirt => "libvirt",
            Self::Users => "users",
            Self::Schedule => "schedule",
            Self::Configuration => "configuration",
            Self::Packages => "packages",
        }
    }

    /// Whether its files mean the same to another version of the product. The rest of `/etc` does not.
    pub const fn outlives_versions(self) -> bool {
        match self {
            Self::Identity | Self::Network | Self::Storage | Self::Libvirt | Self::Users | Self::Schedule => {
                true
            }
            Self::Configuration | Self::Packages => false,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Section {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|section| section.word() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|section| section.word()).collect();
            format!("there is no section {text:?}; there are: {}", known.join(", "))
        })
    }
}

/// Where a walk begins.
pub(super) const BEGINNINGS: [&str; 9] = [
    "etc",
    "root/.ssh",
    "var/lib/iscsi",
    "var/lib/libvirt/qemu/checkpoint",
    "var/lib/libvirt/qemu/nvram",
    "var/lib/libvirt/qemu/save",
    "var/lib/libvirt/qemu/snapshot",
    "var/lib/libvirt/swtpm",
    "var/spool/cron",
];

/// What belongs to a section: the path and all below it. The first that fits counts.
const BELONGS: [(&str, Section); 70] = [
    ("etc/hostname", Section::Identity),
    ("etc/machine-id", Section::Identity),
    ("etc/machine-info", Section::Identity),
    ("etc/network", Section::Network),
    ("etc/netplan", Section::Network),
    ("etc/systemd/network", Section::Network),
    ("etc/systemd/networkd.conf", Section::Network),
    ("etc/systemd/networkd.conf.d", Section::Network),
    ("etc/systemd/resolved.conf", Section::Network),
    ("etc/systemd/resolved.conf.d", Section::Network),
    ("etc/NetworkManager", Section::Network),
    ("etc/sysconfig/network", Section::Network),
    ("etc/sysconfig/network-scripts", Section::Network),
    ("etc/wicked", Section::Network),
    ("etc/hosts", Section::Network),
    ("etc/resolv.conf", Section::Network),
    ("etc/resolvconf", Section::Network),
    ("etc/iproute2", Section::Network),
    ("etc/udev/rules.d/70-persistent-net.rules", Section::Network),
    ("etc/openvswitch", Section::Network),
    ("etc/dhcp", Section::Network),
    ("etc/dhcpcd.conf", Section::Network),
    ("etc/nftables.conf", Section::Network),
    ("etc/nftables", Section::Network),
    ("etc/iptables", Section::Network),
    ("etc/firewalld", Section::Network),
    ("etc/fstab", Section::Storage),
    ("etc/fstab.d", Section::Storage),
    ("etc/crypttab", Section::Storage),
    ("etc/mdadm", Section::Storage),
    ("etc/mdadm.conf", Section::Storage),
    ("etc/mdadm.conf.d", Section::Storage),
    ("etc/lvm", Section::Storage),
    ("etc/iscsi", Section::Storage),
    ("var/lib/iscsi", Section::Storage),
    ("etc/multipath", Section::Storage),
    ("etc/multipath.conf", Section::Storage),
    ("etc/nvme", Section::Storage),
    ("etc/target", Section::Storage),
    ("etc/tgt", Section::Storage),
    ("etc/exports", Section::Storage),
    ("etc/exports.d", Section::Storage),
    ("etc/initramfs-tools/conf.d/resume", Section::Storage),
    ("etc/default/grub", Section::Storage),
    ("etc/kernel/cmdline", Section::Storage),
    ("etc/libvirt", Section::Libvirt),
    ("var/lib/libvirt/qemu/checkpoint", Section::Libvirt),
    ("var/lib/libvirt/qemu/nvram", Section::Libvirt),
    ("var/lib/libvirt/qemu/snapshot", Section::Libvirt),
    ("var/lib/libvirt/swtpm", Section::Libvirt),
    ("etc/passwd", Section::Users),
    ("etc/group", Section::Users),
    ("etc/shadow", Section::Users),
    ("etc/gshadow", Section::Users),
    ("etc/subuid", Section::Users),
    ("etc/subgid", Section::Users),
    ("etc/sudoers", Section::Users),
    ("etc/sudoers.d", Section::Users),
    ("etc/ssh", Section::Users),
    ("root/.ssh", Section::Users),
    ("etc/crontab", Section::Schedule),
    ("etc/anacrontab", Section::Schedule),
    ("etc/cron.d", Section::Schedule),
    ("etc/cron.hourly", Section::Schedule),
    ("etc/cron.daily", Section::Schedule),
    ("etc/cron.weekly", Section::Schedule),
    ("etc/cron.monthly", Section::Schedule),
    ("var/spool/cron", Section::Schedule),
    ("etc/systemd/system/timers.target.wants", Section::Schedule),
    ("etc", Section::Configuration),
];

/// What is never kept, the path and all below it, and why.
const LEFT_OUT: [(&str, &str); 24] = [
    ("etc/os-release", PRODUCT),
    ("etc/debian_version", PRODUCT),
    ("etc/redhat-release", PRODUCT),
    ("etc/centos-release", PRODUCT),
    ("etc/system-release", PRODUCT),
    ("etc/system-release-cpe", PRODUCT),
    ("etc/lsb-release", PRODUCT),
    ("etc/issue", PRODUCT),
    ("etc/issue.net", PRODUCT),
    ("etc/xcp-ng-release", PRODUCT),
    ("etc/lifeboat/state.json", "comes with the release, not with the host"),
    ("etc/lifeboat/migrations", "comes with the release, not with the host"),
    ("etc/ld.so.cache", COMPUTED),
    ("etc/mtab", COMPUTED),
    ("etc/blkid.tab", COMPUTED),
    ("etc/.updated", COMPUTED),
    ("etc/udev/hwdb.bin", COMPUTED),
    ("etc/apparmor.d/cache", COMPUTED),
    ("etc/lvm/cache", COMPUTED),
    ("etc/lvm/archive", "old metadata of LVM; the newest is in etc/lvm/backup, and is kept"),
    ("etc/.pwd.lock", "a lock"),
    ("etc/lvm/backup/.lock", "a lock"),
    ("etc/alternatives/.lock", "a lock"),
    (
        "var/lib/libvirt/qemu/save",
        "memory of a guest that was stopped with managed-save; it belongs to the guest's disks",
    ),
];

const PRODUCT: &str =
    "tells which product is installed; putting it back would make the host lie about its version";
const COMPUTED: &str = "is computed by the system";

/// The section of a path; none for folders that only lead to one.
pub fn section_of(path: &RelPath) -> Option<Section> {
    let is_key = |text: &str| BELONGS.iter().find(|(folder, _)| path.is_within(folder) && *folder != text);
    if path.as_bytes().ends_with(b".timer") && path.is_within("etc/systemd/system") {
        return Some(Section::Schedule);
    }
    // `ifcfg-eth0` of older systems, `passwd-` and the like beside their originals.
    let twin = path.as_bytes().strip_suffix(b"-").and_then(|bytes| RelPath::new(bytes).ok());
    if let Some(twin) = twin
        && ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"]
            .iter()
            .any(|file| twin.as_bytes() == file.as_bytes())
    {
        return Some(Section::Users);
    }
    is_key("").map(|(_, section)| *section)
}

/// Why a path is never kept; none if it is.
pub fn excluded(path: &RelPath) -> Option<&'static str> {
    let name = path.name();
    if name.starts_with(TEMPORARY.as_bytes()) {
        return Some("a file that a restore is writing");
    }
    for end in [".dpkg-new", ".dpkg-tmp", ".rpmsave.tmp", ".swp"] {
        if name.ends_with(end.as_bytes()) {
            return Some("a file that somebody is writing");
        }
    }
    LEFT_OUT.iter().find(|(folder, _)| path.is_within(folder)).map(|(_, why)| *why)
}

/// How the names of files begin that a restore is writing.
pub(crate) const TEMPORARY: &str = ".lifeboat-restore.";

/// What belongs to a guest and moves on with it: it is put back where it is missing, never over what is there.
pub(crate) fn belongs_to_a_guest(path: &RelPath) -> bool {
    path.is_within("var/lib/libvirt/qemu/nvram") || path.is_within("var/lib/libvirt/swtpm")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn section(path: &str) -> Option<Section> {
        section_of(&RelPath::new(path.as_bytes()).unwrap())
    }

    #[test]
    fn every_kind_of_file_has_its_section() {
        assert_eq!(section("etc/network/interfaces.d/br0"), Some(Section::Network));
        assert_eq!(section("etc/networks"), Some(Section::Configuration));
        assert_eq!(section("etc/fstab"), Some(Section::Storage));
        assert_eq!(section("etc/libvirt/qemu/autostart/web.xml"), Some(Section::Libvirt));
        assert_eq!(section("etc/shadow-"), Some(Section::Users));
        assert_eq!(section("etc/systemd/system/backup.timer"), Some(Section::Schedule));
        assert_eq!(section("etc/systemd/system/backup.service"), Some(Section::Configuration));
        assert_eq!(section("var/lib"), None);
    }

    #[test]
    fn what_tells_the_product_is_never_put_back() {
        let path = RelPath::new(b"etc/os-release").unwrap();
        assert!(excluded(&path).is_some_and(|why| why.contains("product")));
        assert!(excluded(&RelPath::new(b"etc/fstab").unwrap()).is_none());
    }

    #[test]
    fn every_section_has_a_name_that_is_read_back() {
        for section in Section::ALL {
            assert_eq!(section.word().parse::<Section>(), Ok(section));
        }
        assert!("disks".parse::<Section>().is_err_and(|error| error.contains("storage")));
    }
}
