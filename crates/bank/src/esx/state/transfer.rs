//! The saved state out of a bank, and a file that is to become one.

use std::io;

use lifeboat_model::io::ReadAt;
use serde::Serialize;
use thiserror::Error;

use super::list::{StateListing, StateReader, list_state};
use crate::esx::EsxBank;
use crate::esx::archive::{ArchiveError, read_extents};
use crate::fat::Extent;

/// Largest `state.tgz` that is read or taken.
const MAX_FILE: u64 = 256 << 20;

/// A state that was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateExport {
    /// The bank.
    pub bank: char,
    /// `build` of the bank: a state belongs to a release.
    pub build: Option<String>,
    /// What it holds.
    #[serde(flatten)]
    pub listing: StateListing,
}

/// Why a state was not exported, or is not taken.
#[derive(Debug, Error)]
pub enum StateError {
    /// The bank has no readable volume.
    #[error("bank {bank} has no volume that can be read: it {reason}")]
    Volume {
        /// The bank.
        bank: char,
        /// What is wrong with it.
        reason: String,
    },
    /// No such file.
    #[error("bank {bank} holds no state.tgz")]
    Missing {
        /// The bank.
        bank: char,
    },
    /// Not the saved state of a host.
    #[error("the saved state is not usable")]
    Broken(#[from] ArchiveError),
    /// Too large for the bank, or for any.
    #[error("the saved state has {bytes} bytes; at most {limit} are possible here")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Writing the export failed.
    #[error("writing the exported state")]
    Write(#[source] io::Error),
}

/// Copies `state.tgz` of a bank to `out`, byte for byte. It is looked through before the first byte goes out, so that
/// a damaged state is not taken for a backup.
pub fn export_state(
    disk: &dyn ReadAt,
    bank: &EsxBank,
    out: &mut dyn io::Write,
) -> Result<StateExport, StateError> {
    let extents = find(disk, bank)?;
    let listing = list_state(disk, &extents)?;
    let mut written = Ok(());
    read_extents(disk, &extents, &mut |bytes| {
        if written.is_ok() {
            written = out.write_all(bytes);
        }
        Ok(())
    })?;
    written.and_then(|()| out.flush()).map_err(StateError::Write)?;
    let build = bank.cfg.as_ref().map(|cfg| cfg.values.build.clone());
    Ok(StateExport { bank: bank.letter, build, listing })
}

fn find(disk: &dyn ReadAt, bank: &EsxBank) -> Result<Vec<Extent>, StateError> {
    let volume = |reason: String| StateError::Volume { bank: bank.letter, reason };
    let Some(view) = &bank.volume else {
        return Err(volume(bank.cfg_error.clone().unwrap_or_default()));
    };
    let place = view.find(disk, b"STATE   TGZ").map_err(volume)?;
    let (first, bytes) = place.ok_or(StateError::Missing { bank: bank.letter })?;
    if bytes > MAX_FILE {
        return Err(StateError::TooLarge { bytes, limit: MAX_FILE });
    }
    view.chains(disk).and_then(|chains| chains.extents(first, bytes)).map_err(volume)
}

/// Judges a file that is to become the saved state of a bank with `room` bytes for it: whole, a state, no path that
/// leads out of the root, not too large.
pub fn validate_state(file: &dyn ReadAt, room: u64) -> Result<StateListing, StateError> {
    let (bytes, limit) = (file.size(), room.min(MAX_FILE));
    if bytes > limit {
        return Err(StateError::TooLarge { bytes, limit });
    }
    let mut reader = StateReader::new();
    let whole = [Extent { offset: 0, len: bytes }];
    read_extents(file, &whole, &mut |bytes| reader.push(bytes))?;
    Ok(reader.finish()?)
}
