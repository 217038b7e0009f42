//! Control calls of the watchdog that have no safe form in the libraries.
//!
//! Owns: two numbers of the kernel's watchdog interface (linux/watchdog.h). Promises: each call hands the kernel
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
