//! Control calls of the watchdog and of the device mapper that have no safe form in the libraries.
//!
//! Owns: two numbers of the kernel's watchdog interface (linux/watchdog.h) and five of the device mapper's
//! (linux/dm-ioctl.h). Promises: each call hands the kernel
//! memory of exactly the size and kind that the number says. Does not: interpret the answers.
#![expect(unsafe_code, reason = "an ioctl is only as safe as the pairing of its number and its argument")]

use std::ffi::c_int;
use std::fs::File;
use std::io;

use rustix::ioctl::{Getter, Updater, ioctl, opcode};

/// struct watchdog_info.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchdogInfo {
    /// What the driver can do, as bits.
    pub(crate) options: u32,
    /// Version of the card's firmware.
    pub(crate) firmware: u32,
    /// Name of the driver, ended by NUL.
    pub(crate) identity: [u8; 32],
}

/// WDIOC_SETTIMEOUT: asks for seconds, answers what was granted.
pub(crate) fn set_timeout(file: &File, seconds: i32) -> io::Result<i32> {
    let mut value: c_int = seconds;
    // SAFETY: number 6 of type 'W' reads and writes one int; `value` is one, alive until the call returns.
    unsafe {
        ioctl(file, Updater::<{ opcode::read_write::<c_int>(b'W', 6) }, c_int>::new(&mut value))?;
    }
    Ok(value)
}

/// WDIOC_GETSUPPORT: what the driver is and can do.
pub(crate) fn support(file: &File) -> io::Result<WatchdogInfo> {
    // SAFETY: number 0 of type 'W' writes one struct watchdog_info, whose layout `WatchdogInfo` repeats.
    let info =
        unsafe { ioctl(file, Getter::<{ opcode::read::<WatchdogInfo>(b'W', 0) }, WatchdogInfo>::new())? };
    Ok(info)
}

/// Bytes of the buffer of every call of the device mapper, payload included. Its `data_size` field must say so.
pub(crate) const DM_BYTES: usize = 16384;

/// The calls of the device mapper that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DmCall {
    /// DM_DEV_CREATE.
    Create,
    /// DM_DEV_REMOVE.
    Remove,
    /// DM_DEV_SUSPEND, which also resumes.
    Suspend,
    /// DM_TABLE_LOAD.
    Load,
    /// DM_TABLE_STATUS.
    Status,
}

/// struct dm_ioctl (312 bytes) as the number of a call has it.
#[repr(C, align(8))]
struct DmHeader([u8; 312]);

/// Number `N` of type 0xfd, on a buffer of [`DM_BYTES`] bytes.
struct DmIoctl<'a, const N: u8>(&'a mut [u8; DM_BYTES]);

// SAFETY: the kernel copies `data_size` bytes from and to the pointer; `dm_call` checks that this field says the length
// of the buffer, whatever number is called. The buffer is borrowed until the call returns.
unsafe impl<const N: u8> rustix::ioctl::Ioctl for DmIoctl<'_, N> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> rustix::ioctl::Opcode {
        opcode::read_write::<DmHeader>(0xfd, N)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        self.0.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(
        _: rustix::ioctl::IoctlOutput,
        _: *mut std::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(())
    }
}

/// One call of the device mapper; the answer takes the place of the question.
pub(crate) fn dm_call(control: &File, call: DmCall, buffer: &mut [u8; DM_BYTES]) -> io::Result<()> {
    let said = buffer.get(12..16).and_then(|part| part.try_into().ok()).map(u32::from_ne_bytes);
    if said.map(|said| said as usize) != Some(DM_BYTES) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "data_size is not the length of the buffer"));
    }
    // SAFETY: each number is one of linux/dm-ioctl.h that takes a struct dm_ioctl, and the length was checked above.
    unsafe {
        match call {
            DmCall::Create => ioctl(control, DmIoctl::<3>(buffer))?,
            DmCall::Remove => ioctl(control, DmIoctl::<4>(buffer))?,
            DmCall::Suspend => ioctl(control, DmIoctl::<6>(buffer))?,
            DmCall::Load => ioctl(control, DmIoctl::<9>(buffer))?,
            DmCall::Status => ioctl(control, DmIoctl::<12>(buffer))?,
        }
    }
    Ok(())
}
