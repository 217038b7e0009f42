//! Carrying the state of the bank that runs to the other one.

use std::fs;
use std::path::Path;

use lifeboat_bank::state::Header;
use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};

use super::KeepError;
use super::place::{carried, live, saved};
use super::tree::pack;

/// Copies the live state of `from` into the archive that the first boot of `for_release` in the other bank will take.
/// What `from` has is only read. Says what was carried; none if `from` has no saved state.
pub fn carry(
    state: &Path,
    from: Bank,
    release: Option<&ReleaseRef>,
    for_release: Sha256Hex,
) -> Result<Option<String>, KeepError> {
    let Some(live) = live(state, from)? else { return Ok(None) };
    let folder = saved(state);
    fs::create_dir_all(&folder).map_err(KeepError::file("making", &folder))?;
    let header =
        Header { from, release: release.cloned(), version: live.marker.version, carried_for: for_release };
    let path = carried(state, from.other());
    let digest = pack(&live.tree(), &header, &path)?;
    Ok(Some(format!(
        "the saved state of bank {from} (version {}) was copied for bank {}: {}",
        header.version,
        from.other(),
        digest.short()
    )))
}
