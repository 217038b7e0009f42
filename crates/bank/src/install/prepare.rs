//! Everything that can be refused, and everything that is built, before the first write.

use lifeboat_model::{Bank, BankState, Sha256Hex};

use super::copy::CopySource;
use super::error::InstallError;
use super::image::INDEX_PATH;
use super::request::{Image, InstallRequest, kernel_line};
use crate::fat::{FatFile, FatImage};
use crate::layout::{BankVolumes, Layout};
use crate::manifest::{BankManifest, MANIFEST_PATH, UKI_PATH, encode_manifest};
use crate::record::{BankEntry, BankRecord, FAILED_LIMIT, FailedRelease, encode_record};
use crate::uki::build_uki;

/// An install whose every refusal lies behind it.
pub(super) struct Prepared {
    pub(super) bank: Bank,
    pub(super) volumes: BankVolumes,
    /// The record as it is now.
    pub(super) record: BankRecord,
    /// The bank's entry at the end.
    pub(super) entry: BankEntry,
    /// Lowest serial allowed at the end.
    pub(super) floor: u64,
    pub(super) kernel_line: String,
    uki: Vec<u8>,
    manifest: Vec<u8>,
    /// Chunk index of the root image, if there is one and the boot volume has room for it.
    index: Option<Vec<u8>>,
    /// What the record says of the bank while it is written.
    during: &'static str,
}

/// Refuses what the record forbids.
pub(super) fn check_request(record: &BankRecord, request: &InstallRequest<'_>) -> Result<(), InstallError> {
    let InstallRequest { active, target, image, retry } = request;
    let (active, target) = (*active, *target);
    if active == target {
        return Err(InstallError::TargetIsActive { bank: target });
    }
    match record.bank(active).state {
        BankState::Good => {}
        state @ (BankState::Empty
        | BankState::Invalid
        | BankState::Upgraded
        | BankState::Trying
        | BankState::Failed) => return Err(InstallError::ActiveNotGood { active, target, state }),
    }
    let serial = image.release.serial;
    if serial < record.floor {
        return Err(InstallError::Downgrade { serial, floor: record.floor });
    }
    if let (Some(failed), false) = (record.failure_of(&image.release.digest), *retry) {
        return Err(InstallError::FailedBefore { digest: failed.digest, reason: failed.reason.clone() });
    }
    Ok(())
}

impl Prepared {
    /// Checks and builds what goes into `bank`, whose state at the end is `end`.
    pub(super) fn new(
        layout: &Layout,
        bank: Bank,
        image: &Image<'_>,
        record: BankRecord,
        end: BankState,
    ) -> Result<Self, InstallError> {
        let volumes = *layout.volumes(bank);
        check_words(image)?;
        check_verity(image)?;
        let updated = record.next_updated().ok_or(InstallError::CounterSpent)?;
        check_size(bank, &volumes, image.root_len)?;
        let kernel_line =
            kernel_line(bank, volumes.root.guid, &image.release, image.verity.as_ref(), image.cmdline_extra);
        let uki = build_uki(image.stub, &kernel_line, image.osrel, image.kernel, image.initrd)
            .map_err(|source| InstallError::Uki { source })?;
        let content = CopySource {
            root_offset: 0,
            root: (image.root_sha256, image.root_len),
            verity: image.verity,
            release: image.release.clone(),
            uki,
            kernel_line,
        };
        let mut prepared = Self::assemble(volumes, bank, content, record, updated, end)?;
        if end == BankState::Good {
            prepared.floor = prepared.floor.max(image.release.serial);
        }
        Ok(prepared)
    }

    /// Checks and builds a copy of the other bank; it has `note` at the end, since no boot has proved it.
    pub(super) fn copy_of(
        layout: &Layout,
        bank: Bank,
        source: &CopySource,
        record: BankRecord,
        note: &str,
    ) -> Result<Self, InstallError> {
        let volumes = *layout.volumes(bank);
        let updated = record.next_updated().ok_or(InstallError::CounterSpent)?;
        check_size(bank, &volumes, source.root.1)?;
        let mut prepared =
            Self::assemble(volumes, bank, source.clone(), record, updated, BankState::Upgraded)?;
        prepared.entry.note = Some(note.to_owned());
        prepared.during = "a rebuild began and did not end; rebuild it again";
        Ok(prepared)
    }

    fn assemble(
        volumes: BankVolumes,
        bank: Bank,
        content: CopySource,
        record: BankRecord,
        updated: u32,
        end: BankState,
    ) -> Result<Self, InstallError> {
        let CopySource { root_offset: _, root, verity, release, uki, kernel_line } = content;
        let boot = (Sha256Hex::of(&uki), uki.len() as u64);
        let manifest = BankManifest::new(bank, release.clone(), updated, boot, root, verity);
        let manifest = encode_manifest(&manifest).map_err(|source| InstallError::Manifest { source })?;
        let entry = BankEntry {
            state: end,
            release: Some(release),
            updated,
            boot_sha256: Some(boot.0),
            boot_len: boot.1,
            root_sha256: Some(root.0),
            root_len: root.1,
            note: None,
        };
        let floor = record.floor;
        let during = "an install began and did not end; install again";
        let prepared =
            Self { bank, volumes, record, entry, floor, kernel_line, uki, manifest, index: None, during };
        prepared.check_record()?;
        prepared.fat()?;
        Ok(prepared)
    }

    /// Keeps the chunk index beside the kernel image. Without room for it the bank does without: the next install then
    /// reads and cuts the whole image instead.
    pub(super) fn keep_index(&mut self, index: Option<Vec<u8>>) {
        self.index = index;
        if self.fat().is_err() {
            self.index = None;
        }
    }

    /// Whether an install of the same release into this bank began before and did not end.
    pub(super) fn resumes(&self) -> bool {
        let before = self.record.bank(self.bank);
        before.state == BankState::Invalid && before.release.is_some() && before.release == self.entry.release
    }

    /// Refuses a release whose record could not be written at the end, or could not when it fails.
    fn check_record(&self) -> Result<(), InstallError> {
        let mut last = self.record.clone();
        *last.bank_mut(self.bank) = self.entry.clone();
        let failed = FailedRelease { digest: self.entry_root(), reason: String::new() };
        last.failed.resize(FAILED_LIMIT, failed);
        encode_record(&last, u64::MAX).map_err(|source| InstallError::Record {
            doing: "preparing the bank record of the install",
            source,
        })?;
        Ok(())
    }

    /// The boot volume.
    pub(super) fn fat(&self) -> Result<FatImage<'_>, InstallError> {
        let [a, b, c, d, ..] = self.entry_root().0;
        let serial = u32::from_le_bytes([a, b, c, d]) ^ self.entry.updated.rotate_left(8);
        let label = match self.bank {
            Bank::A => b"LIFEBOAT A ",
            Bank::B => b"LIFEBOAT B ",
        };
        let mut files = vec![
            FatFile { path: UKI_PATH, data: &self.uki },
            FatFile { path: MANIFEST_PATH, data: &self.manifest },
        ];
        if let Some(index) = &self.index {
            files.push(FatFile { path: INDEX_PATH, data: index });
        }
        FatImage::new(self.volumes.boot.bytes(), serial, label, &files)
            .map_err(|source| InstallError::Fat { bank: self.bank, source })
    }

    /// Digest that the root image must have.
    pub(super) fn entry_root(&self) -> Sha256Hex {
        self.entry.root_sha256.unwrap_or(Sha256Hex([0; 32]))
    }

    /// Digest of the unified kernel image.
    pub(super) fn boot_sha256(&self) -> Sha256Hex {
        self.entry.boot_sha256.unwrap_or(Sha256Hex([0; 32]))
    }

    /// The record while the bank is being written.
    pub(super) fn record_during(&self) -> BankRecord {
        let mut record = self.record.clone();
        let updated = record.bank(self.bank).updated;
        *record.bank_mut(self.bank) = BankEntry {
            release: self.entry.release.clone(),
            updated,
            note: Some(self.during.to_owned()),
            ..BankEntry::without_content(BankState::Invalid)
        };
        record
    }

    /// The record at the end.
    pub(super) fn record_after(&self) -> BankRecord {
        let mut record = self.record.clone();
        *record.bank_mut(self.bank) = self.entry.clone();
        record.floor = self.floor;
        record
    }
}

fn check_size(bank: Bank, volumes: &BankVolumes, bytes: u64) -> Result<(), InstallError> {
    let capacity = volumes.root_capacity();
    if bytes > capacity {
        return Err(InstallError::TooLarge { what: "root image", bank, bytes, capacity });
    }
    Ok(())
}

/// A hash tree must lie inside the root image whose digest vouches for it.
fn check_verity(image: &Image<'_>) -> Result<(), InstallError> {
    let Some(verity) = &image.verity else { return Ok(()) };
    let bad = |reason: String| InstallError::BadVerity { reason };
    verity.check().map_err(|error| bad(error.to_string()))?;
    let end = verity.end().map_err(|error| bad(error.to_string()))?;
    if end == image.root_len {
        return Ok(());
    }
    Err(bad(format!("it ends at byte {end}, and the image at {}", image.root_len)))
}

/// The words of a release that go onto the kernel line: they must not forge a bank's identity, nor turn off the
/// reboot after a panic on which falling back depends.
fn check_words(image: &Image<'_>) -> Result<(), InstallError> {
    let bad = |what, reason: &str| Err(InstallError::BadKernelLine { what, reason: reason.to_owned() });
    let version = &image.release.version.0;
    if version.is_empty() || !version.chars().all(|c| c.is_ascii_graphic() && c != '"') {
        return bad(
            "version",
            &format!("{version:?} has blanks, quotes, or characters beyond ASCII, or is empty"),
        );
    }
    let extra = image.cmdline_extra;
    if extra.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) {
        return bad("options", "they hold control characters");
    }
    for word in extra.split_ascii_whitespace() {
        if word.starts_with("lifeboat.") || word.starts_with("root=") {
            return bad("options", &format!("{word:?} is set by the bank itself"));
        }
        // The kernel takes quotes, leading zeros and other bases; what is not plainly a time is refused.
        let plain = word.replace('"', "");
        if let Some(seconds) = plain.strip_prefix("panic=") {
            let good = seconds
                .parse::<u8>()
                .is_ok_and(|value| (1..=60).contains(&value) && value.to_string() == seconds);
            if !good {
                return bad(
                    "options",
                    "panic= must be 1 to 60: a host that waits after a panic does not fall back",
                );
            }
        }
    }
    Ok(())
}
