//! The keys, and how a shortened one is taken for a whole one.

use serde::Serialize;

/// A key that one of the two programs of the loader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// Version of the bank; must begin with a digit.
    Build,
    /// The larger of two banks boots.
    Updated,
    /// State of the bank: 0 valid, 1 upgrading, 2 dirty, 3 invalid.
    Bootstate,
    /// Not zero: the bank was left by a quick boot and never boots from the disk.
    Quickboot,
    /// File of the kernel.
    Kernel,
    /// Words for the kernel.
    Kernelopt,
    /// Files that are loaded with the kernel.
    Modules,
    /// Text on the screen.
    Title,
    /// Folder of kernel and modules.
    Prefix,
    /// Network boot: words about the boot interface.
    Nobootif,
    /// Seconds of the countdown.
    Timeout,
    /// Firmware work-arounds.
    Noquirks,
    /// Runtime services of the firmware.
    Norts,
    /// Checked by the secure boot path.
    Crypto,
    /// Watchdog that stays on while the kernel runs.
    Runtimewd,
    /// Network boot: size of a block.
    Tftpblksize,
    /// Tables for the firmware's description.
    Acpitables,
    /// Seconds of that watchdog.
    Runtimewdtimeout,
    /// Modules that are not loaded.
    Skip,
    /// Seconds before an error ends the loader; −1 waits for ever.
    Errtimeout,
}

use Key::{
    Acpitables, Bootstate, Build, Crypto, Errtimeout, Kernel, Kernelopt, Modules, Nobootif, Noquirks, Norts,
    Prefix, Quickboot, Runtimewd, Runtimewdtimeout, Skip, Tftpblksize, Timeout, Title, Updated,
};

/// What the program that chooses a bank asks for, in the order in which it compares.
const SELECTOR: [Key; 4] = [Build, Updated, Bootstate, Quickboot];
/// What the program that loads the modules asks for, in the order in which it compares.
const STARTER: [Key; 16] = [
    Kernel,
    Kernelopt,
    Modules,
    Title,
    Prefix,
    Nobootif,
    Timeout,
    Noquirks,
    Norts,
    Crypto,
    Runtimewd,
    Tftpblksize,
    Acpitables,
    Runtimewdtimeout,
    Skip,
    Errtimeout,
];

impl Key {
    /// The key in full, lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Build => "build",
            Updated => "updated",
            Bootstate => "bootstate",
            Quickboot => "quickboot",
            Kernel => "kernel",
            Kernelopt => "kernelopt",
            Modules => "modules",
            Title => "title",
            Prefix => "prefix",
            Nobootif => "nobootif",
            Timeout => "timeout",
            Noquirks => "noquirks",
            Norts => "norts",
            Crypto => "crypto",
            Runtimewd => "runtimewd",
            Tftpblksize => "tftpblksize",
            Acpitables => "acpitables",
            Runtimewdtimeout => "runtimewdtimeout",
            Skip => "skip",
            Errtimeout => "errtimeout",
        }
    }

    /// Whether the selector refuses the file when this value is not a number.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Updated | Bootstate | Quickboot)
    }

    /// Which key the selector takes `text` for: the first that begins with it, without regard to case.
    #[must_use]
    pub fn selector(text: &[u8]) -> Option<Self> {
        first(&SELECTOR, text)
    }

    /// Which key the starter takes `text` for.
    #[must_use]
    pub fn starter(text: &[u8]) -> Option<Self> {
        first(&STARTER, text)
    }

    /// Every key of either program.
    pub fn all() -> impl Iterator<Item = Self> {
        SELECTOR.into_iter().chain(STARTER)
    }
}

fn first(keys: &[Key], text: &[u8]) -> Option<Key> {
    let begins = |key: &&Key| {
        key.name().as_bytes().get(..text.len()).is_some_and(|front| front.eq_ignore_ascii_case(text))
    };
    keys.iter().find(begins).copied()
}
