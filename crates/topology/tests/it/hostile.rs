//! Trees, pages and texts that were made to deceive.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use lifeboat_topology::{
    Association, DesignatorKind, MemTree, RealTree, TopologyError, VpdError, check, decode_page_80,
    decode_page_83, parse_name, probe_tree, read_linux, read_saved, read_text,
};

use crate::common::{disk, linux, samples, simple_lvm};
use crate::san::san;

/// Page 0x83 of the disk in lsblk's dump: vendor specific, T10, NAA.
fn real_page() -> Option<Vec<u8>> {
    let dump = simple_lvm()?;
    let place = "simple-lvm/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/vpd_pg83";
    Some(fs::read(dump.path().join(place)).unwrap())
}

#[test]
fn a_real_page_is_read_whole() {
    let Some(page) = real_page() else { return };
    let (designators, damage) = decode_page_83(&page);
    assert_eq!((designators.len(), damage), (3, None));
    assert!(designators.iter().all(|one| one.association == Association::Lun));
    let texts: Vec<String> = designators
        .iter()
        .map(|one| match &one.kind {
            DesignatorKind::Id(id) => id.to_string(),
            DesignatorKind::Vendor(text) => text.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        texts,
        ["50026B724B09A1FF", "ata.KINGSTON_SH103S3240G_50026B724B09A1FF", "naa.50026b724b09a1ff"]
    );
}

#[test]
fn a_page_cut_at_every_byte_gives_what_is_whole_and_says_where_it_ends() {
    let Some(page) = real_page() else { return };
    let (whole, _) = decode_page_83(&page);
    for end in 0..page.len() {
        let (designators, damage) = decode_page_83(&page[..end]);
        assert!(
            designators.len() < whole.len() && designators[..] == whole[..designators.len()],
            "cut at {end}"
        );
        let wanted =
            if end < 4 { VpdError::Short { len: end } } else { VpdError::Cut { at: end, says: page.len() } };
        assert_eq!(damage, Some(wanted), "cut at {end}");
        let serial = [&[0, 0x80, 0, 4], &b"ABCD"[..]].concat();
        if end < serial.len() {
            assert!(decode_page_80(&serial[..end]).is_err(), "half a serial is another one: cut at {end}");
        }
    }
    assert_eq!(decode_page_80(b"\0\x80\0\x04ABCD").unwrap().as_deref(), Some("ABCD"));
}

#[test]
fn every_byte_of_a_page_may_lie() {
    let Some(page) = real_page() else { return };
    for at in 0..page.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut page = page.clone();
            page[at] = value;
            let (designators, _) = decode_page_83(&page);
            assert!(designators.len() <= 30);
            drop(decode_page_80(&page));
        }
    }
    // As many designators as fit, each empty.
    let mut many = vec![0, 0x83, 0xff, 0xfc];
    many.resize(4 + 0xfffc, 0);
    assert_eq!(decode_page_83(&many).1, Some(VpdError::Many));
}

#[test]
fn a_wrong_page_in_the_place_of_another_is_told() {
    assert_eq!(decode_page_80(&[0, 0x83, 0, 0]), Err(VpdError::Page { found: 0x83, wanted: 0x80 }));
    let mut tree = MemTree::new();
    let dir = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
    disk(&mut tree, dir, "sda", "8:0", 1 << 30);
    tree.file(format!("sys/devices/{dir}/vpd_pg83"), [0, 0x80, 0, 0]);
    let found = check(&linux(&tree));
    assert!(
        found.iter().any(|one| one.code == "storage-unread" && one.evidence.contains("0x80")),
        "{found:?}"
    );
}

#[test]
fn files_of_a_megabyte_where_a_line_is_expected_are_not_read() {
    let mut tree = MemTree::new();
    let dir = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
    disk(&mut tree, dir, "sda", "8:0", 1 << 30);
    for name in ["vendor", "model", "rev", "state", "wwid", "type", "vpd_pg80", "vpd_pg83"] {
        tree.file(format!("sys/devices/{dir}/{name}"), vec![b'x'; 1 << 20]);
    }
    let host = linux(&tree);
    assert_eq!(host.luns.len(), 1);
    assert_eq!((host.luns[0].vendor.as_ref(), host.luns[0].serial.as_ref()), (None, None));
    assert_eq!(host.luns[0].identity.to_string(), "place.scsi-0:0:0:0");
    assert!(
        host.remarks
            .iter()
            .any(|remark| remark.about.ends_with("/model") && remark.text.contains("longer than"))
    );
}

#[test]
fn numbers_beyond_all_bounds_are_absent_and_told() {
    let mut tree = MemTree::new();
    let dir = "pci0000:00/0000:00:04.0/virtio1";
    disk(&mut tree, dir, "vda", "4294967296:99999999999", 0);
    tree.file(format!("sys/devices/{dir}/block/vda/size"), format!("{}\n", u64::MAX));
    for (name, number) in [("vda1", "0"), ("vda2", "-1"), ("vda3", "99999999999999999999"), ("vda4", "4")] {
        tree.file(format!("sys/devices/{dir}/block/vda/{name}/partition"), format!("{number}\n"));
        tree.file(format!("sys/devices/{dir}/block/vda/{name}/size"), "8\n");
    }
    let host = linux(&tree);
    let disk = host.device("vda").unwrap();
    assert_eq!((disk.bytes, disk.number), (None, None));
    assert_eq!(host.devices.len(), 2, "only partition 4 has a number");
    assert!(host.remarks.len() >= 4, "{:?}", host.remarks);
}

#[test]
fn a_folder_full_of_traps_is_read_in_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("sys/block")).unwrap();
    fs::create_dir_all(root.join("sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/slaves")).unwrap();
    let vda = root.join("sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda");
    fs::write(vda.join("size"), "2097152\n").unwrap();
    fs::write(vda.join("dev"), "254:0\n").unwrap();
    symlink("../devices/pci0000:00/0000:00:04.0/virtio1/block/vda", root.join("sys/block/vda")).unwrap();
    // Circles, links out of the root, a pipe that would never answer, names that are not text.
    symlink("loop", root.join("sys/block/loop")).unwrap();
    symlink("..", root.join("sys/block/up")).unwrap();
    symlink("../../../../../../../../etc", root.join("sys/block/out")).unwrap();
    symlink("/etc/passwd", vda.join("serial")).unwrap();
    symlink(".", vda.join("slaves/me")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(vda.join("ro")).status().unwrap();
    assert!(pipe.success());
    fs::create_dir_all(root.join(std::ffi::OsStr::from_bytes(b"sys/block/\xff\xfe"))).unwrap();
    fs::create_dir_all(root.join("dev/disk/by-id")).unwrap();
    symlink("../../vda", root.join(std::ffi::OsStr::from_bytes(b"dev/disk/by-id/\xff"))).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"../../\xff"), root.join("dev/disk/by-id/bytes")).unwrap();
    symlink("../by-id", root.join("dev/disk/by-id/self")).unwrap();
    let before = Instant::now();
    let host = linux(&RealTree::new(root));
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(host.luns.len(), 1);
    assert_eq!(host.luns[0].devices, ["vda"]);
    assert_eq!(host.luns[0].serial, None, "a link out of the root is not followed");
    assert!(host.remarks.iter().any(|remark| remark.about.ends_with("/ro")), "{:?}", host.remarks);
}

#[test]
fn a_tree_that_never_ends_is_an_error() {
    struct Endless;
    impl lifeboat_topology::Tree for Endless {
        fn read_dir(&self, _: &str) -> Result<Vec<String>, lifeboat_topology::TreeError> {
            Ok((0..50_000).map(|at| format!("sd{at}")).collect())
        }
        fn read_file(&self, _: &str, _: usize) -> Result<Vec<u8>, lifeboat_topology::TreeError> {
            Ok(b"1\n".to_vec())
        }
        fn read_link(&self, _: &str) -> Result<Option<String>, lifeboat_topology::TreeError> {
            Ok(None)
        }
    }
    assert_eq!(read_linux(&Endless).unwrap_err(), TopologyError::Endless);
    assert_eq!(read_linux(&MemTree::new()).unwrap_err(), TopologyError::NoSysfs);
}

#[test]
fn devices_that_stand_on_each_other_end() {
    let mut tree = MemTree::new();
    for (name, on) in [("dm-0", "dm-1"), ("dm-1", "dm-0")] {
        let dir = format!("sys/devices/virtual/block/{name}");
        tree.file(format!("{dir}/size"), "8\n");
        tree.file(format!("{dir}/dm/uuid"), "mpath-3600508b1001c4d2e600508b1001c4d2e\n");
        tree.link(format!("{dir}/slaves/{on}"), format!("../../{on}"));
        tree.link(format!("sys/block/{name}"), format!("../devices/virtual/block/{name}"));
    }
    let host = linux(&tree);
    assert_eq!(host.devices.len(), 2);
    drop(check(&host));
    let index = lifeboat_topology::NameIndex::new(&host);
    for name in ["dm-0", "3600508b1001c4d2e600508b1001c4d2e", "mpatha"] {
        drop(index.resolve(name));
    }
}

#[test]
fn names_of_all_kinds_are_taken_apart_without_panic() {
    let heads = [
        "",
        "/dev/",
        "/dev/disk/by-id/",
        "/dev/disk/by-path/",
        "/dev/mapper/",
        "UUID=",
        "naa.",
        "vml.",
        "scsi-3",
    ];
    let tails = [
        "",
        "p",
        "-part",
        "-part1",
        "1",
        ":1",
        "é",
        "6",
        "0x",
        "-lun-",
        "-lun-0x00",
        "\u{1F980}p1",
        "--",
        "%",
    ];
    let ids = [
        "",
        "6",
        "600508b1001c4d2e600508b1001c4d2",
        "600508b1001c4d2e600508b1001c4d2e",
        "5000c50015ea71aa",
        "ééé",
    ];
    let mut count = 0;
    for head in heads {
        for id in ids {
            for tail in tails {
                let name = format!("{head}{id}{tail}");
                if let Ok(parsed) = parse_name(&name) {
                    assert!(!parsed.readings.is_empty() && parsed.readings.len() <= 8, "{name}");
                }
                count += 1;
            }
        }
    }
    assert_eq!(count, heads.len() * tails.len() * ids.len());
}

#[test]
fn real_outputs_cut_at_every_place_and_turned_bit_by_bit_end() {
    let Some(folder) = samples("storage-topology") else { return };
    for name in [
        "esxcfg_mpath_l_iscsi_two_paths.txt",
        "esxi_mpath_netapp_fc.txt",
        "esx_vpd.txt",
        "insights/multipath_v4_ll__MULTIPATH_V4_LL_INFO.txt",
        "insights/scsi__SCSI_OUTPUT.txt",
    ] {
        let bytes = fs::read(folder.join(name)).unwrap();
        let whole = read_text(&String::from_utf8_lossy(&bytes)).unwrap();
        for end in (0..bytes.len()).step_by(7) {
            if let Ok(cut) = read_text(&String::from_utf8_lossy(&bytes[..end])) {
                // A cut line can end in a shorter name of the last LUN; never in more than one more.
                assert!(cut.luns.len() <= whole.luns.len() + 1, "{name} cut at {end}");
                drop(check(&cut));
            }
            let mut turned = bytes.clone();
            turned[end] ^= 0x10;
            drop(read_text(&String::from_utf8_lossy(&turned)).map(|topology| check(&topology)));
        }
    }
}

#[test]
fn a_probe_that_leads_out_of_its_tree_is_passed_over() {
    let json = br#"{"storage": {"blockdev": {
        "/dev/sda": {"DEVPATH": "/devices/../../etc/block/sda", "attrs": {"size": "512"}},
        "/dev/sdb": {"DEVPATH": "/devices/pci0000:00/host0/target0:0:0/0:0:0:0/block/sdb", "MAJOR": "8", "MINOR": "16",
                     "attrs": {"size": "1024", "../../../evil": "x", "dev": "8:16"}},
        "/dev/sdc": 17, "x": {}}}}"#;
    let host = linux(&probe_tree(json).unwrap());
    let kernels: Vec<&str> = host.devices.iter().map(|device| device.kernel.as_str()).collect();
    assert_eq!(kernels, ["sdb"]);
    assert_eq!(host.devices[0].bytes, Some(1024));
    for wrong in [&b"{"[..], b"[]", b"{}", b"{\"storage\": 1}"] {
        assert!(probe_tree(wrong).is_err());
    }
}

#[test]
fn a_saved_file_that_is_a_pipe_or_gone_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe, folder.path().join("gone"), folder.path().to_owned()] {
        assert!(read_saved(&path).is_err(), "{}", path.display());
    }
}

#[test]
fn a_thousand_luns_on_four_paths_are_read_in_a_second_or_so() {
    let mut tree = san();
    let naa = |lun: u64| format!("600a098000aabbcc{lun:016x}");
    let mut count = 0_u32;
    for lun in 100..1100 {
        for (host, target) in [(7, 1), (7, 2), (8, 1), (8, 2)] {
            count += 1;
            crate::san::fc_path(&mut tree, host, target, lun, &format!("sdx{count}"), &naa(lun), 1 << 30);
        }
    }
    let before = Instant::now();
    let host = linux(&tree);
    assert_eq!((host.luns.len(), host.paths.len()), (1002, 4008));
    drop(check(&host));
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
}
