//! What a storage team is told, each first without the fault.

use lifeboat_model::Severity;
use lifeboat_topology::{MemTree, check};

use crate::common::{disk, linux, probe};
use crate::san::{NAA, fc_path, page_83, san};

fn codes(tree: &MemTree) -> Vec<String> {
    check(&linux(tree)).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn a_sound_san_has_no_findings() {
    assert!(codes(&san()).is_empty(), "{:?}", codes(&san()));
}

#[test]
fn a_lun_with_one_path_and_fewer_than_its_sisters_is_told() {
    let mut tree = san();
    fc_path(&mut tree, 7, 1, 2, "sdz", &format!("{}9", &NAA[..31]), 1 << 30);
    assert_eq!(codes(&tree), ["storage-fewer-paths", "storage-one-path"]);
    let found = check(&linux(&tree));
    assert!(
        found[0].evidence.contains("1 paths, where other LUNs of LUN C-Mode NETAPP have 4"),
        "{}",
        found[0].evidence
    );
}

#[test]
fn a_local_disk_with_one_path_is_no_finding() {
    let mut tree = MemTree::new();
    disk(&mut tree, "pci0000:00/0000:00:04.0/virtio1", "vda", "254:0", 1 << 30);
    assert!(codes(&tree).is_empty());
}

#[test]
fn a_lun_that_lost_every_path_is_a_blocker() {
    let mut tree = san();
    for host in [7, 8] {
        for target in [1, 2] {
            tree.file(format!("sys/class/fc_remote_ports/rport-{host}:0-{target}/port_state"), "Blocked\n");
        }
    }
    let found = check(&linux(&tree));
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| one.code == "storage-path-down" && one.severity == Severity::Blocker));
}

#[test]
fn one_number_with_two_identities_is_told() {
    let mut tree = san();
    let dir = "sys/devices/pci0000:00/0000:08:00.0/host8/rport-8:0-1/target8:0:1/8:0:1:1";
    // The port shows another LUN under number 1; its map is gone, or the two would be held together.
    tree.file(format!("{dir}/vpd_pg83"), page_83(&format!("{}7", &NAA[..31])));
    tree.file("sys/devices/virtual/block/dm-1/dm/uuid", "LVM-x\n");
    let codes = codes(&tree);
    assert!(codes.contains(&"storage-number-differs".to_owned()), "{codes:?}");
}

#[test]
fn a_gap_in_the_numbers_is_a_note() {
    let mut tree = san();
    for (host, target, name) in [(7, 1, "sdw"), (7, 2, "sdx"), (8, 1, "sdy"), (8, 2, "sdz")] {
        fc_path(&mut tree, host, target, 4, name, &format!("{}5", &NAA[..31]), 1 << 30);
    }
    let found = check(&linux(&tree));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|one| one.code == "storage-number-gap" && one.evidence.ends_with("there is no 2, 3"))
    );
}

#[test]
fn paths_that_see_different_sizes_are_a_blocker() {
    let mut tree = san();
    fc_path(&mut tree, 8, 2, 0, "sde", NAA, 65 << 30);
    let found = check(&linux(&tree));
    assert_eq!(found[0].code, "storage-size-differs");
    assert_eq!(found[0].severity, Severity::Blocker);
}

#[test]
fn two_luns_that_tell_one_id_are_told_by_their_serials() {
    let mut tree = san();
    for (place, serial) in [("7:0:1:0", "one"), ("7:0:2:0", "one"), ("8:0:1:0", "two"), ("8:0:2:0", "one")] {
        let mut parts = place.split(':');
        let (host, target) = (parts.next().unwrap(), parts.nth(1).unwrap());
        let dir = format!(
            "sys/devices/pci0000:00/0000:0{host}:00.0/host{host}/rport-{host}:0-{target}/target{host}:0:{target}/{place}"
        );
        let mut page = vec![0, 0x80, 0, 3];
        page.extend(serial.bytes());
        tree.file(format!("{dir}/vpd_pg80"), page);
    }
    assert_eq!(codes(&tree), ["storage-same-id"]);
}

#[test]
fn a_copy_of_a_volume_is_told_and_a_map_over_its_paths_is_none() {
    let Some(host) = probe("subiquity_multipath.json") else { return };
    assert!(check(&host).iter().all(|finding| finding.code != "storage-copy"), "{:?}", check(&host));
    let mut tree = MemTree::new();
    for (name, slot, minor) in [("vda", 4, 0), ("vdb", 5, 16)] {
        let dir = format!("pci0000:00/0000:00:0{slot}.0/virtio{slot}");
        disk(&mut tree, &dir, name, &format!("252:{minor}"), 1 << 30);
        tree.file(format!("sys/devices/{dir}/block/{name}/serial"), format!("disk{slot}\n"));
        let same = "E:ID_FS_TYPE=xfs\nE:ID_FS_UUID=70115965-56dd-4de3-bdb2-8ecdb9a5c715\n";
        tree.file(format!("run/udev/data/b252:{minor}"), same);
    }
    assert_eq!(codes(&tree), ["storage-copy"]);
}
