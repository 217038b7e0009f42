//! The writes of an install and their reading back.

use std::io::{self, ErrorKind, Read};

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, Sha256Hex};

use super::error::InstallError;
use super::request::Step;
use super::stream::{PIECE, hashed, piece_bytes};
use crate::fat::{FatImage, FatVolume};
use crate::layout::BankVolumes;
use crate::manifest::UKI_PATH;

/// Called with the step, the bytes done and the bytes in all.
pub(super) type Progress<'a> = &'a mut dyn FnMut(Step, u64, u64);

pub(super) const SECTOR: usize = 512;

/// Writes one bank, and nothing else: every position comes from that bank's own volumes.
pub(super) struct Writer<'a> {
    disk: &'a mut dyn WriteAt,
    bank: Bank,
    volumes: BankVolumes,
    progress: Progress<'a>,
    written: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        disk: &'a mut dyn WriteAt,
        bank: Bank,
        volumes: BankVolumes,
        progress: Progress<'a>,
    ) -> Self {
        Self { disk, bank, volumes, progress, written: 0 }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn bank(&self) -> Bank {
        self.bank
    }

    /// First byte of the root volume on the disk.
    pub(super) fn root_offset(&self) -> u64 {
        self.volumes.root.offset()
    }

    pub(super) fn progress(&mut self, step: Step, done: u64, total: u64) {
        (self.progress)(step, done, total);
    }

    /// Zeros the boot sector and the place of its backup on FAT32, so that no firmware takes the volume for whole.
    pub(super) fn unseal(&mut self) -> Result<(), InstallError> {
        for sector in [0, 6] {
            self.write(
                self.volumes.boot.offset() + sector * SECTOR as u64,
                &[0; SECTOR],
                "clearing the boot sector",
            )?;
        }
        self.flush_only("flushing the cleared boot sector")
    }

    /// Streams the root image, and refuses another length or digest than promised.
    pub(super) fn write_root(
        &mut self,
        source: &mut dyn Read,
        total: u64,
        wanted: Sha256Hex,
    ) -> Result<(), InstallError> {
        let base = self.volumes.root.offset();
        self.progress(Step::WriteRoot, 0, total);
        let got = hashed(total, |at, piece| {
            let len = piece.len();
            fill(source, piece, at, total)?;
            // The last sector is written whole; its padding is not part of the image.
            let padded = len.next_multiple_of(SECTOR);
            piece.resize(padded, 0);
            self.write(base + at, piece, "writing the root image")?;
            piece.truncate(len);
            self.progress(Step::WriteRoot, at + len as u64, total);
            Ok(())
        })?;
        match read_some(source, &mut [0]) {
            Ok(0) => {}
            Ok(_) => return Err(InstallError::SourceLength { wanted: total, got: total + 1 }),
            Err(source) => return Err(InstallError::Source { at: total, source }),
        }
        if got == wanted { Ok(()) } else { Err(InstallError::SourceDigest { wanted, got }) }
    }

    /// Copies a root image from elsewhere on the disk, and refuses another digest than promised.
    pub(super) fn copy_root(&mut self, from: u64, total: u64, wanted: Sha256Hex) -> Result<(), InstallError> {
        let base = self.volumes.root.offset();
        self.progress(Step::WriteRoot, 0, total);
        let got = hashed(total, |at, piece| {
            self.read(from + at, piece, "reading the root image of the other bank")?;
            let len = piece.len();
            piece.resize(len.next_multiple_of(SECTOR), 0);
            self.write(base + at, piece, "writing the root image")?;
            piece.truncate(len);
            self.progress(Step::WriteRoot, at + len as u64, total);
            Ok(())
        })?;
        if got == wanted { Ok(()) } else { Err(InstallError::SourceDigest { wanted, got }) }
    }

    /// Writes the boot volume without its boot sectors.
    pub(super) fn write_boot(&mut self, fat: &FatImage<'_>) -> Result<(), InstallError> {
        let (base, total) = (self.volumes.boot.offset(), fat.body_len());
        let mut done = 0;
        self.progress(Step::WriteBoot, 0, total);
        for piece in fat.body() {
            piece_bytes(piece, |offset, bytes| {
                self.write(base + offset, bytes, "writing the boot volume")?;
                done += bytes.len() as u64;
                self.progress(Step::WriteBoot, done, total);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Brings everything to stable storage and drops what caches hold of it.
    pub(super) fn flush(&mut self) -> Result<(), InstallError> {
        self.progress(Step::Flush, 0, 1);
        self.flush_only("flushing the new content")?;
        for volume in [self.volumes.root, self.volumes.boot] {
            self.drop_cache(volume.offset(), volume.bytes())?;
        }
        self.progress(Step::Flush, 1, 1);
        Ok(())
    }

    /// Reads the root image back and compares its digest.
    pub(super) fn verify_root(&mut self, total: u64, wanted: Sha256Hex) -> Result<(), InstallError> {
        let base = self.volumes.root.offset();
        self.progress(Step::VerifyRoot, 0, total);
        let got = hashed(total, |at, piece| {
            self.read(base + at, piece, "reading back the root image")?;
            self.progress(Step::VerifyRoot, at + piece.len() as u64, total);
            Ok(())
        })?;
        if got == wanted {
            return Ok(());
        }
        let place = format!("digest {got} instead of {wanted}");
        Err(InstallError::ReadBack { what: "root image", bank: self.bank, place })
    }

    /// Reads the boot volume back and compares every byte that was written.
    pub(super) fn verify_boot(&mut self, fat: &FatImage<'_>) -> Result<(), InstallError> {
        let (base, total) = (self.volumes.boot.offset(), fat.body_len());
        let mut done = 0;
        let mut seen = vec![0_u8; PIECE];
        self.progress(Step::VerifyBoot, 0, total);
        for piece in fat.body() {
            piece_bytes(piece, |offset, bytes| {
                let seen = seen.get_mut(..bytes.len()).unwrap_or(&mut []);
                self.read(base + offset, seen, "reading back the boot volume")?;
                self.compare("boot volume", base + offset, bytes, seen)?;
                done += bytes.len() as u64;
                self.progress(Step::VerifyBoot, done, total);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Writes the boot sectors, reads them back, and finds the kernel image through them as a firmware would.
    pub(super) fn seal(&mut self, fat: &FatImage<'_>, uki_len: u64) -> Result<(), InstallError> {
        let (base, bank) = (self.volumes.boot.offset(), self.bank);
        self.progress(Step::Seal, 0, 1);
        for (offset, sector) in fat.boot_sectors() {
            self.write(base + offset, sector, "writing the boot sector")?;
        }
        self.flush_only("flushing the boot sector")?;
        for (offset, sector) in fat.boot_sectors() {
            self.drop_cache(base + offset, SECTOR as u64)?;
            let mut seen = [0_u8; SECTOR];
            self.read(base + offset, &mut seen, "reading back the boot sector")?;
            self.compare("boot sector", base + offset, sector, &seen)?;
        }
        let finished = |source| InstallError::Finished { bank, source };
        let volume = FatVolume::open(&*self.disk, base, self.volumes.boot.bytes()).map_err(finished)?;
        let found = volume.locate(UKI_PATH, uki_len).map_err(finished)?;
        if found.len != uki_len {
            let place = format!("the kernel image has {} bytes instead of {uki_len}", found.len);
            return Err(InstallError::ReadBack { what: "boot volume", bank, place });
        }
        self.progress(Step::Seal, 1, 1);
        Ok(())
    }

    fn compare(&self, what: &'static str, at: u64, wanted: &[u8], seen: &[u8]) -> Result<(), InstallError> {
        if wanted == seen {
            return Ok(());
        }
        let first = wanted.iter().zip(seen).position(|(wanted, seen)| wanted != seen).unwrap_or(0);
        let place = format!("first at byte {} of the disk", at + first as u64);
        Err(InstallError::ReadBack { what, bank: self.bank, place })
    }

    pub(super) fn write(
        &mut self,
        offset: u64,
        bytes: &[u8],
        doing: &'static str,
    ) -> Result<(), InstallError> {
        self.written += bytes.len() as u64;
        self.disk.write_at(offset, bytes).map_err(self.io(doing, offset))
    }

    pub(super) fn read(
        &self,
        offset: u64,
        bytes: &mut [u8],
        doing: &'static str,
    ) -> Result<(), InstallError> {
        self.disk.read_at(offset, bytes).map_err(self.io(doing, offset))
    }

    fn flush_only(&mut self, doing: &'static str) -> Result<(), InstallError> {
        self.disk.flush().map_err(self.io(doing, self.volumes.boot.offset()))
    }

    fn drop_cache(&mut self, offset: u64, len: u64) -> Result<(), InstallError> {
        self.disk.drop_cache(offset, len).map_err(self.io("dropping the caches", offset))
    }

    fn io(&self, doing: &'static str, offset: u64) -> impl FnOnce(io::Error) -> InstallError + use<> {
        let bank = self.bank;
        move |source| InstallError::Io { doing, bank, offset, source }
    }
}

/// Fills a piece from the source; an early end is told with the bytes that came.
fn fill(source: &mut dyn Read, piece: &mut [u8], at: u64, total: u64) -> Result<(), InstallError> {
    let mut done = 0;
    while let Some(rest) = piece.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read_some(source, rest) {
            Ok(0) => return Err(InstallError::SourceLength { wanted: total, got: at + done as u64 }),
            Ok(count) => done += count,
            Err(source) => return Err(InstallError::Source { at: at + done as u64, source }),
        }
    }
    Ok(())
}

fn read_some(source: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
