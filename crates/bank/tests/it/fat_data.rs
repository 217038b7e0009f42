//! Volumes of others, damaged and healthy, from the project's sample data (beside the repository; not part of it).
//!
//! The table of results is `docs/results-fat.md`. After a change that was meant:
//! `LIFEBOAT_BLESS=1 cargo test -p lifeboat-bank --test it fat_data`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_bank::fat::{FatReport, FatSeverity, examine};
use lifeboat_model::io::ReadAt;

use crate::peers::run;

/// A hex dump in memory: lines of up to 16 bytes; lines of zeros are left out of it.
struct Dump {
    lines: BTreeMap<u64, Vec<u8>>,
    len: u64,
}

impl Dump {
    fn parse(text: &str) -> Self {
        let mut lines = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains(':')) {
            let (offset, rest) = line.split_once(':').unwrap();
            // Two blanks divide the bytes from their letters.
            let digits: String = rest.trim_start().split("  ").next().unwrap().split_whitespace().collect();
            let bytes = (0..digits.len() / 2)
                .map(|byte| u8::from_str_radix(&digits[byte * 2..byte * 2 + 2], 16).unwrap())
                .collect::<Vec<_>>();
            lines.insert(u64::from_str_radix(offset, 16).unwrap(), bytes);
        }
        let len = lines.iter().next_back().map_or(0, |(at, bytes)| at + bytes.len() as u64);
        Self { lines, len }
    }

    fn write(&self, path: &Path) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::create(path).unwrap();
        file.set_len(self.len).unwrap();
        for (at, bytes) in &self.lines {
            file.write_all_at(bytes, *at).unwrap();
        }
    }
}

impl ReadAt for Dump {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset + buf.len() as u64;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        for (at, bytes) in self.lines.range(offset.saturating_sub(16)..end) {
            for (index, byte) in bytes.iter().enumerate() {
                let place = at + index as u64;
                if (offset..end).contains(&place) {
                    buf[(place - offset) as usize] = *byte;
                }
            }
        }
        Ok(())
    }
}

/// The folder of the sample data, if it is there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if !path.is_dir() {
        println!("skipped: the sample data {folder} is not beside the repository");
        return None;
    }
    Some(path)
}

fn names(folder: &Path, ends: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| ends.iter().any(|end| name.ends_with(end)))
        .collect();
    out.sort();
    out
}

fn verdict(report: &FatReport) -> &'static str {
    match report.worst() {
        None => "clean",
        Some(FatSeverity::Innocent) => "sound",
        Some(FatSeverity::Damage) => "damaged",
        Some(FatSeverity::Unreadable) => "unreadable",
    }
}

fn row(name: &str, report: &FatReport, fsck: Option<&(bool, String)>) -> String {
    let kind = report.kind.map_or("–".to_owned(), |kind| kind.to_string());
    let mut findings: Vec<String> = Vec::new();
    for finding in &report.findings {
        let path = finding.path.as_ref().map_or(String::new(), |path| format!(" ({path})"));
        findings.push(format!("`{}`{path}", finding.code));
    }
    let findings = if findings.is_empty() { "–".to_owned() } else { findings.join(", ") };
    let fsck = fsck.map_or("not run", |(clean, _)| if *clean { "clean" } else { "reports" });
    format!("| {name} | {kind} | {findings} | {} | {fsck} |\n", verdict(report))
}

const HEAD: &str = "\
# FAT doctor: results over sample volumes

Volumes that others made and damaged: hex dumps of the tests of dosfstools (`.fsck`: damaged, `.xxd`: after the repair,
`reference*`: fresh), and images that ordinary tools made, from the tests of util-linux. Made by
`LIFEBOAT_BLESS=1 cargo test -p lifeboat-bank --test it fat_data`, and compared by that test wherever the samples are
at hand. `sound` means: findings, but none of them damage.

The last column is the verdict of `fsck.fat -n` 4.2, whose exit code does not tell damage from a dirty bit or a label.

| volume | kind | findings | verdict | fsck.fat |
|---|---|---|---|---|
";

#[test]
fn samples_of_damage_are_named_and_healthy_ones_are_sound() {
    let (Some(damaged), Some(healthy)) = (data("fat-damaged"), data("fat-healthy")) else { return };
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("volume.img");
    let fsck = || run("fsck.fat", &["-n", image.to_str().unwrap()]);
    let mut table = HEAD.to_owned();
    let mut complete = true;
    for name in names(&damaged, &[".fsck", ".xxd"]) {
        let dump = Dump::parse(&std::fs::read_to_string(damaged.join(&name)).unwrap());
        let report = examine(&dump, 0, dump.len);
        dump.write(&image);
        let peer = fsck();
        complete &= peer.is_some();
        let _ = write!(table, "{}", row(&name, &report, peer.as_ref()));
        let words: Vec<&str> = report.findings.iter().map(|finding| finding.code.word()).collect();
        let wanted: &[&str] = match name.as_str() {
            "check-bad_names.fsck" => &["fat-name-bad"],
            "check-chain_to_free_cluster.fsck" => &["fat-chain-free"],
            "check-circular_chain.fsck" => &["fat-chain-loop"],
            "check-duplicate_names.fsck" => &["fat-name-duplicate"],
            "check-fat16_dos_cln_shut.fsck" => &["fat-dirty-table"],
            "check-label-only-boot.fsck" => &["fat-label-differs"],
            _ => &[],
        };
        assert!(wanted.iter().all(|word| words.contains(word)), "{name}: {:#?}", report.findings);
        let innocent = wanted.is_empty() || name.contains("cln_shut") || name.contains("label");
        assert_eq!(report.is_sound(), innocent, "{name}: {:#?}", report.findings);
    }
    for name in names(&healthy, &[".xz"]) {
        let Ok(output) = Command::new("xz").arg("-dc").arg(healthy.join(&name)).output() else {
            println!("skipped: xz is not installed");
            complete = false;
            continue;
        };
        let report = examine(&output.stdout, 0, output.stdout.len() as u64);
        std::fs::write(&image, &output.stdout).unwrap();
        let peer = fsck();
        complete &= peer.is_some();
        let _ = write!(table, "{}", row(&name, &report, peer.as_ref()));
        assert!(report.kind.is_some() && report.is_sound(), "{name}: {:#?}", report.findings);
    }
    if !complete {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results-fat.md");
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&page, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&page).unwrap(), table, "docs/results-fat.md is not what was found");
}
