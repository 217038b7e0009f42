//! The variable store in the flash image of a virtual machine's firmware (`OVMF_VARS_4M.fd` and its kind).
//!
//! Owns: the authenticated variable store at the start of the image. Promises: what it writes, EDK II's firmware
//! reads; a damaged image is refused when it is opened, and never read beyond its store. Does not: touch the
//! fault-tolerant-write region behind the store, or write variables that need a signature. A write that the
//! firmware left pending there would be replayed over ours at its next start: give it an image that was shut
//! down, not one that was cut off.
//!
//! Source: layout of EDK II's `VariableFormat.h` and `PiFirmwareVolume.h` (PI 1.7, volume 3 §3.2), checked against
//! images that the firmware itself wrote.

mod layout;
#[cfg(test)]
mod peer;
mod store;
#[cfg(test)]
mod tests;

pub use layout::OvmfError;
pub use store::OvmfVars;
