//! What every store of firmware variables can do.

use std::io;

use crate::guid::Guid;

/// EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c: vendor of `Boot####`, `BootOrder` and `BootNext`.
pub const EFI_GLOBAL: Guid =
    Guid([0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);
/// Attributes of a variable that survives a reset and is seen by a running system.
pub const NV_BS_RT: u32 = 7;
/// Attributes of a variable that firmware sets anew at every boot.
pub const VOLATILE_BS_RT: u32 = 6;
/// List of `Boot####` numbers in the order in which they are tried.
pub const BOOT_ORDER: &str = "BootOrder";
/// One number, tried before the order and deleted by the firmware before it is tried.
pub const BOOT_NEXT: &str = "BootNext";
/// The number that booted the running system; firmware sets it.
pub const BOOT_CURRENT: &str = "BootCurrent";

/// A variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Var {
    /// Attribute bits of UEFI 2.10 §8.2.1; boot variables have [`NV_BS_RT`].
    pub attributes: u32,
    /// Content.
    pub data: Vec<u8>,
}

impl Var {
    /// A value with the attributes of boot variables.
    #[must_use]
    pub fn boot(data: Vec<u8>) -> Self {
        Self { attributes: NV_BS_RT, data }
    }
}

/// Name of a variable: text and the vendor's GUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct VarName {
    /// Who defines the variable.
    pub vendor: Guid,
    /// Its name, case-sensitive.
    pub name: String,
}

impl std::fmt::Display for VarName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.name, self.vendor)
    }
}

/// Why a variable could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VarError {
    /// The system call behind the store failed.
    #[error("cannot {doing} the firmware variable {name}")]
    Io {
        /// Verb: read, write, delete, list.
        doing: &'static str,
        /// Variable, or the store itself.
        name: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The store has no room, even after its dead entries were dropped.
    #[error(
        "the store of firmware variables is full: {name} needs {needs} bytes and {free} are free; delete unused boot entries"
    )]
    Full {
        /// Variable.
        name: String,
        /// Bytes it needs with its header.
        needs: usize,
        /// Bytes that are free.
        free: usize,
    },
    /// The store refuses this value.
    #[error("the firmware variable {name} cannot be stored: {why}")]
    Refused {
        /// Variable.
        name: String,
        /// Reason.
        why: &'static str,
    },
    /// The store's bytes are damaged.
    #[error("the firmware variable {name} is damaged in its store: {why}")]
    Damaged {
        /// Variable.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A test planned this failure.
    #[error("write {write} to the firmware variables failed as planned ({name})")]
    Planned {
        /// Number of the write, from 0.
        write: u64,
        /// Variable.
        name: String,
    },
}

/// A store of firmware variables: `efivarfs`, an image of a virtual machine's flash, or memory.
///
/// A write of one variable is atomic in real firmware: after a power cut the old value is there or the new one.
/// Two writes are not.
pub trait VarStore {
    /// The value of a variable, `None` if it does not exist.
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError>;

    /// Creates or replaces a variable.
    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError>;

    /// Removes a variable; one that does not exist is no error.
    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError>;

    /// Names of all variables, sorted.
    fn list(&self) -> Result<Vec<VarName>, VarError>;
}

impl<T: VarStore + ?Sized> VarStore for &mut T {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        (**self).get(name, vendor)
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        (**self).set(name, vendor, var)
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        (**self).delete(name, vendor)
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        (**self).list()
    }
}

impl<T: VarStore + ?Sized> VarStore for Box<T> {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        (**self).get(name, vendor)
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        (**self).set(name, vendor, var)
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        (**self).delete(name, vendor)
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        (**self).list()
    }
}
