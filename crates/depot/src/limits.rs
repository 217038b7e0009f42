//! What reading bytes of others may cost.
//!
//! Owns: [`Limits`], the bounds of memory and work, and [`Budget`], what is left of the work. Promises: every
//! reader of this crate stops with a clear error at these bounds, whatever a file claims about itself.

use serde::Serialize;

/// Bounds of reading; the defaults are far above every real release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of one XML document (a descriptor, an index, a profile).
    pub xml_bytes: u64,
    /// Bytes of all XML documents of one bundle.
    pub metadata_bytes: u64,
    /// Elements of one XML document.
    pub xml_elements: usize,
    /// Bytes of `sig.pkcs7`; real ones have a few thousand.
    pub signature_bytes: u64,
    /// Members of one `ar` archive.
    pub ar_members: usize,
    /// Entries of one payload's tar archive that are listed.
    pub tar_entries: usize,
    /// Members of one zip archive.
    pub zip_members: usize,
    /// Bytes that one payload may have after unpacking.
    pub unpacked_payload: u64,
    /// Bytes that everything together may have after unpacking.
    pub unpacked_total: u64,
    /// VIBs of one depot.
    pub vibs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            xml_bytes: 64 << 20,
            metadata_bytes: 512 << 20,
            xml_elements: 500_000,
            signature_bytes: 128 << 10,
            ar_members: 4096,
            tar_entries: 200_000,
            zip_members: 65_536,
            unpacked_payload: 4 << 30,
            unpacked_total: 32 << 30,
            vibs: 20_000,
        }
    }
}

impl Limits {
    /// Small bounds for tests and fuzzing: 1 MiB of XML, 8 MiB unpacked in all.
    #[must_use]
    pub fn small() -> Self {
        Self {
            xml_bytes: 1 << 20,
            metadata_bytes: 4 << 20,
            xml_elements: 20_000,
            signature_bytes: 32 << 10,
            ar_members: 64,
            tar_entries: 10_000,
            zip_members: 1024,
            unpacked_payload: 4 << 20,
            unpacked_total: 8 << 20,
            vibs: 256,
        }
    }
}

/// Bytes that may still be unpacked by one task, over all its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// All of it.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self { left: limits.unpacked_total }
    }

    /// Takes `bytes`; tells whether they were there.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
