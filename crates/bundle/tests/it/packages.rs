//! Packages as a release: the same bytes each time, and nothing but what the index says.

use std::io::{Cursor, Read as _, Write as _};
use std::process::{Command, Stdio};

use lifeboat_bundle::{
    MAX_PACKAGES_INDEX, PACKAGES_SCHEMA, PackageEntry, PackageFormat, PackageIndex, PackagesArchive,
    PackagesError, PackagesReader, RebootRule,
};
use lifeboat_model::Sha256Hex;
use proptest::prelude::*;

fn entry(file: &str, name: &str, bytes: &[u8]) -> PackageEntry {
    PackageEntry {
        file: file.to_owned(),
        name: name.to_owned(),
        version: "1:2.0-3~deb12u1".to_owned(),
        arch: "amd64".to_owned(),
        size: bytes.len() as u64,
        sha256: Sha256Hex::of(bytes),
    }
}

fn packages() -> Vec<(PackageEntry, Vec<u8>)> {
    let bytes = [vec![7; 1000], vec![8; 512], b"x".to_vec()];
    let names = ["zulu", "alpha", "libc6"];
    let files = ["zulu_2.0_amd64.deb", "alpha_1%3a2.0_amd64.deb", "libc6_2.0_amd64.deb"];
    let all = names.iter().zip(files).zip(bytes);
    all.map(|((name, file), bytes)| (entry(file, name, &bytes), bytes)).collect()
}

fn index_of(packages: &[(PackageEntry, Vec<u8>)], remove: &[&str]) -> Result<PackageIndex, PackagesError> {
    let entries = packages.iter().map(|(entry, _)| entry.clone()).collect();
    let remove = remove.iter().map(|&name| name.to_owned()).collect();
    PackageIndex::new(PackageFormat::Deb, RebootRule::Always, entries, remove)
}

fn archive(packages: &[(PackageEntry, Vec<u8>)], index: PackageIndex) -> Result<Vec<u8>, std::io::Error> {
    let bytes = |entry: &PackageEntry| {
        let found = packages.iter().find(|(known, _)| known.file == entry.file);
        Ok(Cursor::new(found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()))
    };
    let mut made = PackagesArchive::new(index, bytes).unwrap();
    let len = made.total();
    let mut out = Vec::new();
    made.read_to_end(&mut out)?;
    assert_eq!(out.len() as u64, len, "the length is known before the first byte");
    Ok(out)
}

fn sample() -> Vec<u8> {
    archive(&packages(), index_of(&packages(), &["mawk"]).unwrap()).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(PackageEntry, Vec<u8>)>, PackagesError> {
    let mut reader = PackagesReader::open(bytes, bytes.len() as u64)?;
    let mut all = Vec::new();
    while let Some(package) = reader.next_package(|_| Ok(Vec::new()))? {
        all.push(package);
    }
    Ok(all)
}

#[test]
fn what_was_packed_is_read_in_the_order_of_file_names() {
    let mut sorted = packages();
    sorted.sort_by(|one, two| one.0.file.cmp(&two.0.file));
    assert_eq!(read(&sample()).unwrap(), sorted);
    let mut other_way_round = packages();
    other_way_round.reverse();
    let again = archive(&other_way_round, index_of(&other_way_round, &["mawk"]).unwrap()).unwrap();
    assert_eq!(again, sample(), "the same packages are the same bytes");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the reader of others is a program")]
fn tar_of_others_reads_the_archive() {
    let extract = |name: &str| {
        let mut tar = Command::new("tar");
        let child = tar.args(["-xOf", "-", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let ran = child.wait_with_output().unwrap();
        assert!(ran.status.success());
        ran.stdout
    };
    for (entry, bytes) in packages() {
        assert_eq!(extract(&entry.file), bytes);
    }
    assert_eq!(
        PackageIndex::parse(&extract("index.json")).unwrap(),
        index_of(&packages(), &["mawk"]).unwrap()
    );
}

#[test]
fn an_archive_cut_at_any_byte_or_with_any_byte_turned_is_refused() {
    let whole = sample();
    for cut in 0..whole.len() {
        let cut = &whole[..cut];
        assert!(read(cut).is_err());
        // Also when the slot claims to be whole.
        let claimed = PackagesReader::open(cut, whole.len() as u64);
        assert!(claimed.and_then(|mut reader| reader.verify()).is_err());
    }
    let index = 512 + index_of(&packages(), &["mawk"]).unwrap().encode().unwrap().len();
    for at in 0..whole.len() {
        let mut turned = whole.clone();
        turned[at] ^= 0x20;
        // A word of the index may become another one: the slot's digest stands for it. Nothing else gets through.
        let index_of = |bytes: &[u8]| {
            PackagesReader::open(bytes, bytes.len() as u64).map(|reader| reader.index().clone())
        };
        let another = at < index && index_of(&turned).is_ok_and(|index| index != index_of(&whole).unwrap());
        assert!(read(&turned).is_err() || another, "byte {at}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(read(&longer), Err(PackagesError::Length { .. })));
}

#[test]
fn a_package_that_is_not_what_the_index_says_ends_the_making() {
    let mut packages = packages();
    let index = index_of(&packages, &[]).unwrap();
    packages[0].1[500] = 0;
    let error = archive(&packages, index.clone()).unwrap_err();
    assert!(error.to_string().contains("zulu_2.0_amd64.deb"), "{error}");
    packages[0].1.truncate(999);
    assert!(archive(&packages, index).is_err());
}

#[test]
fn names_that_lead_out_of_a_folder_and_lists_that_contradict_themselves_are_refused() {
    let one = |change: fn(&mut PackageEntry)| {
        let mut packages = packages();
        change(&mut packages[0].0);
        index_of(&packages, &[])
    };
    let texts: [fn(&mut PackageEntry); 11] = [
        |entry| entry.file = "../../etc/passwd.deb".to_owned(),
        |entry| entry.file = "/etc/x.deb".to_owned(),
        |entry| entry.file = ".hidden.deb".to_owned(),
        |entry| entry.file = "-rf.deb".to_owned(),
        |entry| entry.file = "x.rpm".to_owned(),
        |entry| entry.file = "x y.deb".to_owned(),
        |entry| entry.file = format!("{}.deb", "x".repeat(97)),
        |entry| entry.name = String::new(),
        |entry| entry.name = "--force".to_owned(),
        |entry| entry.version = "1;rm".to_owned(),
        |entry| entry.arch = "a/b".to_owned(),
    ];
    for change in texts {
        let error = one(change).unwrap_err();
        assert!(matches!(error, PackagesError::Text { .. }), "{error}");
    }
    let lists: [fn(&mut PackageEntry); 4] = [
        |entry| entry.size = 0,
        |entry| entry.size = u64::MAX,
        |entry| entry.file = "libc6_2.0_amd64.deb".to_owned(),
        |entry| entry.name = "libc6".to_owned(),
    ];
    for change in lists {
        let error = one(change).unwrap_err();
        assert!(matches!(error, PackagesError::List { .. }), "{error}");
    }
    for remove in [["libc6"].as_slice(), &["mawk", "mawk"]] {
        assert!(matches!(index_of(&packages(), remove), Err(PackagesError::List { .. })));
    }
    assert!(index_of(&[], &[]).is_err());
    let many = (0..10_001).map(|n| (entry(&format!("p{n}.deb"), &format!("p{n}"), b"1"), Vec::new()));
    assert!(matches!(index_of(&many.collect::<Vec<_>>(), &[]), Err(PackagesError::List { .. })));
}

/// An archive with an index of other words.
fn forged(index: &str, rest: &[u8]) -> Vec<u8> {
    let mut bytes = sample()[..512].to_vec();
    bytes[124..135].copy_from_slice(format!("{:011o}", index.len()).as_bytes());
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes.extend_from_slice(index.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn an_index_in_other_words_than_a_writer_has_is_refused() {
    let canonical = String::from_utf8(index_of(&packages(), &[]).unwrap().encode().unwrap()).unwrap();
    let rest = sample();
    let good = forged(&canonical, &[]);
    assert!(matches!(read(&good), Err(PackagesError::Length { .. })), "only its files are missing");
    let refused = |text: &str| read(&forged(text, &rest)).unwrap_err();
    assert!(matches!(refused(&canonical.replace("\":\"", "\": \"")), PackagesError::NotCanonical));
    assert!(matches!(
        refused(&canonical.replace("deb\",\"reboot", "deb\",\"more\":1,\"reboot")),
        PackagesError::Json(_)
    ));
    assert!(matches!(
        refused(&canonical.replace(PACKAGES_SCHEMA, "lifeboat.packages/2")),
        PackagesError::Schema { .. }
    ));
    assert!(matches!(refused("[]"), PackagesError::Json(_)));
    // Sizes that would be summed to anything.
    let absurd = canonical.replace("\"size\":1000", "\"size\":18446744073709551615");
    assert!(matches!(refused(&absurd), PackagesError::List { .. }));
    let nested = "[".repeat(200_000);
    assert!(matches!(refused(&nested), PackagesError::Json(_)));
}

#[test]
fn an_index_that_is_announced_too_long_is_refused_before_it_is_read() {
    let mut header = forged("{}", &[])[..512].to_vec();
    header[124..135].copy_from_slice(format!("{:011o}", MAX_PACKAGES_INDEX + 1).as_bytes());
    let error = PackagesReader::open(header.as_slice(), 1 << 40).unwrap_err();
    assert!(matches!(error, PackagesError::IndexTooLong { .. }), "{error}");
    header[124..135].copy_from_slice(b"99999999999");
    assert!(matches!(PackagesReader::open(header.as_slice(), 1 << 40), Err(PackagesError::Archive { .. })));
}

proptest! {
    #[test]
    fn any_bytes_cost_nothing_but_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096), len: u64) {
        prop_assert!(PackagesReader::open(bytes.as_slice(), len).is_err());
    }

    #[test]
    fn any_packages_come_back(sizes in proptest::collection::vec(1_usize..3000, 1..12)) {
        let packages: Vec<_> = sizes.iter().enumerate().map(|(n, size)| {
            let bytes: Vec<u8> = (0..*size).map(|at| u8::try_from((at * 7 + n) % 251).unwrap()).collect();
            (entry(&format!("p{n:02}_1_all.deb"), &format!("p{n:02}"), &bytes), bytes)
        }).collect();
        let made = archive(&packages, index_of(&packages, &[]).unwrap()).unwrap();
        prop_assert_eq!(read(&made).unwrap(), packages);
    }
}
