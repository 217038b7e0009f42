//! Bytes from outside: whatever they are, they are read or refused.

use lifeboat_packages::{
    FileLock, LockKind, LockMode, compare_versions, parse_journal, parse_locks, parse_status,
};
use proptest::prelude::*;

const JOURNAL: &str = "journal";

/// A journal of a few records, made by the real thing.
fn journal() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(JOURNAL);
    let mut journal = lifeboat_packages::Journal::open(&path).unwrap();
    for reason in ["one", "two", "three"] {
        journal.append(&lifeboat_packages::Record::Restored { unit: reason.to_owned() }).unwrap();
    }
    journal.append(&lifeboat_packages::Record::GivenUp { reason: "four".to_owned() }).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_journal_cut_anywhere_keeps_every_whole_record() {
    let whole = journal();
    for cut in 0..=whole.len() {
        let parsed = parse_journal(&whole[..cut]).unwrap();
        let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(parsed.entries.len(), lines, "cut at {cut}");
        assert!(parsed.good <= cut);
    }
}

#[test]
fn a_flipped_bit_never_changes_what_a_journal_says() {
    let whole = journal();
    let entries = parse_journal(&whole).unwrap().entries;
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            // Refused, or fewer records: never another record.
            if let Ok(parsed) = parse_journal(&damaged) {
                assert!(parsed.entries.len() < entries.len(), "byte {at}, bit {bit}");
                assert_eq!(parsed.entries, entries[..parsed.entries.len()]);
            }
        }
    }
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_journal_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(JOURNAL);
    let mut bytes = journal();
    let good = bytes.len();
    bytes.extend_from_slice(b"LFPK1 4 0123");
    std::fs::write(&path, &bytes).unwrap();
    let mut journal = lifeboat_packages::Journal::open(&path).unwrap();
    assert!(journal.was_cut());
    journal.append(&lifeboat_packages::Record::Hold).unwrap();
    let text = std::fs::read(&path).unwrap();
    assert_eq!(&text[..good], &bytes[..good]);
    assert_eq!(parse_journal(&text).unwrap().entries.len(), 5);
}

#[test]
fn a_journal_of_a_newer_lifeboat_is_read_with_what_is_known() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal-1")).unwrap();
    let parsed = parse_journal(text.as_bytes()).unwrap();
    assert_eq!(parsed.entries.len(), 4);
    assert_eq!(parsed.good, text.len());
    assert_eq!(parsed.entries[2].record, lifeboat_packages::Record::Unknown);
}

#[test]
fn real_lines_of_proc_locks_are_read() {
    let text = "1: POSIX  ADVISORY  READ 890 fe:00:10019949 128 128\n\
                2: -> POSIX  ADVISORY  WRITE 891 fe:00:10019946 0 EOF\n\
                3: OFDLCK ADVISORY  WRITE -1 fe:00:7 0 EOF\n\
                4: FLOCK  ADVISORY  WRITE 535 fe:00:5310161 0 EOF\n\
                5: LEASE  ACTIVE    READ 1 08:01:2 0 EOF\n\
                6: nonsense\n";
    let locks = parse_locks(text);
    assert_eq!(locks.len(), 5);
    let waits = FileLock {
        kind: LockKind::Posix,
        mode: LockMode::Write,
        pid: Some(891),
        waits: true,
        inode: 10019946,
        start: 0,
        end: None,
    };
    assert_eq!(locks[1], waits);
    assert_eq!((locks[2].kind, locks[2].pid), (LockKind::Ofd, None));
}

proptest! {
    #[test]
    fn any_text_of_locks_is_read_or_skipped(text in "\\PC{0,200}") {
        let _ = parse_locks(&text);
    }

    #[test]
    fn a_lock_survives_being_written_and_read(pid in 1_u32.., inode in any::<u64>(), start in any::<u64>(), waits in any::<bool>(), write in any::<bool>()) {
        let arrow = if waits { "-> " } else { "" };
        let mode = if write { "WRITE" } else { "READ" };
        let locks = parse_locks(&format!("1: {arrow}POSIX  ADVISORY  {mode} {pid} 08:01:{inode} {start} EOF\n"));
        prop_assert_eq!(locks.len(), 1);
        prop_assert_eq!((locks[0].pid, locks[0].inode, locks[0].start, locks[0].waits), (Some(pid), inode, start, waits));
    }

    #[test]
    fn any_status_file_is_read(text in "\\PC{0,400}", cut in 0_usize..400) {
        let stanzas = parse_status(&text);
        prop_assert!(stanzas.iter().all(|stanza| !stanza.fields.is_empty()));
        let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= cut).last().unwrap_or(0);
        let _ = parse_status(&text[..cut]);
    }

    #[test]
    fn fields_of_a_status_file_survive(name in "[a-z][a-z0-9+.-]{1,20}", version in "[0-9][0-9a-z.+~-]{0,10}") {
        let text = format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\nDescription: a\n b\n\n");
        let stanzas = parse_status(&text);
        prop_assert_eq!(stanzas.len(), 1);
        prop_assert_eq!(stanzas[0].get("package"), Some(name.as_str()));
        prop_assert_eq!(stanzas[0].get("Version"), Some(version.as_str()));
        prop_assert_eq!(stanzas[0].get("Description"), Some("a\n b"));
    }

    #[test]
    fn any_bytes_of_a_journal_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(parsed) = parse_journal(&bytes) {
            prop_assert!(parsed.good <= bytes.len());
        }
    }

    #[test]
    fn the_order_of_versions_is_one(a in "[0-9a-z.~^-]{0,8}", b in "[0-9a-z.~^-]{0,8}", c in "[0-9a-z.~^-]{0,8}") {
        prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
        if compare_versions(&a, &b).is_le() && compare_versions(&b, &c).is_le() {
            prop_assert!(compare_versions(&a, &c).is_le());
        }
    }
}
