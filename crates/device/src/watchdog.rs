//! The watchdog of this machine: it resets the machine unless it is fed.
//!
//! Owns: arming before a trial boot, feeding, disarming. Promises: once armed it stays armed when this program
//! ends, however it ends; only [`Watchdog::disarm`] stops it. Does not: load the driver or choose the device.
//!
//! Source: the kernel's watchdog API (Documentation/watchdog/watchdog-api.rst).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ioctl;

/// WDIOF_MAGICCLOSE: closing without the letter V leaves it armed.
const MAGIC_CLOSE: u32 = 0x0100;

/// Name of the kernel's ipmi_watchdog. It announces no abilities at all, and yet it stays armed unless the letter V
/// was written before it is closed (observed with Linux 6.1 on QEMU's management controller).
const STAYS_ARMED: &[u8] = b"IPMI";

/// Why the watchdog does not protect.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// A system call failed.
    #[error("cannot {doing} the watchdog {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Device.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The driver disarms when the device is closed, so a reboot would go unguarded.
    #[error("the watchdog {} ({identity}) stops as soon as this program ends; it cannot guard a reboot", path.display())]
    StopsOnClose {
        /// Device.
        path: PathBuf,
        /// Name of the driver.
        identity: String,
    },
    /// No watchdog waits that long or that short.
    #[error("{seconds} seconds are no time for a watchdog; take 1 to 86400")]
    Timeout {
        /// Asked for.
        seconds: u32,
    },
}

/// A watchdog that is armed.
#[derive(Debug)]
pub struct Watchdog {
    file: File,
    path: PathBuf,
    granted: u32,
    identity: String,
}

impl Watchdog {
    /// Opens the device, by which it is armed, and asks for `seconds` until the reset. The driver may grant
    /// another time: see [`Watchdog::granted`]. If anything fails after the opening, it is disarmed again.
    pub fn arm(path: &Path, seconds: u32) -> Result<Self, WatchdogError> {
        let asked = i32::try_from(seconds).ok().filter(|asked| (1..=86_400).contains(asked));
        let asked = asked.ok_or(WatchdogError::Timeout { seconds })?;
        let failed = |doing| move |source| WatchdogError::Io { doing, path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).open(path).map_err(failed("open"))?;
        let mut armed = Self { file, path: path.to_owned(), granted: seconds, identity: String::new() };
        match armed.configure(asked) {
            Ok(()) => Ok(armed),
            Err(error) => {
                // The first error is the one to tell.
                let _ = armed.disarm();
                Err(error)
            }
        }
    }

    fn configure(&mut self, asked: i32) -> Result<(), WatchdogError> {
        let info = ioctl::support(&self.file).map_err(self.failed("ask the abilities of"))?;
        let name = info.identity.split(|&byte| byte == 0).next().unwrap_or_default();
        self.identity = format!("{} version {}", String::from_utf8_lossy(name), info.firmware);
        if info.options & MAGIC_CLOSE == 0 && name != STAYS_ARMED {
            let identity = self.identity.clone();
            return Err(WatchdogError::StopsOnClose { path: self.path.clone(), identity });
        }
        let granted = ioctl::set_timeout(&self.file, asked).map_err(self.failed("set the time of"))?;
        self.granted = u32::try_from(granted).unwrap_or_default();
        self.keep_alive()
    }

    /// Seconds from the last feeding to the reset.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// Name and version of the driver.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Feeds it: the time begins anew.
    pub fn keep_alive(&mut self) -> Result<(), WatchdogError> {
        let fed = self.file.write_all(b"\0");
        fed.map_err(self.failed("feed"))
    }

    /// Stops it. A driver loaded with `nowayout` keeps running all the same.
    pub fn disarm(mut self) -> Result<(), WatchdogError> {
        let stopped = self.file.write_all(b"V");
        stopped.map_err(self.failed("stop"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> WatchdogError + use<> {
        let path = self.path.clone();
        move |source| WatchdogError::Io { doing, path, source }
    }
}
