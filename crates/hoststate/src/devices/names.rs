//! The question that is asked about names of devices.

use thiserror::Error;

/// A device that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it is, in a form that is found again: disk and partition.
    pub identity: String,
    /// Whether the identity outlives a move to another slot.
    pub durable: bool,
    /// Its node, such as `/dev/sda1`.
    pub node: String,
    /// Why it is the one, in words.
    pub why: String,
}

/// Why there is no one device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// None.
    #[error("no device of this machine has this name or identity")]
    Unknown,
    /// Several.
    #[error("several devices fit: {}", candidates.join(", "))]
    Ambiguous {
        /// They.
        candidates: Vec<String>,
    },
    /// The disk is here, the partition is not.
    #[error("the disk {disk} is here, and has no such partition")]
    NoPartition {
        /// The disk.
        disk: String,
    },
}

/// What knows the devices of a machine.
pub trait Devices {
    /// The device that a name stands for now, in any spelling.
    fn resolve(&self, name: &str) -> Result<Device, DeviceError>;
    /// The device of an identity.
    fn find(&self, identity: &str) -> Result<Device, DeviceError>;
    /// Every name of an identity that is there now, the most durable first.
    fn names_of(&self, identity: &str) -> Vec<String>;
    /// Some devices that a person could mean, for a message.
    fn candidates(&self) -> Vec<String>;
}

/// A machine whose devices are not known: nothing is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDevices;

impl Devices for NoDevices {
    fn resolve(&self, _: &str) -> Result<Device, DeviceError> {
        Err(DeviceError::Unknown)
    }

    fn find(&self, _: &str) -> Result<Device, DeviceError> {
        Err(DeviceError::Unknown)
    }

    fn names_of(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn candidates(&self) -> Vec<String> {
        Vec::new()
    }
}
