//! Cut and altered bundles are refused, at every byte.

use lifeboat_bundle::{BundleError, Rules, TrustStore, open};

use crate::forge::{
    NOW, blocks_at, build, build_blocks, draft, fix_head, key, read_all, small, small_chunked, stream_all,
    trust,
};

#[test]
fn a_bundle_cut_at_any_byte_is_refused_before_a_block_is_read_and_says_where() {
    let (store, rules) = (trust(&[1]), Rules::at(NOW));
    for bundle in [small(), small_chunked()] {
        for len in 0..bundle.len() {
            let error = open(&bundle[..len], &store, &rules).map(|_| ()).unwrap_err();
            let whole = if len < 64 { 64 } else { bundle.len() as u64 };
            let told = match &error {
                BundleError::Cut { at, expected, .. } => *at == len as u64 && *expected == whole,
                BundleError::NotABundle => len == 0,
                _ => false,
            };
            assert!(told, "cut at {len}: {error}");
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_never_comes_to_a_good_end() {
    let (bundle, store, rules) = (small(), trust(&[1]), Rules::at(NOW));
    for len in 1..bundle.len() {
        let error = stream_all(&bundle[..len], &store, &rules).unwrap_err();
        assert!(matches!(error, BundleError::Cut { at, .. } if at == len as u64), "cut at {len}: {error}");
    }
}

#[test]
fn a_bundle_with_any_bit_flipped_is_refused() {
    let (store, rules) = (trust(&[1]), Rules::at(NOW));
    for bundle in [small(), small_chunked()] {
        let mut altered = bundle.clone();
        for at in 0..bundle.len() {
            for bit in 0..8 {
                altered[at] = bundle[at] ^ (1 << bit);
                let positioned = read_all(&altered, &store, &rules);
                assert!(positioned.is_err(), "bit {bit} of byte {at} changed and nobody saw it");
                let streamed = stream_all(altered.as_slice(), &store, &rules);
                assert!(streamed.is_err(), "bit {bit} of byte {at} changed and nobody saw it in the stream");
            }
            altered[at] = bundle[at];
        }
    }
}

#[test]
fn whoever_alters_the_head_and_corrects_its_digest_is_refused_too() {
    // Signed by two keys, of which one is trusted: the other one's signature must not be a place to hide in.
    corrected_heads(&build_blocks(&[("root", b"content")], &[1, 2]));
    corrected_heads(&build(draft(), &[("root", b"content")], &[&key(1), &key(2)]));
}

fn corrected_heads(bundle: &[u8]) {
    let original = read_all(bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let both = TrustStore::with_threshold(vec![key(1).public(), key(2).public()], 2).unwrap();
    let blocks = blocks_at(bundle);
    let len = |at: usize| u32::from_le_bytes(bundle[at..at + 4].try_into().unwrap()) as usize;
    let list = 64 + len(12);
    let list = list..list + len(16);
    let mut altered = bundle.to_vec();
    for at in (0..32).chain(64..blocks) {
        for bit in 0..8 {
            altered[at] = bundle[at] ^ (1 << bit);
            fix_head(&mut altered, blocks);
            let outcome = read_all(&altered, &trust(&[1]), &Rules::at(NOW));
            if let Ok(slots) = outcome {
                // Only what an unknown key is said to have written can differ: nothing depends on it here.
                assert!(list.contains(&at), "bit {bit} of byte {at} changed and nobody saw it");
                assert_eq!(slots, original);
                let needed = read_all(&altered, &both, &Rules::at(NOW));
                assert!(needed.is_err(), "bit {bit} of byte {at}");
            }
        }
        altered[at] = bundle[at];
    }
}

#[test]
fn bytes_after_the_last_block_are_refused() {
    let (store, rules) = (trust(&[1]), Rules::at(NOW));
    for mut bundle in [small_chunked(), small()] {
        let end = bundle.len() as u64;
        bundle.push(0);
        let error = open(&bundle, &store, &rules).map(|_| ()).unwrap_err();
        assert!(matches!(error, BundleError::TrailingBytes { end: at } if at == end), "{error}");
    }
    let mut bundle = small();
    let end = bundle.len() as u64;
    bundle.push(0);
    let error = stream_all(bundle.as_slice(), &store, &rules).unwrap_err();
    assert!(matches!(error, BundleError::TrailingBytes { end: at } if at == end), "{error}");

    let mut stream = lifeboat_bundle::open_stream(bundle.as_slice(), &store, &rules).unwrap();
    while let Ok(Some(_)) = stream.next_slot() {}
    assert!(stream.next_slot().is_err(), "asking twice does not make the end good");
}

#[test]
fn an_altered_block_is_named_and_nothing_of_it_leaves() {
    let root: Vec<u8> = (0..(2_u32 << 20) + 100).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut bundle = build_blocks(&[("kernel", b"k"), ("root", &root)], &[1]);
    let last = bundle.len() - 1;
    bundle[last] ^= 0x10;
    let verified = open(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let mut reader = verified.slot("root").unwrap();
    let mut got = Vec::new();
    let error = std::io::Read::read_to_end(&mut reader, &mut got).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let text = error.to_string();
    assert!(text.contains("block 2 of slot root"), "{text}");
    assert!(got == root[..2 << 20], "the two good blocks and nothing of the third");
    assert!(reader.next_block().is_err(), "a second try gives no bytes either");
    assert!(std::io::Read::read(&mut reader, &mut [0; 16]).is_err());
}
