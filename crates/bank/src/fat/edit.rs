//! Changes of a volume in place, as lists of sectors with what was there before.
//!
//! Owns: the three changes that are safe: dirty bits, FAT 1 from FAT 2, removal of files and directories. Promises:
//! an edit names the old bytes, so that it can be undone; in the order of the list, a power cut between any two
//! writes leaves at worst lost clusters. Does not: write, or repair anything else: a bank with other damage is rebuilt.

mod remove;
mod sectors;

use std::io;

use lifeboat_model::io::ReadAt;
use serde::Serialize;
use thiserror::Error;

pub use self::remove::remove;
use self::sectors::Sectors;
use super::examine::table::state_bits;
use super::examine::{Inner, survey};
use super::report::{FatCode, FatCopy, FatKind, FatSeverity};

/// One run of sectors to change. Offsets are absolute on the disk.
///
/// The order of a list is the order of writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// First byte on the disk; the volume's start plus a multiple of its sector size.
    pub offset: u64,
    /// What is there now; the same length as `new`.
    pub old: Vec<u8>,
    /// What is to be there.
    pub new: Vec<u8>,
    /// Flush the disk after this edit, before the next.
    pub barrier: bool,
}

/// Why a volume is not changed. Nothing was written.
#[derive(Debug, Error)]
pub enum FatEditError {
    /// Nothing can be read of the volume.
    #[error("the volume cannot be changed: {reason}")]
    Unreadable {
        /// The finding.
        reason: String,
    },
    /// The damage makes this change unsafe.
    #[error("this is not safe on this volume: {reason}; rebuild the bank instead")]
    Unsafe {
        /// Which damage, and what would happen.
        reason: String,
    },
    /// There is nothing to do.
    #[error("there is nothing to change: {reason}")]
    Nothing {
        /// Why.
        reason: String,
    },
    /// No such file.
    #[error("no file or directory {path:?} on the volume")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// The disk failed.
    #[error("reading the volume at byte {offset} of the disk")]
    Io {
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
}

/// The inside of a volume, or why there is none.
fn open(disk: &dyn ReadAt, base: u64, len: u64) -> Result<(super::FatReport, Inner), FatEditError> {
    let survey = survey(disk, base, len);
    let Some(inner) = survey.inner else {
        let reason =
            survey.report.findings.iter().find(|finding| finding.severity == FatSeverity::Unreadable);
        let reason = reason.map_or("nothing of it can be read", |finding| finding.text.as_str()).to_owned();
        return Err(FatEditError::Unreadable { reason });
    };
    Ok((survey.report, inner))
}

/// Clears the dirty bits of the boot sector, of both FATs, and of the backup boot sector of FAT32. Empty when none is
/// set. Refuses when anything is damaged: the bit is then the only thing that warns others.
pub fn clear_dirty(disk: &dyn ReadAt, base: u64, len: u64) -> Result<Vec<Edit>, FatEditError> {
    let (report, inner) = open(disk, base, len)?;
    if let Some(damage) = report.findings.iter().find(|finding| finding.severity != FatSeverity::Innocent) {
        let reason =
            format!("its dirty bit warns of damage that is there ({}: {})", damage.code, damage.text);
        return Err(FatEditError::Unsafe { reason });
    }
    let shape = &inner.shape;
    let mut sectors = Sectors::new(disk, base, shape.sector);
    // The tables first, the boot sector last: while one bit is set, the volume counts as dirty.
    if let Some((clean, no_error)) = state_bits(shape.kind) {
        let width = if shape.kind == FatKind::Fat32 { 4 } else { 2 };
        for copy in (0..shape.fats).rev() {
            let at = shape.fat_offset(copy) + width;
            let mut entry = [0_u8; 4];
            let entry = entry.get_mut(..usize::try_from(width).unwrap_or(4)).unwrap_or_default();
            sectors.read(at, entry)?;
            let bits = (clean | no_error).to_le_bytes();
            entry.iter_mut().zip(bits).for_each(|(byte, bit)| *byte |= bit);
            sectors.write(at, entry)?;
        }
    }
    let flags = shape.flags_at() as u64;
    for sector in [shape.backup_sector, 0] {
        if sector == 0 || shape.backup_sector != 0 {
            let mut byte = [0_u8];
            sectors.read(sector * shape.sector + flags, &mut byte)?;
            sectors.write(sector * shape.sector + flags, &[byte[0] & !3])?;
        }
    }
    Ok(sectors.finish())
}

/// FAT 2 over FAT 1: only when they differ, FAT 1 has damage, and by FAT 2 there is none at all.
pub fn restore_first_fat(disk: &dyn ReadAt, base: u64, len: u64) -> Result<Vec<Edit>, FatEditError> {
    let (report, inner) = open(disk, base, len)?;
    let Some(second) = &inner.second else {
        return Err(FatEditError::Nothing {
            reason: "there is no second FAT that differs from the first".to_owned(),
        });
    };
    if inner.damage.0 == 0 {
        return Err(FatEditError::Nothing {
            reason: "FAT 1 contradicts nothing; FAT 2 is the one that is wrong, and nobody reads it"
                .to_owned(),
        });
    }
    let elsewhere = report.findings.iter().find(|finding| {
        finding.path.is_none()
            && finding.severity != FatSeverity::Innocent
            && matches!(
                finding.code,
                FatCode::BootDoubt | FatCode::TooLarge | FatCode::Media | FatCode::ImageCut | FatCode::Io
            )
    });
    if inner.doubt || elsewhere.is_some() {
        let text = elsewhere.map_or("neither FAT begins as one", |finding| finding.text.as_str());
        return Err(FatEditError::Unsafe { reason: format!("more than FAT 1 is wrong ({text})") });
    }
    if report.saner != FatCopy::Second || inner.damage.1 != 0 {
        let reason = format!(
            "by FAT 1 there are {} findings and by FAT 2 {}: FAT 2 cannot be trusted either",
            inner.damage.0, inner.damage.1
        );
        return Err(FatEditError::Unsafe { reason });
    }
    let mut sectors = Sectors::new(disk, base, inner.shape.sector);
    // What lies behind the used part stays as it is.
    sectors.write(inner.shape.fat_offset(0), &second.bytes)?;
    Ok(sectors.finish())
}
