//! A bank of ESXi of 20 MB with 30 files, and hands that damage it.

use std::fmt::Write as _;

use lifeboat_bank::fat::{BankFormat, BankPlan, Edit, FatReport, FatTime, PlannedFile, examine};
use lifeboat_model::io::WriteAt;

use crate::fixture::noise;

/// Bytes of the partition.
pub(crate) const BANK: u64 = 20_000_000 / 512 * 512;
/// First byte of the partition on the "disk": not 0, so that nobody forgets it.
pub(crate) const BASE: u64 = 64 * 512;

/// A volume in memory with what is known about it.
#[derive(Clone)]
pub(crate) struct Bank {
    pub(crate) disk: Vec<u8>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// The files: modules in the root, one with a long name, and a directory with two levels.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    let mut out = vec![("boot.cfg".to_owned(), b"bootstate=0\nupdated=2\nbuild=8.0.2-0.0.1\n".to_vec())];
    for number in 0..25_usize {
        out.push((format!("mod{number:02}.v00"), noise(number as u64 + 1, number * 20_011 + 1)));
    }
    out.push(("A long name, not 8.3.txt".to_owned(), noise(77, 5000)));
    out.push(("dir/inner.gz".to_owned(), noise(78, 70_000)));
    out.push(("dir/below/deep.bin".to_owned(), noise(79, 9_001)));
    out.push(("state.tgz".to_owned(), noise(80, 60_123)));
    out
}

/// The plan as bytes.
pub(crate) fn write_plan(disk: &mut Vec<u8>, base: u64, plan: &BankPlan, files: &[(String, Vec<u8>)]) {
    for piece in plan.meta() {
        let mut bytes = piece.data.to_vec();
        bytes.resize(piece.len as usize, 0);
        disk.write_at(base + piece.offset, &bytes).unwrap();
    }
    for (index, (name, data)) in files.iter().enumerate() {
        let extent = plan.extent_of(index).unwrap();
        assert_eq!(extent.len, data.len() as u64, "{name}");
        disk.write_at(base + extent.offset, data).unwrap();
    }
    disk.write_at(base, &plan.boot_sector()).unwrap();
}

pub(crate) fn planned(files: &[(String, Vec<u8>)]) -> Vec<PlannedFile> {
    let modified = FatTime { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 58 };
    files
        .iter()
        .map(|(name, data)| PlannedFile {
            name: name.clone(),
            len: data.len() as u64,
            modified: Some(modified),
        })
        .collect()
}

impl Bank {
    pub(crate) fn new() -> Self {
        let files = files();
        let mut format = BankFormat::default_for(BANK, BASE);
        format.serial = 0x1234_5678;
        format.second_sector[16..32].copy_from_slice(&noise(5, 16));
        let plan = BankPlan::new(&format, &planned(&files)).unwrap();
        // What was there before must not show through.
        let mut disk = noise(99, (BASE + BANK) as usize);
        write_plan(&mut disk, BASE, &plan, &files);
        Self { disk, files }
    }

    pub(crate) fn examine(&self) -> FatReport {
        examine(&self.disk, BASE, BANK)
    }

    pub(crate) fn volume(&self) -> &[u8] {
        &self.disk[BASE as usize..]
    }

    pub(crate) fn u16(&self, at: u64) -> u64 {
        let at = (BASE + at) as usize;
        u64::from(u16::from_le_bytes(self.disk[at..at + 2].try_into().unwrap()))
    }

    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        self.disk.write_at(BASE + at, bytes).unwrap();
    }

    pub(crate) fn fat_at(&self, copy: u64) -> u64 {
        (self.u16(14) + copy * self.u16(22)) * 512
    }

    pub(crate) fn link(&self, cluster: u16) -> u16 {
        self.u16(self.fat_at(0) + u64::from(cluster) * 2) as u16
    }

    /// Sets an entry of both FATs.
    pub(crate) fn set_link(&mut self, cluster: u16, value: u16) {
        for copy in 0..2 {
            self.put(self.fat_at(copy) + u64::from(cluster) * 2, &value.to_le_bytes());
        }
    }

    pub(crate) fn root_at(&self) -> u64 {
        self.fat_at(2)
    }

    pub(crate) fn cluster_at(&self, cluster: u16) -> u64 {
        let per_cluster = u64::from(self.volume()[13]);
        self.root_at() + 512 * 32 + u64::from(cluster - 2) * per_cluster * 512
    }

    /// Where the 8.3 entry of a file in the root stands.
    pub(crate) fn entry_at(&self, short: &[u8; 11]) -> u64 {
        let root = self.root_at();
        (0..512)
            .map(|index| root + index * 32)
            .find(|&at| self.volume()[at as usize..].starts_with(short))
            .unwrap()
    }

    pub(crate) fn start(&self, short: &[u8; 11]) -> u16 {
        self.u16(self.entry_at(short) + 26) as u16
    }

    /// The clusters of a file of the root.
    pub(crate) fn chain(&self, short: &[u8; 11]) -> Vec<u16> {
        let mut out = vec![self.start(short)];
        while self.link(*out.last().unwrap()) < 0xfff0 {
            out.push(self.link(*out.last().unwrap()));
        }
        out
    }

    /// A cluster that is free.
    pub(crate) fn free_cluster(&self) -> u16 {
        (2..60_000).find(|&cluster| self.link(cluster) == 0).unwrap()
    }

    pub(crate) fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            let at = edit.offset as usize;
            assert_eq!(
                self.disk[at..at + edit.old.len()],
                edit.old,
                "the old bytes of an edit are what is there"
            );
            self.disk.write_at(edit.offset, &edit.new).unwrap();
        }
    }

    /// What a naive reader gets by FAT 1 for a path of the report: the bytes of the chain, cut to the size.
    pub(crate) fn read_by_first_fat(&self, cluster: u32, len: u64) -> Vec<u8> {
        let per_cluster = u64::from(self.volume()[13]) * 512;
        let mut out = Vec::new();
        let mut at = cluster as u16;
        while (out.len() as u64) < len {
            let from = (BASE + self.cluster_at(at)) as usize;
            out.extend_from_slice(&self.disk[from..from + per_cluster as usize]);
            at = self.link(at);
        }
        out.truncate(len as usize);
        out
    }

    /// Files that the report calls whole and that have the content that was once written.
    pub(crate) fn right_files(&self, report: &FatReport) -> usize {
        let mut right = 0;
        for node in report.nodes.iter().filter(|node| node.whole && !node.is_dir && !node.ghost) {
            let known = self.files.iter().find(|(name, _)| name.eq_ignore_ascii_case(&node.path));
            if let Some((name, data)) = known {
                let read = self.read_by_first_fat(node.cluster, node.len);
                assert!(read == *data, "{name} is called whole and is not right");
                right += 1;
            }
        }
        right
    }
}

/// A report in few words, for messages of tests.
pub(crate) fn words(report: &FatReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let _ = writeln!(out, "{:?} {} {:?}: {}", finding.severity, finding.code, finding.path, finding.text);
    }
    out
}
