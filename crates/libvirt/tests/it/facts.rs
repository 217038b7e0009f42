//! Facts out of XML, and XML that is damaged.

use lifeboat_libvirt::xml::{self, DiskSource, XmlError};

/// A domain with everything that matters for moving it.
const DOMAIN: &str = r#"<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>db &amp; co</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <metadata><lb:host xmlns:lb="https://lifeboat.example/1"/></metadata>
  <memory unit='GiB'>4</memory><currentMemory unit='KiB'>2097152</currentMemory>
  <memoryBacking><hugepages/><locked/><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu placement='static' cpuset='0-3' current='2'>4</vcpu>
  <numatune><memory mode='strict' nodeset='0'/></numatune>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-8.2'>hvm</type><loader type='pflash'>/fw.fd</loader><nvram>/vars.fd</nvram></os>
  <cpu mode='host-passthrough' check='none' migratable='on'><feature policy='disable' name='vmx'/></cpu>
  <devices><emulator>/usr/bin/qemu</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/i/a.qcow2'/>
      <backingStore type='file'><source file='/i/base'/></backingStore><target dev='vda' bus='virtio'/><serial>S1</serial></disk>
    <disk type='block' device='lun'><source dev='/dev/sdb'/><backingStore/><target dev='sda'/><shareable/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='m1' port='6789'/><host name='m2'/></source><target dev='vdb'/></disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/><readonly/></disk>
    <disk type='file' device='cdrom'><target dev='sdc'/><readonly/></disk>
    <disk type='nvme' device='disk'><source type='pci'/><target dev='vde'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default' bridge='virbr0'/><target dev='vnet0'/><model type='virtio'/></interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='direct'><source dev='eth0' mode='vepa'/></interface>
    <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x03' slot='0x1f' function='0x1'/></source></hostdev>
    <hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/><product id='0x0002'/></source></hostdev>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>
    <hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='1' unit='2'/></source></hostdev>
    <graphics type='vnc' port='5900' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
    <filesystem type='mount'><driver type='virtiofs'/><source dir='/share'/><target dir='share'/></filesystem>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='pty'/><watchdog model='itco' action='reset'/><vsock model='virtio'/><shmem name='s'/>
  </devices>
  <seclabel type='dynamic' model='apparmor' relabel='yes'/><launchSecurity type='sev'/>
</domain>"#;

#[test]
fn a_domain_tells_what_matters_for_moving_it() {
    let facts = xml::domain(DOMAIN).unwrap();
    assert_eq!((facts.name.as_str(), facts.id, facts.domain_type.as_str()), ("db & co", Some(3), "kvm"));
    assert_eq!((facts.memory_kib, facts.current_memory_kib), (4 << 20, 2 << 20));
    assert_eq!((facts.vcpus, facts.vcpus_current, facts.numa_pinned), (4, 2, true));
    assert_eq!((facts.arch.as_str(), facts.machine.as_str()), ("x86_64", "pc-q35-8.2"));
    assert_eq!(
        (facts.firmware.kind.as_deref(), facts.firmware.nvram.as_deref()),
        (Some("efi"), Some("/vars.fd"))
    );
    let cpu = facts.cpu.unwrap();
    assert_eq!((cpu.mode.as_deref(), cpu.migratable), (Some("host-passthrough"), Some(true)));
    assert_eq!((cpu.features[0].name.as_str(), cpu.features[0].policy.as_str()), ("vmx", "disable"));
    let sources: Vec<&DiskSource> = facts.disks.iter().map(|disk| &disk.source).collect();
    let hosts = vec!["m1:6789".to_owned(), "m2".to_owned()];
    assert_eq!(
        sources,
        [
            &DiskSource::File("/i/a.qcow2".to_owned()),
            &DiskSource::Block("/dev/sdb".to_owned()),
            &DiskSource::Network { protocol: "rbd".to_owned(), name: "p/i".to_owned(), hosts },
            &DiskSource::Volume { pool: "p".to_owned(), volume: "v".to_owned() },
            &DiskSource::None,
            &DiskSource::Other("nvme".to_owned()),
        ]
    );
    let (first, second) = (&facts.disks[0], &facts.disks[1]);
    assert_eq!((first.target.as_str(), first.cache.as_deref(), first.backing), ("vda", Some("none"), true));
    assert_eq!((second.device.as_str(), second.shareable, second.backing), ("lun", true, false));
    assert!(facts.disks[3].read_only && facts.disks[4].device == "cdrom");
    let sources: Vec<_> =
        facts.interfaces.iter().map(|one| (one.kind.as_str(), one.source.as_deref())).collect();
    assert_eq!(sources, [("network", Some("default")), ("bridge", Some("br0")), ("direct", Some("eth0"))]);
    let held: Vec<_> =
        facts.host_devices.iter().map(|one| (one.kind.as_str(), one.address.as_str())).collect();
    assert_eq!(
        held,
        [
            ("pci", "0000:03:1f.1"),
            ("usb", "1d6b:0002"),
            ("mdev", "c2177883-f1bb-47f0-914d-32a22e3a8804"),
            ("scsi", "scsi_host0:0:1:2")
        ]
    );
    assert_eq!(
        (facts.graphics[0].listen.as_slice(), facts.graphics[0].port),
        (&["127.0.0.1".to_owned()][..], Some(5900))
    );
    assert_eq!(facts.filesystems[0].driver.as_deref(), Some("virtiofs"));
    assert_eq!(facts.tpms[0].backend.as_deref(), Some("emulator"));
    assert!(facts.hugepages && facts.locked_memory && facts.shared_memory && facts.has_guest_agent);
    assert!(facts.vsock && facts.shmem);
    assert_eq!((facts.watchdog.as_deref(), facts.launch_security.as_deref()), (Some("reset"), Some("sev")));
    assert_eq!(facts.metadata, ["https://lifeboat.example/1"]);
    assert_eq!(facts.security_labels[0].model.as_deref(), Some("apparmor"));
}

#[test]
fn damaged_documents_are_refused_without_harm() {
    for len in 0..DOMAIN.len() {
        assert!(xml::domain(&DOMAIN[..len]).is_err(), "cut at {len}");
    }
    for at in 0..DOMAIN.len() {
        let mut bytes = DOMAIN.as_bytes().to_vec();
        bytes[at] ^= 0x15;
        if let Ok(text) = String::from_utf8(bytes) {
            // Whatever it says now, it is read or refused.
            drop(xml::domain(&text));
        }
    }
    let bomb = "<!DOCTYPE d [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><domain>&b;</domain>";
    assert_eq!(xml::domain(bomb), Err(XmlError::DocType));
    assert!(matches!(xml::domain("<domain>&b;</domain>"), Err(XmlError::Form { .. })));
    assert!(matches!(xml::parse(&"<a>".repeat(100)), Err(XmlError::TooDeep { .. })));
    let wide = format!("<a>{}</a>", "<b/>".repeat(200_001));
    assert_eq!(xml::parse(&wide), Err(XmlError::TooMany));
    assert!(matches!(xml::parse(&" ".repeat((4 << 20) + 1)), Err(XmlError::TooLong { .. })));
    assert_eq!(xml::parse(""), Err(XmlError::Roots { found: 0 }));
    assert_eq!(xml::parse("<a/><b/>"), Err(XmlError::Roots { found: 2 }));
    assert!(matches!(xml::network("<pool/>"), Err(XmlError::Other { .. })));
    assert_eq!(
        xml::storage_pool("<pool type='dir'/>"),
        Err(XmlError::Missing { element: "pool", what: "name" })
    );
    let huge = DOMAIN.replace("<memory unit='GiB'>4<", "<memory unit='EiB'>99999<");
    assert_eq!(xml::domain(&huge), Err(XmlError::Missing { element: "domain", what: "memory" }));
}

#[test]
fn shared_storage_is_told_by_its_source() {
    let nfs = xml::storage_pool(
        "<pool type='netfs'><name>n</name><capacity unit='bytes'>10</capacity><source><host name='s' port='2049'/>\
         <dir path='/e'/><format type='nfs'/></source><target><path>/var/n</path></target></pool>",
    )
    .unwrap();
    assert_eq!((nfs.kind.as_str(), nfs.capacity, nfs.target_path.as_deref()), ("netfs", 10, Some("/var/n")));
    assert_eq!(
        (nfs.source.hosts.as_slice(), nfs.source.directory.as_deref()),
        (&["s:2049".to_owned()][..], Some("/e"))
    );
    let network = xml::network(
        "<network><name>n</name><forward/><bridge name='br9'/><ip address='fd00::1' prefix='64'/></network>",
    );
    let network = network.unwrap();
    assert_eq!((network.forward.as_deref(), network.bridge.as_deref()), (Some("nat"), Some("br9")));
    assert_eq!(network.ips, ["fd00::1/64"]);
}
