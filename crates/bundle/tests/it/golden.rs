//! Bundles of the first version stay readable for ever.

use lifeboat_bundle::{Rules, inspect, open};

use crate::forge::{NOW, noise, read_all, small, small_chunked, trust};

const GOLDEN: &[u8] = include_bytes!("../golden/bundle-v1.lfb");
const GOLDEN_2: &[u8] = include_bytes!("../golden/bundle-v2.lfb");

#[test]
fn the_bundle_of_the_first_version_is_read_as_it_was_written() {
    let bundle = open(GOLDEN, &trust(&[1]), &Rules::at(NOW)).unwrap();
    let digest = "da51d20fd8ee525e5895297d86eeac5c0a368e737c4e177124826052a5164816";
    assert_eq!(bundle.release().digest.to_string(), digest);
    assert_eq!(bundle.manifest().cmdline, "console=ttyS0 quiet");
    let slots = read_all(GOLDEN, &trust(&[1]), &Rules::at(NOW)).unwrap();
    assert_eq!(slots[0], ("kernel".to_owned(), noise(90)));
    assert_eq!(slots[1], ("root".to_owned(), vec![b'r'; 400]));
    assert_eq!(slots[2].1, crate::forge::OSREL);
    assert_eq!(slots[3], ("stub".to_owned(), Vec::new()));
    assert_eq!(inspect(GOLDEN, None).unwrap().totals.len, 90 + 400 + crate::forge::OSREL.len() as u64);
}

#[test]
fn the_second_writer_of_the_first_version_writes_the_same_bytes() {
    assert!(small() == GOLDEN);
}

#[test]
fn the_bundle_of_the_second_version_is_read_as_it_was_written() {
    let bundle = open(GOLDEN_2, &trust(&[1]), &Rules::at(NOW)).unwrap();
    assert_eq!(bundle.release().digest.to_string(), GOLDEN_2_DIGEST);
    let slots = read_all(GOLDEN_2, &trust(&[1]), &Rules::at(NOW)).unwrap();
    assert_eq!(slots[0], ("kernel".to_owned(), noise(90)));
    assert_eq!(slots[1], ("root".to_owned(), vec![b'r'; 400]));
    assert_eq!(slots[3], ("stub".to_owned(), Vec::new()));
    assert_eq!(inspect(GOLDEN_2, None).unwrap().totals.blocks, 3);
}

const GOLDEN_2_DIGEST: &str = "45bcd05d4a72659bd115a990bce42406c66da231b9b8895be38109675400ef37";

#[test]
#[expect(clippy::disallowed_methods, reason = "only a test writes the golden file")]
#[ignore = "writes the golden bundle: once per format version, never to make a test pass"]
fn write_the_golden_bundle() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bundle-v2.lfb");
    std::fs::write(path, small_chunked()).unwrap();
}
