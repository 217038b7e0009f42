//! What goes in comes out.

use std::io::{Cursor, Read};

use lifeboat_bundle::{
    BuildError, BundleBuilder, Codec, Progress, Rules, SignatureState, inspect, open, verify_all,
};
use lifeboat_model::Sha256Hex;

use crate::forge::{
    NOW, OSREL, blocks_at, build, build_blocks, draft, key, noise, read_all, small, small_chunked,
    stream_all, trust,
};

/// Gives one byte at a time: a pipe at its worst.
struct Trickle<'b>(&'b [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = buf.len().min(1);
        self.0.read(&mut buf[..count])
    }
}

#[test]
fn slots_come_out_as_they_went_in_positioned_and_streamed() {
    let (store, rules) = (trust(&[1]), Rules::at(NOW));
    let expected = [
        ("kernel".to_owned(), noise(90)),
        ("root".to_owned(), vec![b'r'; 400]),
        ("osrel".to_owned(), OSREL.to_vec()),
        ("stub".to_owned(), Vec::new()),
    ];
    assert_eq!(read_all(&small_chunked(), &store, &rules).unwrap(), expected);
    let bundle = small();
    assert_eq!(read_all(&bundle, &store, &rules).unwrap(), expected);
    assert_eq!(stream_all(bundle.as_slice(), &store, &rules).unwrap(), expected);
    assert_eq!(stream_all(Trickle(&bundle), &store, &rules).unwrap(), expected);
}

#[test]
fn slots_of_many_blocks_are_read_in_any_order_and_by_small_reads() {
    let mut root = vec![0_u8; 3 << 20];
    root[1 << 20..][..1000].copy_from_slice(&noise(1000));
    root.extend_from_slice(&noise((1 << 20) + 17));
    let initrd = noise(1 << 20);
    let chunked = build(draft(), &[("initrd", &initrd), ("root", &root)], &[&key(1)]);
    let verified = open(&chunked, &trust(&[1]), &Rules::at(NOW)).unwrap();
    for (name, content) in [("root", &root), ("initrd", &initrd)] {
        let got = by_small_reads(&mut verified.slot(name).unwrap());
        assert!(got == *content, "slot {name}");
    }

    let bundle = build_blocks(&[("initrd", &initrd), ("root", &root)], &[1]);
    let verified = open(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();

    let blocks = &verified.manifest().slot("root").unwrap().blocks;
    assert_eq!(blocks.iter().map(|b| b.len).collect::<Vec<_>>(), [1 << 20, 1 << 20, 1 << 20, 1 << 20, 17]);
    assert_eq!(blocks[0].codec, Codec::Zstd);
    assert_eq!(blocks[3].codec, Codec::None);

    for (name, content) in [("root", &root), ("initrd", &initrd)] {
        let got = by_small_reads(&mut verified.slot(name).unwrap());
        assert!(got == *content, "slot {name}");
    }
    let mut stream = lifeboat_bundle::open_stream(bundle.as_slice(), &trust(&[1]), &Rules::at(NOW)).unwrap();
    for content in [&initrd, &root] {
        let got = by_small_reads(&mut stream.next_slot().unwrap().unwrap());
        assert!(got == *content);
    }
    assert!(stream.next_slot().unwrap().is_none());
}

fn by_small_reads(reader: &mut impl Read) -> Vec<u8> {
    let (mut got, mut part) = (Vec::new(), vec![0; 7_777]);
    loop {
        match reader.read(&mut part).unwrap() {
            0 => return got,
            count => got.extend_from_slice(&part[..count]),
        }
    }
}

#[test]
fn the_identity_is_the_digest_of_the_manifest_bytes() {
    let bundle = small_chunked();
    let verified = open(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let manifest_len = u32::from_le_bytes(bundle[12..16].try_into().unwrap()) as usize;
    assert_eq!(verified.release().digest, Sha256Hex::of(&bundle[64..64 + manifest_len]));
    assert_eq!(verified.release().to_string()[..14], *"lab-host 1.2.3");
    assert_eq!(verified.release().serial, 7);
}

#[test]
fn the_same_input_gives_the_same_bundle() {
    assert_eq!(small_chunked(), small_chunked());
    let root = noise(5 << 20);
    let build = || build(draft(), &[("root", &root), ("initrd", &root[..1 << 20])], &[&key(1)]);
    assert_eq!(build(), build(), "two threads compress, and their order must not show");
}

#[test]
fn progress_counts_every_decoded_byte() {
    let root = vec![9; (2 << 20) + 5];
    let bundle = build_blocks(&[("kernel", b"k"), ("root", &root)], &[1]);
    let verified = open(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let mut seen = Vec::new();
    verify_all(&verified, |Progress { slot, done, total }| seen.push((slot.to_owned(), done, total)))
        .unwrap();
    let total = root.len() as u64 + 1;
    let chunked = build(draft(), &[("kernel", b"k"), ("root", &root)], &[&key(1)]);
    let chunked = open(&chunked, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let mut last = 0;
    verify_all(&chunked, |Progress { done, total: all, .. }| {
        assert!(done >= last && done <= all && all == total);
        last = done;
    })
    .unwrap();
    assert_eq!(last, total);
    let root = "root".to_owned();
    let expected = [
        ("kernel".to_owned(), 1, total),
        (root.clone(), (1 << 20) + 1, total),
        (root.clone(), (2 << 20) + 1, total),
        (root, total, total),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_stream_verifies_slots_that_the_caller_skips() {
    let mut bundle = small();
    let last = bundle.len() - 1;
    let kernel_at = blocks_at(&bundle);
    {
        let mut stream =
            lifeboat_bundle::open_stream(bundle.as_slice(), &trust(&[1]), &Rules::at(NOW)).unwrap();
        let mut names = Vec::new();
        while let Some(slot) = stream.next_slot().unwrap() {
            names.push(slot.name().to_owned());
        }
        assert_eq!(names, ["kernel", "root", "osrel", "stub"]);
    }
    for at in [kernel_at, last] {
        bundle[at] ^= 1;
        let mut stream =
            lifeboat_bundle::open_stream(bundle.as_slice(), &trust(&[1]), &Rules::at(NOW)).unwrap();
        let failed = std::iter::repeat_with(|| stream.next_slot().map(|slot| slot.is_some()))
            .find(|outcome| !matches!(outcome, Ok(true)));
        assert!(matches!(failed, Some(Err(lifeboat_bundle::BundleError::BlockAltered { .. }))), "{failed:?}");
        bundle[at] ^= 1;
    }
}

#[test]
fn a_release_describes_itself_and_says_what_its_signatures_are_worth() {
    let bundle = build(draft(), &[("root", &[1; 5000])], &[&key(1), &key(2)]);
    let info = inspect(bundle.as_slice(), Some(&trust(&[2]))).unwrap();
    let states: Vec<_> = info.signatures.iter().map(|s| (s.state, s.comment.as_deref())).collect();
    assert_eq!(states, [(SignatureState::UnknownKey, None), (SignatureState::Good, Some("test key 2"))]);
    assert_eq!((info.format, info.totals.len, info.totals.blocks), (2, 5000, 1));
    // A head and one entry of the index.
    assert_eq!(info.totals.stored_len + 128, (bundle.len() - blocks_at(&bundle)) as u64);
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(json["schema"], "lifeboat.release-info/1");
    assert_eq!(json["signatures"][1]["state"], "good");
    assert_eq!(json["signatures"][0]["key_id"], key(1).id().to_string());
    let described = open(&bundle, &trust(&[2]), &Rules::at(NOW)).unwrap().describe();
    assert_eq!(described.slots, info.slots);
}

#[test]
fn a_maker_is_told_when_a_source_has_another_length_than_announced() {
    let begin = || BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
    let mut builder = begin();
    let short = builder.add_slot("root", &b"12345"[..], 6).unwrap_err();
    assert!(matches!(short, BuildError::SlotCut { expected: 6, at: 5, .. }), "{short:?}");
    let after = builder.add_slot("kernel", &b"1"[..], 1).unwrap_err();
    assert!(matches!(after, BuildError::Incomplete { .. }), "{after:?}");
    let mut out = Vec::new();
    let finish = builder.finish(&[&key(1)], &mut out).unwrap_err();
    assert!(matches!(finish, BuildError::Incomplete { .. }), "{finish:?}");
    assert!(out.is_empty(), "nothing is written of a release that is not whole");
    let long = begin().add_slot("root", &b"12345"[..], 4).unwrap_err();
    assert!(matches!(long, BuildError::SlotLonger { expected: 4, .. }), "{long:?}");
}

#[test]
fn a_maker_cannot_make_what_no_reader_takes() {
    let refused = |change: fn(&mut lifeboat_bundle::ReleaseDraft)| {
        let mut draft = draft();
        change(&mut draft);
        BundleBuilder::new(draft, Cursor::new(Vec::new())).unwrap_err().to_string()
    };
    refused(|draft| draft.name = "../host".to_owned());
    refused(|draft| draft.version = "1 2".to_owned());
    refused(|draft| draft.cmdline = "quiet lifeboat.bank=B".to_owned());
    refused(|draft| draft.cmdline = "root=/dev/sda1".to_owned());
    refused(|draft| draft.cmdline = "a\nb".to_owned());
    refused(|draft| draft.expires = Some(1));

    let mut builder = BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
    builder.add_slot("root", &b"1"[..], 1).unwrap();
    let twice = builder.add_slot("root", &b"1"[..], 1).unwrap_err();
    assert!(matches!(twice, BuildError::Manifest(_)), "{twice:?}");
    let builder = BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
    assert!(matches!(builder.finish(&[], &mut Vec::new()), Err(BuildError::NoKey)));
    let builder = BundleBuilder::new(draft(), Cursor::new(Vec::new())).unwrap();
    let same = builder.finish(&[&key(1), &key(1)], &mut Vec::new());
    assert!(matches!(same, Err(BuildError::KeyTwice { .. })));
}
