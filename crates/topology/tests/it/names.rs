//! I-14: a device is found by any spelling of it, and never by a likeness.

use std::collections::BTreeMap;

use lifeboat_topology::{Form, How, Identity, MemTree, NameIndex, ResolveError, Topology, parse_name};

use crate::common::{disk, linux, probe, samples};

const NAA: &str = "600508b1001c4d2e600508b1001c4d2e";

/// A host whose RAID controller is driven by hpsa today: sda with two partitions.
fn today() -> Topology {
    let mut tree = MemTree::new();
    let dir = "pci0000:00/0000:05:00.0/host0/target0:1:0/0:1:0:0";
    disk(&mut tree, dir, "sda", "8:0", 100 << 30);
    for number in [1_u32, 2] {
        let part = format!("sys/devices/{dir}/block/sda/sda{number}");
        tree.file(format!("{part}/partition"), format!("{number}\n"));
        tree.file(format!("{part}/size"), "2048\n");
        tree.file(format!("{part}/dev"), format!("8:{number}\n"));
    }
    let mut page = vec![0, 0x83, 0, 20, 1, 3, 0, 16];
    page.extend((0..16).map(|at| u8::from_str_radix(&NAA[at * 2..at * 2 + 2], 16).unwrap()));
    tree.file(format!("sys/devices/{dir}/vpd_pg83"), page);
    linux(&tree)
}

fn found(index: &NameIndex, name: &str) -> (String, String, How) {
    let found = index.resolve(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    (found.device, found.identity.to_string(), found.how)
}

#[test]
fn i_14_without_identities_the_old_name_of_a_partition_leads_nowhere() {
    // What restore did: the spelling of the backup, looked up as it is.
    let host = today();
    let names: Vec<&String> = host.devices.iter().flat_map(|device| &device.names).collect();
    let old = format!("/dev/disk/by-id/cciss-3{NAA}p1");
    assert!(!names.contains(&&old));
}

#[test]
fn i_14_every_spelling_of_a_partition_is_one_device() {
    let index = NameIndex::new(&today());
    let bases = [
        format!("/dev/disk/by-id/cciss-3{NAA}"),
        format!("/dev/disk/by-id/scsi-3{NAA}"),
        format!("/dev/disk/by-id/wwn-0x{NAA}"),
        format!("/dev/disk/by-id/dm-uuid-mpath-3{NAA}"),
        format!("/dev/disk/by-scsid/3{NAA}"),
        format!("/dev/mapper/3{NAA}"),
        format!("scsi-3{NAA}"),
        format!("3{NAA}"),
        format!("naa.{NAA}"),
        format!("WWN-0X{}", NAA.to_uppercase()).to_lowercase(),
    ];
    let wanted = format!("naa.{NAA}");
    for base in bases {
        assert_eq!(found(&index, &base), ("sda".to_owned(), wanted.clone(), How::Identity), "{base}");
        for number in [1, 2] {
            for suffix in
                [format!("-part{number}"), format!("p{number}"), format!("_part{number}"), number.to_string()]
            {
                let name = format!("{base}{suffix}");
                let part = (format!("sda{number}"), format!("{wanted}-part{number}"), How::Identity);
                assert_eq!(found(&index, &name), part, "{name}");
            }
        }
        let gone = index.resolve(&format!("{base}-part7")).unwrap_err();
        assert!(
            matches!(&gone, ResolveError::NoPartition { disk, number: 7, parts, .. } if disk == "sda" && *parts == [1, 2])
        );
        assert!(gone.to_string().contains("it has 1, 2"), "{gone}");
    }
    assert_eq!(found(&index, &format!("naa.{NAA}:2")).0, "sda2");
    assert_eq!(found(&index, &format!("dm-uuid-part2-mpath-3{NAA}")).0, "sda2");
    assert_eq!(found(&index, &format!("vml.0200010000{NAA}4c4f47494341")).0, "sda");
    assert_eq!(found(&index, "/dev/sda2"), ("sda2".to_owned(), format!("{wanted}-part2"), How::Exact));
    assert_eq!(found(&index, "8:1").0, "sda1");
    assert_eq!(found(&index, "0:1:0:0").0, "sda");
}

#[test]
fn i_14_a_controller_of_the_old_kind_is_found_by_the_new_name_too() {
    let mut tree = MemTree::new();
    let dir = "pci0000:00/0000:05:00.0/cciss0/c0d0";
    disk(&mut tree, dir, "cciss!c0d0", "104:0", 100 << 30);
    tree.file(format!("sys/devices/{dir}/unique_id"), format!("{}\n", NAA.to_uppercase()));
    tree.link(format!("sys/devices/{dir}/block/cciss!c0d0/device"), "../..");
    let part = format!("sys/devices/{dir}/block/cciss!c0d0/cciss!c0d0p1");
    tree.file(format!("{part}/partition"), "1\n");
    tree.file(format!("{part}/dev"), "104:1\n");
    let host = linux(&tree);
    assert_eq!(host.adapters[0].id, "cciss0");
    let index = NameIndex::new(&host);
    for name in [
        "/dev/cciss/c0d0p1".to_owned(),
        "cciss/c0d0p1".to_owned(),
        "cciss!c0d0p1".to_owned(),
        format!("/dev/disk/by-id/scsi-3{NAA}-part1"),
        format!("/dev/disk/by-id/cciss-3{NAA}p1"),
    ] {
        let found = index.resolve(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (found.node.as_str(), found.device.as_str()),
            ("/dev/cciss/c0d0p1", "cciss!c0d0p1"),
            "{name}"
        );
        assert_eq!(found.identity.to_string(), format!("naa.{NAA}-part1"));
    }
}

#[test]
fn i_14_an_iscsi_lun_is_found_through_another_portal() {
    let mut tree = MemTree::new();
    let dir = "platform/host3/session1/target3:0:0/3:0:0:7";
    disk(&mut tree, dir, "sdb", "8:16", 10 << 30);
    tree.file("sys/class/iscsi_session/session1/targetname", "iqn.2004-04.com.example:Array-lun-1.t1\n");
    tree.file("sys/class/iscsi_session/session1/state", "LOGGED_IN\n");
    let part = format!("sys/devices/{dir}/block/sdb/sdb1");
    tree.file(format!("{part}/partition"), "1\n");
    tree.file(format!("{part}/dev"), "8:17\n");
    let index = NameIndex::new(&linux(&tree));
    let base = "/dev/disk/by-path/ip-10.0.0.9:3260-iscsi-iqn.2004-04.com.example:array-lun-1.t1-lun";
    for (suffix, device) in
        [("-7", "sdb"), ("-7-part1", "sdb1"), ("-7p1", "sdb1"), ("-0x0007000000000000", "sdb")]
    {
        let found = index.resolve(&format!("{base}{suffix}")).unwrap();
        assert_eq!((found.device.as_str(), found.how), (device, How::Target), "{suffix}");
    }
    assert!(matches!(index.resolve(&format!("{base}-8")), Err(ResolveError::Unknown { .. })));
}

#[test]
fn a_serial_is_never_cut_to_find_a_partition() {
    let host = probe("subiquity_existing-partitions.json");
    let Some(host) = host else { return };
    let index = NameIndex::new(&host);
    assert_eq!(found(&index, "virtio-serial1").0, "vdb");
    assert_eq!(found(&index, "virtio-serial1-part1").0, "vdb1");
    assert_eq!(found(&index, "virtio-serial1p1").0, "vdb1");
    // A disk with the serial "serial11" is another disk, not partition 1 of "serial1".
    assert!(matches!(index.resolve("virtio-serial11"), Err(ResolveError::Unknown { .. })));
}

#[test]
fn two_disks_with_one_serial_are_never_guessed() {
    let mut tree = MemTree::new();
    for (name, slot, number) in [("vda", "4", "252:0"), ("vdb", "5", "252:16")] {
        let dir = format!("pci0000:00/0000:00:0{slot}.0/virtio{slot}");
        disk(&mut tree, &dir, name, number, 1 << 30);
        tree.file(format!("sys/devices/{dir}/block/{name}/serial"), "same\n");
    }
    let host = linux(&tree);
    let error = NameIndex::new(&host).resolve("/dev/disk/by-id/virtio-same").unwrap_err();
    let ResolveError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
    assert_eq!(candidates.len(), 2, "{error}");
    // Neither is known by what both say.
    let identities: Vec<String> = host.luns.iter().map(|lun| lun.identity.to_string()).collect();
    assert_eq!(identities, ["place.pci-0000:00:04.0", "place.pci-0000:00:05.0"]);
    assert!(host.luns.iter().all(|lun| !lun.identity.is_durable()));
}

/// Names of `by_id_names.tsv` by the machine that has them.
fn names_of_machines() -> Option<BTreeMap<String, Vec<String>>> {
    let text = std::fs::read_to_string(samples("storage-topology/by_id_names.tsv")?).unwrap();
    let mut machines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let (name, seen) = line.split_once('\t').unwrap();
        for machine in seen.split(',') {
            machines.entry(machine.to_owned()).or_default().push(name.to_owned());
        }
    }
    Some(machines)
}

#[test]
fn every_real_name_finds_the_device_that_has_it() {
    let Some(machines) = names_of_machines() else { return };
    let mut checked = 0;
    for (machine, names) in machines {
        let host = probe(&machine).unwrap();
        let index = NameIndex::new(&host);
        for name in names {
            let found = index.resolve(&name).unwrap_or_else(|error| panic!("{machine}: {name}: {error}"));
            assert_eq!(found.how, How::Exact, "{name}");
            let owners: Vec<_> = host.devices.iter().filter(|device| device.names.contains(&name)).collect();
            // The device, or what the map above its path has in its place.
            let device = host.device(&found.device).unwrap();
            let map = device.dm.as_ref().is_some_and(|(_, uuid)| uuid.contains("mpath-"));
            assert!(
                map || owners.iter().any(|owner| owner.kernel == device.kernel),
                "{name}: {}",
                device.kernel
            );
            assert!(!owners.is_empty(), "{name}");
            assert!(owners.iter().all(|owner| owner.identity == found.identity), "{name}");
            // And back: the name is among those of its identity.
            let aliases = index.names_of(&found.identity);
            assert!(aliases.iter().any(|alias| alias.name == name && alias.present), "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 56, "only {checked} names");
}

#[test]
fn every_real_name_is_found_without_its_link_by_the_id_in_it() {
    let Some(machines) = names_of_machines() else { return };
    let mut by_id = 0;
    for (machine, names) in machines {
        let host = probe(&machine).unwrap();
        let with = NameIndex::new(&host);
        for name in names {
            // The same host, on which nobody made this link.
            let mut bare = host.clone();
            for device in &mut bare.devices {
                device.names.retain(|known| *known != name);
            }
            let index = NameIndex::new(&bare);
            let wanted = with.resolve(&name).unwrap();
            let found = index.resolve(&name).unwrap_or_else(|error| panic!("{machine}: {name}: {error}"));
            assert_eq!((&found.device, &found.identity), (&wanted.device, &wanted.identity), "{name}");
            assert_eq!(found.how, How::Identity, "{name}");
            by_id += 1;
            // As other programs write the partition.
            if let Some((base, number)) = name.rsplit_once("-part").filter(|_| !name.contains("dm-")) {
                for other in [format!("{base}p{number}"), format!("{base}_part{number}")] {
                    // `p` behind a letter is part of a serial, unless the length of the id is known.
                    if other.contains("_part")
                        || base.ends_with(|c: char| c.is_ascii_digit())
                        || base.contains("5000c500")
                    {
                        assert_eq!(index.resolve(&other).unwrap().device, wanted.device, "{other}");
                    }
                }
            }
        }
    }
    assert!(by_id >= 56, "only {by_id} names");
}

#[test]
fn an_identity_from_a_backup_finds_its_device_again() {
    for machine in
        ["curtin_probert_lvm.json", "subiquity_existing-partitions.json", "subiquity_multipath.json"]
    {
        let Some(host) = probe(machine) else { return };
        let index = NameIndex::new(&host);
        for device in host.devices.iter().filter(|device| device.identity.is_durable()) {
            let text = device.identity.to_string();
            let again: Identity = text.parse().unwrap();
            assert_eq!(again, device.identity);
            let found = index.find(&again).unwrap_or_else(|error| panic!("{machine}: {text}: {error}"));
            assert_eq!(found.identity, device.identity, "{text}");
            // By its words as well.
            assert_eq!(index.resolve(&text).unwrap().device, found.device, "{text}");
            // Every name it is said to have resolves to it, those by rule too.
            for alias in index.names_of(&again) {
                match index.resolve(&alias.name) {
                    Ok(named) => assert_eq!(named.device, found.device, "{}", alias.name),
                    // Labels can stand on many; that they do is told, and no device is chosen.
                    Err(ResolveError::Ambiguous { candidates, .. })
                        if matches!(alias.form, Form::ByPartlabel | Form::ByLabel | Form::ByUuid) =>
                    {
                        assert!(candidates.iter().any(|one| one.starts_with(&format!("{} ", found.device))));
                    }
                    Err(error) => panic!("{text}: {}: {error}", alias.name),
                }
            }
        }
    }
}

#[test]
fn a_path_and_its_partition_answer_with_the_map() {
    let Some(host) = probe("subiquity_multipath.json") else { return };
    let index = NameIndex::new(&host);
    for name in ["sda", "sdb", "mpatha", "/dev/mapper/mpatha", "wwn-0x5000c50015ea71aa", "35000c50015ea71aa"]
    {
        assert_eq!(found(&index, name).0, "dm-0", "{name}");
    }
    for name in ["sda1", "/dev/sdb1", "mpatha1", "mpathap1", "mpatha-part1", "scsi-35000c50015ea71aap1"] {
        assert_eq!(
            found(&index, name),
            ("dm-1".to_owned(), "naa.5000c50015ea71aa-part1".to_owned(), found(&index, name).2),
            "{name}"
        );
    }
    for name in [
        "UUID=d08f6efe-e044-4d06-8cab-e8fe56f1fcfe",
        "UUID=D08F6EFE-E044-4D06-8CAB-E8FE56F1FCFE",
        "PARTUUID=870d8990-01",
    ] {
        assert_eq!(found(&index, name).0, "dm-1", "{name}");
    }
}

#[test]
fn labels_are_found_as_udev_and_as_people_write_them() {
    let Some(host) = probe("subiquity_simple.json") else { return };
    let index = NameIndex::new(&host);
    for name in ["LABEL=\"Ubuntu custom\"", "LABEL=Ubuntu\\x20custom", "/dev/disk/by-label/Ubuntu\\x20custom"]
    {
        let found = index.resolve(name);
        assert!(found.as_ref().is_ok_and(|found| found.device == "sr0"), "{name}: {found:?}");
    }
}

#[test]
fn what_is_no_name_is_refused_with_the_reason() {
    let long = "x".repeat(5000);
    for name in ["", "   ", "/dev/", "/dev/../etc/passwd", "a\u{0}b", "a\nb", long.as_str()] {
        assert!(matches!(parse_name(name), Err(ResolveError::NotAName { .. })), "{name:?}");
    }
    assert_eq!(parse_name("nvme0n1p2").unwrap().form, Form::Kernel);
    assert_eq!(parse_name("nvme-eui.0025388b710116a1").unwrap().form, Form::ById);
}
