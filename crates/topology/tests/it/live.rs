//! This machine, beside `lsblk`.
//!
//! The disk that the test makes is a file behind a loop device of its own, with a partition table written by the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_topology::{DeviceKind, NameIndex, RealTree, Topology, read_linux};

use crate::common::{linux, samples, simple_lvm, skipped};

type Facts = (Option<u64>, Option<String>, Vec<String>);

/// `lsblk -J`: kernel name to size, name of the disk below a partition, mount points.
fn lsblk(more: &[&str]) -> Option<BTreeMap<String, Facts>> {
    let output = Command::new("lsblk")
        .args(["-J", "-b", "-o", "KNAME,PKNAME,TYPE,SIZE,MOUNTPOINTS"])
        .args(more)
        .output();
    let Ok(output) = output else {
        skipped("lsblk of util-linux is needed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = BTreeMap::new();
    let mut todo: Vec<&serde_json::Value> = document["blockdevices"].as_array().unwrap().iter().collect();
    while let Some(device) = todo.pop() {
        let part = device["type"] == "part";
        let below = device["pkname"].as_str().filter(|_| part).map(str::to_owned);
        let mounts = device["mountpoints"].as_array().into_iter().flatten();
        let mut mounts: Vec<String> =
            mounts.filter_map(|mount| Some(mount.as_str()?.replace("[SWAP]", "[swap]"))).collect();
        mounts.sort();
        found.insert(device["kname"].as_str().unwrap().to_owned(), (device["size"].as_u64(), below, mounts));
        todo.extend(device["children"].as_array().into_iter().flatten());
    }
    Some(found)
}

/// The same of a topology.
fn ours(topology: &Topology) -> BTreeMap<String, Facts> {
    let facts = |device: &lifeboat_topology::Device| {
        let below = device.on.first().cloned().filter(|_| device.kind == DeviceKind::Partition);
        let mut mounts = device.mounts.clone();
        mounts.sort();
        (device.kernel.clone(), (device.bytes, below, mounts))
    };
    topology.devices.iter().map(facts).collect()
}

/// Compares until both looked at the same moment: other programs attach and detach loop devices meanwhile.
fn same_as_lsblk(what: &str) -> Option<Topology> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let before = lsblk(&[])?;
        let topology = read_linux(&RealTree::new("/")).unwrap();
        let after = lsblk(&[])?;
        let mine = ours(&topology);
        if before == after && mine == before {
            assert!(!mine.is_empty());
            return Some(topology);
        }
        assert!(Instant::now() < deadline, "{what}: ours {mine:#?}\nlsblk {after:#?}");
    }
}

#[test]
fn this_machine_is_what_lsblk_says() {
    let Some(topology) = same_as_lsblk("as it is") else { return };
    for lun in &topology.luns {
        assert!(topology.paths_of(lun).count() >= 1, "{} has no path", lun.identity);
    }
}

/// A loop device that is taken away with the test.
struct Loop(String);

impl Loop {
    fn attach(file: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["-P", "-f", "--show"]).arg(file).output();
        match output {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).unwrap().trim().to_owned()))
            }
            Ok(output) => {
                skipped(&format!("no loop device: {}", String::from_utf8_lossy(&output.stderr).trim()));
                None
            }
            Err(error) => {
                skipped(&format!("losetup is needed: {error}"));
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(Command::new("losetup").arg("-d").arg(&self.0).status());
    }
}

/// A partition table of the old kind (MBR): two partitions, from 1 MiB of 8 MiB, and from 16 MiB of 4 MiB.
fn table() -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (at, (start, count)) in [(2048_u32, 16384_u32), (32768, 8192)].into_iter().enumerate() {
        let entry = 446 + at * 16;
        sector[entry + 4] = 0x83;
        sector[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        sector[entry + 12..entry + 16].copy_from_slice(&count.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[test]
fn a_disk_with_partitions_that_was_made_now_is_what_lsblk_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk with a blank.img");
    std::fs::write(&file, table()).unwrap();
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(32 << 20).unwrap();
    let Some(device) = Loop::attach(&file) else { return };
    // A kernel that reads no partition tables is told of the partitions.
    let kernel = device.0.strip_prefix("/dev/").unwrap();
    let first = format!("/sys/block/{kernel}/{kernel}p1");
    if !Path::new(&first).exists() {
        for [number, start, sectors] in [["1", "2048", "16384"], ["2", "32768", "8192"]] {
            // Refused where the kernel found it by itself a moment ago.
            drop(Command::new("addpart").args([&device.0, number, start, sectors]).status());
        }
    }
    assert!(Path::new(&first).exists(), "{first} was not made");
    let Some(topology) = same_as_lsblk("with a loop device") else { return };
    let disk = topology.device(kernel).unwrap();
    assert_eq!((disk.kind, disk.bytes), (DeviceKind::Loop, Some(32 << 20)));
    assert_eq!(disk.detail.as_deref(), Some(file.to_str().unwrap()));
    let parts: Vec<_> = topology.upon(kernel).collect();
    if parts.is_empty() {
        skipped("the kernel makes no partitions of loop devices");
        return;
    }
    let places: Vec<_> = parts
        .iter()
        .map(|part| {
            (part.partition.as_ref().unwrap().number, part.partition.as_ref().unwrap().start, part.bytes)
        })
        .collect();
    assert_eq!(places, [(1, Some(1 << 20), Some(8 << 20)), (2, Some(16 << 20), Some(4 << 20))]);
    let index = NameIndex::new(&topology);
    for name in [format!("{kernel}p2"), format!("{}p2", device.0), parts[1].identity.to_string()] {
        assert_eq!(index.resolve(&name).unwrap().device, format!("{kernel}p2"), "{name}");
    }
}

#[test]
fn a_mounted_file_system_is_used_by_its_mount_point() {
    let Some(topology) = same_as_lsblk("mounts") else { return };
    let root = topology.devices.iter().find(|device| device.mounts.iter().any(|mount| mount == "/"));
    let Some(root) = root else {
        skipped("the root of this machine is on no block device");
        return;
    };
    assert!(root.content.is_some(), "a file system that is mounted has a type");
    if let Some(lun) = topology.luns.iter().find(|lun| lun.identity.disk == root.identity.disk) {
        assert!(topology.used_by(lun).contains(&"/".to_owned()));
    }
}

/// A size as lsblk writes it, with one decimal where there is one.
fn human(bytes: u64) -> String {
    let mut shift = 0;
    while shift < 60 && bytes >> (shift + 10) > 0 {
        shift += 10;
    }
    let unit = ["B", "K", "M", "G", "T", "P", "E"][shift / 10];
    let tenths =
        if shift == 0 { 0 } else { ((bytes & ((1 << shift) - 1)) * 10 + (1 << (shift - 1))) >> shift };
    let (whole, tenths) = ((bytes >> shift) + tenths / 10, tenths % 10);
    if tenths == 0 { format!("{whole}{unit}") } else { format!("{whole}.{tenths}{unit}") }
}

#[test]
fn the_dump_of_lsblk_s_own_tests_is_what_lsblk_printed_for_it() {
    let (Some(dump), Some(expected)) = (simple_lvm(), samples("storage-topology/lsblk/expected")) else {
        return;
    };
    let topology = linux(&RealTree::new(dump.path().join("simple-lvm")));
    let text = std::fs::read_to_string(expected.join("lsblk-simple-lvm-basic")).unwrap();
    let mut lines = 0;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.trim_start_matches(['|', '`', '-', ' ']).split_whitespace().collect();
        let [label, kernel, number, _, size, kind, mounts @ ..] = words.as_slice() else { panic!("{line}") };
        let device = topology.device(kernel).unwrap_or_else(|| panic!("{kernel} is missing"));
        assert_eq!(device.label(), *label);
        let (major, minor) = device.number.unwrap();
        assert_eq!(format!("{major}:{minor}"), *number, "{kernel}");
        assert_eq!(human(device.bytes.unwrap()), *size, "{kernel}");
        let word = match device.kind {
            DeviceKind::Partition => "part",
            kind => kind.word(),
        };
        assert_eq!(word, *kind, "{kernel}");
        assert_eq!(
            device.mounts,
            mounts.iter().map(|mount| (*mount).to_owned()).collect::<Vec<_>>(),
            "{kernel}"
        );
        lines += 1;
    }
    assert_eq!(lines, 21);
    let kernels: Vec<&str> = topology.devices.iter().map(|device| device.kernel.as_str()).collect();
    assert_eq!(kernels.len(), 18, "no device more than lsblk shows: {kernels:?}");
    // Models and vendors, which stand at columns.
    let text = std::fs::read_to_string(expected.join("lsblk-simple-lvm-vendor")).unwrap();
    let head = text.lines().next().unwrap();
    let (model, vendor) = (head.find("MODEL").unwrap(), head.find("VENDOR").unwrap());
    let mut disks = 0;
    for line in text.lines().skip(1) {
        let name = line[..model].trim();
        let Some(lun) = topology.luns.iter().find(|lun| lun.devices == [name]) else { continue };
        assert_eq!(lun.model.as_deref().unwrap_or_default(), line[model..vendor].trim(), "{name}");
        // The last column stands to the right.
        let words: Vec<&str> = line[vendor..].split_whitespace().collect();
        match words.as_slice() {
            [vendor, revision] => {
                assert_eq!(
                    (lun.vendor.as_deref(), lun.revision.as_deref()),
                    (Some(*vendor), Some(*revision)),
                    "{name}"
                );
            }
            _ => assert!(words.is_empty() && lun.vendor.is_none(), "{line}"),
        }
        disks += 1;
    }
    assert_eq!(disks, 3);
}
