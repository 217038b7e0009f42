//! Readers of `lifeboat-bank` for our own disks.

use lifeboat_bank::disk::BankDisk;
use lifeboat_bank::efi::{DevicePath, LoadOption, decode_numbers};
use lifeboat_bank::fat::{Edit, FatVolume, clear_dirty, examine, remove, restore_first_fat};
use lifeboat_bank::gpt::read_table;
use lifeboat_bank::layout::inspect;
use lifeboat_bank::manifest::{encode_manifest, parse_manifest};
use lifeboat_bank::ovmf::OvmfVars;
use lifeboat_bank::record::{decode_record, encode_record};
use lifeboat_bank::state::{
    Limits, check_path, parse_declaration, parse_migration, read_archive, read_header,
};
use lifeboat_bank::uki::parse_uki;
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, Sha256Hex};

use super::disk::Sparse;

/// Tables of partitions, and banks.
pub(super) fn gpt(bytes: &[u8]) {
    let disk = Sparse::of(bytes);
    if let Ok(read) = read_table(&disk) {
        for entry in &read.table.entries {
            assert!(entry.sectors() <= disk.size() / 512, "a partition is larger than its disk");
        }
    }
    let _ = inspect(&disk);
    let _ = BankDisk::open(&disk).map(|disk| disk.report());
}

/// All files and folders of a FAT volume.
pub(super) fn fat_read(bytes: &[u8]) {
    let disk = Sparse::of(bytes);
    let Ok(volume) = FatVolume::open(&disk, 0, disk.size()) else { return };
    let mut folders = vec![String::new()];
    for _ in 0..40 {
        let Some(folder) = folders.pop() else { break };
        for entry in volume.list(&folder).unwrap_or_default().into_iter().take(40) {
            let path = format!("{folder}/{}", entry.name);
            if entry.is_dir {
                folders.push(path);
            } else if let Ok(file) = volume.read_file(&path, 1 << 20) {
                assert!(file.len() <= 1 << 20, "a file is longer than asked for");
            }
        }
    }
}

/// What is wrong with a FAT volume.
pub(super) fn fat_examine(bytes: &[u8]) {
    let disk = Sparse::of(bytes);
    let report = examine(&disk, 0, disk.size());
    assert!(report.free_clusters <= report.clusters, "more is free than there is");
}

/// Repairs of a FAT volume: each edit fits the disk that it was made for, and what comes out can be examined.
pub(super) fn fat_edit(bytes: &[u8]) {
    let Some(disk) = Sparse::of(bytes).whole(8 << 20) else { return };
    let len = disk.size();
    let report = examine(&disk, 0, len);
    let paths: Vec<String> = report.nodes.iter().step_by(3).take(8).map(|node| node.path.clone()).collect();
    let edits = [clear_dirty(&disk, 0, len), restore_first_fat(&disk, 0, len), remove(&disk, 0, len, &paths)];
    for edits in edits.into_iter().flatten() {
        let mut changed = disk.clone();
        for edit in &edits {
            apply(&mut changed, edit);
        }
        let _ = examine(&changed, 0, len);
    }
}

fn apply(disk: &mut Vec<u8>, edit: &Edit) {
    assert_eq!(edit.old.len(), edit.new.len(), "an edit changes the length of the disk");
    let mut found = vec![0; edit.old.len()];
    assert!(disk.read_at(edit.offset, &mut found).is_ok(), "an edit leaves the disk");
    assert!(found == edit.old, "an edit was made for other bytes");
    assert!(disk.write_at(edit.offset, &edit.new).is_ok(), "an edit leaves the disk");
}

/// What a boot volume says of its bank.
pub(super) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = parse_manifest(bytes, Bank::A) {
        let again = encode_manifest(&manifest).ok().and_then(|bytes| parse_manifest(&bytes, Bank::A).ok());
        assert_eq!(again, Some(manifest), "a manifest that was read cannot be said again");
    }
}

/// The record of the banks. The digest is made right, so that what stands behind it is reached.
pub(super) fn record(bytes: &[u8]) {
    let mut block = bytes.to_vec();
    block.resize(4096, 0);
    let mut word = [0_u8; 4];
    word.iter_mut().zip(block.iter().skip(12)).for_each(|(to, from)| *to = *from);
    let payload = block.iter().skip(56).take(u32::from_le_bytes(word) as usize);
    let covered: Vec<u8> = block.iter().skip(8).take(16).chain(payload).copied().collect();
    let digest = Sha256Hex::of(&covered).0;
    block.iter_mut().skip(24).zip(digest).for_each(|(to, from)| *to = from);
    let _ = decode_record(bytes);
    if let Ok((record, sequence)) = decode_record(&block) {
        let again = encode_record(&record, sequence).ok();
        let again = again.and_then(|block| decode_record(block.as_slice()).ok());
        assert_eq!(again, Some((record, sequence)), "a record that was read cannot be said again");
    }
}

/// State that travels from bank to bank.
pub(super) fn saved_state(bytes: &[u8]) {
    let _ = read_header(&mut &*bytes);
    let _ = read_archive(&mut &*bytes, Limits { entries: 1000, bytes: 1 << 20 }, &mut ());
}

/// Declarations and migrations of state.
pub(super) fn state_words(bytes: &[u8]) {
    let _ = parse_declaration(bytes);
    let _ = parse_migration(bytes);
    let _ = check_path(bytes);
}

/// A boot image.
pub(super) fn uki(bytes: &[u8]) {
    let _ = parse_uki(bytes);
}

/// Variables of the firmware.
pub(super) fn boot_variables(bytes: &[u8]) {
    let _ = LoadOption::decode(bytes);
    let _ = decode_numbers(bytes);
    let _ = DevicePath::decode(bytes);
    let _ = OvmfVars::open(bytes.to_vec());
}
