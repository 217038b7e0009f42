//! Who may release what, and until when.

use lifeboat_bundle::{BundleError, Rules, TrustStore, open};

use crate::forge::{NOW, build, draft, head, key, manifest, small, trust};

fn refusal(bundle: &[u8], store: &TrustStore, rules: &Rules) -> BundleError {
    open(bundle, store, rules).map(|_| ()).unwrap_err()
}

#[test]
fn an_unsigned_bundle_is_refused() {
    let list = br#"{"schema":"lifeboat.signatures/1","signatures":[]}"#;
    let bundle = head(manifest("").as_bytes(), list, b"");
    let error = refusal(&bundle, &trust(&[1]), &Rules::at(NOW));
    assert!(matches!(error, BundleError::Unsigned), "{error}");
}

#[test]
fn a_bundle_signed_by_an_unknown_key_is_refused_and_names_both_sides() {
    let error = refusal(&small(), &trust(&[2, 3]), &Rules::at(NOW));
    let text = error.to_string();
    for seed in [1, 2, 3] {
        assert!(text.contains(&key(seed).id().to_string()), "{text}");
    }
    assert!(matches!(error, BundleError::UnknownKey { .. }));
}

#[test]
fn a_signature_by_another_key_under_a_trusted_id_is_refused() {
    let mut bundle = build(draft(), &[], &[&key(1)]);
    let (one, two) = (key(1).id().to_string(), key(2).id().to_string());
    let at = bundle.windows(16).position(|part| part == one.as_bytes()).unwrap();
    bundle[at..at + 16].copy_from_slice(two.as_bytes());
    let blocks = bundle.len();
    crate::forge::fix_head(&mut bundle, blocks);
    let error = refusal(&bundle, &trust(&[2]), &Rules::at(NOW));
    assert!(matches!(error, BundleError::BadSignature { key: named } if named == key(2).id()), "{error}");
}

#[test]
fn a_second_signature_lets_readers_of_either_key_in() {
    let bundle = build(draft(), &[], &[&key(1), &key(2)]);
    for seeds in [&[1][..], &[2], &[3, 2], &[1, 2]] {
        open(&bundle, &trust(seeds), &Rules::at(NOW)).unwrap();
    }
    refusal(&bundle, &trust(&[3]), &Rules::at(NOW));
}

#[test]
fn a_threshold_counts_distinct_trusted_keys() {
    let two_of = |seeds: &[u8]| {
        TrustStore::with_threshold(seeds.iter().map(|seed| key(*seed).public()).collect(), 2).unwrap()
    };
    let one = build(draft(), &[], &[&key(1)]);
    let both = build(draft(), &[], &[&key(1), &key(2)]);
    open(&both, &two_of(&[1, 2, 3]), &Rules::at(NOW)).unwrap();
    for (bundle, store) in [(&one, two_of(&[1, 2])), (&both, two_of(&[2, 3]))] {
        let error = refusal(bundle, &store, &Rules::at(NOW));
        assert!(matches!(error, BundleError::TooFewSignatures { good: 1, needed: 2 }), "{error}");
    }
}

#[test]
fn a_release_expires_at_its_second_unless_a_person_says_otherwise() {
    let expires = draft().expires.unwrap();
    let (bundle, store) = (small(), trust(&[1]));
    open(&bundle, &store, &Rules::at(expires - 1)).unwrap();
    let error = refusal(&bundle, &store, &Rules::at(expires + 7200));
    let text = error.to_string();
    assert!(matches!(error, BundleError::Expired { .. }));
    assert!(text.contains("2h00m ago") && text.contains("clock"), "{text}");
    refusal(&bundle, &store, &Rules::at(expires));
    refusal(&bundle, &store, &Rules::at(u64::MAX));
    open(&bundle, &store, &Rules { allow_expired: true, ..Rules::at(expires + 7200) }).unwrap();
}

#[test]
fn a_release_below_the_serial_floor_is_refused() {
    let with_floor = |floor| Rules { min_serial: Some(floor), ..Rules::at(NOW) };
    open(&small(), &trust(&[1]), &with_floor(7)).unwrap();
    let error = refusal(&small(), &trust(&[1]), &with_floor(8));
    assert!(matches!(error, BundleError::TooOld { serial: 7, floor: 8, .. }), "{error}");
}

#[test]
fn a_release_of_another_line_or_machine_is_refused() {
    let rules = Rules { expected_name: Some("other-host".to_owned()), ..Rules::at(NOW) };
    let error = refusal(&small(), &trust(&[1]), &rules);
    assert!(matches!(error, BundleError::WrongLine { .. }), "{error}");
    let rules = Rules { expected_arch: Some("aarch64".to_owned()), ..Rules::at(NOW) };
    let error = refusal(&small(), &trust(&[1]), &rules);
    assert!(matches!(error, BundleError::WrongArch { .. }), "{error}");
}

#[test]
fn the_signature_is_judged_before_what_the_manifest_says() {
    // Expired and by an unknown key: the key is the reason, since the date is hearsay.
    let error = refusal(&small(), &trust(&[2]), &Rules::at(u64::MAX));
    assert!(matches!(error, BundleError::UnknownKey { .. }), "{error}");
    // Not even JSON.
    let bundle = crate::forge::forge("\u{1}not a manifest", 1, b"");
    let error = refusal(&bundle, &trust(&[2]), &Rules::at(NOW));
    assert!(matches!(error, BundleError::UnknownKey { .. }), "{error}");
}

#[test]
fn a_slot_that_is_needed_and_missing_is_named() {
    let bundle = small();
    let verified = open(&bundle, &trust(&[1]), &Rules::at(NOW)).unwrap();
    verified.require_slots(&["kernel", "root"]).unwrap();
    let text = verified.require_slots(&["kernel", "initrd"]).unwrap_err().to_string();
    assert!(text.contains("\"initrd\"") && text.contains("kernel, root, osrel, stub"), "{text}");
    let error = verified.slot_bytes("root", 399).unwrap_err();
    assert!(matches!(error, BundleError::SlotTooLong { len: 400, max: 399, .. }), "{error}");
}
