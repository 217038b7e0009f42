//! A bank that failed is made unbootable.

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState};

use super::trial::{OpsError, load};
use crate::layout::Layout;

/// Length of a boot sector.
const SECTOR: usize = 512;

/// Zeroes the boot sector of a bank whose state is failed or invalid, so that a firmware that forgot its variables,
/// and takes the first boot volume that loads, takes the good bank. Says whether anything was written. Called by the
/// bank that runs, about the other one; doing it twice is doing it once.
///
/// The content behind the boot sector stays as it is, for whoever wants to look into it.
///
/// # Errors
/// [`OpsError::WrongState`] for any other state: nothing is written then.
pub fn close_failed(disk: &mut dyn WriteAt, layout: &Layout, bank: Bank) -> Result<bool, OpsError> {
    let state = load(disk, layout)?.bank(bank).state;
    match state {
        BankState::Failed | BankState::Invalid => {}
        BankState::Empty | BankState::Upgraded | BankState::Trying | BankState::Good => {
            let needed = "failed or invalid";
            return Err(OpsError::WrongState { bank, step: "made unbootable", state, needed });
        }
    }
    let at = layout.volumes(bank).boot.offset();
    let failed = |source| OpsError::Volume { bank, source };
    let mut sector = [0_u8; SECTOR];
    disk.read_at(at, &mut sector).map_err(failed)?;
    if sector.iter().all(|&byte| byte == 0) {
        return Ok(false);
    }
    disk.write_at(at, &[0; SECTOR]).map_err(failed)?;
    disk.flush().map_err(failed)?;
    Ok(true)
}
