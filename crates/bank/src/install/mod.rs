//! Writing a release into a bank.
//!
//! Owns: the order of an install: record invalid → unbootable → write → flush → read back and compare every byte →
//! boot sectors → record upgraded. Promises: the active bank is never written; a power cut at any write leaves the
//! other bank as it was and this one invalid; nothing is called upgraded that was not read back from the disk.
//! Does not: decide when to boot it, check signatures, or know where the image comes from.

mod copy;
mod error;
mod image;
mod prepare;
mod request;
mod run;
mod stream;
mod verify;
mod write;

pub(crate) use copy::{CopySource, copy_bank};
pub use error::InstallError;
pub use image::{INDEX_PATH, read_root_index};
pub use request::{Image, InstallRequest, Installed, Step, kernel_line};
pub use run::{bootstrap, bootstrap_from, install, install_from};
pub use verify::{BankCheck, check_boot, verify_bank};
