//! The partition table as others see it, and its two copies.

use lifeboat_bank::gpt::{GptError, read_table, write_table};
use lifeboat_model::io::WriteAt;

use crate::fixture::{guids, laid_out};
use crate::peers::run;

#[test]
fn the_table_is_read_by_util_linux() {
    let (disk, layout) = laid_out();
    let scratch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scratch.path(), &disk).unwrap();
    let name = scratch.path().to_str().unwrap();
    let Some((ok, text)) = run("partx", &["--pairs", "--output", "NR,START,SECTORS,NAME,UUID,TYPE", name])
    else {
        return;
    };
    assert!(ok, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    let root = layout.banks[1].root;
    let wanted = format!(
        r#"NR="4" START="{}" SECTORS="{}" NAME="lifeboat-B-root" UUID="{}""#,
        root.first_lba, root.sectors, root.guid
    );
    assert!(lines[3].starts_with(&wanted), "{}\n{wanted}", lines[3]);
    assert!(lines[3].contains("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), "{}", lines[3]);
    let Some((_, text)) = run("blkid", &["--probe", name]) else { return };
    assert!(text.contains(r#"PTTYPE="gpt""#) && text.contains(&guids().disk.to_string()), "{text}");
}

#[test]
fn either_copy_of_the_table_is_enough_and_the_loss_is_told() {
    let (disk, _) = laid_out();
    let whole = read_table(&disk).unwrap();
    assert!(whole.primary_ok && whole.backup_ok && whole.findings.is_empty());
    let last = disk.len() as u64 - 512;
    for (offset, code) in [(512, "gpt-primary-bad"), (1024 + 57, "gpt-primary-bad"), (last, "gpt-backup-bad")]
    {
        let mut hurt = disk.clone();
        hurt.write_at(offset, b"!").unwrap();
        let read = read_table(&hurt).unwrap();
        assert_eq!(read.table, whole.table);
        assert_eq!(read.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [code]);
        write_table(&mut hurt, &read.table).unwrap();
        assert_eq!(hurt, disk, "writing the table again heals the bad copy");
    }
    let mut both = disk.clone();
    both.write_at(512, b"!").unwrap();
    both.write_at(last, b"!").unwrap();
    assert!(matches!(read_table(&both), Err(GptError::NoTable { .. })));
}

#[test]
fn a_disk_that_grew_is_read_and_told() {
    let (mut disk, _) = laid_out();
    disk.resize(disk.len() + (1 << 20), 0);
    let read = read_table(&disk).unwrap();
    assert_eq!(
        read.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["gpt-backup-not-at-end"]
    );
}

#[test]
fn an_impossible_table_is_not_written() {
    let (disk, _) = laid_out();
    let table = read_table(&disk).unwrap().table;
    let spoilt: [fn(&mut lifeboat_bank::gpt::GptTable); 6] = [
        |table| table.entries[0].last_lba = table.entries[1].first_lba,
        |table| table.entries[4].last_lba = table.last_usable + 1,
        |table| table.entries[0].first_lba = 33,
        |table| table.entries[1].number = 1,
        |table| table.entries[1].number = 129,
        |table| table.entries[1].name = "x".repeat(37),
    ];
    for (index, spoil) in spoilt.into_iter().enumerate() {
        let (mut table, mut target) = (table.clone(), disk.clone());
        spoil(&mut table);
        assert!(matches!(write_table(&mut target, &table), Err(GptError::BadTable { .. })), "case {index}");
        assert_eq!(target, disk, "case {index}");
    }
}
