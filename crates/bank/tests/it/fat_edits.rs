//! Changes in place: what goes is gone, what stays is right, and a power cut between any two writes harms nobody.

use std::collections::BTreeSet;

use lifeboat_bank::fat::{
    Edit, FatCode, FatEditError, FatReport, FatSeverity, clear_dirty, remove, restore_first_fat,
};
use lifeboat_model::io::WriteAt;
use proptest::prelude::*;

use crate::fat_bank::{BANK, BASE, Bank, words};
use crate::fixture::noise;
use crate::peers::run;

fn fsck_clean(bank: &Bank) -> Option<(bool, String)> {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bank.img");
    std::fs::write(&path, bank.volume()).unwrap();
    run("fsck.fat", &["-n", path.to_str().unwrap()])
}

fn take_out(bank: &Bank, paths: &[&str]) -> Result<Vec<Edit>, FatEditError> {
    let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
    remove(&bank.disk, BASE, BANK, &paths)
}

/// What a cut may leave: lost clusters, a FAT 2 that is behind, parts of a long name.
fn is_harmless(report: &FatReport) -> bool {
    report.findings.iter().filter(|finding| finding.severity != FatSeverity::Innocent).all(|finding| {
        matches!(
            finding.code,
            FatCode::Lost | FatCode::CopiesDiffer | FatCode::LongOrphan | FatCode::LongMismatch
        )
    })
}

/// Applies the edits with a cut after every sector: each state must be harmless, and give all files that stay.
fn cut_everywhere(bank: &Bank, edits: &[Edit], stay: usize) -> usize {
    let mut now = bank.clone();
    let mut cuts = 0;
    for edit in edits {
        for (index, sector) in edit.new.chunks(512).enumerate() {
            now.disk.write_at(edit.offset + index as u64 * 512, sector).unwrap();
            let report = now.examine();
            assert!(is_harmless(&report), "{}", words(&report));
            // FAT 1 is what is read: by it every file that stays is there and right.
            assert!(now.right_by_name() >= stay, "{}", words(&report));
            cuts += 1;
        }
    }
    cuts
}

impl Bank {
    /// Files with the right content by FAT 1, whatever else is wrong.
    fn right_by_name(&self) -> usize {
        let report = self.examine();
        self.files
            .iter()
            .filter(|(name, data)| {
                report.node(name).is_some_and(|node| {
                    !node.is_dir && self.read_by_first_fat(node.cluster, node.len) == *data
                })
            })
            .count()
    }
}

#[test]
fn dirty_bits_are_cleared_and_only_when_nothing_is_damaged() {
    let mut bank = Bank::new();
    assert!(clear_dirty(&bank.disk, BASE, BANK).unwrap().is_empty());
    let clean = bank.disk.clone();
    bank.put(37, &[3]);
    bank.set_link(1, 0x3fff);
    assert!(bank.examine().has(FatCode::DirtyBoot) && bank.examine().has(FatCode::DirtyTable));
    let edits = clear_dirty(&bank.disk, BASE, BANK).unwrap();
    assert_eq!(edits.len(), 3);
    assert_eq!(edits.last().unwrap().offset, BASE, "the boot sector is the last");
    let mut hurt = bank.clone();
    bank.apply(&edits);
    assert!(bank.disk == clean);
    hurt.set_link(7, 0xfff7);
    assert!(matches!(clear_dirty(&hurt.disk, BASE, BANK), Err(FatEditError::Unsafe { .. })));
    hurt.put(0, &[0; 512]);
    assert!(matches!(clear_dirty(&hurt.disk, BASE, BANK), Err(FatEditError::Unreadable { .. })));
}

#[test]
fn the_first_table_is_restored_only_from_a_second_that_contradicts_nothing() {
    let fresh = Bank::new();
    assert!(matches!(restore_first_fat(&fresh.disk, BASE, BANK), Err(FatEditError::Nothing { .. })));
    let mut bank = fresh.clone();
    let at = bank.fat_at(0);
    bank.put(at, &noise(4, 512 * 30));
    let edits = restore_first_fat(&bank.disk, BASE, BANK).unwrap();
    assert!(edits.iter().all(|edit| edit.offset >= BASE + at && edit.new.len() == edit.old.len()));
    bank.apply(&edits);
    assert!(bank.disk == fresh.disk);

    let mut second = fresh.clone();
    second.put(second.fat_at(1), &noise(4, 512 * 30));
    assert!(matches!(restore_first_fat(&second.disk, BASE, BANK), Err(FatEditError::Nothing { .. })));
    let mut both = fresh.clone();
    both.put(at, &noise(4, 512 * 30));
    both.put(both.fat_at(1) + 700, &noise(5, 60));
    assert!(matches!(restore_first_fat(&both.disk, BASE, BANK), Err(FatEditError::Unsafe { .. })));
    let mut shifted = fresh.clone();
    shifted.put(14, &[3]);
    assert!(restore_first_fat(&shifted.disk, BASE, BANK).is_err());
}

#[test]
fn removed_files_and_directories_leave_a_clean_volume_and_every_cut_is_harmless() {
    let fresh = Bank::new();
    for (paths, gone) in [
        (vec!["mod05.v00"], 1),
        (vec!["A long name, not 8.3.txt"], 1),
        (vec!["DIR"], 2),
        (vec!["DIR/BELOW"], 1),
        (vec!["DIR/BELOW/DEEP.BIN", "DIR", "MOD00.V00", "BOOT.CFG", "MOD20.V00"], 5),
    ] {
        let edits = take_out(&fresh, &paths).unwrap();
        assert!(edits.iter().any(|edit| edit.barrier), "entries and clusters are apart");
        let cuts = cut_everywhere(&fresh, &edits, 30 - gone);
        assert!(cuts >= 3);
        let mut bank = fresh.clone();
        bank.apply(&edits);
        let report = bank.examine();
        assert!(report.findings.is_empty(), "{paths:?}: {}", words(&report));
        assert_eq!(bank.right_files(&report), 30 - gone, "{paths:?}");
        assert!(report.free_clusters > fresh.examine().free_clusters);
        if let Some((clean, text)) = fsck_clean(&bank) {
            assert!(clean, "{paths:?}: {text}");
        }
        // And back.
        let undo: Vec<Edit> = edits
            .iter()
            .rev()
            .map(|edit| Edit { old: edit.new.clone(), new: edit.old.clone(), ..edit.clone() })
            .collect();
        bank.apply(&undo);
        assert!(bank.disk == fresh.disk);
    }
}

#[test]
fn ghosts_that_no_driver_can_delete_are_removed() {
    let fresh = Bank::new();
    let free = fresh.free_cluster();
    for (attribute, cluster, len) in [
        (0x10, free + 3, 0),
        (0x10, 0, 0),
        (0x10, 0xffe0, 0),
        (0x40, free, 77),
        (0x18, 0, 0),
        (0x28, 5, 9),
        (0xd7, 7, 9),
    ] {
        let mut bank = fresh.clone();
        let root = bank.root_at();
        let at = (0..512).map(|i| root + i * 32).find(|&at| bank.volume()[at as usize] == 0).unwrap();
        let mut entry = [0_u8; 32];
        entry[..11].copy_from_slice(b"STATE   123");
        entry[11] = attribute;
        entry[26..28].copy_from_slice(&u16::to_le_bytes(cluster));
        entry[28..].copy_from_slice(&u32::to_le_bytes(len));
        bank.put(at, &entry);
        let report = bank.examine();
        let ghosts: Vec<_> = report.nodes.iter().filter(|node| node.ghost).collect();
        assert_eq!(ghosts.len(), 1, "{attribute:#x}: {}", words(&report));
        assert_eq!(ghosts[0].path, "STATE.123");
        let edits = take_out(&bank, &["STATE.123"]).unwrap();
        assert_eq!(edits.len(), 1, "its entry, and no table");
        bank.apply(&edits);
        let report = bank.examine();
        assert!(report.findings.is_empty(), "{attribute:#x}: {}", words(&report));
        assert_eq!(bank.right_files(&report), 30);
    }
}

#[test]
fn what_would_harm_another_file_is_refused() {
    let fresh = Bank::new();
    assert!(matches!(take_out(&fresh, &["none"]), Err(FatEditError::NotFound { .. })));
    assert!(matches!(take_out(&fresh, &[]), Err(FatEditError::Nothing { .. })));
    let mut shared = fresh.clone();
    let to = shared.chain(b"MOD09   V00")[4];
    let from = shared.chain(b"MOD05   V00")[1];
    shared.set_link(from, to);
    for path in ["MOD05.V00", "MOD09.V00"] {
        let error = take_out(&shared, &[path]).unwrap_err().to_string();
        assert!(
            error.contains("MOD05.V00") && error.contains("MOD09.V00") && error.contains("rebuild"),
            "{error}"
        );
    }
    let edits = take_out(&shared, &["MOD05.V00", "MOD09.V00"]).unwrap();
    shared.apply(&edits);
    assert_eq!(shared.right_files(&shared.examine()), 28);
    let mut differ = fresh.clone();
    differ.put(differ.fat_at(0) + 700, &noise(1, 40));
    assert!(matches!(take_out(&differ, &["MOD05.V00"]), Err(FatEditError::Unsafe { .. })));
    let mut cut = fresh.clone();
    cut.disk.truncate((BASE + cut.cluster_at(9000)) as usize);
    assert!(matches!(take_out(&cut, &["MOD05.V00"]), Err(FatEditError::Unsafe { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_choice_of_files_goes_and_all_others_stay(choice in prop::collection::btree_set(0..30_usize, 1..29)) {
        let mut bank = Bank::new();
        let names = bank.files.clone();
        let paths: Vec<&str> = choice.iter().map(|&index| names[index].0.as_str()).collect();
        let edits = take_out(&bank, &paths).unwrap();
        bank.apply(&edits);
        let report = bank.examine();
        prop_assert!(report.findings.is_empty(), "{}", words(&report));
        prop_assert_eq!(bank.right_files(&report), 30 - choice.len());
    }

    #[test]
    fn edits_of_a_damaged_bank_touch_no_file_that_is_whole(
        hurts in prop::collection::vec((0_u64..160_000, any::<u8>()), 1..12),
        choice in prop::collection::btree_set(0..30_usize, 1..6),
    ) {
        let mut bank = Bank::new();
        for (at, value) in hurts {
            bank.put(at, &[value]);
        }
        let before = bank.examine();
        let known: BTreeSet<usize> = choice
            .into_iter()
            .filter(|&index| before.node(&bank.files[index].0).is_some())
            .collect();
        let names = bank.files.clone();
        let paths: Vec<&str> = known.iter().map(|&index| names[index].0.as_str()).collect();
        let whole: BTreeSet<String> =
            before.nodes.iter().filter(|node| node.whole && !node.is_dir).map(|node| node.path.clone()).collect();
        if let Ok(edits) = take_out(&bank, &paths) {
            bank.apply(&edits);
            let after = bank.examine();
            for path in &whole {
                if paths.iter().any(|gone| gone.eq_ignore_ascii_case(path)) {
                    continue;
                }
                let (was, is) = (before.node(path).unwrap(), after.node(path));
                prop_assert!(is.is_some_and(|is| is.whole && is.cluster == was.cluster), "{path}: {}", words(&after));
            }
        }
        for edits in [clear_dirty(&bank.disk, BASE, BANK), restore_first_fat(&bank.disk, BASE, BANK)].into_iter().flatten() {
            let mut changed = bank.clone();
            changed.apply(&edits);
            prop_assert!(changed.examine().findings.len() <= bank.examine().findings.len());
        }
    }
}
