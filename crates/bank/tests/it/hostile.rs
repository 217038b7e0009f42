//! Bytes that somebody damaged on purpose: an error or a finding, never a panic, in bounded time.

use std::sync::OnceLock;

use lifeboat_bank::disk::{BankDisk, load_record};
use lifeboat_bank::fat::FatVolume;
use lifeboat_bank::gpt::read_table;
use lifeboat_bank::install::verify_bank;
use lifeboat_bank::layout::{Layout, inspect};
use lifeboat_bank::manifest::{UKI_PATH, encode_manifest, parse_manifest};
use lifeboat_bank::record::{decode_record, read_record};
use lifeboat_model::Bank;
use lifeboat_model::io::{ReadAt, WriteAt};
use proptest::prelude::*;

use crate::fixture::{MIB, provisioned};

fn disk() -> &'static (Vec<u8>, Layout) {
    static DISK: OnceLock<(Vec<u8>, Layout)> = OnceLock::new();
    DISK.get_or_init(provisioned)
}

/// A disk with a few bytes changed, without copying it.
struct Patched {
    patches: Vec<(u64, u8)>,
    len: u64,
}

impl ReadAt for Patched {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        if offset.saturating_add(buf.len() as u64) > self.len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        disk().0.read_at(offset, buf)?;
        for (at, value) in &self.patches {
            if let Some(byte) =
                at.checked_sub(offset).and_then(|at| buf.get_mut(usize::try_from(at).unwrap()))
            {
                *byte = *value;
            }
        }
        Ok(())
    }
}

fn read_everything(disk: &dyn ReadAt, base: u64, len: u64) -> usize {
    let Ok(volume) = FatVolume::open(disk, base, len) else { return 0 };
    let mut folders = vec![String::new()];
    let mut files = 0;
    for _ in 0..50 {
        let Some(folder) = folders.pop() else { break };
        for entry in volume.list(&folder).unwrap_or_default().into_iter().take(50) {
            let path = format!("{folder}/{}", entry.name);
            if entry.is_dir {
                folders.push(path);
            } else if let Ok(bytes) = volume.read_file(&path, MIB) {
                assert_eq!(bytes.len() as u64, entry.len.min(MIB));
                files += 1;
            }
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_table_is_an_error_or_is_read_by_the_other_copy(
        patches in prop::collection::vec((0..17_408_u64, any::<u8>()), 1..6),
    ) {
        let (bytes, _) = disk();
        let damaged = Patched { patches, len: bytes.size() };
        let read = read_table(&damaged).unwrap();
        prop_assert_eq!(read.table, read_table(bytes).unwrap().table);
        inspect(&damaged).unwrap();
    }

    #[test]
    fn a_cut_disk_never_panics(len in 0..19_922_944_u64) {
        let cut = Patched { patches: Vec::new(), len };
        let _ = read_table(&cut);
        let _ = inspect(&cut);
        let _ = BankDisk::open(&cut).map(|disk| disk.report());
    }

    #[test]
    fn a_damaged_volume_gives_whole_files_or_errors(
        patches in prop::collection::vec((prop_oneof![0..90_u64, 0..40_000_u64], any::<u8>()), 1..8),
    ) {
        let (bytes, layout) = disk();
        let boot = layout.volumes(Bank::A).boot;
        let patches = patches.into_iter().map(|(at, value)| (boot.offset() + at, value)).collect();
        read_everything(&Patched { patches, len: bytes.size() }, boot.offset(), boot.bytes());
    }

    #[test]
    fn a_damaged_record_is_never_read_as_another(at in 0..4096_usize, bit in 0..8_u8) {
        let (bytes, layout) = disk();
        let offset = layout.volumes(Bank::A).record_offset();
        let mut block = vec![0_u8; 4096];
        bytes.read_at(offset, &mut block).unwrap();
        let before = decode_record(&block).unwrap();
        block[at] ^= 1 << bit;
        // Behind the payload there is padding, which says nothing.
        if let Ok(after) = decode_record(&block) {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn manifests_of_any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse_manifest(&bytes, Bank::A).is_err());
        prop_assert!(decode_record(&bytes).is_err());
    }

    #[test]
    fn both_records_and_a_manifest_damaged_together_never_panic(
        patches in prop::collection::vec((0..60_000_u64, any::<u8>()), 0..4),
    ) {
        let (bytes, layout) = disk();
        let base = layout.volumes(Bank::A).boot.offset();
        let mut patches: Vec<(u64, u8)> = patches.into_iter().map(|(at, value)| (base + at, value)).collect();
        patches.extend(Bank::BOTH.map(|bank| (layout.volumes(bank).record_offset(), 0)));
        let damaged = Patched { patches, len: bytes.size() };
        load_record(&damaged, layout).unwrap();
        verify_bank(&damaged, layout, None, Bank::A);
    }
}

#[test]
fn a_record_or_table_cut_at_any_length_is_an_error() {
    let (bytes, layout) = disk();
    let mut block = vec![0_u8; 4096];
    bytes.read_at(layout.volumes(Bank::A).record_offset(), &mut block).unwrap();
    let used = block.iter().rposition(|&byte| byte != 0).unwrap();
    for len in 0..=used {
        assert!(decode_record(&block[..len]).is_err(), "{len}");
    }
    for len in (0..40 * 512).step_by(7) {
        assert!(read_table(&Patched { patches: Vec::new(), len }).is_err(), "{len}");
    }
    assert!(read_record(&Patched { patches: Vec::new(), len: 0 }, layout).is_err());
}

#[test]
fn absurd_sizes_in_a_table_with_right_checksums_are_refused() {
    let (bytes, _) = disk();
    // Offsets in the header: sizes, counts and places; each with values that would need much memory or leave the disk.
    for (at, width) in [(12, 4), (24, 8), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4)] {
        for value in [0_u64, 1, 7, 129, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX / 512, u64::MAX] {
            let mut hurt = bytes.clone();
            hurt.write_at(512 + at, &value.to_le_bytes()[..width]).unwrap();
            hurt.write_at(512 + 16, &[0; 4]).unwrap();
            let size = u32::from_le_bytes(hurt[524..528].try_into().unwrap()) as usize;
            let crc = crc32fast::hash(&hurt[512..512 + size.min(512)]);
            hurt.write_at(512 + 16, &crc.to_le_bytes()).unwrap();
            let read = read_table(&hurt).unwrap();
            // What is not refused says the same as before: the place of the other copy.
            assert!(!read.primary_ok || read.table.entries.len() == 5, "field {at} = {value:#x}");
        }
    }
}

#[test]
fn loops_and_strangers_in_a_chain_end_with_an_error() {
    let (bytes, layout) = disk();
    let boot = layout.volumes(Bank::A).boot;
    let volume = FatVolume::open(bytes, boot.offset(), boot.bytes()).unwrap();
    let span = volume.locate(UKI_PATH, MIB).unwrap();
    assert_eq!(span.extents.len(), 1);
    // FAT16 with one sector to a cluster; the first FAT lies behind the reserved sectors.
    let reserved =
        u64::from(u16::from_le_bytes(bytes[(boot.offset() + 14) as usize..][..2].try_into().unwrap()));
    let fat = boot.offset() + reserved * 512;
    let table: Vec<u16> =
        bytes[fat as usize..][..16_000].chunks(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect();
    let chain_at = table.iter().rposition(|&next| next != 0).unwrap() as u64;
    for value in [0_u16, 1, 2, 3, chain_at as u16, chain_at as u16 - 1, 0x9000, 0xfff6, 0xfff7] {
        let mut patches: Vec<(u64, u8)> = Vec::new();
        for back in [0, 1, 200] {
            let at = fat + (chain_at - back) * 2;
            patches.extend([(at, value.to_le_bytes()[0]), (at + 1, value.to_le_bytes()[1])]);
        }
        let damaged = Patched { patches, len: bytes.size() };
        let check = verify_bank(&damaged, layout, None, Bank::A);
        assert!(!check.is_whole(), "{value:#x}");
        let read = read_everything(&damaged, boot.offset(), boot.bytes());
        assert!(read <= 2, "{value:#x}");
    }
}

#[test]
fn json_that_nests_without_end_is_refused() {
    let deep = "[".repeat(60_000);
    assert!(parse_manifest(deep.as_bytes(), Bank::A).is_err());
    let (bytes, layout) = disk();
    let check = verify_bank(bytes, layout, None, Bank::A);
    let mut manifest = check.manifest.unwrap();
    manifest.schema = 2;
    let newer = encode_manifest(&manifest).unwrap();
    assert!(parse_manifest(&newer, Bank::A).unwrap_err().to_string().contains("newer Lifeboat"));
    manifest.schema = 1;
    manifest.bank = Bank::B;
    assert!(parse_manifest(&encode_manifest(&manifest).unwrap(), Bank::A).is_err());
}
