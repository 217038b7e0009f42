//! Device mapper: a read-only device that checks each block by a hash tree when it is read.
//!
//! Owns: the control node's calls that make, ask and remove one mapped device, and the bytes of their one structure
//! (linux/dm-ioctl.h, version 4). Promises: a device whose table the kernel refused is removed again; what the kernel
//! answers is read within the bounds of the buffer that it was given. Does not: know what a table means.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::ioctl::{DM_BYTES, DmCall, dm_call};

/// Offset of the fields of struct dm_ioctl.
mod at {
    pub(super) const VERSION: usize = 0;
    pub(super) const DATA_SIZE: usize = 12;
    pub(super) const DATA_START: usize = 16;
    pub(super) const TARGET_COUNT: usize = 20;
    pub(super) const FLAGS: usize = 28;
    pub(super) const DEV: usize = 40;
    pub(super) const NAME: usize = 48;
    pub(super) const UUID: usize = 176;
    /// Length of the structure; payload comes behind it.
    pub(super) const PAYLOAD: usize = 312;
}

/// DM_READONLY_FLAG.
const READ_ONLY: u32 = 1;
/// Length of struct dm_target_spec.
const TARGET: usize = 40;

/// Why a mapped device could not be made or asked.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The control node cannot be opened.
    #[error("opening {}; is the kernel module dm-mod loaded?", path.display())]
    Control {
        /// The node.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A call failed.
    #[error("{doing} the mapped device {name:?}; dmesg tells what the kernel refused")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name or a table is longer than the kernel's structure.
    #[error("the {what} of the mapped device is too long")]
    TooLong {
        /// What is.
        what: &'static str,
    },
    /// The kernel's answer has not the form that it should.
    #[error("the kernel's answer about the mapped device {name:?} cannot be understood")]
    Answer {
        /// Its name.
        name: String,
    },
}

/// A device that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Its minor number: the node is `/dev/dm-MINOR`.
    pub minor: u32,
}

/// The device mapper of this machine.
#[derive(Debug)]
pub struct DeviceMapper {
    control: File,
}

impl DeviceMapper {
    /// Opens the control node, `/dev/mapper/control`.
    pub fn open(path: &Path) -> Result<Self, MapError> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| MapError::Control { path: path.to_owned(), source })?;
        Ok(Self { control })
    }

    /// Makes the read-only device `name` of `sectors` sectors with one target of kind `target` and its parameters, and
    /// starts it. A device that cannot be started is removed.
    pub fn create_read_only(
        &self,
        name: &str,
        uuid: &str,
        sectors: u64,
        target: &str,
        parameters: &str,
    ) -> Result<Mapped, MapError> {
        let created = self.call(DmCall::Create, "creating", name, uuid, 0, None)?;
        let started = self.start(name, sectors, target, parameters);
        match started {
            Ok(()) => Ok(Mapped { minor: minor_of(&created) }),
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.remove(name);
                Err(error)
            }
        }
    }

    fn start(&self, name: &str, sectors: u64, target: &str, parameters: &str) -> Result<(), MapError> {
        let table = table(sectors, target, parameters)?;
        self.call(DmCall::Load, "loading the table of", name, "", READ_ONLY, Some(&table))?;
        // Without the suspend flag this call resumes, which puts the table in force.
        self.call(DmCall::Suspend, "starting", name, "", 0, None)?;
        Ok(())
    }

    /// Removes a device that nobody has open.
    pub fn remove(&self, name: &str) -> Result<(), MapError> {
        self.call(DmCall::Remove, "removing", name, "", 0, None).map(|_| ())
    }

    /// What the first target says of itself; for `verity` that is `V`, or `C` once a damaged block was met. None if
    /// there is no such device.
    pub fn status(&self, name: &str) -> Result<Option<String>, MapError> {
        let answer = match self.call(DmCall::Status, "asking", name, "", 0, None) {
            Ok(answer) => answer,
            Err(MapError::Call { source, .. }) if source.raw_os_error() == Some(ENXIO) => return Ok(None),
            Err(error) => return Err(error),
        };
        let wrong = || MapError::Answer { name: name.to_owned() };
        let start =
            word(&*answer, at::DATA_START).and_then(|start| usize::try_from(start).ok()).ok_or_else(wrong)?;
        if word(&*answer, at::TARGET_COUNT) == Some(0) {
            return Err(wrong());
        }
        let text = answer.get(start.saturating_add(TARGET)..).ok_or_else(wrong)?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(text).trim().to_owned()))
    }

    fn call(
        &self,
        call: DmCall,
        doing: &'static str,
        name: &str,
        uuid: &str,
        flags: u32,
        payload: Option<&[u8]>,
    ) -> Result<Box<[u8; DM_BYTES]>, MapError> {
        let mut buffer = request(name, uuid, flags, payload)?;
        dm_call(&self.control, call, &mut buffer).map_err(|source| MapError::Call {
            doing,
            name: name.to_owned(),
            source,
        })?;
        Ok(buffer)
    }
}

/// The kernel's number for "no such device".
const ENXIO: i32 = 6;

/// The structure of a call, its payload behind it.
fn request(
    name: &str,
    uuid: &str,
    flags: u32,
    payload: Option<&[u8]>,
) -> Result<Box<[u8; DM_BYTES]>, MapError> {
    // One byte of each text is for its NUL.
    if name.is_empty() || name.len() > 127 || name.contains(['/', '\0']) {
        return Err(MapError::TooLong { what: "name" });
    }
    if uuid.len() > 128 {
        return Err(MapError::TooLong { what: "UUID" });
    }
    let payload = payload.unwrap_or_default();
    if payload.len() > DM_BYTES - at::PAYLOAD {
        return Err(MapError::TooLong { what: "table" });
    }
    let mut buffer = Box::new([0_u8; DM_BYTES]);
    let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_ne_bytes();
    put(&mut *buffer, at::VERSION, &4_u32.to_ne_bytes());
    put(&mut *buffer, at::DATA_SIZE, &len(DM_BYTES));
    put(&mut *buffer, at::DATA_START, &len(at::PAYLOAD));
    put(&mut *buffer, at::TARGET_COUNT, &u32::from(!payload.is_empty()).to_ne_bytes());
    put(&mut *buffer, at::FLAGS, &flags.to_ne_bytes());
    put(&mut *buffer, at::NAME, name.as_bytes());
    put(&mut *buffer, at::UUID, uuid.as_bytes());
    put(&mut *buffer, at::PAYLOAD, payload);
    Ok(buffer)
}

/// One struct dm_target_spec with its parameters.
fn table(sectors: u64, target: &str, parameters: &str) -> Result<Vec<u8>, MapError> {
    if target.len() > 15 {
        return Err(MapError::TooLong { what: "kind of target" });
    }
    let whole = (TARGET + parameters.len() + 1).next_multiple_of(8);
    let mut bytes = vec![0_u8; whole];
    put(&mut bytes, 8, &sectors.to_ne_bytes());
    put(&mut bytes, 20, &u32::try_from(whole).unwrap_or(u32::MAX).to_ne_bytes());
    put(&mut bytes, 24, target.as_bytes());
    put(&mut bytes, TARGET, parameters.as_bytes());
    Ok(bytes)
}

/// Minor number of the device in an answer: the low byte, and the bits above the major number.
fn minor_of(answer: &[u8; DM_BYTES]) -> u32 {
    let dev = word(answer, at::DEV).unwrap_or(0);
    (dev & 0xff) | ((dev >> 12) & 0xf_ff00)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map(u32::from_ne_bytes)
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + part.len()) {
        to.copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_call_has_the_form_of_the_kernels_header() {
        let table = table(80, "verity", "1 /dev/vda2").unwrap();
        assert_eq!(table.len(), 56);
        assert_eq!(table[8..16], 80_u64.to_ne_bytes());
        assert_eq!(&table[24..31], b"verity\0");
        assert_eq!(&table[40..52], b"1 /dev/vda2\0");
        let buffer = request("lifeboat-root", "id", READ_ONLY, Some(&table)).unwrap();
        assert_eq!(word(&*buffer, 12), Some(u32::try_from(DM_BYTES).unwrap()));
        assert_eq!(
            (word(&*buffer, 16), word(&*buffer, 20), word(&*buffer, 28)),
            (Some(312), Some(1), Some(1))
        );
        assert_eq!(&buffer[48..62], b"lifeboat-root\0");
        assert_eq!(buffer[312..312 + 56], table[..]);
    }

    #[test]
    fn what_does_not_fit_is_refused_before_the_kernel_is_asked() {
        assert!(request("", "", 0, None).is_err() && request("a/b", "", 0, None).is_err());
        assert!(request(&"n".repeat(128), "", 0, None).is_err());
        assert!(request("n", &"u".repeat(129), 0, None).is_err());
        assert!(request("n", "", 0, Some(&vec![0; DM_BYTES])).is_err());
        assert!(table(1, "a kind that is long", "").is_err());
    }

    #[test]
    fn a_minor_number_may_be_large() {
        let mut answer = Box::new([0_u8; DM_BYTES]);
        put(&mut *answer, at::DEV, &0x0010_fd01_u32.to_ne_bytes());
        assert_eq!(minor_of(&answer), 0x101);
    }
}
