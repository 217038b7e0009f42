//! Boot variables of UEFI firmware: where they are kept, what they say, and how a bank is booted once.
//!
//! Owns: the trait [`VarStore`] and a store in memory, the codec of load options and device paths, and the boot
//! control by `BootNext`. Promises: entries of others are kept as they are; whatever is written is read back.
//! Does not: open `efivarfs` (that is `lifeboat-device`) or decide when a bank is tried.
//!
//! Source: UEFI 2.10 §3.1 (boot manager), §8.2 (variable services), §10.3 (device paths).

mod boot;
mod memory;
mod option;
mod path;
mod status;
#[cfg(test)]
mod tests;
mod vars;

pub use boot::{BootEntries, UKI_PATH, UefiBoot, UefiBootError};
pub use memory::{MemVars, VarFault};
pub use option::{
    LoadOption, LoadOptionError, boot_entry_name, boot_entry_number, decode_numbers, encode_numbers,
};
pub use path::{DevicePath, HardDrive, Node, PathError};
pub use status::{OrderEntry, UefiBootStatus};
pub use vars::{
    BOOT_CURRENT, BOOT_NEXT, BOOT_ORDER, EFI_GLOBAL, NV_BS_RT, VOLATILE_BS_RT, Var, VarError, VarName,
    VarStore,
};
