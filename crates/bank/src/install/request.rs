//! What is to be installed, and what came of it.

use std::fmt;

use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};

use crate::guid::Guid;
use crate::record::BankRecord;
use crate::verity::Verity;

/// The parts of a release as they go into a bank. The root image streams beside it.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    /// Which release this is.
    pub release: ReleaseRef,
    /// Words for the kernel line after our own; may be empty.
    pub cmdline_extra: &'a str,
    /// UEFI stub that the unified kernel image is built on.
    pub stub: &'a [u8],
    /// Linux kernel.
    pub kernel: &'a [u8],
    /// Initial file system in memory.
    pub initrd: &'a [u8],
    /// Text of `os-release` for the image.
    pub osrel: &'a str,
    /// Bytes of the root image.
    pub root_len: u64,
    /// Digest of the root image by the release's manifest.
    pub root_sha256: Sha256Hex,
    /// Hash tree at the end of the root image, by the release's manifest: the bank then runs from dm-verity.
    pub verity: Option<Verity>,
}

/// An install into the alternate bank.
#[derive(Debug, Clone)]
pub struct InstallRequest<'a> {
    /// The bank that runs, by the id on its kernel line, or for a disk that lies still the bank that boots next.
    pub active: Bank,
    /// The bank to be written.
    pub target: Bank,
    /// What to write.
    pub image: Image<'a>,
    /// Install a release that failed on this host before.
    pub retry: bool,
}

/// Where an install stands. The numbers beside it are bytes done and bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The record says invalid, and the boot volume loses its boot sectors.
    Invalidate,
    /// The root image is written.
    WriteRoot,
    /// The boot volume is written, except its boot sectors.
    WriteBoot,
    /// Everything is brought to stable storage.
    Flush,
    /// The root image is read back.
    VerifyRoot,
    /// The boot volume is read back.
    VerifyBoot,
    /// The boot sectors are written and read back.
    Seal,
    /// The record says upgraded.
    Record,
}

impl Step {
    /// The word that people read while it goes on.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Invalidate => "marking the bank invalid",
            Self::WriteRoot => "writing the root image",
            Self::WriteBoot => "writing the boot volume",
            Self::Flush => "flushing",
            Self::VerifyRoot => "reading back the root image",
            Self::VerifyBoot => "reading back the boot volume",
            Self::Seal => "writing the boot sector",
            Self::Record => "marking the bank upgraded",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A finished install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The bank that was written.
    pub bank: Bank,
    /// Its counter.
    pub updated: u32,
    /// The record as it lies on the disk now.
    pub record: BankRecord,
    /// Digest of the unified kernel image.
    pub boot_sha256: Sha256Hex,
    /// Bytes of the unified kernel image.
    pub boot_len: u64,
    /// Kernel line of the bank.
    pub kernel_line: String,
    /// Bytes written to the disk, records not counted.
    pub written: u64,
}

/// The kernel line of a bank. Our own words come first: the first `lifeboat.bank=` counts.
#[must_use]
pub fn kernel_line(
    bank: Bank,
    root: Guid,
    release: &ReleaseRef,
    verity: Option<&Verity>,
    extra: &str,
) -> String {
    let ReleaseRef { version, digest, .. } = release;
    let mut line = format!(
        "lifeboat.bank={bank} root=PARTUUID={root} lifeboat.release={version} lifeboat.digest={digest} panic=5"
    );
    if let Some(verity) = verity {
        line.push_str(" lifeboat.verity=");
        line.push_str(&verity.to_string());
    }
    for word in extra.split_ascii_whitespace() {
        line.push(' ');
        line.push_str(word);
    }
    line
}
