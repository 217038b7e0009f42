//! Bytes that were made to deceive: bounded work, clear errors, no panic.

use std::error::Error;

use lifeboat_depot::build::{BundleSpec, NewPayload, VibSpec, ar, bundle, gzip, vib, zip};
use lifeboat_depot::host::parse;
use lifeboat_depot::offline::{self, BundleError};
use lifeboat_depot::signature::{Trust, verify};
use lifeboat_depot::tar::Lister;
use lifeboat_depot::vib::{VibError, read};
use lifeboat_depot::zip::{Archive, ZipError};
use lifeboat_depot::{Descriptor, DescriptorError, Limits, Profile, XmlError};
use proptest::prelude::*;

use crate::common::{codes, limits, simple};

fn open(bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let archive = offline::open(bytes, &limits())?;
    offline::read(&archive, "b", &limits())?;
    Ok(())
}

#[test]
fn a_vib_cut_at_every_length_is_an_error_or_a_finding() {
    let whole = simple("driver", "1-1").bytes;
    for cut in 0..whole.len() {
        let fine = read(&whole[..cut], &limits()).is_ok_and(|vib| vib.findings.is_empty());
        // The pad byte behind the last member may be missing.
        assert!(!fine || cut == whole.len() - 1, "cut at {cut}");
    }
}

#[test]
fn a_bundle_cut_at_every_length_is_an_error() {
    let spec =
        BundleSpec { vibs: vec![simple("driver", "1-1")], code: "ACM".into(), ..BundleSpec::default() };
    let whole = bundle(&spec);
    for cut in 0..whole.len() {
        assert!(open(&whole[..cut]).is_err(), "cut at {cut}");
    }
    open(&whole).unwrap();
}

#[test]
fn sizes_that_no_file_can_have_are_refused_at_once() {
    let mut huge = ar(&[("descriptor.xml", b"<vib/>")]);
    huge[8 + 48..8 + 58].copy_from_slice(b"9999999999");
    assert!(matches!(read(&huge, &limits()), Err(VibError::TooLong { .. })));
    let mut words = ar(&[("descriptor.xml", b"<vib/>")]);
    words[8 + 48..8 + 58].copy_from_slice(b"-1        ");
    assert!(read(&words, &limits()).is_err());
}

#[test]
fn a_bomb_in_a_payload_stops_at_its_bound() {
    let bomb =
        NewPayload { name: "x".into(), kind: "vgz".into(), bytes: gzip(&vec![0; 5 << 20]), unpacked: None };
    assert!(bomb.bytes.len() < 10_000);
    let made = vib(&VibSpec::new("x", "1-1"), &[bomb], b"");
    let found = read(&made.bytes, &limits()).unwrap().findings;
    assert!(codes(&found).contains(&"payload-undecodable"), "{found:?}");
    assert!(found.iter().any(|one| one.evidence.contains("unpacks to more than")), "{found:?}");
}

#[test]
fn many_small_bombs_stop_at_the_bound_of_all() {
    let bomb = |name: &str| NewPayload {
        name: name.into(),
        kind: "vgz".into(),
        bytes: gzip(&vec![0; 3 << 20]),
        unpacked: None,
    };
    let made = vib(&VibSpec::new("x", "1-1"), &[bomb("a"), bomb("b"), bomb("c"), bomb("d")], b"");
    let found = read(&made.bytes, &limits()).unwrap().findings;
    assert!(found.iter().any(|one| one.evidence.contains("everything together")), "{found:?}");
}

#[test]
fn two_members_of_one_name_are_refused() {
    let bytes = zip(&[("a".into(), vec![1]), ("a".into(), vec![2])]);
    assert!(matches!(Archive::open(&bytes, &limits()), Err(ZipError::Twice { name }) if name == "a"));
    let folder = zip(&[("a".into(), vec![1]), ("a/".into(), vec![])]);
    assert!(matches!(Archive::open(&folder, &limits()), Err(ZipError::Twice { .. })));
}

#[test]
fn members_that_share_bytes_are_refused() {
    let mut bytes = zip(&[("a".into(), vec![0; 300]), ("b".into(), vec![0; 10])]);
    // The second directory entry is made to point at the first local header, and to have its name.
    let directory = bytes.len() - 22 - 2 * 47;
    let second = directory + 47;
    bytes[second + 42..second + 46].copy_from_slice(&0_u32.to_le_bytes());
    let error = Archive::open(&bytes, &limits()).unwrap_err();
    assert!(matches!(error, ZipError::Record { record: "local header", .. }), "{error}");
    bytes[second + 46] = b'a';
    assert!(matches!(Archive::open(&bytes, &limits()), Err(ZipError::Twice { .. })));
    // A member whose size reaches into the next one.
    let mut bytes = zip(&[("a".into(), vec![0; 300]), ("b".into(), vec![0; 10])]);
    bytes[directory + 20..directory + 24].copy_from_slice(&320_u32.to_le_bytes());
    assert!(matches!(Archive::open(&bytes, &limits()), Err(ZipError::Overlap { name }) if name == "b"));
}

#[test]
fn a_member_whose_size_or_sum_lies_is_an_error() {
    let whole = zip(&[("a".into(), b"hello".to_vec())]);
    let directory = whole.len() - 22 - 47;
    for (field, value) in [(16, 1), (24, 4), (24, 6)] {
        let mut bytes = whole.clone();
        bytes[directory + field..directory + field + 4].copy_from_slice(&u32::to_le_bytes(value));
        let archive = Archive::open(&bytes, &limits()).unwrap();
        assert!(archive.bytes("a", 100).is_err(), "{field} {value}");
    }
    let archive = Archive::open(&whole, &limits()).unwrap();
    assert_eq!(archive.bytes("a", 100).unwrap(), b"hello");
    assert!(matches!(archive.bytes("a", 4), Err(ZipError::TooLong { .. })));
}

#[test]
fn names_that_leave_the_folder_are_findings_and_never_used() {
    let spec =
        BundleSpec { vibs: vec![simple("driver", "1-1")], code: "ACM".into(), ..BundleSpec::default() };
    let whole = bundle(&spec);
    let archive = Archive::open(&whole, &limits()).unwrap();
    let mut members: Vec<(String, Vec<u8>)> = archive
        .entries()
        .iter()
        .map(|one| (one.name.clone(), archive.bytes(&one.name, 1 << 20).unwrap()))
        .collect();
    members.push(("../../etc/passwd".into(), vec![1]));
    let bytes = zip(&members);
    let archive = offline::open(&bytes, &limits()).unwrap();
    let found = offline::read(&archive, "b", &limits()).unwrap().findings;
    assert!(codes(&found).contains(&"zip-traversal"), "{found:?}");
}

#[test]
fn metadata_beyond_its_bound_is_refused() {
    let spec =
        BundleSpec { vibs: vec![simple("driver", "1-1")], code: "ACM".into(), ..BundleSpec::default() };
    let bytes = bundle(&spec);
    let tight = Limits { metadata_bytes: 1500, ..limits() };
    let archive = offline::open(&bytes, &tight).unwrap();
    let error = offline::read(&archive, "b", &tight).unwrap_err();
    assert!(matches!(error, BundleError::TooMuch { .. } | BundleError::Metadata { .. }), "{error}");
}

#[test]
fn xml_that_grows_nests_or_declares_is_refused() {
    let refused = |text: String| match Descriptor::parse(text.as_bytes(), &limits()) {
        Err(DescriptorError::Xml(error)) => error,
        other => panic!("{other:?}"),
    };
    let laughs = "<!DOCTYPE v [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><vib><name>&b;</name></vib>";
    assert!(matches!(refused(laughs.to_owned()), XmlError::DocType));
    assert!(matches!(refused("<vib><name>&b;</name></vib>".to_owned()), XmlError::Form { .. }));
    assert!(matches!(refused("<a>".repeat(100)), XmlError::TooDeep { .. }));
    assert!(matches!(refused(format!("<vib>{}</vib>", "<a/>".repeat(30_000))), XmlError::TooMany { .. }));
    assert!(matches!(refused(" ".repeat(2 << 20)), XmlError::TooLong { .. }));
    assert!(matches!(refused("<vib><name>x</nam></vib>".to_owned()), XmlError::Form { .. }));
    assert!(matches!(refused("<vib/><vib/>".to_owned()), XmlError::Roots { found: 2 }));
    assert!(matches!(refused(String::new()), XmlError::Roots { found: 0 }));
}

#[test]
fn a_name_that_would_be_a_path_is_refused() {
    for name in ["../x", "a/b", "a\\b", "a b", "&#10;x&#9;y"] {
        let text = format!("<vib><name>{name}</name><version>1</version><vendor>v</vendor></vib>");
        let error = Descriptor::parse(text.as_bytes(), &limits());
        assert!(matches!(error, Err(DescriptorError::NotAWord { .. })), "{name}: {error:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        drop(read(&bytes, &limits()));
        drop(open(&bytes));
        drop(Descriptor::parse(&bytes, &limits()));
        drop(Profile::parse(&bytes, &limits()));
        drop(verify("x", b"d", &bytes, None, &Trust::new(), 0));
        drop(parse(&String::from_utf8_lossy(&bytes)));
        let mut lister = Lister::new(16);
        lister.feed(&bytes);
        drop(lister.finish());
    }

    #[test]
    fn a_vib_with_turned_bits_makes_no_reader_panic(at in any::<prop::sample::Index>(), bit in 0_u8..8, more in any::<prop::sample::Index>()) {
        let mut bytes = simple("driver", "1-1").bytes;
        let (at, more) = (at.index(bytes.len()), more.index(bytes.len()));
        bytes[at] ^= 1 << bit;
        bytes[more] = bytes[more].wrapping_add(17);
        drop(read(&bytes, &limits()));
    }

    #[test]
    fn a_bundle_with_turned_bits_makes_no_reader_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let spec = BundleSpec { vibs: vec![simple("driver", "1-1")], code: "ACM".into(), ..BundleSpec::default() };
        let mut bytes = bundle(&spec);
        let at = at.index(bytes.len());
        bytes[at] = value;
        drop(open(&bytes));
    }
}
