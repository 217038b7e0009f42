//! One id of a disk, and all that a disk has.
//!
//! Owns: the kinds of ids with their rank, the text form `kind.value`, the keys by which two ids are the same, and the
//! spellings that follow from an id. Promises: the text form is stable and stands in backups; ranks only order ids, they
//! never make two devices one. Does not: read names (that is `names`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::identity::IdentityError;
use super::token::{is_hex, token};

/// Longest value of an id.
const LONGEST: usize = 1024;

/// What kind of id it is, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdKind {
    /// NAA, 16 or 32 hexadecimal digits (SPC, VPD page 0x83).
    Naa,
    /// EUI-64 and its longer forms, 16, 24 or 32 hexadecimal digits.
    Eui,
    /// UUID of a namespace or LUN.
    Uuid,
    /// NVMe id made of vendor, serial, model and namespace.
    Nvme,
    /// SCSI name string: an IQN with the LUN behind it.
    Name,
    /// UUID in the device mapper, as `LVM-…`.
    Dm,
    /// UUID of a RAID of md.
    Md,
    /// T10: vendor, and what the vendor wrote.
    T10,
    /// Model and serial of an ATA disk.
    Ata,
    /// Model and serial of an NVMe disk.
    NvmeSerial,
    /// Vendor, model and serial of a SCSI disk.
    Scsi,
    /// Vendor, model and serial of a USB disk.
    Usb,
    /// Serial that a hypervisor gives.
    Virtio,
    /// Name and serial of a card.
    Mmc,
    /// File behind a loop device.
    File,
    /// Only a place: by-path, a SCSI address.
    Place,
    /// Only a name of today: `sda`.
    Kernel,
}

impl IdKind {
    const ALL: [(Self, &'static str); 17] = [
        (Self::Naa, "naa"),
        (Self::Eui, "eui"),
        (Self::Uuid, "uuid"),
        (Self::Nvme, "nvme"),
        (Self::Name, "name"),
        (Self::Dm, "dm"),
        (Self::Md, "md"),
        (Self::T10, "t10"),
        (Self::Ata, "ata"),
        (Self::NvmeSerial, "nvme-serial"),
        (Self::Scsi, "scsi"),
        (Self::Usb, "usb"),
        (Self::Virtio, "virtio"),
        (Self::Mmc, "mmc"),
        (Self::File, "file"),
        (Self::Place, "place"),
        (Self::Kernel, "kernel"),
    ];

    /// Its word in the text form.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("kernel", |(_, word)| word)
    }

    /// Whether a device keeps it when it is moved or the host is installed anew.
    pub const fn is_durable(self) -> bool {
        !matches!(self, Self::File | Self::Place | Self::Kernel)
    }

    /// Whether no two LUNs of the world may share it, so that two paths with it are one LUN.
    pub const fn is_unique(self) -> bool {
        matches!(self, Self::Naa | Self::Eui | Self::Uuid | Self::Nvme | Self::Name | Self::T10)
    }
}

/// One id. Its text form is `naa.600508b1…`, `t10.ATA_QEMU_HARDDISK_QM00001`, `place.pci-0000:00:04.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiskId {
    kind: IdKind,
    value: String,
}

impl DiskId {
    /// An id; letters of hexadecimal kinds become small, blanks become `_` as in udev's names.
    pub fn new(kind: IdKind, value: &str) -> Result<Self, IdentityError> {
        let value = value.trim();
        let hex = |sizes: &[usize]| {
            let fits = sizes.contains(&value.len()) && is_hex(value);
            fits.then(|| value.to_ascii_lowercase())
        };
        let value = match kind {
            IdKind::Naa => hex(&[16, 32]),
            IdKind::Eui => hex(&[16, 24, 32]),
            IdKind::Uuid => Some(value.to_ascii_lowercase()),
            IdKind::File => Some(value.to_owned()),
            IdKind::Kernel => Some(value.replace(char::is_control, "_")),
            _ => Some(token(value)),
        };
        match value {
            // An ATA disk behind a SCSI driver says "ATA", model, serial; behind its own, model and serial.
            Some(value) if kind == IdKind::T10 && value.starts_with("ATA_") && value.len() <= LONGEST => {
                Self::new(IdKind::Ata, value.trim_start_matches("ATA_"))
            }
            Some(value) if !value.is_empty() && value.len() <= LONGEST => Ok(Self { kind, value }),
            Some(_) | None => Err(IdentityError::Value { kind: kind.word() }),
        }
    }

    /// Only a name of today.
    pub(crate) fn kernel(name: &str) -> Self {
        let unnamed = Self { kind: IdKind::Kernel, value: "unnamed".to_owned() };
        Self::new(IdKind::Kernel, name).unwrap_or(unnamed)
    }

    /// NAA or EUI by the number of its designator; none when it is neither.
    pub(crate) fn of_hex(hex: &str) -> Option<Self> {
        let kind = match (hex.len(), hex.bytes().next()?) {
            (16, b'2' | b'3' | b'5') | (32, b'6') => IdKind::Naa,
            _ => IdKind::Eui,
        };
        Self::new(kind, hex).ok()
    }

    /// What kind it is.
    pub fn kind(&self) -> IdKind {
        self.kind
    }

    /// Its value, without the kind.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Order of preference: the lower, the more it tells. NAA 6 and 5 are registered; others are made up by somebody.
    pub(crate) fn rank(&self) -> (u8, IdKind) {
        let rank = match (self.kind, self.value.bytes().next()) {
            (IdKind::Naa, Some(b'5' | b'6')) => 0,
            (IdKind::Naa | IdKind::Eui | IdKind::Uuid, _) => 1,
            (IdKind::File | IdKind::Place | IdKind::Kernel, _) => 9,
            _ => 2,
        };
        (rank, self.kind)
    }

    /// Words that are equal exactly when two ids name the same device, through whatever driver they were told.
    pub(crate) fn keys(&self) -> Vec<String> {
        let value = &self.value;
        let mut keys = match self.kind {
            IdKind::Naa | IdKind::Eui => vec![format!("hex {value}")],
            IdKind::Ata => vec![format!("serial {value}")],
            IdKind::Scsi => vec![format!("scsi {value}")],
            kind => vec![format!("{} {value}", kind.word())],
        };
        if let (IdKind::Scsi, Some(rest)) = (self.kind, value.strip_prefix("ATA_")) {
            keys.push(format!("serial {rest}"));
        }
        keys
    }

    /// The names of a disk with this id under `/dev`, by the rules of udev, multipath and others.
    pub(crate) fn spellings(&self) -> Vec<String> {
        let value = &self.value;
        let by_id = |name: String| format!("/dev/disk/by-id/{name}");
        match self.kind {
            IdKind::Naa | IdKind::Eui => {
                let digit = if self.kind == IdKind::Naa { '3' } else { '2' };
                let mut names = vec![
                    by_id(format!("wwn-0x{value}")),
                    by_id(format!("scsi-{digit}{value}")),
                    by_id(format!("cciss-{digit}{value}")),
                    by_id(format!("dm-uuid-mpath-{digit}{value}")),
                    format!("/dev/mapper/{digit}{value}"),
                    format!("/dev/disk/by-scsid/{digit}{value}"),
                ];
                if self.kind == IdKind::Eui {
                    names.push(by_id(format!("nvme-eui.{value}")));
                }
                names
            }
            IdKind::Uuid => vec![by_id(format!("nvme-uuid.{value}"))],
            IdKind::Nvme => vec![by_id(format!("nvme-nvme.{value}"))],
            IdKind::Name => vec![by_id(format!("scsi-8{value}"))],
            IdKind::Dm => vec![by_id(format!("dm-uuid-{value}"))],
            IdKind::Md => vec![by_id(format!("md-uuid-{value}"))],
            IdKind::T10 => vec![
                by_id(format!("scsi-1{value}")),
                by_id(format!("dm-uuid-mpath-1{value}")),
                format!("/dev/disk/by-scsid/1{value}"),
            ],
            IdKind::Ata => vec![
                by_id(format!("ata-{value}")),
                by_id(format!("scsi-SATA_{value}")),
                by_id(format!("scsi-1ATA_{value}")),
            ],
            IdKind::NvmeSerial => vec![by_id(format!("nvme-{value}"))],
            IdKind::Scsi => vec![by_id(format!("scsi-S{value}"))],
            IdKind::Usb => vec![by_id(format!("usb-{value}"))],
            IdKind::Virtio => vec![by_id(format!("virtio-{value}"))],
            IdKind::Mmc => vec![by_id(format!("mmc-{value}"))],
            IdKind::Place => vec![format!("/dev/disk/by-path/{value}")],
            IdKind::Kernel => vec![format!("/dev/{}", value.replace('!', "/"))],
            IdKind::File => Vec::new(),
        }
    }
}

impl PartialOrd for DiskId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DiskId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank()).then_with(|| self.value.cmp(&other.value))
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.word(), self.value)
    }
}

impl FromStr for DiskId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (word, value) = text.split_once('.').ok_or(IdentityError::Form)?;
        let kind = IdKind::ALL.iter().find(|(_, known)| *known == word).ok_or(IdentityError::Kind)?.0;
        Self::new(kind, value)
    }
}

impl Serialize for DiskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DiskId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Every id of one disk, the most telling first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceIds(Vec<DiskId>);

impl DeviceIds {
    /// Adds an id; one that is there already is not added again.
    pub fn add(&mut self, id: DiskId) {
        if let Err(place) = self.0.binary_search(&id) {
            self.0.insert(place, id);
        }
    }

    /// Adds an id if its value can be one.
    pub(crate) fn take(&mut self, kind: IdKind, value: &str) {
        if let Ok(id) = DiskId::new(kind, value) {
            self.add(id);
        }
    }

    pub(crate) fn extend_one(&mut self, id: Option<DiskId>) {
        if let Some(id) = id {
            self.add(id);
        }
    }

    /// The ids.
    pub fn iter(&self) -> std::slice::Iter<'_, DiskId> {
        self.0.iter()
    }

    /// The most telling one.
    pub fn best(&self) -> Option<&DiskId> {
        self.0.first()
    }
}

impl<'a> IntoIterator for &'a DeviceIds {
    type Item = &'a DiskId;
    type IntoIter = std::slice::Iter<'a, DiskId>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
