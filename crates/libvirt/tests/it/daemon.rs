//! A real daemon on a local socket, and `virsh` beside this client.

use std::time::Duration;

use lifeboat_libvirt::{
    Affect, BaselineFlags, CheckpointFlags, CheckpointXmlFlags, CompareFlags, Connection, CpuComparison,
    DefineFlags, DestroyFlags, Domain, DomainCapabilitiesQuery, DomainFilter, DomainState, ErrorCode,
    JobKind, JobStatsFlags, MetadataKind, NetworkFilter, NodeDeviceFilter, PoolFilter, PoolState, SaveFlags,
    StartFlags, UndefineFlags, Uuid, VolumeCreateFlags, VolumeKind, XmlFlags, reason, xml,
};

use crate::fabric::{Fabric, Host, fabric_test, guest};

/// A host with a guest that is defined and off.
fn with_guest(fabric: &mut Fabric) -> (Host, Connection, Domain) {
    let host = fabric.host();
    let disk = fabric.images().join("a.img");
    guest::disk(&disk);
    let connection = host.connect();
    let domain = connection.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
    (host, connection, domain)
}

fabric_test! {
    fn host_facts_are_what_virsh_says(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let connection = host.connect();
        assert_eq!(connection.hostname().unwrap(), "h1");
        assert_eq!(connection.hypervisor_type().unwrap(), "QEMU");
        assert_eq!(connection.daemon_uri().unwrap(), "qemu:///system");
        let version = host.virsh(&["version", "--daemon"]);
        for line in [
            format!("Running against daemon: {}", connection.lib_version().unwrap()),
            format!("Running hypervisor: QEMU {}", connection.hypervisor_version().unwrap()),
        ] {
            assert!(version.contains(&line), "{line} is not in {version}");
        }

        let said = host.virsh(&["nodeinfo"]);
        let node = connection.node_info().unwrap();
        for (field, value) in [
            ("CPU model:", node.cpu_model.clone()),
            ("CPU(s):", node.cpus.to_string()),
            ("Memory size:", format!("{} KiB", node.memory_kib)),
            ("NUMA cell(s):", node.numa_nodes.to_string()),
            ("Thread(s) per core:", node.threads.to_string()),
        ] {
            let line = said.lines().find(|line| line.starts_with(field)).unwrap();
            assert_eq!(line.strip_prefix(field).unwrap().trim(), value);
        }
        let stats = connection.memory_stats(None).unwrap();
        let names: Vec<&str> = stats.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["total", "free", "buffers", "cached"]);
        let total = format!("total  : {:20} KiB", stats[0].1);
        assert!(host.virsh(&["nodememstats"]).contains(&total), "{total}");
        let free = connection.free_memory().unwrap();
        assert!(free > 0 && free / 1024 < node.memory_kib);
        assert!(connection.max_vcpus(Some("qemu")).unwrap() > 0);
        let models = connection.cpu_models("x86_64").unwrap();
        let said = host.virsh(&["cpu-models", "x86_64"]);
        assert_eq!(models, said.split_whitespace().collect::<Vec<_>>());

        let text = connection.capabilities().unwrap();
        assert_eq!(text.trim(), host.virsh(&["capabilities"]).trim());
        let facts = xml::capabilities(&text).unwrap();
        assert_eq!(facts.uuid, Some("00000000-0000-4000-8000-000000000001".parse().unwrap()));
        assert!(facts.live_migration);
        assert_eq!(facts.migration_uris, ["tcp", "rdma"]);
        assert!(facts.has_machine("x86_64", "qemu", "pc"));
        let canonical = facts.canonical_machine("x86_64", "qemu", "pc").unwrap();
        assert!(canonical.starts_with("pc-i440fx-"), "{canonical}");
        assert!(facts.has_machine("x86_64", "qemu", canonical));
        assert!(!facts.has_machine("x86_64", "kvm", "pc"), "the lab has no KVM");
    }
}

fabric_test! {
    fn cpus_are_compared_by_the_daemon(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let connection = host.connect();
        let query = DomainCapabilitiesQuery {
            virt_type: Some("qemu".to_owned()),
            machine: Some("pc".to_owned()),
            ..DomainCapabilitiesQuery::default()
        };
        let text = connection.domain_capabilities(&query).unwrap();
        assert_eq!(text.trim(), host.virsh(&["domcapabilities", "--virttype", "qemu", "--machine", "pc"]).trim());
        let facts = xml::domain_capabilities(&text).unwrap();
        assert_eq!((facts.domain_type.as_str(), facts.arch.as_str()), ("qemu", "x86_64"));
        assert_eq!(
            facts.max_vcpus.unwrap().to_string(),
            host.virsh(&["maxvcpus", "--type", "qemu"]).trim()
        );
        assert!(facts.custom_models.iter().any(|model| model.name == "qemu64" && model.usable == Some(true)));
        assert!(facts.custom_models.iter().any(|model| model.usable == Some(false)));

        let cpu = |model: &str| format!("<cpu mode='custom' match='exact'><model>{model}</model></cpu>");
        let compare = |model: &str| connection.compare_hypervisor_cpu(&query, &cpu(model), CompareFlags::NONE);
        assert_eq!(compare("qemu64").unwrap(), CpuComparison::Superset);
        let unusable = facts.custom_models.iter().find(|model| model.usable == Some(false)).unwrap();
        assert_eq!(compare(&unusable.name).unwrap(), CpuComparison::Incompatible);
        let error = compare("no-such-model").unwrap_err();
        assert!(error.remote().is_some(), "{error:?}");
        let baseline =
            connection.baseline_hypervisor_cpu(&query, &[cpu("qemu64"), cpu("Penryn")], BaselineFlags::NONE);
        assert!(baseline.unwrap().starts_with("<cpu"));
    }
}

fabric_test! {
    fn a_guest_lives_and_dies_as_virsh_sees_it(fabric) {
        let mut fabric = fabric;
        let (host, connection, domain) = with_guest(&mut fabric);
        assert_eq!(connection.domains(DomainFilter::ALL).unwrap(), std::slice::from_ref(&domain));
        assert_eq!(connection.domains(DomainFilter::ACTIVE).unwrap(), []);
        assert_eq!(connection.domain_by_name("a").unwrap(), domain);
        assert_eq!(connection.domain_by_uuid(&domain.uuid).unwrap(), domain);
        let text = connection.domain_xml(&domain, XmlFlags::NONE).unwrap();
        assert_eq!(text.trim(), host.virsh(&["dumpxml", "a"]).trim());

        let running = connection.start_domain(&domain, StartFlags::NONE).unwrap();
        assert!(running.id.is_some());
        assert_eq!(connection.domains(DomainFilter::ACTIVE).unwrap(), std::slice::from_ref(&running));
        let state = connection.domain_state(&domain).unwrap();
        assert_eq!((state.state, state.reason), (DomainState::Running, reason::RUNNING_BOOTED));
        let said = host.virsh(&["domstate", "a", "--reason"]);
        assert_eq!(format!("{} ({})", state.state, state.reason_words()), said.trim());
        assert!(connection.is_active(&domain).unwrap());
        assert!(connection.is_persistent(&domain).unwrap());
        assert!(!connection.is_updated(&domain).unwrap());
        let info = connection.domain_info(&domain).unwrap();
        assert_eq!((info.state, info.max_memory_kib, info.vcpus), (DomainState::Running, 8192, 1));
        for (flags, option) in [(XmlFlags::NONE, None), (XmlFlags::INACTIVE, Some("--inactive")), (XmlFlags::MIGRATABLE, Some("--migratable"))] {
            let said: Vec<&str> = ["dumpxml", "a"].into_iter().chain(option).collect();
            let text = connection.domain_xml(&domain, flags).unwrap();
            assert_eq!(text.trim(), host.virsh(&said).trim());
            let facts = xml::domain(&text).unwrap();
            assert_eq!((facts.name.as_str(), facts.uuid), ("a", Some(domain.uuid)));
            assert_eq!((facts.memory_kib, facts.vcpus), (8192, 1));
            assert!(facts.machine.starts_with("pc-i440fx-"), "defining resolves {}", facts.machine);
            assert_eq!(facts.disks[0].cache.as_deref(), Some("none"));
        }
        assert_eq!(connection.block_info(&domain, "vda").unwrap().capacity, 1 << 20);

        connection.suspend_domain(&domain).unwrap();
        let state = connection.domain_state(&domain).unwrap();
        assert_eq!((state.state, state.reason), (DomainState::Paused, reason::PAUSED_USER));
        connection.resume_domain(&domain).unwrap();
        assert_eq!(connection.domain_state(&domain).unwrap().reason, reason::RUNNING_UNPAUSED);
        assert_eq!(connection.job_stats(&domain, JobStatsFlags::NONE).unwrap().kind, JobKind::None);
        assert_eq!(connection.job_info(&domain).unwrap().kind, JobKind::None);

        connection.managed_save(&domain, SaveFlags::NONE).unwrap();
        assert!(connection.has_managed_save(&domain).unwrap());
        assert_eq!(connection.domain_state(&domain).unwrap().reason, reason::SHUTOFF_SAVED);
        assert_eq!(connection.domains(DomainFilter::MANAGED_SAVE).unwrap().len(), 1);
        connection.start_domain(&domain, StartFlags::NONE).unwrap();
        assert_eq!(connection.domain_state(&domain).unwrap().reason, reason::RUNNING_RESTORED);
        assert!(!connection.has_managed_save(&domain).unwrap());
        connection.managed_save(&domain, SaveFlags::NONE).unwrap();
        connection.remove_managed_save(&domain).unwrap();
        assert!(!connection.has_managed_save(&domain).unwrap());

        connection.start_domain(&domain, StartFlags::PAUSED).unwrap();
        connection.destroy_domain(&domain, DestroyFlags::NONE).unwrap();
        assert_eq!(connection.domain_state(&domain).unwrap().reason, reason::SHUTOFF_DESTROYED);
        assert!(!connection.autostart(&domain).unwrap());
        connection.set_autostart(&domain, true).unwrap();
        assert!(connection.autostart(&domain).unwrap());
        assert!(host.virsh(&["dominfo", "a"]).lines().any(|line| line.starts_with("Autostart:") && line.ends_with("enable")));
        connection.undefine_domain(&domain, UndefineFlags::MANAGED_SAVE).unwrap();
        let error = connection.domain_state(&domain).unwrap_err();
        assert!(error.is_no_domain(), "{error:?}");
        assert_eq!(connection.domains(DomainFilter::ALL).unwrap(), []);
    }
}

fabric_test! {
    fn metadata_is_kept_and_taken_away(fabric) {
        let mut fabric = fabric;
        let (host, connection, domain) = with_guest(&mut fabric);
        let ours = MetadataKind::Element { prefix: "lb".to_owned(), namespace: "https://lifeboat.example/1".to_owned() };
        assert_eq!(connection.metadata(&domain, &ours, Affect::CONFIG).unwrap(), None);
        connection.set_metadata(&domain, &ours, Some("<host drained='yes'/>"), Affect::CONFIG).unwrap();
        connection.set_metadata(&domain, &MetadataKind::Title, Some("ein Gast – ü"), Affect::CONFIG).unwrap();
        assert_eq!(connection.metadata(&domain, &ours, Affect::CONFIG).unwrap().unwrap().trim(), r#"<host drained="yes"/>"#);
        assert_eq!(connection.metadata(&domain, &MetadataKind::Title, Affect::CONFIG).unwrap().unwrap(), "ein Gast – ü");
        assert_eq!(host.virsh(&["desc", "a", "--title", "--config"]).trim(), "ein Gast – ü");
        let facts = xml::domain(&connection.domain_xml(&domain, XmlFlags::NONE).unwrap()).unwrap();
        assert_eq!(facts.metadata, ["https://lifeboat.example/1"]);
        connection.set_metadata(&domain, &ours, None, Affect::CONFIG).unwrap();
        assert_eq!(connection.metadata(&domain, &ours, Affect::CONFIG).unwrap(), None);
    }
}

fabric_test! {
    fn errors_keep_the_daemons_code(fabric) {
        let mut fabric = fabric;
        let (_host, connection, domain) = with_guest(&mut fabric);
        let nobody = Uuid::from_bytes([7; 16]);
        let codes = [
            connection.domain_by_name("nobody").unwrap_err().code(),
            connection.domain_by_uuid(&nobody).unwrap_err().code(),
            connection.define_domain("<domain", DefineFlags::NONE).unwrap_err().code(),
            connection.suspend_domain(&domain).unwrap_err().code(),
            connection.abort_job(&domain).unwrap_err().code(),
            connection.network_by_name("nowhere").unwrap_err().code(),
            connection.storage_pool_by_name("nowhere").unwrap_err().code(),
            connection.volume_by_path("/nowhere").unwrap_err().code(),
        ];
        assert_eq!(
            codes,
            [
                Some(ErrorCode::NO_DOMAIN),
                Some(ErrorCode::NO_DOMAIN),
                Some(ErrorCode::XML_DETAIL),
                Some(ErrorCode::OPERATION_INVALID),
                Some(ErrorCode::OPERATION_INVALID),
                Some(ErrorCode::NO_NETWORK),
                Some(ErrorCode::NO_STORAGE_POOL),
                Some(ErrorCode::NO_STORAGE_VOL),
            ]
        );
        let error = connection.domain_by_name("nobody").unwrap_err();
        assert_eq!(error.remote().unwrap().message, "Domain not found: no domain with matching name 'nobody'");
        // The connection goes on after errors.
        assert_eq!(connection.hostname().unwrap(), "h1");
        let sends_no_nul = connection.domain_by_name("a\0b").unwrap_err();
        assert!(sends_no_nul.to_string().contains("cannot be sent"), "{sends_no_nul}");
    }
}

fabric_test! {
    fn networks_pools_volumes_and_devices_are_what_virsh_says(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let connection = host.connect();
        let networks = connection.networks(NetworkFilter::NONE).unwrap();
        assert_eq!(networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["default"]);
        let network = connection.network_by_name("default").unwrap();
        assert_eq!(network, networks[0]);
        let text = connection.network_xml(&network).unwrap();
        assert_eq!(text.trim(), host.virsh(&["net-dumpxml", "default"]).trim());
        let facts = xml::network(&text).unwrap();
        assert_eq!((facts.name.as_str(), facts.uuid, facts.forward.as_deref()), ("default", Some(network.uuid), Some("nat")));
        assert_eq!(facts.ips, ["192.168.122.1/255.255.255.0"]);
        assert!(!connection.network_is_active(&network).unwrap());
        assert!(connection.network_is_persistent(&network).unwrap());
        assert!(!connection.network_autostart(&network).unwrap());

        let images = fabric.images();
        host.virsh(&["pool-create-as", "images", "dir", "--target", images.to_str().unwrap()]);
        let pool = connection.storage_pool_by_name("images").unwrap();
        assert_eq!(connection.storage_pools(PoolFilter::ACTIVE).unwrap(), std::slice::from_ref(&pool));
        assert_eq!(connection.storage_pool_by_target_path(images.to_str().unwrap()).unwrap(), pool);
        let info = connection.storage_pool_info(&pool).unwrap();
        assert_eq!(info.state, PoolState::Running);
        let text = connection.storage_pool_xml(&pool).unwrap();
        let facts = xml::storage_pool(&text).unwrap();
        assert_eq!((facts.kind.as_str(), facts.target_path.as_deref()), ("dir", images.to_str()));
        assert_eq!(facts.capacity, info.capacity);
        assert!(connection.storage_pool_is_active(&pool).unwrap());
        assert!(!connection.storage_pool_autostart(&pool).unwrap());
        assert_eq!(connection.volumes(&pool).unwrap(), []);
        let volume = "<volume><name>v</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/></target></volume>";
        let volume = connection.create_volume(&pool, volume, VolumeCreateFlags::NONE).unwrap();
        connection.refresh_storage_pool(&pool).unwrap();
        assert_eq!(connection.volumes(&pool).unwrap(), std::slice::from_ref(&volume));
        let path = images.join("v");
        assert_eq!(connection.volume_path(&volume).unwrap(), path.to_str().unwrap());
        assert_eq!(connection.volume_by_path(path.to_str().unwrap()).unwrap(), volume);
        assert_eq!(connection.volume_by_name(&pool, "v").unwrap(), volume);
        let info = connection.volume_info(&volume).unwrap();
        assert_eq!((info.kind, info.capacity), (VolumeKind::File, 4 << 20));
        let facts = xml::volume(&connection.volume_xml(&volume).unwrap()).unwrap();
        assert_eq!((facts.format.as_deref(), facts.capacity), (Some("qcow2"), 4 << 20));
        connection.delete_volume(&volume).unwrap();
        assert!(!path.exists());

        let devices = connection.node_devices(NodeDeviceFilter::NONE).unwrap();
        let mut names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        let said = host.virsh(&["nodedev-list"]);
        let mut all: Vec<&str> = said.split_whitespace().collect();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
        let device = devices.iter().find(|device| device.name == "computer").unwrap();
        assert_eq!(connection.node_device_xml(device).unwrap().trim(), host.virsh(&["nodedev-dumpxml", "computer"]).trim());
    }
}

fabric_test! {
    fn checkpoints_survive_as_xml_and_are_redefined(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let images = fabric.images();
        let (raw, disk) = (images.join("a.img"), images.join("a.qcow2"));
        guest::disk(&raw);
        crate::fabric::shell(&format!("qemu-img convert -O qcow2 {} {}", raw.display(), disk.display()));
        let text = guest::xml("a", 1, &disk).replace("type='raw'", "type='qcow2'");
        let connection = host.connect();
        let domain = connection.define_domain(&text, DefineFlags::NONE).unwrap();
        connection.start_domain(&domain, StartFlags::NONE).unwrap();
        let one = |name: &str| format!("<domaincheckpoint><name>{name}</name></domaincheckpoint>");
        connection.create_checkpoint(&domain, &one("c1"), CheckpointFlags::NONE).unwrap();

        // A pull backup that also makes a checkpoint; its end is an abort.
        let scratch = images.join("scratch");
        let socket = host.base.join("run/backup.sock");
        let backup = format!(
            "<domainbackup mode='pull'><incremental>c1</incremental><server transport='unix' socket='{}'/>
               <disks><disk name='vda' backup='yes' type='file'><scratch file='{}'/></disk></disks></domainbackup>",
            socket.display(),
            scratch.display()
        );
        connection.backup_begin(&domain, &backup, Some(&one("c2")), lifeboat_libvirt::BackupFlags::NONE).unwrap();
        assert!(connection.backup_xml(&domain).unwrap().contains("<incremental>c1</incremental>"));
        let stats = connection.job_stats(&domain, JobStatsFlags::NONE).unwrap();
        assert_eq!(stats.operation(), Some(lifeboat_libvirt::JobOperation::Backup));
        connection.abort_job(&domain).unwrap();
        let error = crate::fabric::until("the backup to end", || connection.backup_xml(&domain).err());
        assert_eq!(error.code(), Some(ErrorCode::NO_DOMAIN_BACKUP));

        let all = connection.checkpoints(&domain).unwrap();
        assert_eq!(all.iter().map(|checkpoint| checkpoint.name.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
        assert_eq!(host.virsh(&["checkpoint-list", "a", "--name", "--topological"]).split_whitespace().collect::<Vec<_>>(), ["c1", "c2"]);
        let kept: Vec<String> =
            all.iter().map(|one| connection.checkpoint_xml(one, CheckpointXmlFlags::NONE).unwrap()).collect();
        for checkpoint in all.iter().rev() {
            connection.delete_checkpoint(checkpoint, lifeboat_libvirt::CheckpointDeleteFlags::METADATA_ONLY).unwrap();
        }
        assert_eq!(connection.checkpoints(&domain).unwrap(), []);
        for text in &kept {
            let flags = CheckpointFlags::REDEFINE | CheckpointFlags::REDEFINE_VALIDATE;
            connection.create_checkpoint(&domain, text, flags).unwrap();
        }
        assert_eq!(connection.checkpoints(&domain).unwrap().len(), 2);
        let short = connection.with_timeout(Duration::from_secs(20));
        let error = short.freeze_filesystems(&domain, &[]).unwrap_err();
        assert!(error.remote().unwrap().message.contains("guest agent is not configured"), "{error:?}");
        let error = short.thaw_filesystems(&domain, &["/"]).unwrap_err();
        assert!(error.remote().is_some(), "{error:?}");
    }
}
