//! Fresh banks: fsck.fat and mtools find nothing, our doctor neither, and the identity is where the loader looks.

use lifeboat_bank::fat::{
    BANK_MAGIC, BankFormat, BankPlan, BankPlanError, FatKind, FatVolume, FatWriteError, PlannedFile, examine,
};
use lifeboat_model::io::{ReadAt, WriteAt};
use proptest::prelude::*;

use crate::fat_bank::{BANK, BASE, Bank, planned, words, write_plan};
use crate::fixture::{MIB, noise, sparse};
use crate::peers::run;

/// A write of the plan and of short contents onto a sparse file.
fn write_sparse(disk: &mut dyn WriteAt, plan: &BankPlan, files: &[(String, Vec<u8>)]) {
    for piece in plan.meta() {
        let mut bytes = piece.data.to_vec();
        bytes.resize(piece.len as usize, 0);
        disk.write_at(piece.offset, &bytes).unwrap();
    }
    for (index, (_, data)) in files.iter().enumerate() {
        disk.write_at(plan.extent_of(index).unwrap().offset, data).unwrap();
    }
    disk.write_at(0, &plan.boot_sector()).unwrap();
}

fn short_files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = [
        "boot.cfg",
        "b.b00",
        "UPPER.TGZ",
        "Mixed.Txt",
        "small.EXT",
        "BIG.ext",
        "dir/in side.txt",
        "noext",
        "empty.f00",
    ]
    .into_iter()
    .enumerate()
    .map(|(index, name)| (name.to_owned(), noise(index as u64 + 1, index * 700)))
    .collect();
    files[8].1.clear();
    files
}

#[test]
fn banks_of_every_size_pass_fsck_and_mtools_and_our_doctor() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bank.img");
    let name = path.to_str().unwrap();
    let files = short_files();
    // 1, 2, 4, 20, 48, 250 MB; 500 MB; the real sizes of ESXi 7 and 8 in sectors; and larger than FAT16 can use.
    let sectors = [2048, 4097, 8192, 39_062, 98_304, 511_968, 1_024_000, 2_097_152, 8_386_560, 8_500_000];
    for bytes in sectors.map(|count: u64| count * 512) {
        let mut disk = sparse(&path, bytes);
        disk.write_at(0, &noise(98, 600_000)).unwrap();
        let mut format = BankFormat::default_for(bytes, 64 * 512);
        format.serial = 0xfeed_beef;
        format.second_sector[16..32].copy_from_slice(&noise(1, 16));
        let plan = BankPlan::new(&format, &planned(&files)).unwrap();
        write_sparse(&mut disk, &plan, &files);
        let report = examine(&disk, 0, bytes);
        let sound =
            report.findings.iter().all(|finding| bytes > 4 << 30 && finding.code.word() == "fat-unused-tail");
        assert!(sound, "{bytes}: {}", words(&report));
        assert_eq!(report.free_bytes(), plan.free_bytes(), "{bytes}");
        assert_eq!(report.kind, Some(format.kind));
        assert_eq!(format.kind == FatKind::Fat12, bytes < 3 << 20, "{bytes}");
        assert_eq!((report.reserved_sectors, report.serial), (2, 0xfeed_beef));
        let mut second = [0; 512];
        disk.read_at(512, &mut second).unwrap();
        assert!(second.starts_with(BANK_MAGIC) && second == format.second_sector);
        let volume = FatVolume::open(&disk, 0, bytes).unwrap();
        for (file, data) in &files {
            assert_eq!(volume.read_file(file, MIB).unwrap(), *data, "{bytes}: {file}");
        }
        assert_eq!(
            BankFormat::like(&disk, 0, bytes).unwrap(),
            BankFormat { hidden: 64, ..format },
            "{bytes}"
        );
        let Some((clean, text)) = run("fsck.fat", &["-n", "-v", name]) else { continue };
        assert!(clean, "{bytes}: {text}");
        let Some((ok, text)) = run("mdir", &["-i", name, "-/", "-b", "::/"]) else { continue };
        for file in [
            "::/boot.cfg",
            "::/b.b00",
            "::/UPPER.TGZ",
            "::/Mixed.Txt",
            "::/small.EXT",
            "::/BIG.ext",
            "::/dir/in side.txt",
        ] {
            assert!(ok && text.contains(file), "{bytes}: {file} is not in {text}");
        }
    }
}

#[test]
fn the_usual_sizes_are_those_of_real_banks() {
    let format = BankFormat::default_for(8_386_560 * 512, 208_896 * 512);
    assert_eq!((format.cluster_bytes(), format.reserved, format.hidden), (65_536, 2, 208_896));
    assert_eq!(&format.oem, b"MSDOS5.0");
    let again = Bank::new();
    let like = BankFormat::like(&again.disk, BASE, BANK).unwrap();
    assert_eq!(like.serial, 0x1234_5678);
    assert_eq!(like.hidden, 64);
}

#[test]
fn a_format_taken_from_a_damaged_volume_is_healed_and_keeps_what_is_sane() {
    let fresh = Bank::new();
    let right = BankFormat::like(&fresh.disk, BASE, BANK).unwrap();
    for (at, bytes) in [
        (13, &[3][..]),
        (14, &[0, 0]),
        (16, &[9]),
        (17, &[0, 0]),
        (22, &[0, 0]),
        (22, &[255, 0]),
        (11, &[0, 9]),
    ] {
        let mut bank = fresh.clone();
        bank.put(at, bytes);
        let like = BankFormat::like(&bank.disk, BASE, BANK).unwrap();
        assert!(BankPlan::new(&like, &planned(&bank.files)).is_ok(), "{at}: {like:?}");
        assert_eq!((like.serial, like.second_sector), (right.serial, right.second_sector));
    }
    // A geometry of its own is kept.
    let mut own = right.clone();
    (own.sectors_per_cluster, own.reserved, own.root_entries) = (4, 8, 256);
    own.label = *b"BOOTBANK1  ";
    let plan = BankPlan::new(&own, &planned(&fresh.files)).unwrap();
    let mut disk = fresh.disk.clone();
    write_plan(&mut disk, BASE, &plan, &fresh.files);
    assert_eq!(BankFormat::like(&disk, BASE, BANK).unwrap(), own);
    assert!(examine(&disk, BASE, BANK).findings.is_empty());
    // Nothing to take over.
    assert_eq!(BankFormat::like(&vec![0_u8; 1 << 20], 0, 1 << 20), None);
    assert_eq!(BankFormat::like(&noise(3, 1 << 20), 0, 1 << 20), None);
    assert_eq!(BankFormat::like(&vec![0_u8; 100], 0, 1 << 20), None);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let format = BankFormat::default_for(BANK, BASE);
    let file = |name: &str, len| PlannedFile { name: name.to_owned(), len, modified: None };
    let plan = |format: &BankFormat, files: &[PlannedFile]| BankPlan::new(format, files).map(|_| ());
    let full = format.capacity();
    assert!(plan(&format, &[file("a", full)]).is_ok());
    assert!(matches!(
        plan(&format, &[file("a", full), file("b", 1)]),
        Err(BankPlanError::Files(FatWriteError::Full { .. }))
    ));
    let many: Vec<_> = (0..513).map(|n| file(&format!("f{n}"), 0)).collect();
    assert!(matches!(plan(&format, &many), Err(BankPlanError::RootFull { .. })));
    assert!(plan(&format, &many[..512]).is_ok());
    for name in ["", "/a", "a//b", "a\u{1}", "a*"] {
        assert!(matches!(
            plan(&format, &[file(name, 1)]),
            Err(BankPlanError::Files(FatWriteError::BadPath { .. }))
        ));
    }
    for hurt in [
        BankFormat { reserved: 1, ..format.clone() },
        BankFormat { sectors_per_cluster: 3, ..format.clone() },
        BankFormat { sectors_per_cluster: 0, ..format.clone() },
        BankFormat { root_entries: 0, ..format.clone() },
        BankFormat { root_entries: 17, ..format.clone() },
        BankFormat { kind: FatKind::Fat32, ..format.clone() },
        BankFormat { bytes: 5000, ..format.clone() },
        BankFormat { bytes: 0, ..format.clone() },
        BankFormat { sectors_per_cluster: 128, ..format.clone() },
    ] {
        assert!(matches!(plan(&hurt, &[]), Err(BankPlanError::Format { .. })), "{hurt:?}");
    }
    for bytes in [0, 1, 511, 512, 20_000, u64::MAX] {
        let _ = BankPlan::new(&BankFormat::default_for(bytes, u64::MAX), &[]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_files_in_any_geometry_are_found_again(
        sectors in 3_000_u64..90_000,
        shift in 0_u32..5,
        reserved in 2_u16..40,
        root in 2_u16..40,
        lens in prop::collection::vec(0_usize..40_000, 0..30),
        long in any::<bool>(),
    ) {
        let bytes = sectors * 512;
        let mut format = BankFormat::default_for(bytes, 0);
        (format.reserved, format.root_entries) = (reserved, root * 16);
        format.sectors_per_cluster = 1 << shift;
        for kind in [FatKind::Fat16, FatKind::Fat12] {
            format.kind = kind;
            let files: Vec<(String, Vec<u8>)> = lens
                .iter()
                .enumerate()
                .map(|(n, &len)| (format!("{}{n}.v00", if long { "a long name " } else { "m" }), noise(n as u64 + 1, len)))
                .collect();
            let Ok(plan) = BankPlan::new(&format, &planned(&files)) else { continue };
            let mut disk = noise(2, bytes as usize);
            write_plan(&mut disk, 0, &plan, &files);
            let report = examine(&disk, 0, bytes);
            prop_assert!(report.findings.is_empty(), "{}", words(&report));
            prop_assert_eq!(report.kind, Some(kind));
            prop_assert_eq!(report.nodes.len(), files.len());
            prop_assert!(report.nodes.iter().all(|node| node.whole));
            let volume = FatVolume::open(&disk, 0, bytes).unwrap();
            for (file, data) in &files {
                prop_assert!(volume.read_file(file, MIB).unwrap() == *data);
            }
        }
    }
}
