//! Every kind of damage that is known from the field, planted one by one into a bank of 30 files: each is named, no
//! file is called whole that is not right, and fsck.fat agrees wherever it sees the damage at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use lifeboat_bank::fat::{FatCode, FatCopy, FatSeverity};
use lifeboat_model::io::WriteAt;

use crate::fat_bank::{BANK, BASE, Bank, words};
use crate::fixture::noise;
use crate::peers::run;

/// Damages at which fsck.fat 4.2 -n does not come to an end (measured: not within 10 minutes); it is not asked.
const FSCK_ENDLESS: &[&str] = &["garbage sector in the root", "one FAT instead of two"];

/// One kind of damage.
struct Case {
    name: &'static str,
    hurt: fn(&mut Bank),
    /// The code that names it.
    code: FatCode,
    severity: FatSeverity,
    /// Files that are still called whole (and have the right content), of 30.
    whole: usize,
    /// Whether fsck.fat reports anything.
    fsck: bool,
}

const MOD5: &[u8; 11] = b"MOD05   V00";
const MOD9: &[u8; 11] = b"MOD09   V00";
const CFG: &[u8; 11] = b"BOOT    CFG";
const DIR: &[u8; 11] = b"DIR        ";
const LONG: &[u8; 11] = b"ALONGN~1TXT";

const fn damage(name: &'static str, code: FatCode, whole: usize, fsck: bool, hurt: fn(&mut Bank)) -> Case {
    Case { name, hurt, code, severity: FatSeverity::Damage, whole, fsck }
}

const fn innocent(name: &'static str, code: FatCode, fsck: bool, hurt: fn(&mut Bank)) -> Case {
    Case { name, hurt, code, severity: FatSeverity::Innocent, whole: 30, fsck }
}

const fn unreadable(name: &'static str, code: FatCode, hurt: fn(&mut Bank)) -> Case {
    Case { name, hurt, code, severity: FatSeverity::Unreadable, whole: 0, fsck: true }
}

/// An entry that is put into the first free place of the root.
fn add_entry(bank: &mut Bank, short: &[u8; 11], attribute: u8, cluster: u16, len: u32) {
    let root = bank.root_at();
    let at = (0..512).map(|index| root + index * 32).find(|&at| bank.volume()[at as usize] == 0).unwrap();
    let mut entry = [0_u8; 32];
    entry[..11].copy_from_slice(short);
    entry[11] = attribute;
    entry[26..28].copy_from_slice(&cluster.to_le_bytes());
    entry[28..].copy_from_slice(&len.to_le_bytes());
    bank.put(at, &entry);
}

fn set_start(bank: &mut Bank, short: &[u8; 11], cluster: u16) {
    let at = bank.entry_at(short);
    bank.put(at + 26, &cluster.to_le_bytes());
}

fn set_len(bank: &mut Bank, short: &[u8; 11], len: u32) {
    let at = bank.entry_at(short);
    bank.put(at + 28, &len.to_le_bytes());
}

fn set_attribute(bank: &mut Bank, short: &[u8; 11], attribute: u8) {
    let at = bank.entry_at(short);
    bank.put(at + 11, &[attribute]);
}

/// Sets the link of the `nth` cluster of a file's chain.
fn bend(bank: &mut Bank, short: &[u8; 11], nth: usize, to: impl Fn(&Bank, &[u16]) -> u16) {
    let chain = bank.chain(short);
    let to = to(bank, &chain);
    bank.set_link(chain[nth], to);
}

/// The table of the field's damages. `whole` is what may still be believed without a checksum.
#[rustfmt::skip]
const CASES: &[Case] = &[
    innocent("dirty bit in the boot sector", FatCode::DirtyBoot, true, |bank| bank.put(37, &[1])),
    innocent("dirty bit in entry 1", FatCode::DirtyTable, true, |bank| bank.set_link(1, 0x7fff)),
    innocent("disk error bit in entry 1", FatCode::DiskErrorBit, false, |bank| bank.set_link(1, 0xbfff)),
    innocent("label in the boot sector only", FatCode::LabelDiffers, true, |bank| bank.put(43, b"BANK       ")),
    innocent("label in the root only", FatCode::LabelDiffers, true, |bank| add_entry(bank, b"BANK       ", 8, 0, 0)),
    innocent("a free cluster marked as bad", FatCode::BadClusters, false, |bank| { let free = bank.free_cluster(); bank.set_link(free, 0xfff7); }),
    damage("FAT 2 overwritten", FatCode::CopiesDiffer, 30, true, |bank| { let at = bank.fat_at(1); bank.put(at + 100, &noise(3, 2000)); }),
    damage("FAT 2 all zeros", FatCode::CopiesDiffer, 30, true, |bank| { let at = bank.fat_at(1); bank.put(at, &[0; 16384]); }),
    damage("one link of FAT 2 wrong", FatCode::CopiesDiffer, 30, true, |bank| { let at = bank.fat_at(1) + u64::from(bank.chain(MOD9)[3]) * 2; bank.put(at, &[9, 0]); }),
    damage("FAT 1 overwritten", FatCode::CopiesDiffer, 0, true, |bank| { let at = bank.fat_at(0); bank.put(at, &noise(4, 512 * 70)); }),
    damage("FAT 1 all zeros", FatCode::StartFree, 0, true, |bank| { let at = bank.fat_at(0); bank.put(at, &[0; 512 * 70]); }),
    damage("one sector of FAT 1 zeros", FatCode::CopiesDiffer, 28, true, |bank| { let at = bank.fat_at(0); bank.put(at + 1536, &[0; 512]); }),
    damage("two links of FAT 1 exchanged", FatCode::CopiesDiffer, 28, true, |bank| {
        let (one, other) = (bank.chain(MOD5), bank.chain(MOD9));
        let at = bank.fat_at(0);
        bank.put(at + u64::from(one[1]) * 2, &other[2].to_le_bytes());
        bank.put(at + u64::from(other[1]) * 2, &one[2].to_le_bytes());
    }),
    damage("media byte of the FAT wrong", FatCode::Reserved, 30, false, |bank| bank.set_link(0, 0xfff1)),
    damage("lost chain of three clusters", FatCode::Lost, 30, true, |bank| {
        let free = bank.free_cluster();
        for (at, to) in [(50, 51), (51, 52), (52, 0xffff)] { bank.set_link(free + at, if to == 0xffff { to } else { free + to }); }
    }),
    damage("two files own one cluster", FatCode::CrossLink, 28, true, |bank| { let to = bank.chain(MOD9)[4]; bend(bank, MOD5, 1, |_, _| to); }),
    damage("two files start at one cluster", FatCode::CrossLink, 28, true, |bank| { let to = bank.start(MOD9); set_start(bank, MOD5, to); }),
    damage("a file owns a directory's cluster", FatCode::CrossLink, 29, true, |bank| { let to = bank.start(DIR); bend(bank, MOD5, 1, |_, _| to); }),
    damage("chain comes back to its start", FatCode::ChainLoop, 29, true, |bank| bend(bank, MOD5, 3, |_, chain| chain[0])),
    damage("cluster leads to itself", FatCode::ChainLoop, 29, true, |bank| bend(bank, MOD5, 2, |_, chain| chain[2])),
    damage("chain too short", FatCode::ChainShort, 29, true, |bank| bend(bank, MOD5, 1, |_, _| 0xffff)),
    damage("chain too long", FatCode::ChainLong, 29, true, |bank| {
        let free = bank.free_cluster();
        let last = *bank.chain(MOD5).last().unwrap();
        bank.set_link(last, free);
        bank.set_link(free, 0xffff);
    }),
    damage("first cluster out of range", FatCode::StartRange, 29, true, |bank| set_start(bank, MOD5, 0xfff0)),
    damage("first cluster 1", FatCode::StartRange, 29, true, |bank| set_start(bank, MOD5, 1)),
    damage("first cluster free", FatCode::StartFree, 29, true, |bank| { let free = bank.free_cluster(); set_start(bank, MOD5, free + 9); }),
    damage("next cluster out of range", FatCode::ChainRange, 29, true, |bank| bend(bank, MOD5, 1, |_, _| 0xffe0)),
    damage("next cluster 1", FatCode::ChainRange, 29, true, |bank| bend(bank, MOD5, 1, |_, _| 1)),
    damage("next cluster free", FatCode::ChainFree, 29, true, |bank| bend(bank, MOD5, 1, |bank, _| bank.free_cluster() + 7)),
    damage("bad mark inside a chain", FatCode::ChainBad, 29, true, |bank| bend(bank, MOD5, 2, |_, _| 0xfff7)),
    damage("size absurd", FatCode::SizeAbsurd, 29, true, |bank| set_len(bank, MOD5, 0xf000_0000)),
    damage("size 0 with a cluster (boot.cfg)", FatCode::EmptyWithCluster, 29, true, |bank| set_len(bank, CFG, 0)),
    damage("size without a cluster", FatCode::StartZero, 29, true, |bank| set_start(bank, CFG, 0)),
    damage("directory's cluster is garbage", FatCode::DirGarbage, 28, true, |bank| { let at = bank.cluster_at(bank.start(DIR)); bank.put(at, &noise(8, 512)); }),
    damage("directory's cluster is all zeros", FatCode::Dots, 28, true, |bank| { let at = bank.cluster_at(bank.start(DIR)); bank.put(at, &[0; 512]); }),
    damage("entry is neither file nor directory (40)", FatCode::Neither, 29, false, |bank| set_attribute(bank, MOD5, 0x40)),
    damage("entry is a label with a cluster", FatCode::Neither, 29, true, |bank| set_attribute(bank, MOD5, 0x08)),
    damage("entry is a label and a directory", FatCode::Neither, 30, true, |bank| add_entry(bank, b"STATE   123", 0x18, 0, 0)),
    damage("ghost: directory starts at a free cluster", FatCode::DirGhost, 30, true, |bank| { let free = bank.free_cluster(); add_entry(bank, b"STATE   123", 0x10, free + 3, 0); }),
    damage("ghost: directory starts out of range", FatCode::DirGhost, 30, true, |bank| add_entry(bank, b"STATE   123", 0x10, 0xffe0, 0)),
    damage("directory starts at cluster 0", FatCode::DirRoot, 30, true, |bank| add_entry(bank, b"STATE   123", 0x10, 0, 0)),
    damage("directory is another's twin", FatCode::DirTwice, 30, true, |bank| { let to = bank.start(DIR); add_entry(bank, b"STATE   123", 0x10, to, 0); }),
    damage("directory lies inside itself", FatCode::DirTwice, 28, true, |bank| {
        let dir = bank.start(DIR);
        let at = bank.cluster_at(dir);
        // Its third entry is the directory below.
        bank.put(at + 3 * 32 + 26, &dir.to_le_bytes());
        bank.put(at + 2 * 32 + 26, &dir.to_le_bytes());
    }),
    damage("directory has a size", FatCode::DirSize, 30, true, |bank| set_len(bank, DIR, 512)),
    damage("\"..\" names another cluster", FatCode::Dots, 30, true, |bank| { let at = bank.cluster_at(bank.start(DIR)); bank.put(at + 32 + 26, &[77, 0]); }),
    damage("\".\" names another cluster", FatCode::Dots, 30, true, |bank| { let at = bank.cluster_at(bank.start(DIR)); bank.put(at + 26, &[77, 0]); }),
    damage("garbage sector in the root", FatCode::BadName, 16, true, |bank| { let at = bank.root_at(); bank.put(at + 512, &noise(9, 512)); }),
    damage("control characters in a name", FatCode::BadName, 29, true, |bank| { let at = bank.entry_at(MOD5); bank.put(at + 1, &[1, 2]); }),
    damage("entries of the root lost", FatCode::AfterEnd, 0, true, |bank| { let at = bank.root_at(); bank.put(at, &[0; 512]); }),
    damage("duplicate name", FatCode::DuplicateName, 28, true, |bank| { let at = bank.entry_at(MOD5); bank.put(at, MOD9); }),
    damage("long name without its entry", FatCode::LongOrphan, 29, true, |bank| { let at = bank.entry_at(LONG); bank.put(at, &[0xe5]); }),
    damage("long name of another entry", FatCode::LongMismatch, 29, false, |bank| { let at = bank.entry_at(LONG); bank.put(at, b"OTHER      "); }),
    damage("part of a long name missing", FatCode::LongOrphan, 29, true, |bank| { let at = bank.entry_at(LONG); bank.put(at - 32, &[0xe5]); }),
    damage("55 AA missing", FatCode::BootSignature, 30, false, |bank| bank.put(510, &[0, 0])),
    damage("more sectors than the partition", FatCode::TooLarge, 30, true, |bank| { let total = bank.u16(19).max(BANK / 512) as u32 + 8; bank.put(19, &[0, 0]); bank.put(32, &total.to_le_bytes()); }),
    damage("one reserved sector instead of two", FatCode::Reserved, 0, true, |bank| bank.put(14, &[1])),
    damage("three reserved sectors instead of two", FatCode::Reserved, 0, true, |bank| bank.put(14, &[3])),
    damage("clusters twice as large", FatCode::BootDoubt, 0, true, |bank| { let now = bank.volume()[13]; bank.put(13, &[now * 2]); }),
    damage("one FAT instead of two", FatCode::Neither, 0, true, |bank| bank.put(16, &[1])),
    unreadable("clusters half as large", FatCode::BootField, |bank| bank.put(13, &[0])),
    unreadable("three sectors to a cluster", FatCode::BootField, |bank| bank.put(13, &[3])),
    unreadable("sectors of 520 bytes", FatCode::BootField, |bank| bank.put(11, &[8, 2])),
    unreadable("no FAT", FatCode::BootField, |bank| bank.put(16, &[0])),
    unreadable("a FAT larger than the volume", FatCode::BootField, |bank| bank.put(22, &[0xff, 0xff])),
    unreadable("boot sector all zeros", FatCode::BootZero, |bank| bank.put(0, &[0; 512])),
    unreadable("boot sector is noise", FatCode::BootField, |bank| bank.put(0, &noise(7, 512))),
];

/// An image file that is brought from one damage to the next without being written anew.
struct Patched<'a> {
    file: File,
    fresh: &'a [u8],
    hurt: Vec<usize>,
}

impl Patched<'_> {
    /// Makes the file hold `bytes`; gives the number of sectors that differ from the fresh bank.
    fn replace(&mut self, bytes: &[u8]) -> usize {
        for at in std::mem::take(&mut self.hurt) {
            self.file.write_all_at(&self.fresh[at..at + 512], at as u64).unwrap();
        }
        for at in (0..bytes.len()).step_by(512) {
            if bytes[at..at + 512] != self.fresh[at..at + 512] {
                self.file.write_all_at(&bytes[at..at + 512], at as u64).unwrap();
                self.hurt.push(at);
            }
        }
        self.hurt.len()
    }
}

#[test]
fn a_fresh_bank_has_no_finding_and_thirty_right_files() {
    let bank = Bank::new();
    let report = bank.examine();
    assert!(report.findings.is_empty(), "{}", words(&report));
    assert_eq!(bank.right_files(&report), 30);
    assert!(report.nodes.iter().all(|node| node.whole && !node.ghost));
}

#[test]
fn every_known_damage_is_named_and_nothing_wrong_is_called_whole() {
    let fresh = Bank::new();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bank.img");
    std::fs::write(&path, fresh.volume()).unwrap();
    let mut file = Patched {
        file: File::options().write(true).open(&path).unwrap(),
        fresh: fresh.volume(),
        hurt: Vec::new(),
    };
    let mut faults = Vec::new();
    for case in CASES {
        let mut bank = fresh.clone();
        (case.hurt)(&mut bank);
        let report = bank.examine();
        let named = report.findings.iter().find(|finding| finding.code == case.code);
        let right = bank.right_files(&report);
        if named.is_none_or(|finding| finding.severity != case.severity) || right != case.whole {
            faults.push(format!(
                "{}: should be {} with {} right files, {right} are:\n{}",
                case.name,
                case.code,
                case.whole,
                words(&report)
            ));
        }
        if case.severity == FatSeverity::Innocent && !report.is_sound() {
            faults.push(format!("{}: innocent, but called damage:\n{}", case.name, words(&report)));
        }
        let changed = file.replace(bank.volume());
        assert!(changed > 0, "{}: nothing was damaged", case.name);
        if FSCK_ENDLESS.contains(&case.name) {
            continue;
        }
        let Some((clean, text)) = run("fsck.fat", &["-n", path.to_str().unwrap()]) else {
            continue;
        };
        // fsck.fat tells some things without an exit code; then it counts as not seen.
        if clean == case.fsck {
            faults.push(format!("{}: fsck.fat said clean = {clean}:\n{text}", case.name));
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), CASES.len(), faults.join("\n"));
    println!("{} kinds of damage", CASES.len());
}

#[test]
fn the_saner_table_is_the_one_that_was_not_touched() {
    let fresh = Bank::new();
    for seed in 0..40 {
        for hurt in 0..2 {
            let mut bank = fresh.clone();
            let at = bank.fat_at(hurt) + 4 + seed * 40;
            bank.put(at, &noise(seed + 1, 30 + 20 * seed as usize));
            let report = bank.examine();
            assert!(report.has(FatCode::CopiesDiffer), "{}", words(&report));
            let right = if hurt == 0 { FatCopy::Second } else { FatCopy::First };
            assert_eq!(report.saner, right, "seed {seed}: {}", words(&report));
        }
    }
}

#[test]
fn an_image_that_is_cut_off_names_the_files_that_miss_their_end() {
    let fresh = Bank::new();
    let chain = fresh.chain(b"MOD20   V00");
    let cut = BASE + fresh.cluster_at(chain[chain.len() / 2]);
    let mut bank = fresh.clone();
    bank.disk.truncate(cut as usize);
    let report = bank.examine();
    let cut: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|f| f.code == FatCode::ImageCut)
        .filter_map(|f| f.path.as_deref())
        .collect();
    assert!(cut.contains("MOD20.V00") && !cut.contains("MOD19.V00"), "{}", words(&report));
    assert!(bank.right_files(&report) >= 20);
    for at in [0, 100, 511, 512, 1024, 4000, fresh.root_at(), fresh.root_at() + 700] {
        let mut bank = fresh.clone();
        bank.disk.truncate((BASE + at) as usize);
        let report = bank.examine();
        assert!(!report.is_sound(), "{at}");
        assert!(report.nodes.iter().all(|node| !node.whole), "{at}");
    }
}

#[test]
fn both_owners_of_a_cluster_are_named() {
    let mut bank = Bank::new();
    let to = bank.chain(MOD9)[4];
    bend(&mut bank, MOD5, 1, |_, _| to);
    let report = bank.examine();
    let text = &report.findings.iter().find(|finding| finding.code == FatCode::CrossLink).unwrap().text;
    assert!(text.contains("MOD05.V00") && text.contains("MOD09.V00"), "{text}");
    for path in ["MOD05.V00", "mod09.v00"] {
        assert!(!report.node(path).unwrap().whole);
    }
}

#[test]
fn a_volume_that_claims_a_terabyte_on_a_small_image_is_refused_in_little_memory() {
    let mut disk = vec![0_u8; 1 << 20];
    disk.write_at(0, &Bank::new().volume()[..512]).unwrap();
    let mut check = |edits: &[(u64, &[u8])]| {
        for (at, bytes) in edits {
            disk.write_at(*at, bytes).unwrap();
        }
        lifeboat_bank::fat::examine(&disk, 0, 1 << 40)
    };
    let report = check(&[(19, &[0, 0]), (32, &[0xff; 4]), (22, &[0xff, 0xff]), (13, &[128])]);
    assert!(!report.is_sound(), "{}", words(&report));
    // As FAT32 with clusters of 512 bytes: more clusters than are examined.
    let report =
        check(&[(13, &[128]), (17, &[0, 0]), (22, &[0, 0]), (36, &[0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0])]);
    assert_eq!(report.findings[0].code, FatCode::Limit, "{}", words(&report));
    assert!(report.nodes.is_empty());
}
