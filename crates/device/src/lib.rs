//! Devices of this machine: disks as files or block devices, firmware variables, the watchdog, mapped devices.
//!
//! Owns: opening them, and refusing what is in use. Promises: nothing is written to a device that the system uses,
//! unless the caller forces it; an error of the device is never lost. Does not: know what the bytes mean.

mod block;
mod busy;
mod dm;
mod efivarfs;
mod ioctl;
mod lock;
mod protect;
mod watchdog;

pub use block::{BlockFile, DeviceError, Force, WriteScope};
pub use busy::{SystemRoots, Use, uses_of, uses_within};
pub use dm::{DeviceMapper, MapError, Mapped};
pub use efivarfs::{EFIVARFS, EfivarFs};
pub use lock::lock_patiently;
pub use protect::{ProtectError, ProtectedImage};
pub use watchdog::{Watchdog, WatchdogError};
