//! Node devices: the same model from libvirt's documents.

use lifeboat_topology::{NodedevError, SourceKind, Transport, read_nodedev};

/// Documents in the form of `virsh nodedev-dumpxml` (its reference, formatnode.html), of a host with one FC port and a disk
/// of virtio.
const HOST: &str = r"
<device>
  <name>pci_0000_05_00_0</name><path>/sys/devices/pci0000:00/0000:05:00.0</path><parent>computer</parent>
  <driver><name>lpfc</name></driver>
  <capability type='pci'><domain>0</domain><bus>5</bus><slot>0</slot><function>0</function>
    <product id='0xe300'>LPe32000</product><vendor id='0x10df'>Emulex &amp; Co</vendor></capability>
</device>
<device>
  <name>scsi_host7</name><path>/sys/devices/pci0000:00/0000:05:00.0/host7</path><parent>pci_0000_05_00_0</parent>
  <capability type='scsi_host'><host>7</host><unique_id>0</unique_id>
    <capability type='fc_host'><wwnn>200000109b123456</wwnn><wwpn>100000109b123456</wwpn><fabric_wwn>0</fabric_wwn></capability>
    <capability type='vport_ops'><max_vports>255</max_vports><vports>0</vports></capability></capability>
</device>
<device>
  <name>scsi_target7_0_0</name>
  <path>/sys/devices/pci0000:00/0000:05:00.0/host7/rport-7:0-0/target7:0:0</path><parent>scsi_host7</parent>
  <capability type='scsi_target'><target>target7:0:0</target>
    <capability type='fc_remote_port'><rport>rport-7:0-0</rport><wwpn>0x5006016839a011e4</wwpn></capability></capability>
</device>
<device>
  <name>scsi_7_0_0_3</name>
  <path>/sys/devices/pci0000:00/0000:05:00.0/host7/rport-7:0-0/target7:0:0/7:0:0:3</path><parent>scsi_target7_0_0</parent>
  <capability type='scsi'><host>7</host><bus>0</bus><target>0</target><lun>3</lun><type>disk</type></capability>
</device>
<device>
  <name>block_sdb_3600601604670290026cca5f7836fe111</name>
  <path>/sys/devices/pci0000:00/0000:05:00.0/host7/rport-7:0-0/target7:0:0/7:0:0:3/block/sdb</path>
  <devnode type='dev'>/dev/sdb</devnode>
  <devnode type='link'>/dev/disk/by-id/scsi-3600601604670290026cca5f7836fe111</devnode>
  <devnode type='link'>/dev/disk/by-path/pci-0000:05:00.0-fc-0x5006016839a011e4-lun-3</devnode>
  <parent>scsi_7_0_0_3</parent>
  <capability type='storage'><block>/dev/sdb</block><bus>scsi</bus><drive_type>disk</drive_type><model>VRAID</model>
    <vendor>DGC</vendor><serial>3600601604670290026cca5f7836fe111</serial><size>21474836480</size>
    <logical_block_size>512</logical_block_size><num_blocks>41943040</num_blocks></capability>
</device>
<device>
  <name>block_vda</name><path>/sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda</path>
  <devnode type='dev'>/dev/vda</devnode><parent>pci_0000_00_02_0</parent>
  <capability type='storage'><block>/dev/vda</block><bus>pci</bus><drive_type>disk</drive_type><size>274877906944</size></capability>
</device>";

#[test]
fn node_devices_give_the_same_model() {
    for text in
        [HOST.to_owned(), format!("<devices>{HOST}</devices>"), format!("<?xml version='1.0'?>{HOST}")]
    {
        let host = read_nodedev(&text).unwrap();
        assert_eq!(host.source.kind, SourceKind::Nodedev);
        let adapter = host.adapters.iter().find(|adapter| adapter.id == "host7").unwrap();
        assert_eq!((adapter.transport, adapter.wwpn.as_deref()), (Transport::Fc, Some("100000109b123456")));
        assert_eq!(adapter.driver.as_deref(), Some("lpfc"));
        assert_eq!(adapter.model.as_deref(), Some("pci 10df:e300"));
        let lun = host.luns.iter().find(|lun| lun.devices == ["sdb"]).unwrap();
        assert_eq!(lun.identity.to_string(), "naa.600601604670290026cca5f7836fe111");
        assert_eq!((lun.bytes, lun.vendor.as_deref()), (Some(20 << 30), Some("DGC")));
        let path = host.paths_of(lun).next().unwrap();
        assert_eq!((path.target.as_deref(), path.number), (Some("fc.5006016839a011e4"), Some(3)));
        assert_eq!(host.up_of(lun), "?/1", "a state is not in these documents");
        assert_eq!(host.luns.len(), 2);
    }
}

#[test]
fn documents_cut_at_every_byte_end_in_an_error_or_a_smaller_host() {
    let whole = read_nodedev(HOST).unwrap().luns.len();
    for end in 0..HOST.len() {
        if let Ok(host) = read_nodedev(&HOST[..end]) {
            assert!(host.luns.len() < whole || HOST[end..].trim().is_empty(), "cut at {end}");
        }
    }
}

#[test]
fn other_documents_are_refused() {
    for text in ["<domain/>", "<device><name>x</name></device>", "", "<device>"] {
        assert!(read_nodedev(text).is_err(), "{text}");
    }
    let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><device><capability type='storage'/></device>";
    assert!(matches!(read_nodedev(bomb), Err(NodedevError::Form { .. })));
    let deep = "<device>".repeat(100);
    assert!(matches!(read_nodedev(&deep), Err(NodedevError::Large)));
    // A path that leads out of its folder is passed over.
    let evil = HOST.replace("/sys/devices/pci0000:00/0000:00:02.0", "/sys/devices/../../../etc");
    assert_eq!(read_nodedev(&evil).unwrap().luns.len(), 1);
}
