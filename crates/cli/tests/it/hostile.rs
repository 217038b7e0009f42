//! Images, archives and bundles made to hurt, given to the program as a person would: it ends within bounds of memory
//! and processor time, with an exit code and words, and writes nothing outside.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_bank::esx::fixture::{Fixture, FixtureLayout, TarMember, gzip, tar};
use lifeboat_bank::gpt::{GptTable, read_table, write_table};
use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};
use lifeboat_depot::build::{BundleSpec, NewPayload, VibSpec, bundle, vib, zip};
use lifeboat_model::io::{ReadAt, WriteAt};

use crate::common::{Answer, Scratch};

/// Address space of the program: what it maps and allocates, its own code and its threads' stacks.
const ADDRESS_SPACE: &str = "--as=536870912";
const PROCESSOR_SECONDS: &str = "--cpu=30";
const TIB: u64 = 1 << 40;

/// Runs the program within the bounds; one that wants more is ended by the kernel, and has no exit code.
fn bounded(scratch: &Scratch, words: &[&str]) -> Answer {
    let output = Command::new("prlimit")
        .args([ADDRESS_SPACE, PROCESSOR_SECONDS, env!("CARGO_BIN_EXE_lifeboat")])
        .args(words)
        .env("LIFEBOAT_STATE_DIR", scratch.path("state"))
        .current_dir(scratch.path("."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let answer = Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!((0..=10).contains(&answer.code), "{words:?}: {answer:#?}");
    assert!(!answer.err.contains("panicked"), "{words:?}: {answer:#?}");
    answer
}

/// A file as a disk of one terabyte.
struct Vast(File);

impl ReadAt for Vast {
    fn size(&self) -> u64 {
        TIB
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64)? {
                0 => break,
                got => done += got,
            }
        }
        Ok(())
    }
}

impl WriteAt for Vast {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn vast(path: &Path) -> Vast {
    Vast(OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap())
}

/// Everything that looks at a disk, and what it must not change.
fn look_at(scratch: &Scratch, disk: &str) -> Vec<Answer> {
    let before = File::open(scratch.path(disk)).unwrap().metadata().unwrap();
    let answers = [
        &["bank", "show", disk][..],
        &["bank", "check", disk],
        &["bank", "check", disk, "--quick", "-o", "json"],
        &["bank", "clean", disk, "--dry-run"],
        &["bank", "rebuild", disk, "B", "--from", "A", "--dry-run"],
    ];
    let answers = Vec::from(answers.map(|words| bounded(scratch, words)));
    let after = File::open(scratch.path(disk)).unwrap().metadata().unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "looking wrote to {disk}");
    answers
}

#[test]
fn a_disk_of_100_gb_that_claims_to_be_one_terabyte_is_read_within_bounds() {
    let scratch = Scratch::new();
    let geometry = Geometry { boot: 32 << 30, root: 400 << 30, state: 100 << 30 };
    let mut ours = vast(&scratch.path("ours.img"));
    let guids = LayoutGuids::from_random(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
    create_layout(&mut ours, &geometry, &guids).unwrap();
    ours.0.set_len(100_000_000_000).unwrap();
    let told = look_at(&scratch, "ours.img");
    assert!(told.iter().all(|answer| answer.code != 0), "{told:#?}");

    // Two banks of ESXi whose last partition ends at one terabyte, and whose file system claims two.
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    let mut table: GptTable = read_table(&image).unwrap().table;
    let (at, _) = fixture.bank_place(1);
    let at = usize::try_from(at).unwrap();
    image[at + 19..at + 21].fill(0);
    image[at + 32..at + 36].fill(0xff);
    let mut esx = vast(&scratch.path("esx.img"));
    esx.write_at(0, &image).unwrap();
    table = GptTable { entries: table.entries, ..GptTable::empty(table.disk_guid, TIB / 512) };
    table.entries.iter_mut().max_by_key(|entry| entry.first_lba).unwrap().last_lba = TIB / 512 - 40;
    write_table(&mut esx, &table).unwrap();
    esx.0.set_len(100_000_000_000).unwrap();
    let told = look_at(&scratch, "esx.img");
    assert!(told[1].code != 0, "{told:#?}");
    assert!(told.iter().any(|answer| format!("{}{}", answer.out, answer.err).contains("bank")), "{told:#?}");
}

#[test]
fn chains_in_circles_are_findings_and_nothing_runs_in_circles() {
    let scratch = Scratch::new();
    let fixture = Fixture::usual(FixtureLayout::V7To8);
    let mut image = fixture.image().unwrap();
    let (at, _) = fixture.bank_place(0);
    let at = usize::try_from(at).unwrap();
    let reserved = usize::from(u16::from_le_bytes([image[at + 14], image[at + 15]]));
    let fats = usize::from(image[at + 16]);
    let sectors = usize::from(u16::from_le_bytes([image[at + 22], image[at + 23]]));
    for fat in 0..fats {
        let table = at + (reserved + fat * sectors) * 512;
        // Every chain leads to its first cluster again.
        for entry in 2..600 {
            let next = if entry % 7 == 0 { entry - 5 } else { entry + 1 };
            image[table + entry * 2..][..2].copy_from_slice(&u16::try_from(next).unwrap().to_le_bytes());
        }
    }
    scratch.write("loops.img", &image);
    let told = look_at(&scratch, "loops.img");
    assert_eq!(told[1].code, 3, "{:#?}", told[1]);
    assert!(told[1].out.contains("loop") || told[1].out.contains("circle"), "{:#?}", told[1]);
}

#[test]
fn a_saved_state_that_unpacks_without_end_or_leads_out_is_refused() {
    let scratch = Scratch::new();
    let image = Fixture::usual(FixtureLayout::V7To8).image().unwrap();
    scratch.write("stick.img", &image);
    let outer = |members: &[TarMember]| gzip(&tar(&[TarMember::new("local.tgz", gzip(&tar(members)))]));
    let mut bomb = vec![0; 32 << 20];
    for _ in 0..3 {
        bomb = gzip(&bomb);
    }
    let cases = [
        ("traversal.tgz", outer(&[TarMember::new("etc/../../../etc/shadow", b"x".to_vec())])),
        ("absolute.tgz", outer(&[TarMember::new("/etc/shadow", b"x".to_vec())])),
        ("bomb.tgz", gzip(&tar(&[TarMember::new("local.tgz", gzip(&vec![0; 300 << 20]))]))),
        ("layers.tgz", bomb),
        ("cut.tgz", outer(&[TarMember::new("etc/hosts", vec![7; 3000])])[..200].to_vec()),
        ("link.tgz", outer_link()),
    ];
    for (name, bytes) in cases {
        scratch.write(name, bytes);
        let answer = bounded(&scratch, &["bank", "import", "stick.img", "B", name, "-y"]);
        assert_ne!(answer.code, 0, "{name}: {answer:#?}");
        assert!(answer.err.contains("remedy: "), "{name}: {answer:#?}");
        assert!(scratch.read("stick.img") == image, "{name}: the disk was written");
    }
}

/// A symbolic link to the root of the host, and a file through it.
fn outer_link() -> Vec<u8> {
    let mut inner =
        tar(&[TarMember::new("etc/out", Vec::new()), TarMember::new("etc/out/shadow", b"x".to_vec())]);
    // Type letter and target of the first header (POSIX ustar), and its checksum anew.
    inner[156] = b'2';
    inner[157..159].copy_from_slice(b"/\0");
    inner[148..156].fill(b' ');
    let sum: u32 = inner[..512].iter().map(|byte| u32::from(*byte)).sum();
    inner[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    gzip(&tar(&[TarMember::new("local.tgz", gzip(&inner))]))
}

#[test]
fn a_depot_that_leads_out_or_claims_terabytes_is_named_and_writes_nothing() {
    let scratch = Scratch::new();
    let spec = VibSpec::new("net-acme", "1.0-1OEM.800.1.0.1");
    let built = vib(&spec, &[NewPayload::vgz("net", vec![0; 48 << 20])], b"");
    let whole = BundleSpec {
        vendor: "ACME".to_owned(),
        code: "ACM".to_owned(),
        vibs: vec![built.clone()],
        profiles: Vec::new(),
    };
    let good = bundle(&whole);
    let mut vast = good.clone();
    // Sizes of the first member in the central directory (APPNOTE 4.3.12) claim nearly 4 GiB.
    let entry = vast.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    vast[entry + 20..entry + 28].copy_from_slice(&[0xfe, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff]);
    let cases = [
        (
            "out.zip",
            zip(&[("../../out".to_owned(), b"x".to_vec()), ("/etc/out".to_owned(), b"x".to_vec())]),
            true,
        ),
        ("vast.zip", vast, true),
        ("cut.zip", good[..good.len() / 2].to_vec(), true),
        ("bomb.vib", built.bytes, false),
        ("good.zip", good, false),
    ];
    for (name, bytes, refused) in cases {
        scratch.write(name, bytes);
        let before = scratch.files();
        for words in [&["depot", "show", name][..], &["depot", "check", name]] {
            let answer = bounded(&scratch, words);
            if refused && words[1] == "check" {
                assert_ne!(answer.code, 0, "{words:?}: {answer:#?}");
            }
        }
        assert!(scratch.files().keys().eq(before.keys()), "{name} made files");
    }
}

#[test]
fn a_bundle_that_claims_terabytes_is_refused_before_memory_is_taken() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    let good = scratch.read("r1.lfb");
    for (name, at, len) in [("manifest", 12, 4), ("signatures", 16, 4), ("contents", 20, 4), ("body", 24, 8)]
    {
        let mut bundle = good.clone();
        bundle[at..at + len].fill(0xff);
        scratch.write("bad.lfb", &bundle);
        let answer = bounded(&scratch, &["release", "verify", "bad.lfb", "--trust", "k.pub"]);
        answer.refused(10, &[]);
        assert!(!answer.err.is_empty(), "{name}");
    }
    // 100 GB of nothing behind a good bundle.
    let mut file = File::create(scratch.path("long.lfb")).unwrap();
    file.write_all(&good).unwrap();
    file.set_len(100_000_000_000).unwrap();
    bounded(&scratch, &["release", "verify", "long.lfb", "--trust", "k.pub"]).refused(10, &[]);
}
