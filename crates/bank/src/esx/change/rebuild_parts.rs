//! What goes into a rebuilt bank.

use lifeboat_model::io::ReadAt;
use sha2::{Digest, Sha256};

use super::judge::{BankView, Content};
use super::plan::Data;
use crate::esx::EsxBank;
use crate::esx::archive::inspect;
use crate::esx::content::{Role, survey};
use crate::esx::state::validate_state;
use crate::fat::{Extent, FatTime, FatVolume};

/// The saved state.
const STATE: &str = "state.tgz";
/// Most bytes of a saved state that are held in memory.
const OWN_STATE_LIMIT: u64 = 64 << 20;

/// A file for the new bank.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) sha256: [u8; 32],
    pub(super) modified: Option<FatTime>,
    content: MemberContent,
}

#[derive(Debug, Clone)]
enum MemberContent {
    /// In the source bank.
    Runs { runs: Vec<Extent>, len: u64 },
    /// In memory.
    Bytes(Vec<u8>),
}

impl Member {
    /// A saved state from memory.
    pub(super) fn state(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&bytes).into();
        Self { path: STATE.to_owned(), sha256, modified: None, content: MemberContent::Bytes(bytes) }
    }

    pub(super) fn is_state(&self) -> bool {
        self.path.eq_ignore_ascii_case(STATE)
    }

    pub(super) fn len(&self) -> u64 {
        match &self.content {
            MemberContent::Runs { len, .. } => *len,
            MemberContent::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes as a write.
    pub(super) fn data(&self) -> Data {
        match &self.content {
            MemberContent::Runs { runs, len } => {
                Data::Copy { name: self.path.clone(), from: runs.clone(), len: *len, sha256: self.sha256 }
            }
            MemberContent::Bytes(bytes) => {
                let mut bytes = bytes.clone();
                bytes.resize(bytes.len().next_multiple_of(512), 0);
                Data::Bytes(bytes)
            }
        }
    }
}

/// The files that belong to a bank, each looked through: what its boot.cfg names, and those that every bank has. The
/// error says what is not whole.
pub(super) fn members(disk: &dyn ReadAt, source: &EsxBank) -> Result<Vec<Member>, String> {
    let content = survey(disk, source);
    if let Some(missing) = content.missing.first() {
        let more = content.missing.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        return Err(format!("{}, which boot.cfg names, cannot be loaded{more}", missing.name));
    }
    let cfg = source.cfg.as_ref().ok_or("it has no boot.cfg")?;
    if cfg.values.kernel.is_empty() || cfg.values.modules.is_empty() {
        return Err("its boot.cfg names no kernel or no module".to_owned());
    }
    if let Some(file) = content.unnamed().next() {
        return Err(format!("{} looks like a module, and its boot.cfg does not name it", file.path));
    }
    let view = source.volume.as_ref().ok_or("its volume cannot be read")?;
    let chains = view.chains(disk).map_err(|why| format!("it {why}"))?;
    let mut out = Vec::new();
    for file in content.belonging() {
        let broken = |why: String| format!("{} {why}", file.path);
        if !content.owns(file) {
            return Err(broken(
                "shares its clusters with another file, or its chain does not fit its size".to_owned(),
            ));
        }
        let runs = chains.extents(file.cluster, file.len).map_err(broken)?;
        let inspected = inspect(disk, &runs).map_err(|error| broken(format!("is not whole: {error}")))?;
        if file.len == 0 {
            return Err(broken("is empty".to_owned()));
        }
        if file.role != Role::Config {
            let sha256 = from_hex(&inspected.sha256).ok_or_else(|| broken("has no digest".to_owned()))?;
            let modified = content.fat.node(&file.path).and_then(|node| node.modified);
            let content = MemberContent::Runs { runs, len: file.len };
            out.push(Member { path: file.path.clone(), sha256, modified, content });
        }
    }
    Ok(out)
}

/// Looks through every file that a bank needs or keeps, and says whether all are whole. Reads them once.
pub fn check_content(disk: &dyn ReadAt, bank: &EsxBank) -> Content {
    if bank.cfg.is_none() {
        let why = bank.cfg_error.clone().unwrap_or_else(|| "has none".to_owned());
        return Content::Damaged { why: format!("boot.cfg cannot be read: it {why}") };
    }
    match members(disk, bank) {
        Ok(_) => Content::Whole,
        Err(why) => Content::Damaged { why },
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (text.len() == 64).then_some(out)
}

/// The saved state of a bank that may be damaged, if it is whole. The error is the rest of "its own ...".
pub(super) fn own_state(disk: &dyn ReadAt, target: &BankView) -> Result<Vec<u8>, String> {
    let volume = FatVolume::open(disk, target.offset, target.bytes)
        .map_err(|error| format!("cannot be read ({error})"))?;
    let state =
        volume.read_file(STATE, OWN_STATE_LIMIT).map_err(|error| format!("cannot be read ({error})"))?;
    match validate_state(&state, OWN_STATE_LIMIT) {
        Ok(_) => Ok(state),
        Err(error) => Err(format!("is not whole ({error})")),
    }
}

/// The largest value below `running` that no other bank has; none when there is none but 0.
pub(super) fn updated_below(running: u32, others: &[u32]) -> Option<u32> {
    (1..running).rev().find(|value| !others.contains(value))
}
