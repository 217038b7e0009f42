//! The archive of saved state: what goes in comes out, and damage never does.

use std::collections::BTreeMap;
use std::io;

use lifeboat_bank::state::{
    ArchiveWriter, Entry, Header, Kind, Limits, Meta, Sink, StateError, read_archive, read_header,
};
use lifeboat_model::{Bank, Sha256Hex};
use proptest::prelude::*;

const META: Meta = Meta { mode: 0o640, uid: 7, gid: 8 };

fn header() -> Header {
    Header { from: Bank::A, release: None, version: 3, carried_for: Sha256Hex::of(b"r") }
}

fn archive(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), &header()).unwrap();
    writer.directory(b"etc", Meta { mode: 0o755, ..META }).unwrap();
    for (name, data) in files {
        writer.file(format!("etc/{name}").as_bytes(), META, data.len() as u64, &mut data.as_slice()).unwrap();
    }
    writer.link(b"etc/link", META, b"../../outside").unwrap();
    writer.finish().unwrap().0
}

#[derive(Default)]
struct Taken {
    entries: Vec<Entry>,
    data: Vec<Vec<u8>>,
}

impl Sink for Taken {
    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.entries.push(entry.clone());
        self.data.push(Vec::new());
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.last_mut().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

fn read(mut bytes: &[u8]) -> Result<(Header, Taken), StateError> {
    let mut taken = Taken::default();
    read_archive(&mut bytes, Limits::default(), &mut taken).map(|(header, _)| (header, taken))
}

fn small() -> Vec<u8> {
    archive(&BTreeMap::from([("motd".to_owned(), b"welcome\n".to_vec()), ("none".to_owned(), Vec::new())]))
}

#[test]
fn an_archive_cut_anywhere_or_with_any_flipped_bit_is_refused() {
    let whole = small();
    let (found, taken) = read(&whole).unwrap();
    assert_eq!((found, taken.entries.len()), (header(), 4));
    assert_eq!(read_header(&mut whole.as_slice()).unwrap(), header());
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..whole.len() * 8 {
        let mut hurt = whole.clone();
        hurt[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&hurt).is_err(), "bit {bit}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(read(&longer), Err(StateError::Damaged { .. })));
}

#[test]
fn an_archive_that_says_too_much_is_refused_before_it_is_taken() {
    let whole = small();
    let few = Limits { entries: 3, ..Limits::default() };
    assert!(matches!(read_archive(&mut whole.as_slice(), few, &mut ()), Err(StateError::TooLarge { .. })));
    let short = Limits { bytes: 10, ..Limits::default() };
    assert!(matches!(read_archive(&mut whole.as_slice(), short, &mut ()), Err(StateError::TooLarge { .. })));
    // A file that claims to be huge costs no memory.
    let mut writer = ArchiveWriter::new(Vec::new(), &header()).unwrap();
    writer.directory(b"etc", META).unwrap();
    let (mut bytes, _) = writer.finish().unwrap();
    bytes.truncate(bytes.len() - 33);
    bytes.extend_from_slice(&[2, 5, 0]);
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&u64::MAX.to_le_bytes());
    bytes.extend_from_slice(b"etc/x");
    assert!(matches!(read(&bytes), Err(StateError::TooLarge { .. })));
}

/// Fills an archive.
type Make = fn(&mut ArchiveWriter<Vec<u8>>);

#[test]
fn no_entry_is_unpacked_outside_its_tree_or_through_a_link() {
    for path in ["/etc/x", "../x", "a/../../x", "", "a//b"] {
        let mut writer = ArchiveWriter::new(Vec::new(), &header()).unwrap();
        assert!(writer.directory(path.as_bytes(), META).is_err(), "{path}");
    }
    let crooked: [(&str, Make); 3] = [
        ("no parent", |writer| writer.file(b"etc/x", META, 0, &mut io::empty()).unwrap()),
        ("a link as parent", |writer| {
            writer.link(b"etc", META, b"/").unwrap();
            writer.file(b"etc/x", META, 0, &mut io::empty()).unwrap();
        }),
        ("twice", |writer| {
            writer.directory(b"etc", META).unwrap();
            writer.link(b"etc", META, b"/").unwrap();
        }),
    ];
    for (what, make) in crooked {
        let mut writer = ArchiveWriter::new(Vec::new(), &header()).unwrap();
        make(&mut writer);
        let (bytes, _) = writer.finish().unwrap();
        assert!(matches!(read(&bytes), Err(StateError::Damaged { .. })), "{what}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    for len in [3, 5] {
        let mut writer = ArchiveWriter::new(Vec::new(), &header()).unwrap();
        assert!(writer.file(b"x", META, len, &mut b"1234".as_slice()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(files in proptest::collection::btree_map("[a-z]{1,8}x", proptest::collection::vec(any::<u8>(), 0..3000), 0..8)) {
        let (_, taken) = read(&archive(&files)).unwrap();
        let mut found = BTreeMap::new();
        for (entry, data) in taken.entries.iter().zip(taken.data) {
            if let Kind::File { len } = entry.kind {
                prop_assert_eq!(len, data.len() as u64);
                prop_assert_eq!(entry.meta, META);
                found.insert(String::from_utf8(entry.path[4..].to_vec()).unwrap(), data);
            }
        }
        prop_assert_eq!(found, files);
    }

    #[test]
    fn any_bytes_are_an_archive_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..200_usize) {
        let mut crossed = small();
        for (to, from) in crossed.iter_mut().skip(at).zip(&bytes) {
            *to = *from;
        }
        let _ = read(&crossed);
        prop_assert!(read(&bytes).is_err());
    }
}
