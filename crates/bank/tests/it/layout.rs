//! What a disk holds is recognised before it is overwritten.

use lifeboat_bank::gpt::{GptEntry, read_table, write_table};
use lifeboat_bank::guid::Guid;
use lifeboat_bank::layout::{
    DiskContent, Geometry, LayoutError, TYPE_DATA, create_layout, inspect, read_layout,
};
use lifeboat_model::Bank;
use lifeboat_model::io::WriteAt;

use crate::fixture::{GEOMETRY, MIB, guids, laid_out, provisioned};
use crate::peers::run;

fn what(disk: &[u8]) -> Vec<String> {
    match inspect(&disk).unwrap() {
        DiskContent::Foreign { what } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn partitions_lie_in_the_documented_order_on_whole_mebibytes() {
    let (disk, layout) = laid_out();
    let table = read_table(&disk).unwrap().table;
    let names: Vec<&str> = table.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        ["lifeboat-A-boot", "lifeboat-A-root", "lifeboat-B-boot", "lifeboat-B-root", "lifeboat-state"]
    );
    assert!(table.entries.iter().all(|entry| entry.first_lba % 2048 == 0 && entry.sectors() % 2048 == 0));
    assert_eq!(layout.volumes(Bank::B).boot.offset(), 9 * MIB);
    assert_eq!(layout.volumes(Bank::B).record_offset(), 17 * MIB - 4096);
    assert_eq!(layout.bank_of(layout.banks[1].root.guid), Some(Bank::B));
    assert_eq!(inspect(&disk).unwrap(), DiskContent::Ours(Box::new(layout)));
}

#[test]
fn a_blank_disk_is_empty_and_a_single_byte_makes_it_foreign() {
    let mut disk = vec![0_u8; 3 << 20];
    assert_eq!(inspect(&disk).unwrap(), DiskContent::Empty);
    disk[700_000] = 1;
    assert_eq!(what(&disk), ["data of an unknown kind, from byte 700000 on"]);
}

#[test]
fn foreign_content_is_named() {
    let blank = vec![0_u8; 8 << 20];
    let mut mbr = blank.clone();
    mbr.write_at(446, &[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x20, 0, 0, 0x55]).unwrap();
    mbr.write_at(462, &[0]).unwrap();
    mbr.write_at(510, &[0x55, 0xaa]).unwrap();
    assert_eq!(what(&mbr), ["MBR partition 1 of type 83 (4 MiB)"]);
    let mut ext = blank.clone();
    ext.write_at(1080, &[0x53, 0xef]).unwrap();
    assert_eq!(what(&ext), ["an ext2, ext3 or ext4 file system on the whole disk"]);

    let (mut other, _) = laid_out();
    let mut table = read_table(&other).unwrap().table;
    table.entries.truncate(3);
    table.entries[0].name = "EFI system partition".to_owned();
    write_table(&mut other, &table).unwrap();
    let found = what(&other);
    assert!(found[0].contains("missing lifeboat-A-boot, lifeboat-B-root, lifeboat-state"), "{found:?}");
    assert!(found[1].contains(r#"partition 1 "EFI system partition" (4 MiB"#), "{found:?}");

    let scratch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scratch.path(), &blank).unwrap();
    if run("mkfs.fat", &[scratch.path().to_str().unwrap()]).is_some() {
        let fat = std::fs::read(scratch.path()).unwrap();
        assert_eq!(what(&fat), ["a FAT file system on the whole disk"]);
    }
}

#[test]
fn foreign_partitions_beside_ours_are_named_and_two_of_ours_are_refused() {
    let (mut disk, _) = laid_out();
    disk.resize(disk.len() + (4 << 20), 0);
    let mut table = lifeboat_bank::gpt::GptTable::empty(guids().disk, disk.len() as u64 / 512);
    table.entries = read_table(&disk).unwrap().table.entries;
    let first_lba = table.entries[4].last_lba + 1;
    let guid = Guid::from_random([7; 16]);
    let name = "backups".to_owned();
    let extra = GptEntry {
        number: 9,
        type_guid: TYPE_DATA,
        guid,
        first_lba,
        last_lba: first_lba + 99,
        attributes: 0,
        name,
    };
    table.entries.push(extra);
    write_table(&mut disk, &table).unwrap();
    let layout = read_layout(&disk).unwrap();
    assert_eq!(layout.foreign.len(), 1);
    assert!(layout.foreign[0].contains(r#"partition 9 "backups""#));

    table.entries[5].name = "lifeboat-state".to_owned();
    write_table(&mut disk, &table).unwrap();
    assert!(matches!(read_layout(&disk), Err(LayoutError::BadPartition { .. })));
}

#[test]
fn sizes_that_do_not_fit_are_refused_and_nothing_is_written() {
    let wrong = [
        Geometry { boot: MIB, ..GEOMETRY },
        Geometry { root: MIB + 512, ..GEOMETRY },
        Geometry { state: 0, ..GEOMETRY },
        Geometry { root: u64::MAX - MIB + 1, ..GEOMETRY },
        Geometry { root: 5 * MIB, ..GEOMETRY },
    ];
    for geometry in wrong {
        let mut disk = vec![0x5a_u8; usize::try_from(GEOMETRY.disk_bytes()).unwrap()];
        let refused = create_layout(&mut disk, &geometry, &guids());
        assert!(matches!(refused, Err(LayoutError::BadGeometry { .. })), "{geometry:?}");
        assert!(disk.iter().all(|&byte| byte == 0x5a));
    }
}

#[test]
fn partitioning_anew_leaves_no_record_and_no_boot_sector_of_the_old_layout() {
    let (mut disk, _) = provisioned();
    let layout = create_layout(&mut disk, &GEOMETRY, &guids()).unwrap();
    let (record, findings) = lifeboat_bank::disk::load_record(&disk, &layout).unwrap();
    assert_eq!(record, lifeboat_bank::record::BankRecord::empty());
    assert_eq!(findings[0].code, "nothing-installed");
}

#[test]
fn a_disk_whose_table_is_lost_is_not_called_empty() {
    let (mut disk, _) = provisioned();
    let end = disk.len();
    disk[..34 * 512].fill(0);
    disk[end - 33 * 512..].fill(0);
    let DiskContent::Foreign { what } = inspect(&disk).unwrap() else { panic!("it was called empty") };
    assert!(
        what.iter().any(|line| line.contains("bank record") && line.contains("table is lost")),
        "{what:?}"
    );
}

#[test]
fn data_in_the_middle_of_a_disk_is_found() {
    let mut disk = vec![0_u8; 48 << 20];
    disk[(20 << 20) + 1080..][..2].copy_from_slice(&[0x53, 0xef]);
    let DiskContent::Foreign { what } = inspect(&disk).unwrap() else { panic!("it was called empty") };
    assert!(what[0].contains("data of an unknown kind"), "{what:?}");
}
