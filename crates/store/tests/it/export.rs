//! An exported journal is whole or refused, and says where it is not.

use std::io::{BufReader, Cursor};

use lifeboat_model::{EventKind, Timestamp};
use lifeboat_store::{ExportFault, ExportReader, Exported, Store, StoreError, Tail};

use super::{controller, roll, sqlite};

/// A roll of `events` events, exported.
fn exported(events: usize) -> (Vec<u8>, Exported) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("lifeboat.db")).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut tail = Tail::of(&row, &[], 1);
    for at in 0..events {
        let text = format!("a \"quoted\" reason, ünïcode, {at}\n<script>");
        let event = if at == 0 { controller() } else { EventKind::Halted { reason: text } };
        store.append(&row, &mut tail, &[event], Timestamp(5), None).unwrap();
    }
    let mut bytes = Vec::new();
    let done = store.export(&row, r#"{"bundle":"r2.lfb"}"#, &mut bytes).unwrap();
    assert_eq!((done.events, done.bytes), (events as u64, bytes.len() as u64));
    assert_eq!(done.tail, tail.hash);
    (bytes, done)
}

fn read(bytes: &[u8]) -> Result<u64, ExportFault> {
    let mut reader = ExportReader::open(BufReader::new(Cursor::new(bytes)))?;
    let mut seen = 0;
    while let Some(link) = reader.next_link()? {
        seen = link.event.seq;
    }
    Ok(seen)
}

#[test]
fn what_was_exported_is_read_again_with_the_same_hashes() {
    for events in [0, 1, 7] {
        let (bytes, done) = exported(events);
        let mut reader = ExportReader::open(bytes.as_slice()).unwrap();
        assert_eq!(reader.head().roll.as_str(), "r1");
        while reader.next_link().unwrap().is_some() {}
        assert_eq!(reader.tail(), done.tail);
        let lines: Vec<&[u8]> = bytes.trim_ascii_end().split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), events + 3);
        for line in lines {
            serde_json::from_slice::<serde_json::Value>(line).unwrap();
        }
    }
}

#[test]
fn a_file_that_was_cut_anywhere_is_refused() {
    let (bytes, _) = exported(5);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "cut to {length} of {} bytes", bytes.len());
    }
    assert_eq!(read(&bytes).unwrap(), 5);
}

#[test]
fn a_cut_between_two_lines_is_named_by_the_last_event_that_is_there() {
    let (bytes, _) = exported(5);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for kept in 2..lines.len() {
        let fault = read(lines[..kept].concat().as_bytes()).unwrap_err().to_string();
        assert_eq!(
            fault,
            format!("line {}, the tail: it is missing: the file was cut after event {}", kept + 1, kept - 2)
        );
    }
}

#[test]
fn any_flipped_bit_is_noticed_and_one_in_an_event_is_named_by_its_position() {
    let (bytes, _) = exported(4);
    let mut line = 1_u64;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let fault = read(&changed).unwrap_err();
            if (3..=6).contains(&line) && bytes[at] != b'\n' {
                let text = fault.to_string();
                assert_eq!(fault.seq(), Some(line - 2), "byte {at}, bit {bit}: {text}");
                assert!(text.starts_with(&format!("line {line}")), "{text}");
            }
        }
        if bytes[at] == b'\n' {
            line += 1;
        }
    }
}

#[test]
fn lines_that_are_missing_twice_there_or_swapped_are_named() {
    let (bytes, _) = exported(6);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 2..8 {
        let mut without = lines.clone();
        without.remove(at);
        assert!(read(without.concat().as_bytes()).is_err());
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        let fault = read(twice.concat().as_bytes()).unwrap_err();
        assert_eq!(fault.seq(), Some(at as u64), "{fault}");
        if at < 7 {
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            let fault = read(swapped.concat().as_bytes()).unwrap_err();
            assert_eq!(fault.seq(), Some(at as u64 - 1), "{fault}");
        }
    }
    let more = format!("{text}x");
    assert!(read(more.as_bytes()).unwrap_err().to_string().contains("something was added"));
}

#[test]
fn hostile_files_are_refused_in_bounded_memory() {
    let (bytes, _) = exported(1);
    let text = String::from_utf8(bytes).unwrap();
    let endless = vec![b'x'; (16 << 20) + 2];
    let fault = read(&endless).unwrap_err().to_string();
    assert_eq!(fault, "line 1");
    let deep = "[".repeat(100_000) + "\n";
    assert!(read(deep.as_bytes()).unwrap_err().to_string().starts_with("line 1: it is not the head"));
    let other = text.replacen("lifeboat.journal/1", "lifeboat.journal/2", 1);
    let fault = read(other.as_bytes()).unwrap_err().to_string();
    assert!(fault.contains(r#"its form is "lifeboat.journal/2""#), "{fault}");
    for junk in ["", "\n", "{}\n", "null\n", "\0\0\0\n", "notes of mine\n"] {
        assert!(read(junk.as_bytes()).is_err(), "{junk:?}");
    }
    let not_text = [text.lines().next().unwrap().as_bytes(), b"\n\xff\xfe\n"].concat();
    assert!(read(&not_text).is_err());
}

#[test]
fn a_damaged_journal_is_not_exported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lifeboat.db");
    let mut store = Store::open(&path).unwrap();
    let row = roll(&mut store, "p", "r1").unwrap();
    let mut tail = Tail::of(&row, &[], 1);
    store.append(&row, &mut tail, &[controller(), controller(), controller()], Timestamp(5), None).unwrap();
    drop(store);
    sqlite(&path, "UPDATE event SET payload = replace(payload, 'test', 'tost') WHERE seq = 2");
    let refused = Store::open(&path).unwrap().export(&row, "{}", &mut Vec::new());
    assert!(matches!(refused, Err(StoreError::Chain { seq: 2, .. })), "{refused:?}");
}
