//! Bundles made to hurt: bounded time and memory, and a clear refusal.

use lifeboat_bundle::{BundleError, ManifestError, Rules, inspect, open};
use proptest::prelude::*;

use crate::forge::{NOW, forge, head, manifest, read_all, sha256, small, stream_all, trust};

fn refusal(bundle: &[u8]) -> BundleError {
    let store = trust(&[1]);
    let streamed = stream_all(bundle, &store, &Rules::at(NOW)).unwrap_err();
    let positioned = read_all(bundle, &store, &Rules::at(NOW)).unwrap_err();
    assert_eq!(std::mem::discriminant(&streamed), std::mem::discriminant(&positioned), "{streamed}");
    positioned
}

/// A slot of one block.
fn slot(name: &str, whole: &[u8], len: usize, codec: &str, stored: &[u8]) -> String {
    format!(
        r#"{{"name":"{name}","len":{len},"sha256":"{}","blocks":[{{"len":{len},"stored_len":{},"codec":"{codec}","sha256":"{}"}}]}}"#,
        sha256(whole),
        stored.len(),
        sha256(stored)
    )
}

#[test]
fn the_second_writer_agrees_with_the_reader() {
    let packed = zstd::bulk::compress(&[5; 3000], 3).unwrap();
    let slots =
        format!("{},{}", slot("root", &[5; 3000], 3000, "zstd", &packed), slot("new", b"n", 1, "none", b"n"));
    let mut blocks = packed;
    blocks.push(b'n');
    let slots = read_all(&forge(&manifest(&slots), 1, &blocks), &trust(&[1]), &Rules::at(NOW)).unwrap();
    assert_eq!(slots, [("root".to_owned(), vec![5; 3000]), ("new".to_owned(), vec![b'n'])]);
}

#[test]
fn fields_of_newer_writers_are_skipped() {
    let newer = manifest(r#"{"name":"root","len":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","blocks":[],"hint":[1]}"#)
        .replace(r#""serial":1"#, r#""serial":1,"colour":{"deep":[null]}"#);
    let slots = read_all(&forge(&newer, 1, b""), &trust(&[1]), &Rules::at(NOW)).unwrap();
    assert_eq!(slots, [("root".to_owned(), Vec::new())]);
}

#[test]
fn a_zstd_bomb_is_refused_at_the_signed_length() {
    // 256 MiB of zeros in some kilobytes, signed as 1,000 bytes.
    let bomb = zstd::bulk::compress(&vec![0; 256 << 20], 3).unwrap();
    let bundle = forge(&manifest(&slot("root", &[0; 1000], 1000, "zstd", &bomb)), 1, &bomb);
    let error = refusal(&bundle);
    assert!(matches!(error, BundleError::BlockUndecodable { block: 0, len: 1000, .. }), "{error}");
}

#[test]
fn a_frame_that_is_short_or_no_frame_is_refused() {
    let packed = zstd::bulk::compress(&[0; 999], 3).unwrap();
    for stored in [packed.as_slice(), b"not a frame"] {
        let bundle = forge(&manifest(&slot("root", &[0; 1000], 1000, "zstd", stored)), 1, stored);
        let error = refusal(&bundle);
        assert!(matches!(error, BundleError::BlockUndecodable { .. }), "{error}");
    }
}

#[test]
fn a_slot_whose_blocks_fit_but_whose_whole_does_not_gives_no_last_block() {
    let bundle = forge(&manifest(&slot("root", b"another", 4, "none", b"root")), 1, b"root");
    let error = refusal(&bundle);
    assert!(matches!(error, BundleError::SlotAltered { .. }), "{error}");
    let empty = r#"{"name":"root","len":0,"sha256":"0000000000000000000000000000000000000000000000000000000000000000","blocks":[]}"#;
    let error = refusal(&forge(&manifest(empty), 1, b""));
    assert!(matches!(error, BundleError::Manifest(ManifestError::EmptySlotDigest { .. })), "{error}");
}

#[test]
fn absurd_lengths_in_the_header_are_refused_at_once() {
    let set = |at: usize, bytes: &[u8]| {
        let mut bundle = small();
        bundle[at..at + bytes.len()].copy_from_slice(bytes);
        bundle
    };
    let absurd = [
        (set(12, &u32::MAX.to_le_bytes()), "manifest"),
        (set(16, &u32::MAX.to_le_bytes()), "signatures"),
        (set(24, &u64::MAX.to_le_bytes()), "blocks"),
    ];
    for (bundle, part) in absurd {
        let error = refusal(&bundle);
        assert!(matches!(error, BundleError::AbsurdLength { what, .. } if what == part), "{error}");
    }
    let error = refusal(&set(8, &3_u32.to_le_bytes()));
    assert!(matches!(error, BundleError::UnsupportedFormat { found: 3, known: 2 }), "{error}");
    let error = refusal(&set(20, &[1]));
    assert!(matches!(error, BundleError::ReservedNotZero), "{error}");
    // Within the bound, but not there: no 16 MiB are set aside for it, and the end is named.
    let error = refusal(&set(12, &(16_u32 << 20).to_le_bytes()));
    assert!(matches!(error, BundleError::Cut { at, .. } if at == small().len() as u64), "{error}");
}

#[test]
fn absurd_lengths_in_a_signed_manifest_are_refused() {
    let block = |len: u64, stored_len: u64, codec: &str| {
        let digest = sha256(b"");
        format!(r#"{{"len":{len},"stored_len":{stored_len},"codec":"{codec}","sha256":"{digest}"}}"#)
    };
    let slot = |len: u64, blocks: &str| {
        manifest(&format!(r#"{{"name":"root","len":{len},"sha256":"{}","blocks":[{blocks}]}}"#, sha256(b"")))
    };
    let mib4 = 4 << 20;
    let block_length = [
        slot(mib4 + 1, &block(mib4 + 1, 5, "zstd")),
        slot(5, &block(5, mib4 + 1, "zstd")),
        slot(0, &block(0, 5, "zstd")),
        slot(5, &block(5, 0, "zstd")),
        slot(5, &block(5, 4, "none")),
    ];
    for text in block_length {
        let error = refusal(&forge(&text, 1, b""));
        assert!(matches!(error, BundleError::Manifest(ManifestError::BlockLength { .. })), "{error}");
    }
    for text in [slot(u64::MAX, &block(5, 5, "none")), slot(4, &block(5, 5, "none")), slot(1, "")] {
        let error = refusal(&forge(&text, 1, b""));
        assert!(matches!(error, BundleError::Manifest(ManifestError::SlotLength { .. })), "{error}");
    }
    for text in [slot(5, &block(1 << 32, 5, "zstd")), slot(5, &block(5, 5, "lzma"))] {
        let error = refusal(&forge(&text, 1, b""));
        assert!(matches!(error, BundleError::Manifest(ManifestError::Json(_))), "{error}");
    }
    // The manifest's blocks are longer than the header's claim.
    let error = refusal(&forge(&slot(5, &block(5, 5, "none")), 1, b"1234"));
    assert!(matches!(error, BundleError::LengthsDisagree { header: 4, manifest: 5 }), "{error}");
}

#[test]
fn a_slot_that_is_named_twice_is_refused() {
    let twice = format!("{0},{0}", slot("root", b"root", 4, "none", b"root"));
    let error = refusal(&forge(&manifest(&twice), 1, b"rootroot"));
    assert!(matches!(error, BundleError::Manifest(ManifestError::DuplicateSlot { .. })), "{error}");
    let many: Vec<String> = (0..65).map(|n| slot(&format!("s{n}"), b"1", 1, "none", b"1")).collect();
    let error = refusal(&forge(&manifest(&many.join(",")), 1, &[b'1'; 65]));
    assert!(matches!(error, BundleError::Manifest(ManifestError::TooManySlots { count: 65 })), "{error}");
}

#[test]
fn forms_of_the_future_are_named_and_not_called_damaged() {
    let future = |from: &str, to: &str| refusal(&forge(&manifest("").replace(from, to), 1, b""));
    let error = future(r#""min_reader":1"#, r#""min_reader":3"#);
    assert!(matches!(error, BundleError::Manifest(ManifestError::NewerReader { needed: 3 })), "{error}");
    let error = future("lifeboat.release/1", "lifeboat.release/3");
    assert!(matches!(error, BundleError::Manifest(ManifestError::Schema { .. })), "{error}");
    let error = future("lifeboat.release/1", "lifeboat.release/2");
    assert!(matches!(error, BundleError::FormsDisagree), "{error}");
    let error = future(r#""spec_version":1"#, r#""spec_version":2"#);
    assert!(matches!(error, BundleError::Manifest(ManifestError::SpecVersion { found: 2 })), "{error}");
}

#[test]
fn a_signature_list_has_one_form_only() {
    let good = small();
    let at = crate::forge::blocks_at(&good);
    let list_len = u32::from_le_bytes(good[16..20].try_into().unwrap()) as usize;
    let text = String::from_utf8(good[at - list_len..at].to_vec()).unwrap();
    let text_manifest = &good[64..at - list_len];
    let one = text.split_once('[').and_then(|(_, rest)| rest.strip_suffix("]}")).unwrap();
    let wrong = [
        text.replace(':', ": "),
        text.replace("ed25519", "rsa"),
        text.replace("signatures/1", "signatures/2"),
        text.replace(r#""algorithm""#, r#""x":1,"algorithm""#),
        text.replace(one, &format!("{one},{one}")),
        text.replace(one, &vec![one; 33].join(",")),
        format!("{text} "),
        "{}".to_owned(),
        String::new(),
    ];
    for list in wrong {
        let error = refusal(&head(text_manifest, list.as_bytes(), &good[at..]));
        assert!(matches!(error, BundleError::MalformedSignatures { .. }), "{list}: {error}");
    }
}

#[test]
fn other_files_are_not_bundles() {
    for other in [&b""[..], b"PK\x03\x04", b"LFBUNDL2", &[0; 4096], b"lfbundl1"] {
        let error = refusal(other);
        assert!(matches!(error, BundleError::NotABundle), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn random_bytes_behind_a_good_magic_are_refused(tail in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut bundle = b"LFBUNDL1\x01\0\0\0".to_vec();
        bundle.extend_from_slice(&tail);
        prop_assert!(open(&bundle, &trust(&[1]), &Rules::at(NOW)).is_err());
        prop_assert!(inspect(bundle.as_slice(), None).is_err());
    }

    #[test]
    fn random_text_as_a_signed_manifest_never_panics(text in ".{0,200}", blocks in prop::collection::vec(any::<u8>(), 0..50)) {
        prop_assert!(read_all(&forge(&text, 1, &blocks), &trust(&[1]), &Rules::at(NOW)).is_err());
    }

    #[test]
    fn a_signed_manifest_with_changed_characters_is_refused_or_gives_what_it_says(
        changes in prop::collection::vec((0_usize..1000, "[0-9a-z\"{},:\\[\\]]"), 1..4),
    ) {
        let good = small();
        let at = crate::forge::blocks_at(&good);
        let len = u32::from_le_bytes(good[12..16].try_into().unwrap()) as usize;
        let mut text = String::from_utf8(good[64..64 + len].to_vec()).unwrap();
        for (position, character) in changes {
            let position = position % text.len();
            text.replace_range(position..=position, &character);
        }
        let bundle = forge(&text, 1, &good[at..]);
        let (store, rules) = (trust(&[1]), Rules { allow_expired: true, ..Rules::at(NOW) });
        let positioned = read_all(&bundle, &store, &rules);
        let streamed = stream_all(bundle.as_slice(), &store, &rules);
        match (positioned, streamed) {
            (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
            (Err(one), Err(other)) => {
                prop_assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other));
            }
            (one, other) => prop_assert!(false, "positioned {:?}, streamed {:?}", one, other),
        }
    }

    #[test]
    fn a_spliced_bundle_is_refused_or_unchanged(from in 0_usize..1300, to in 0_usize..1300, len in 1_usize..200) {
        let good = small();
        let (from, to) = (from.min(good.len() - 1), to.min(good.len() - 1));
        let len = len.min(good.len() - from).min(good.len() - to);
        let mut bundle = good.clone();
        bundle.copy_within(from..from + len, to);
        let outcome = read_all(&bundle, &trust(&[1]), &Rules::at(NOW));
        prop_assert_eq!(outcome.is_ok(), bundle == good);
    }

    #[test]
    fn any_content_survives(root in prop::collection::vec(any::<u8>(), 0..5000), kernel in prop::collection::vec(0_u8..3, 0..5000)) {
        let bundle = crate::forge::build(crate::forge::draft(), &[("root", &root), ("kernel", &kernel)], &[&crate::forge::key(1)]);
        let slots = read_all(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
        prop_assert_eq!(slots, [("root".to_owned(), root), ("kernel".to_owned(), kernel)]);
    }
}
