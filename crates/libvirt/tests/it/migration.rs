//! Migrations between two real hosts.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use lifeboat_libvirt::{
    Connection, DefineFlags, Domain, DomainFilter, DomainState, ErrorCode, Event, EventKind, JobKind,
    JobOperation, JobStatsFlags, Lifecycle, MigrateFlags, Migration, ResumedWhy, StartFlags, StartedHow,
    StoppedWhy, reason,
};

use crate::fabric::{Fabric, Host, PATIENCE, fabric_test, guest, until};

struct Pair {
    from: Host,
    to: Host,
    source: Connection,
    target: Connection,
    images: PathBuf,
}

impl Pair {
    fn new(fabric: &mut Fabric) -> Self {
        let (from, to) = (fabric.host(), fabric.host());
        let (source, target) = (from.connect(), to.connect());
        Self { from, to, source, target, images: fabric.images() }
    }

    fn guest(&self, name: &str, number: u32) -> Domain {
        let disk = self.images.join(format!("{name}.img"));
        guest::disk(&disk);
        let domain = self.source.define_domain(&guest::xml(name, number, &disk), DefineFlags::NONE).unwrap();
        let running = self.source.start_domain(&domain, StartFlags::NONE).unwrap();
        guest::wait_until_it_writes(&disk);
        running
    }

    /// A migration that moves the definition as well; the disk lies on no network file system, so libvirt calls it
    /// unsafe.
    fn migration(&self) -> Migration {
        let flags = MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE | MigrateFlags::UNSAFE;
        Migration::to(self.to.tcp().to_string()).with_flags(flags)
    }

    /// One that does not end by itself: the guest writes 512 KiB over and over, of which 1 KiB goes over in the time
    /// that it may stand still.
    fn endless(&self, domain: &Domain) -> Migration {
        self.source.set_max_downtime(domain, Duration::from_millis(1)).unwrap();
        let mut migration = self.migration();
        migration.params.bandwidth_mib = Some(1);
        migration
    }

    fn assert_moved(&self, domain: &Domain) {
        let error = self.source.domain_state(domain).unwrap_err();
        assert!(error.is_no_domain(), "{error:?}");
        let state = self.target.domain_state(domain).unwrap();
        assert_eq!((state.state, state.reason), (DomainState::Running, reason::RUNNING_MIGRATED));
        assert_eq!(self.to.virsh(&["domstate", &domain.name, "--reason"]).trim(), "running (migrated)");
        assert_eq!(self.from.virsh(&["list", "--all", "--name"]).trim(), "");
        assert!(self.target.is_persistent(domain).unwrap());
    }

    /// Lets an endless one end.
    fn hurry(&self, domain: &Domain) {
        self.source.set_max_downtime(domain, Duration::from_millis(500)).unwrap();
        self.source.set_max_speed(domain, 4096, false).unwrap();
    }

    fn wait_for_memory(&self, domain: &Domain) {
        until("memory to be sent", || {
            let stats = self.source.job_stats(domain, JobStatsFlags::NONE).unwrap();
            stats.memory_processed().filter(|bytes| *bytes > 0)
        });
    }
}

/// Events of a connection, in any order.
struct Events {
    receiver: Receiver<Event>,
    seen: Vec<Event>,
}

impl Events {
    fn of(connection: &Connection) -> Self {
        Self { receiver: connection.subscribe(&EventKind::ALL).unwrap(), seen: Vec::new() }
    }

    /// Waits for one that this takes.
    fn wait<T>(&mut self, take: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.seen.iter().find_map(&take) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(event) => self.seen.push(event),
                Err(error) => panic!("{error}: {:?}", self.seen),
            }
        }
    }

    fn wait_for(&mut self, change: Lifecycle) {
        self.wait(|event| {
            matches!(event, Event::Lifecycle { change: seen, .. } if *seen == change).then_some(())
        });
    }
}

fabric_test! {
    fn a_running_guest_moves_and_events_tell_it(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let (mut here, mut there) = (Events::of(&pair.source), Events::of(&pair.target));
        let domain = pair.guest("a", 1);
        here.wait_for(Lifecycle::Started(StartedHow::Booted));
        let begin = Instant::now();
        pair.source.migrate(&domain, &pair.migration()).unwrap();
        println!("moved in {:?}", begin.elapsed());
        pair.assert_moved(&domain);
        let stats = here.wait(|event| match event {
            Event::JobCompleted { domain, stats } if domain.name == "a" => Some(stats.clone()),
            _ => None,
        });
        println!("downtime {:?}, iterations {:?}", stats.downtime(), stats.memory_iteration());
        assert_eq!(stats.kind, JobKind::Completed);
        assert_eq!(stats.operation(), Some(JobOperation::MigrationOut));
        assert!(stats.downtime().unwrap() > Duration::ZERO);
        assert!(stats.memory_total().unwrap() >= 8 << 20);
        here.wait_for(Lifecycle::Stopped(StoppedWhy::Migrated));
        there.wait_for(Lifecycle::Started(StartedHow::Migrated));
        there.wait_for(Lifecycle::Resumed(ResumedWhy::Migrated));
        // The figures can be asked for once more on the target.
        let after = pair.target.job_stats(&domain, JobStatsFlags::COMPLETED | JobStatsFlags::KEEP_COMPLETED).unwrap();
        assert_eq!((after.kind, after.operation()), (JobKind::Completed, Some(JobOperation::MigrationIn)));
    }
}

fabric_test! {
    fn an_unsafe_migration_is_refused_by_name(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let domain = pair.guest("a", 1);
        let mut migration = pair.migration();
        migration.flags = migration.flags.without(MigrateFlags::UNSAFE);
        let error = pair.source.migrate(&domain, &migration).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::MIGRATE_UNSAFE), "{error:?}");
        assert_eq!(pair.source.domain_state(&domain).unwrap().state, DomainState::Running);
        for target in ["qemu:///system", "qemu+tcp://localhost/system"] {
            let error = pair.source.migrate(&domain, &Migration::to(target)).unwrap_err();
            assert!(error.to_string().contains("source host"), "{error}");
        }
        let error = pair.source.migrate(&domain, &Migration::to("qemu+tcp://h9/system")).unwrap_err();
        assert!(error.remote().is_some(), "{error:?}");
    }
}

fabric_test! {
    fn progress_is_told_and_an_abort_leaves_the_guest(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let domain = pair.guest("a", 1);
        let mut events = Events::of(&pair.source);
        let call = pair.source.begin_migration(&domain, &pair.endless(&domain)).unwrap();
        let iteration = events.wait(|event| match event {
            Event::MigrationIteration { iteration, .. } if *iteration >= 3 => Some(*iteration),
            _ => None,
        });
        assert!(call.wait(Duration::ZERO).is_none(), "it cannot end by itself");
        let stats = pair.source.job_stats(&domain, JobStatsFlags::NONE).unwrap();
        println!("iteration {iteration}: {stats:?}");
        assert_eq!((stats.kind, stats.operation()), (JobKind::Unbounded, Some(JobOperation::MigrationOut)));
        assert!(stats.memory_processed().unwrap() > 0 && stats.memory_dirty_rate().is_some());
        assert!(stats.elapsed().unwrap() > Duration::ZERO);
        let info = pair.source.job_info(&domain).unwrap();
        assert_eq!(info.kind, JobKind::Unbounded);
        assert_eq!(pair.source.max_speed(&domain, false).unwrap(), 1);
        pair.source.set_max_downtime(&domain, Duration::from_millis(120)).unwrap();
        assert_eq!(pair.source.max_downtime(&domain).unwrap(), Duration::from_millis(120));
        pair.source.abort_job(&domain).unwrap();
        let error = call.wait(PATIENCE).unwrap().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::OPERATION_ABORTED), "{error:?}");
        assert_eq!(pair.source.domain_state(&domain).unwrap().state, DomainState::Running);
        assert_eq!(pair.from.virsh(&["domstate", "a"]).trim(), "running");
        assert_eq!(pair.target.domains(DomainFilter::ALL).unwrap(), []);
    }
}

fabric_test! {
    fn a_faster_limit_lets_a_slow_migration_end(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let domain = pair.guest("a", 1);
        let call = pair.source.begin_migration(&domain, &pair.endless(&domain)).unwrap();
        pair.wait_for_memory(&domain);
        assert!(call.wait(Duration::from_millis(500)).is_none());
        pair.hurry(&domain);
        call.wait(PATIENCE).unwrap().unwrap();
        pair.assert_moved(&domain);
    }
}

fabric_test! {
    fn post_copy_ends_what_cannot_converge(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let domain = pair.guest("a", 1);
        let migration = pair.endless(&domain).with_flags(MigrateFlags::POSTCOPY);
        let call = pair.source.begin_migration(&domain, &migration).unwrap();
        pair.wait_for_memory(&domain);
        pair.source.start_post_copy(&domain).unwrap();
        call.wait(PATIENCE).unwrap().unwrap();
        pair.assert_moved(&domain);
    }
}

fabric_test! {
    fn a_migration_goes_on_without_its_client(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let domain = pair.guest("a", 1);
        // A client of its own, so that its end is the end of a connection.
        let client = pair.from.connect();
        let call = client.begin_migration(&domain, &pair.endless(&domain)).unwrap();
        pair.wait_for_memory(&domain);
        client.close();
        let error = call.wait(PATIENCE).unwrap().unwrap_err();
        assert!(error.is_lost(), "{error:?}");
        drop((call, client));
        let stats = pair.source.job_stats(&domain, JobStatsFlags::NONE).unwrap();
        assert_eq!((stats.kind, stats.operation()), (JobKind::Unbounded, Some(JobOperation::MigrationOut)));
        pair.hurry(&domain);
        until("the guest to arrive", || {
            let state = pair.target.domain_state(&domain).ok()?;
            (state.state == DomainState::Running && pair.source.domain_state(&domain).is_err()).then_some(())
        });
        pair.assert_moved(&domain);
    }
}

fabric_test! {
    fn a_guest_that_is_off_is_defined_on_the_target(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let disk = pair.images.join("off.img");
        guest::disk(&disk);
        let domain = pair.source.define_domain(&guest::xml("off", 2, &disk), DefineFlags::NONE).unwrap();
        let mut migration = pair.migration().with_flags(MigrateFlags::OFFLINE);
        migration.flags = migration.flags.without(MigrateFlags::LIVE);
        pair.source.migrate(&domain, &migration).unwrap();
        assert!(pair.source.domain_state(&domain).unwrap_err().is_no_domain());
        assert_eq!(pair.target.domain_state(&domain).unwrap().state, DomainState::Shutoff);
        assert_eq!(pair.to.virsh(&["list", "--inactive", "--name"]).trim(), "off");
    }
}

fabric_test! {
    fn local_disks_go_with_the_guest(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        // A folder that each host has for itself.
        let local = |host: &Host| host.base.join("lib/images");
        for host in [&pair.from, &pair.to] {
            host.virsh(&["pool-define-as", "local", "dir", "--target", "/var/lib/libvirt/images"]);
            std::fs::create_dir_all(local(host)).unwrap();
            host.virsh(&["pool-start", "local"]);
        }
        guest::disk(&local(&pair.from).join("a.img"));
        let text = guest::xml("a", 1, std::path::Path::new("/var/lib/libvirt/images/a.img")).replace(" cache='none'", "");
        let domain = pair.source.define_domain(&text, DefineFlags::NONE).unwrap();
        pair.source.start_domain(&domain, StartFlags::NONE).unwrap();
        assert!(!local(&pair.to).join("a.img").exists());
        let mut migration = pair.migration().with_flags(MigrateFlags::NON_SHARED_DISK | MigrateFlags::AUTO_CONVERGE);
        migration.flags = migration.flags.without(MigrateFlags::UNSAFE);
        migration.params.migrate_disks = vec!["vda".to_owned()];
        migration.params.auto_converge_initial = Some(30);
        migration.params.auto_converge_increment = Some(20);
        pair.source.migrate(&domain, &migration).unwrap();
        pair.assert_moved(&domain);
        assert_eq!(
            std::fs::read(local(&pair.from).join("a.img")).unwrap(),
            std::fs::read(local(&pair.to).join("a.img")).unwrap()
        );
    }
}

fabric_test! {
    fn several_guests_move_at_once_over_several_connections(fabric) {
        let mut fabric = fabric;
        let pair = Pair::new(&mut fabric);
        let guests: Vec<Domain> = (1..=3).map(|number| pair.guest(&format!("g{number}"), number)).collect();
        let mut migration = pair.migration().with_flags(MigrateFlags::PARALLEL);
        migration.params.parallel_connections = Some(2);
        let running: Vec<_> = guests
            .iter()
            .map(|domain| {
                let client = pair.from.connect();
                let call = client.begin_migration(domain, &migration).unwrap();
                (client, call)
            })
            .collect();
        for (_client, call) in &running {
            call.wait(PATIENCE).unwrap().unwrap();
        }
        let mut names: Vec<String> =
            pair.target.domains(DomainFilter::RUNNING).unwrap().into_iter().map(|domain| domain.name).collect();
        names.sort();
        assert_eq!(names, ["g1", "g2", "g3"]);
        assert_eq!(pair.source.domains(DomainFilter::ALL).unwrap(), []);
    }
}
