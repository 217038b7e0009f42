//! Offline bundles and depots.

use lifeboat_depot::build::{BundleSpec, VibSpec, bundle, profile_xml, zip};
use lifeboat_depot::offline::{self, BundleError, verify_vib};
use lifeboat_depot::{Budget, Depot, Difference, diff, vib};

use crate::common::{codes, limits, payload, simple};

fn spec(vibs: Vec<lifeboat_depot::build::NewVib>) -> BundleSpec {
    BundleSpec { vendor: "ACME".into(), code: "ACM".into(), vibs, profiles: Vec::new() }
}

pub(crate) fn depot(spec: &BundleSpec) -> Depot {
    let bytes = bundle(spec);
    let archive = offline::open(&bytes, &limits()).unwrap();
    let mut depot = Depot::new();
    depot.add_bundle(offline::read(&archive, "b.zip", &limits()).unwrap(), "b.zip");
    depot
}

#[test]
fn a_bundle_that_was_written_is_read_back_and_verified() {
    let made = simple("driver", "1-1");
    let profile =
        profile_xml("P", &[(&made.id, &[("driver", "driver.v00")]), ("ACME_bootbank_gone_1-1", &[])]);
    let bytes = bundle(&BundleSpec { profiles: vec![("P".into(), profile)], ..spec(vec![made]) });
    let archive = offline::open(&bytes, &limits()).unwrap();
    let read = offline::read(&archive, "b.zip", &limits()).unwrap();
    assert_eq!(read.findings, []);
    let vib = verify_vib(&archive, &read.vibs[0], &limits(), &mut Budget::of(&limits())).unwrap().unwrap();
    assert_eq!(vib.findings, []);
    let mut depot = Depot::new();
    depot.add_bundle(read, "b.zip");
    let findings = depot.profile_findings();
    assert_eq!(codes(&findings), ["profile-vib-missing"]);
    assert!(findings[0].evidence.contains("ACME_bootbank_gone_1-1"));
}

#[test]
fn a_vib_that_is_not_the_one_of_the_index_is_found() {
    let (first, second) = (simple("driver", "1-1"), simple("driver", "1-2"));
    let mut mixed = second;
    mixed.descriptor = first.descriptor;
    mixed.id = first.id;
    let bytes = bundle(&spec(vec![mixed]));
    let archive = offline::open(&bytes, &limits()).unwrap();
    let read = offline::read(&archive, "b.zip", &limits()).unwrap();
    let vib = verify_vib(&archive, &read.vibs[0], &limits(), &mut Budget::of(&limits())).unwrap().unwrap();
    let text = vib.findings.iter().map(|one| one.evidence.as_str()).collect::<Vec<_>>().join("\n");
    assert!(text.contains("calls itself") && text.contains("payloads or their sums"), "{text}");
}

#[test]
fn equal_ids_with_unequal_payloads_are_both_refused_with_names_sizes_and_sums() {
    let words = VibSpec::new("driver", "1-1");
    let one = lifeboat_depot::build::vib(&words, &[payload("driver", "f", b"one")], b"");
    let two = lifeboat_depot::build::vib(&words, &[payload("driver", "f", b"other")], b"");
    let read = |bytes: &[u8]| vib::read(bytes, &limits()).unwrap().descriptor;
    let mut depot = Depot::new();
    depot.add(read(&one.bytes), "a.zip");
    depot.add(read(&one.bytes), "copy-of-a.zip");
    assert_eq!((depot.packages.len(), depot.findings.len()), (1, 0), "the same bytes are one VIB");
    depot.add(read(&two.bytes), "b.zip");
    assert_eq!(depot.packages.len(), 0);
    assert_eq!(codes(&depot.findings), ["same-id-other-payload"]);
    let text = &depot.findings[0].evidence;
    for part in ["a.zip, copy-of-a.zip", "b.zip", "bytes, sha-256 "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    depot.add(read(&one.bytes), "c.zip");
    assert_eq!(depot.packages.len(), 0, "a refused id stays refused");
    // Either order of reading refuses both.
    let mut other = Depot::new();
    other.add(read(&two.bytes), "b.zip");
    other.add(read(&one.bytes), "a.zip");
    assert_eq!(other.packages.len(), 0);
}

#[test]
fn what_is_missing_or_lies_elsewhere_is_told() {
    let made = simple("driver", "1-1");
    let whole = bundle(&spec(vec![made.clone()]));
    let archive = offline::open(&whole, &limits()).unwrap();
    let keep = |name: &str| (name.to_owned(), archive.bytes(name, 1 << 20).unwrap());
    let without = zip(&[
        keep("index.xml"),
        keep("vendor-index.xml"),
        keep("metadata.zip"),
        ("extra.txt".into(), vec![1]),
    ]);
    let archive = offline::open(&without, &limits()).unwrap();
    let read = offline::read(&archive, "b.zip", &limits()).unwrap();
    let mut found = codes(&read.findings);
    found.sort_unstable();
    assert_eq!(found, ["file-not-in-index", "vib-missing"]);
    // A bundle in a folder, as made by packing the folder instead of its content.
    let nested = zip(&[("depot/index.xml".into(), Vec::new())]);
    let archive = offline::open(&nested, &limits()).unwrap();
    let error = offline::read(&archive, "b.zip", &limits()).unwrap_err();
    assert!(matches!(error, BundleError::NoIndex { .. }) && error.to_string().contains("folder"), "{error}");
}

#[test]
fn two_depots_are_compared_by_name() {
    let a = depot(&spec(vec![
        simple("gone", "1-1"),
        simple("same", "1-1"),
        simple("up", "1-9"),
        simple("down", "2-1"),
    ]));
    let b = depot(&spec(vec![
        simple("new", "1-1"),
        simple("same", "1-1"),
        simple("up", "1-10"),
        simple("down", "1-1"),
    ]));
    let found = diff(&a, &b);
    let words: Vec<String> = found
        .iter()
        .map(|one| match one {
            Difference::Added { id } => format!("+{id}"),
            Difference::Removed { id } => format!("-{id}"),
            Difference::Upgraded { to, .. } => format!("^{to}"),
            Difference::Downgraded { to, .. } => format!("v{to}"),
            Difference::Renamed { to, .. } => format!("~{to}"),
            Difference::OtherPayload { id, .. } => format!("!{id}"),
        })
        .collect();
    assert_eq!(
        words,
        [
            "vACME_bootbank_down_1-1",
            "-ACME_bootbank_gone_1-1",
            "+ACME_bootbank_new_1-1",
            "^ACME_bootbank_up_1-10"
        ]
    );
}
