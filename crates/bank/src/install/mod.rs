//! Writing a release into a bank.
//!
//! Owns: the order of an install: record invalid → unbootable → write → flush → read back and compare every byte →
//! boot sectors → record upgraded. Promises: the active bank is never written; a power cut at any write leaves the
//! other bank as it was and this one invalid; nothing is called upgraded that was not read back from the disk.
//! Does not: decide when to boot it, check signatures, or know where the image comes from.

mod error;
mod prepare;
mod request;
mod run;
mod stream;
mod verify;
mod write;

pub use error::InstallError;
pub use request::{Image, InstallRequest, Installed, Step, kernel_line};
pub use run::{bootstrap, install};
pub use verify::{BankCheck, verify_bank};
