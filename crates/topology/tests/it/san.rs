//! Hosts with FC, SAS, iSCSI and NVMe fabrics, as their sysfs looks (the class folders of Linux 5 and 6).

use lifeboat_topology::{MemTree, NameIndex, PathState, Topology, Transport, check};

use crate::common::{disk, linux};

pub(crate) fn page_83(naa: &str) -> Vec<u8> {
    let id: Vec<u8> =
        (0..naa.len() / 2).map(|at| u8::from_str_radix(&naa[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let mut page =
        vec![0, 0x83, 0, u8::try_from(id.len() + 4).unwrap(), 1, 3, 0, u8::try_from(id.len()).unwrap()];
    page.extend(id);
    page
}

/// An FC path: host, target number, LUN, disk name.
pub(crate) fn fc_path(
    tree: &mut MemTree,
    host: u32,
    target: u32,
    lun: u64,
    name: &str,
    naa: &str,
    bytes: u64,
) {
    let pci = format!("pci0000:00/0000:0{host}:00.0");
    let dir =
        format!("{pci}/host{host}/rport-{host}:0-{target}/target{host}:0:{target}/{host}:0:{target}:{lun}");
    let minor: u32 =
        name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(26).wrapping_add(u32::from(byte))) % 1_000_000;
    disk(tree, &dir, name, &format!("8:{minor}"), bytes);
    tree.file(format!("sys/devices/{dir}/vpd_pg83"), page_83(naa));
    tree.file(format!("sys/devices/{dir}/state"), "running\n");
    tree.file(format!("sys/devices/{dir}/vendor"), "NETAPP  \n");
    tree.file(format!("sys/devices/{dir}/model"), "LUN C-Mode      \n");
    tree.file(format!("sys/devices/{dir}/type"), "0\n");
    tree.link(
        format!("sys/class/scsi_host/host{host}"),
        format!("../../devices/{pci}/host{host}/scsi_host/host{host}"),
    );
    tree.file(format!("sys/devices/{pci}/host{host}/scsi_host/host{host}/proc_name"), "lpfc\n");
    tree.file(format!("sys/devices/{pci}/vendor"), "0x10df\n");
    tree.file(format!("sys/devices/{pci}/device"), "0xe300\n");
    tree.link(format!("sys/devices/{pci}/driver"), "../../../bus/pci/drivers/lpfc");
    tree.file(format!("sys/class/fc_host/host{host}/node_name"), format!("0x2000000000000{host:03}\n"));
    tree.file(format!("sys/class/fc_host/host{host}/port_name"), format!("0x1000000000000{host:03}\n"));
    tree.file(format!("sys/class/fc_host/host{host}/port_state"), "Online\n");
    let rport = format!("sys/class/fc_remote_ports/rport-{host}:0-{target}");
    tree.file(format!("{rport}/port_name"), format!("0x50060160000000{target:02}\n"));
    tree.file(format!("{rport}/node_name"), "0x5006016000000000\n");
    tree.file(format!("{rport}/port_state"), "Online\n");
}

pub(crate) const NAA: &str = "600a098000aabbcc0000000000000001";

/// Two LUNs over two adapters and two ports each, under multipath.
pub(crate) fn san() -> MemTree {
    let mut tree = MemTree::new();
    let mut letters = 'b'..;
    for lun in 0..2_u64 {
        let naa = format!("{}{}", &NAA[..31], lun + 1);
        let mut slaves = Vec::new();
        for (host, target) in [(7, 1), (7, 2), (8, 1), (8, 2)] {
            let name = format!("sd{}", letters.next().unwrap());
            fc_path(&mut tree, host, target, lun, &name, &naa, 64 << 30);
            slaves.push(name);
        }
        let map = format!("sys/devices/virtual/block/dm-{lun}");
        tree.file(format!("{map}/dev"), format!("253:{lun}\n"));
        tree.file(format!("{map}/size"), crate::common::sectors(64 << 30));
        tree.file(format!("{map}/dm/name"), format!("mpath{}\n", ['a', 'b'][usize::try_from(lun).unwrap()]));
        tree.file(format!("{map}/dm/uuid"), format!("mpath-3{naa}\n"));
        tree.link(format!("sys/block/dm-{lun}"), format!("../devices/virtual/block/dm-{lun}"));
        for slave in slaves {
            tree.link(format!("{map}/slaves/{slave}"), format!("../../{slave}"));
        }
    }
    tree
}

fn codes(topology: &Topology) -> Vec<String> {
    check(topology).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn an_fc_host_is_read_whole() {
    let host = linux(&san());
    assert_eq!((host.adapters.len(), host.targets.len(), host.luns.len(), host.paths.len()), (2, 2, 2, 8));
    let adapter = &host.adapters[0];
    assert_eq!((adapter.id.as_str(), adapter.transport), ("host7", Transport::Fc));
    assert_eq!(adapter.wwpn.as_deref(), Some("1000000000000007"));
    assert_eq!(adapter.driver.as_deref(), Some("lpfc"));
    assert_eq!(adapter.address.as_deref(), Some("0000:07:00.0"));
    assert_eq!(adapter.model.as_deref(), Some("pci 10df:e300"));
    assert_eq!(host.targets[0].id, "fc.5006016000000001");
    let lun = &host.luns[0];
    assert_eq!(lun.identity.to_string(), format!("naa.{NAA}"));
    assert_eq!(lun.map.as_ref().unwrap().name, "mpatha");
    assert_eq!(lun.devices, ["sdb", "sdc", "sdd", "sde", "dm-0"]);
    assert_eq!(lun.bytes, Some(64 << 30));
    assert_eq!(host.up_of(lun), "4/4");
    assert!(codes(&host).is_empty(), "{:?}", check(&host));
}

#[test]
fn a_path_is_found_by_its_port_and_number() {
    let host = linux(&san());
    let index = NameIndex::new(&host);
    let name = "/dev/disk/by-path/pci-0000:99:00.0-fc-0x5006016000000002-lun-1";
    assert_eq!(index.resolve(name).unwrap().device, "dm-1");
}

#[test]
fn a_port_that_went_away_takes_its_paths_down() {
    let mut tree = san();
    tree.file("sys/class/fc_remote_ports/rport-8:0-2/port_state", "Blocked\n");
    let host = linux(&tree);
    assert!(host.luns.iter().all(|lun| host.up_of(lun) == "3/4"));
    assert_eq!(codes(&host), ["storage-path-down", "storage-path-down"]);
}

#[test]
fn alua_standby_is_a_path_that_waits() {
    let mut tree = san();
    let dir = "sys/devices/pci0000:00/0000:08:00.0/host8/rport-8:0-2/target8:0:2/8:0:2:0";
    tree.file(format!("{dir}/access_state"), "standby\n");
    let host = linux(&tree);
    assert_eq!(host.paths.iter().filter(|path| path.state == PathState::Standby).count(), 1);
    assert_eq!(host.up_of(&host.luns[0]), "4/4");
}

#[test]
fn an_adapter_without_any_lun_is_there_with_its_port() {
    let mut tree = san();
    tree.link("sys/class/scsi_host/host9", "../../devices/pci0000:00/0000:09:00.0/host9/scsi_host/host9");
    tree.file("sys/devices/pci0000:00/0000:09:00.0/host9/scsi_host/host9/proc_name", "qla2xxx\n");
    tree.file("sys/class/fc_host/host9/port_name", "0x2100001b320b9001\n");
    tree.file("sys/class/fc_host/host9/port_state", "Linkdown\n");
    let host = linux(&tree);
    let lost = host.adapters.iter().find(|adapter| adapter.id == "host9").unwrap();
    assert_eq!((lost.transport, lost.wwpn.as_deref()), (Transport::Fc, Some("2100001b320b9001")));
    assert_eq!(lost.driver.as_deref(), Some("qla2xxx"));
    assert_eq!(codes(&host), ["storage-adapter-down"]);
}

#[test]
fn iscsi_sessions_and_portals_are_read() {
    let mut tree = MemTree::new();
    for (session, lun) in [(1, 1), (2, 1)] {
        let host = session + 2;
        let dir = format!("platform/host{host}/session{session}/target{host}:0:0/{host}:0:0:{lun}");
        disk(&mut tree, &dir, ["sdb", "sdc"][session - 1], &format!("8:{}", session * 16), 1 << 30);
        tree.file(format!("sys/devices/{dir}/vpd_pg83"), page_83("6001405b1629f80d52a4c898f8856e43"));
        tree.file(
            format!("sys/devices/{dir}/state"),
            if session == 1 { "running\n" } else { "transport-offline\n" },
        );
        let class =
            format!("sys/devices/platform/host{host}/session{session}/iscsi_session/session{session}");
        tree.file(format!("{class}/targetname"), "iqn.2003-01.org.linux-iscsi:disk1\n");
        tree.file(format!("{class}/initiatorname"), "iqn.1993-08.org.debian:01:abc\n");
        tree.file(format!("{class}/state"), if session == 1 { "LOGGED_IN\n" } else { "FAILED\n" });
        tree.link(format!("sys/class/iscsi_session/session{session}"), format!("/{class}"));
        let connection = format!("sys/class/iscsi_connection/connection{session}:0");
        tree.file(
            format!("{connection}/persistent_address"),
            if session == 1 { "10.0.0.1\n" } else { "fd00::1\n" },
        );
        tree.file(format!("{connection}/persistent_port"), "3260\n");
    }
    let host = linux(&tree);
    assert_eq!(host.luns.len(), 1);
    assert_eq!(host.up_of(&host.luns[0]), "1/2");
    assert_eq!(host.targets[0].id, "iqn.2003-01.org.linux-iscsi:disk1");
    assert_eq!(host.adapters[0].iqn.as_deref(), Some("iqn.1993-08.org.debian:01:abc"));
    assert_eq!(host.adapters[1].sessions[0].portal.as_deref(), Some("[fd00::1]:3260"));
    assert_eq!(codes(&host), ["storage-path-down", "storage-session-down"]);
}

#[test]
fn sas_end_devices_and_enclosures_are_read() {
    let mut tree = MemTree::new();
    let base = "pci0000:00/0000:03:00.0/host0/port-0:0/end_device-0:0/target0:0:0";
    disk(&mut tree, &format!("{base}/0:0:0:0"), "sda", "8:0", 1 << 40);
    tree.file("sys/class/sas_device/end_device-0:0/sas_address", "0x5000c50012345679\n");
    tree.file("sys/class/sas_host/host0/uevent", "\n");
    let shelf = "sys/devices/pci0000:00/0000:03:00.0/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0";
    tree.file(format!("{shelf}/type"), "13\n");
    tree.link("sys/bus/scsi/devices/0:0:1:0", format!("/{shelf}"));
    let host = linux(&tree);
    assert_eq!(host.adapters[0].transport, Transport::Sas);
    assert_eq!(host.targets[0].id, "sas.5000c50012345679");
    let kinds: Vec<&str> = host.luns.iter().map(|lun| lun.kind.word()).collect();
    assert_eq!(kinds, ["disk", "enclosure"]);
    let index = NameIndex::new(&host);
    assert_eq!(index.resolve("pci-0000:03:00.0-sas-0x5000c50012345679-lun-0").unwrap().device, "sda");
}

#[test]
fn nvme_over_fabrics_has_a_path_for_each_controller() {
    let mut tree = MemTree::new();
    let space = "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1";
    tree.file(format!("{space}/size"), crate::common::sectors(1 << 40));
    tree.file(format!("{space}/dev"), "259:1\n");
    tree.file(format!("{space}/nsid"), "1\n");
    tree.file(format!("{space}/wwid"), "uuid.2d1c7b1e-0000-4000-8000-00000000abcd\n");
    tree.link("sys/block/nvme0n1", format!("/{space}"));
    tree.link("sys/class/nvme-subsystem/nvme-subsys0", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0");
    for (controller, ana) in [(0, "optimized"), (1, "inaccessible")] {
        let dir = format!("sys/devices/virtual/nvme-fabrics/ctl/nvme{controller}");
        tree.file(format!("{dir}/transport"), "tcp\n");
        tree.file(format!("{dir}/state"), "live\n");
        tree.file(format!("{dir}/address"), format!("traddr=10.0.0.{controller},trsvcid=4420\n"));
        tree.file(format!("{dir}/subsysnqn"), "nqn.2014-08.org.example:array\n");
        tree.file(format!("{dir}/nvme0c{controller}n1/ana_state"), format!("{ana}\n"));
        tree.file(format!("{dir}/nvme0c{controller}n1/hidden"), "1\n");
        tree.link(format!("sys/block/nvme0c{controller}n1"), format!("/{dir}/nvme0c{controller}n1"));
        tree.link(format!("sys/class/nvme/nvme{controller}"), format!("/{dir}"));
        let link = format!("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme{controller}");
        tree.link(link, format!("/{dir}"));
    }
    let host = linux(&tree);
    assert_eq!(host.luns.len(), 1);
    assert_eq!(host.luns[0].identity.to_string(), "uuid.2d1c7b1e-0000-4000-8000-00000000abcd");
    let states: Vec<PathState> = host.paths.iter().map(|path| path.state).collect();
    assert_eq!(states, [PathState::Up, PathState::Standby]);
    assert_eq!(host.targets[0].portals.len(), 2, "{:?}", host.targets);
    assert!(host.adapters.iter().all(|adapter| adapter.transport == Transport::NvmeFabrics));
    assert_eq!(host.devices.len(), 1, "hidden paths are no devices");
}

#[test]
fn a_saved_output_of_multipath_adds_policy_and_what_the_checker_saw() {
    let mut host = linux(&san());
    let output = format!(
        "mpatha (3{NAA}) dm-0 NETAPP,LUN C-Mode\n\
         size=64G features='3 queue_if_no_path pg_init_retries 50' hwhandler='1 alua' wp=rw\n\
         |-+- policy='service-time 0' prio=50 status=active\n\
         | |- 7:0:1:0 sdb 8:16 active ready running\n\
         | `- 7:0:2:0 sdc 8:32 failed faulty running\n\
         `-+- policy='service-time 0' prio=10 status=enabled\n\
           |- 8:0:1:0 sdd 8:48 active ready running\n\
           `- 8:0:2:0 sde 8:64 active ready running\n"
    );
    host.add(lifeboat_topology::read_text(&output).unwrap());
    assert_eq!((host.luns.len(), host.paths.len(), host.adapters.len()), (2, 8, 2));
    let lun = host.luns.iter().find(|lun| lun.identity.to_string().ends_with(NAA)).unwrap();
    let map = lun.map.as_ref().unwrap();
    assert_eq!(map.policy.as_deref(), Some("service-time 0"));
    assert_eq!(map.handler.as_deref(), Some("1 alua"));
    assert_eq!(host.up_of(lun), "3/4");
    let down = host.paths.iter().find(|path| path.state == PathState::Down).unwrap();
    assert_eq!(down.device.as_deref(), Some("sdc"));
    assert!(down.words.contains("failed faulty"), "{}", down.words);
}

#[test]
fn i_16_lun_ids_come_in_one_table_from_every_driver() {
    // The file that a storage team asked for is gone: no driver writes its LUNs under /proc any more.
    let mut tree = san();
    let iscsi = "platform/host3/session1/target3:0:0/3:0:0:5";
    disk(&mut tree, iscsi, "sdz", "65:144", 1 << 30);
    tree.file(format!("sys/devices/{iscsi}/vpd_pg83"), page_83("6001405b1629f80d52a4c898f8856e43"));
    tree.file("sys/class/iscsi_session/session1/targetname", "iqn.2003-01.org.linux-iscsi:disk1\n");
    disk(&mut tree, "pci0000:00/0000:00:04.0/virtio1", "vda", "252:0", 1 << 30);
    assert!(lifeboat_topology::Tree::read_dir(&tree, "proc/scsi").is_err());
    let mut host = linux(&tree);
    // What only a program of the vendor told, kept in a file.
    let saved = "vmhba1:C0:T1:L9 LUN:9 state:active fc Adapter: WWNN: 20:01:00:25:b5:00:00:0d WWPN: 20:00:00:25:b5:0a:00:0d \
                 Target: WWNN: 50:0a:09:80:8f:3f:52:ad WWPN: 50:0a:09:82:9f:3f:52:ad\n";
    let saved = format!("naa.60a9800064655a77524a6c4938685950 : NETAPP Fibre Channel Disk\n{saved}");
    host.add(lifeboat_topology::read_text(&saved).unwrap());
    let table: std::collections::BTreeSet<(String, String, Option<u64>)> = host
        .paths
        .iter()
        .map(|path| (path.transport.to_string(), path.lun.to_string(), path.number))
        .collect();
    let row = |bus: &str, lun: &str, number| (bus.to_owned(), lun.to_owned(), number);
    let wanted = [
        row("fc", &format!("naa.{NAA}"), Some(0)),
        row("fc", "naa.600a098000aabbcc0000000000000002", Some(1)),
        row("fc", "naa.60a9800064655a77524a6c4938685950", Some(9)),
        row("iscsi", "naa.6001405b1629f80d52a4c898f8856e43", Some(5)),
        row("virtio", "place.pci-0000:00:04.0", None),
    ];
    assert_eq!(table, wanted.into_iter().collect());
}
