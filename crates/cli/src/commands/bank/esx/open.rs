//! Opening a disk whose banks may be ours or those of an ESXi host.

use std::path::Path;

use lifeboat_bank::disk::{BankDisk, DiskError};
use lifeboat_bank::esx::{EsxBank, EsxDisk, EsxError, find_banks};
use lifeboat_device::{BlockFile, Force};

use crate::commands::bank::errors::{device_error, disk_error};
use crate::error::{CliError, Kind};

/// Whose banks a disk has.
pub(in crate::commands::bank) enum Banks {
    /// Two banks that Lifeboat made.
    Ours,
    /// Those of an ESXi host.
    Esx(Box<EsxDisk>),
}

/// Opens a disk for looking, and finds out whose banks it has.
pub(in crate::commands::bank) fn look(path: &Path) -> Result<(BlockFile, Banks), CliError> {
    let file = BlockFile::open_read(path).map_err(device_error)?;
    let banks = whose(path, &file)?;
    Ok((file, banks))
}

fn whose(path: &Path, file: &BlockFile) -> Result<Banks, CliError> {
    let Err(ours) = BankDisk::open(file) else { return Ok(Banks::Ours) };
    match (find_banks(file), ours) {
        (Ok(esx), _) => Ok(Banks::Esx(Box::new(esx))),
        // A disk of ours that is damaged keeps its own words.
        (Err(_), ours @ DiskError::Record { .. }) => Err(disk_error(path, ours)),
        (Err(cause), DiskError::Layout { .. }) => Err(esx_error(path, cause)),
    }
}

fn esx_error(path: &Path, cause: EsxError) -> CliError {
    let remedy = match &cause {
        EsxError::Io { .. } => {
            "look at the disk's health (dmesg, smartctl); copy what can be read with ddrescue"
        }
        EsxError::NotADisk { .. } => {
            "name the whole disk (/dev/sdb, not /dev/sdb5) or an image of it. If its partition table was lost, the \
             banks may still lie there: copy the disk, and restore the table on the copy (testdisk finds them)"
        }
        EsxError::NoBank { .. } => "name the disk from which the host boots (lsblk shows sizes and models)",
    };
    CliError::new(Kind::Failed, format!("{}: no boot banks found", path.display()))
        .because(cause)
        .remedy(remedy)
}

/// Opens a disk with ESXi banks for looking; others are refused with what to do instead.
pub(super) fn look_esx(path: &Path, instead: &str) -> Result<(BlockFile, EsxDisk), CliError> {
    match look(path)? {
        (file, Banks::Esx(esx)) => Ok((file, *esx)),
        (_, Banks::Ours) => Err(not_esx(path, instead)),
    }
}

/// Opens a disk with ESXi banks for changing.
pub(super) fn change_esx(path: &Path, force: bool) -> Result<BlockFile, CliError> {
    let force = if force { Force::Yes } else { Force::No };
    BlockFile::open_write(path, force).map_err(device_error)
}

fn not_esx(path: &Path, instead: &str) -> CliError {
    CliError::usage(format!("{} has banks of a Lifeboat host, not of an ESXi host", path.display()))
        .remedy(instead.to_owned())
}

/// The bank that a person named.
pub(super) fn named<'e>(esx: &'e EsxDisk, name: &str) -> Result<&'e EsxBank, CliError> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    letter.and_then(|letter| esx.bank(letter)).ok_or_else(|| {
        let there: Vec<String> =
            esx.banks.iter().map(|bank| format!("{} (partition {})", bank.letter, bank.partition)).collect();
        CliError::new(Kind::NotFound, format!("there is no bank {name:?} on this disk"))
            .remedy(format!("name one of: {}", there.join(", ")))
    })
}
