//! Readers of `lifeboat-bank` for disks of ESXi.

use lifeboat_bank::esx::archive::inspect;
use lifeboat_bank::esx::bootcfg::{BootCfg, CfgChanges, QuickBoot, write_strict};
use lifeboat_bank::esx::check::{CheckOptions, check};
use lifeboat_bank::esx::content::Depth;
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::esx::select::{BankInput, select};
use lifeboat_bank::esx::state::validate_state;
use lifeboat_bank::esx::undo::{UndoFile, examine_undo};
use lifeboat_bank::fat::Extent;
use lifeboat_model::Sha256Hex;

use super::disk::Sparse;

/// `boot.cfg`: what was read can be written strictly, and reads the same again.
pub(super) fn bootcfg(bytes: &[u8]) {
    let Ok(cfg) = BootCfg::read(bytes) else { return };
    let _ = cfg.files();
    let changes = CfgChanges { state: 3, updated: Some(7), build: None, quickboot: QuickBoot::Keep };
    if let Ok(text) = write_strict(&cfg, &changes) {
        let again = BootCfg::read(&text).ok();
        assert!(
            again.is_some_and(|again| again.values.bootstate == 3 && again.values.updated == 7),
            "a boot.cfg that was written reads otherwise"
        );
    }
}

/// Up to four files, parted by a zero byte: a bank is chosen that is one of them.
pub(super) fn select_banks(bytes: &[u8]) {
    let files: Vec<Option<BootCfg>> =
        bytes.split(|byte| *byte == 0).take(4).map(|file| BootCfg::read(file).ok()).collect();
    let inputs: Vec<BankInput<'_>> =
        files.iter().map(|cfg| BankInput { marked: true, cfg: cfg.as_ref() }).collect();
    let selection = select(&inputs);
    assert_eq!(selection.banks.len(), inputs.len(), "a bank has no outcome");
    if let Some(chosen) = selection.chosen {
        let chosen = inputs.get(chosen);
        assert!(chosen.is_some_and(|input| input.cfg.is_some()), "a bank without a file is chosen");
    }
}

/// A disk with banks.
pub(super) fn disk(bytes: &[u8]) {
    let disk = Sparse::of(bytes);
    if let Ok(found) = find_banks(&disk) {
        for depth in [Depth::Structure, Depth::Content] {
            let options = CheckOptions { threads: 1, ..CheckOptions::new(depth) };
            let _ = check(&disk, &found, &options);
        }
    }
}

/// A module, or saved state that is to be imported.
pub(super) fn state_tgz(bytes: &[u8]) {
    let _ = validate_state(&bytes, 1 << 20);
    let _ = inspect(&bytes, &[Extent { offset: 0, len: bytes.len() as u64 }]);
}

/// A file of what a change overwrote. Its digest is made right, so that what stands before it is reached.
pub(super) fn undo(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    for right in [false, true] {
        if right && let Some(covered) = file.len().checked_sub(32) {
            let digest = Sha256Hex::of(file.get(..covered).unwrap_or_default()).0;
            file.truncate(covered);
            file.extend_from_slice(&digest);
        }
        if let Ok(undo) = UndoFile::open(&file) {
            let _ = examine_undo(&Sparse::of(&[0, 0, 0, 64]), &undo);
        }
    }
}
