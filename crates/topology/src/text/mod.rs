//! Saved outputs of programs: of multipath, lsscsi, iscsiadm and sg_vpd on Linux, of esxcfg and esxcli on ESX.
//!
//! Promises: a file may hold several outputs, prompts and prose between them; what is not understood is passed over, and
//! what was understood is told. Does not: believe sizes of such outputs to the byte: they are rounded by their programs.

mod build;
mod esx;
mod esx_devices;
mod multipath;
mod read;
mod scsi;

pub use read::{TextError, read_text};
