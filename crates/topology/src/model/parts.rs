//! Adapters, targets, LUNs and paths.
//!
//! Owns: the values, as they stand in JSON. Promises: addresses are lower case without separators, sizes are bytes, and
//! what a source does not tell is absent, not guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ident::{DeviceIds, Identity};

/// How an adapter speaks to its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Transport {
    /// Fibre Channel.
    Fc,
    /// Fibre Channel over Ethernet.
    Fcoe,
    /// iSCSI.
    Iscsi,
    /// Serial attached SCSI.
    Sas,
    /// ATA, SATA.
    Ata,
    /// NVMe on the PCI bus.
    Nvme,
    /// NVMe over a fabric.
    NvmeFabrics,
    /// USB.
    Usb,
    /// virtio block or SCSI.
    Virtio,
    /// Xen's virtual block device.
    Xen,
    /// Parallel SCSI, or a RAID controller that says no more.
    Scsi,
    /// SD and MMC cards.
    Mmc,
    /// Something else.
    Other,
}

impl Transport {
    /// Its word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fc => "fc",
            Self::Fcoe => "fcoe",
            Self::Iscsi => "iscsi",
            Self::Sas => "sas",
            Self::Ata => "ata",
            Self::Nvme => "nvme",
            Self::NvmeFabrics => "nvme-fabrics",
            Self::Usb => "usb",
            Self::Virtio => "virtio",
            Self::Xen => "xen",
            Self::Scsi => "scsi",
            Self::Mmc => "mmc",
            Self::Other => "other",
        }
    }

    /// Whether one LUN is expected behind several ports.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Fc | Self::Fcoe | Self::Iscsi | Self::NvmeFabrics)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// An adapter, initiator or controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Its name on the host: `host7`, `nvme0`, `virtio3`, `vmhba1`.
    pub id: String,
    /// How it speaks.
    pub transport: Transport,
    /// Place on the PCI bus: `0000:05:00.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Kernel driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Vendor and model, or PCI numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// FC node name, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwnn: Option<String>,
    /// FC port name, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwpn: Option<String>,
    /// iSCSI initiator name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iqn: Option<String>,
    /// SAS address, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sas_address: Option<String>,
    /// State in the driver's word: `running`, `Online`, `live`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Speed of an FC port in its driver's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
    /// iSCSI sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
}

impl Adapter {
    /// An adapter of which only this is known.
    pub fn new(id: impl Into<String>, transport: Transport) -> Self {
        Self {
            id: id.into(),
            transport,
            address: None,
            driver: None,
            model: None,
            wwnn: None,
            wwpn: None,
            iqn: None,
            sas_address: None,
            state: None,
            speed: None,
            sessions: Vec::new(),
        }
    }
}

/// One iSCSI session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name on the host: `session1`.
    pub id: String,
    /// Name of the target.
    pub target: String,
    /// Portal, `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
    /// State: `LOGGED_IN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What an adapter sees: a port of an array, an iSCSI target, a SAS end device, an NVMe subsystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `fc.5006…`, an IQN, `sas.5000…`, an NQN; a place such as `target0:0:0` where it has no name.
    pub id: String,
    /// How it is reached.
    pub transport: Transport,
    /// FC node name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwnn: Option<String>,
    /// FC port name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwpn: Option<String>,
    /// iSCSI name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iqn: Option<String>,
    /// iSCSI portals, or addresses of an NVMe subsystem.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub portals: Vec<String>,
    /// SAS address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sas_address: Option<String>,
    /// NVMe subsystem name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nqn: Option<String>,
}

impl Target {
    /// A target of which only this is known.
    pub fn new(id: impl Into<String>, transport: Transport) -> Self {
        Self {
            id: id.into(),
            transport,
            wwnn: None,
            wwpn: None,
            iqn: None,
            portals: Vec::new(),
            sas_address: None,
            nqn: None,
        }
    }
}

/// What a LUN is; numbers of SPC's peripheral device types in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LunKind {
    /// Direct access (0), reduced (14), zoned (20).
    Disk,
    /// Sequential access (1).
    Tape,
    /// CD, DVD (5).
    Rom,
    /// Storage array controller (12).
    Controller,
    /// Enclosure (13).
    Enclosure,
    /// Another type.
    Other,
}

impl LunKind {
    /// From the number of a SCSI device type.
    pub const fn of_type(number: u64) -> Self {
        match number {
            0 | 7 | 14 | 20 => Self::Disk,
            1 => Self::Tape,
            5 => Self::Rom,
            12 => Self::Controller,
            13 => Self::Enclosure,
            _ => Self::Other,
        }
    }

    /// Its word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Tape => "tape",
            Self::Rom => "rom",
            Self::Controller => "controller",
            Self::Enclosure => "enclosure",
            Self::Other => "other",
        }
    }
}

/// A logical unit, once, however many paths lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lun {
    /// What it is known by.
    pub identity: Identity,
    /// What it is.
    pub kind: LunKind,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Vendor in the LUN's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model in the LUN's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Revision of its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Serial number (VPD page 0x80, or what takes its place).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Everything it says of itself.
    pub ids: DeviceIds,
    /// The multipath map on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Map>,
    /// Kernel names of its paths, and of the map: `sda`, `sdb`, `dm-0`.
    pub devices: Vec<String>,
}

/// A multipath map, or what a vendor's plug-in does in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Its name: `mpatha`.
    pub name: String,
    /// Kernel name: `dm-0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// World wide id as multipath writes it: `36f01…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// Path selection policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Hardware handler, or array type plug-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Features, as `queue_if_no_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
}

/// Host, channel, target and LUN number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hctl {
    /// Number of the SCSI host.
    pub host: u32,
    /// Channel.
    pub channel: u32,
    /// Target.
    pub target: u32,
    /// LUN.
    pub lun: u64,
}

impl fmt::Display for Hctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.channel, self.target, self.lun)
    }
}

impl FromStr for Hctl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit())).ok_or(());
        let host = next()?.parse().map_err(drop)?;
        let channel = next()?.parse().map_err(drop)?;
        let target = next()?.parse().map_err(drop)?;
        let lun = next()?.parse().map_err(drop)?;
        if parts.next().is_some() { Err(()) } else { Ok(Self { host, channel, target, lun }) }
    }
}

impl Serialize for Hctl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hctl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("not HOST:CHANNEL:TARGET:LUN"))
    }
}

/// Whether a path carries data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathState {
    /// It does.
    Up,
    /// It is there and takes over when told: ALUA standby, a group that is not active.
    Standby,
    /// It does not.
    Down,
    /// The source does not tell.
    Unknown,
}

impl PathState {
    /// Its word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Standby => "standby",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// One way from an adapter to a LUN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Which LUN.
    pub lun: Identity,
    /// Through which adapter.
    pub adapter: String,
    /// Through which target; none where there is none, as with virtio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Address in the SCSI layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hctl: Option<Hctl>,
    /// Number of the LUN at the target; of the namespace with NVMe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Kernel name: `sda`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Name of the path where it has one: `vmhba1:C0:T1:L1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it carries data.
    pub state: PathState,
    /// The words that it was concluded from: `running`, `active faulty running`.
    pub words: String,
    /// How it speaks.
    pub transport: Transport,
    /// Size of the LUN as seen on this path, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Serial number as seen on this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}
