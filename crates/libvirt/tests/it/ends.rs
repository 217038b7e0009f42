//! Connections that end, hang, or are full.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use lifeboat_libvirt::{
    CloseReason, ConnectOptions, Connection, DefineFlags, DomainFilter, Error, Event, EventKind, Keepalive,
    MigrateFlags, Migration, StartFlags,
};

use crate::fabric::{Fabric, PATIENCE, fabric_test, guest, until};

fn options(keepalive: Option<Keepalive>) -> ConnectOptions {
    ConnectOptions { keepalive, ..ConnectOptions::default() }
}

fabric_test! {
    fn a_killed_daemon_fails_what_waits_and_a_new_connection_works(fabric) {
        let mut fabric = fabric;
        let (host, _other) = (fabric.host(), fabric.host());
        let disk = fabric.images().join("a.img");
        guest::disk(&disk);
        let connection = host.connect();
        let domain = connection.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
        let domain = connection.start_domain(&domain, StartFlags::NONE).unwrap();
        guest::wait_until_it_writes(&disk);
        let events = connection.subscribe(&[EventKind::JobCompleted]).unwrap();
        connection.set_max_downtime(&domain, Duration::from_millis(1)).unwrap();
        let mut migration = Migration::to("qemu+tcp://h2/system").with_flags(MigrateFlags::UNSAFE);
        migration.params.bandwidth_mib = Some(1);
        let call = connection.begin_migration(&domain, &migration).unwrap();
        assert!(call.wait(Duration::from_millis(300)).is_none());

        let begin = Instant::now();
        host.signal("libvirtd", "KILL");
        let error = call.wait(PATIENCE).unwrap().unwrap_err();
        println!("known after {:?}: {error}", begin.elapsed());
        assert!(matches!(&error, Error::Lost { reason: CloseReason::Ended { .. }, .. }), "{error:?}");
        assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Closed(CloseReason::Ended { .. })));
        assert_eq!(events.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        assert!(!connection.is_open());
        let error = connection.hostname().unwrap_err();
        assert!(error.is_lost(), "{error:?}");

        let again = until("the daemon to come back", || Connection::open(&host.unix()).ok());
        assert_eq!(again.domain_by_name("a").unwrap(), domain, "the guest has the same id: it was not restarted");
        assert_eq!(again.domains(DomainFilter::RUNNING).unwrap().len(), 1);
    }
}

fabric_test! {
    fn a_daemon_that_hangs_is_noticed(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let keepalive = Keepalive { interval: Duration::from_millis(200), misses: 3 };
        let watched = Connection::open_with(&host.unix(), &options(Some(keepalive))).unwrap();
        let patient = Connection::open_with(&host.unix(), &options(None)).unwrap();
        host.signal("libvirtd", "STOP");
        let begin = Instant::now();
        let error = patient.with_timeout(Duration::from_millis(300)).hostname().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        let error = watched.hostname().unwrap_err();
        println!("known after {:?}: {error}", begin.elapsed());
        assert!(matches!(&error, Error::Lost { reason: CloseReason::KeepaliveLost { .. }, .. }), "{error:?}");
        assert!(begin.elapsed() < Duration::from_secs(10));
        // The one that waits patiently gets its answers, also after one that came too late.
        host.signal("libvirtd", "CONT");
        assert_eq!(patient.hostname().unwrap(), "h1");
    }
}

fabric_test! {
    fn questions_of_the_daemon_are_answered(fabric) {
        let mut fabric = fabric;
        Fabric::with_settings("keepalive_interval = 1\nkeepalive_count = 1\n");
        let host = fabric.host();
        // This side asks nothing for a minute, so only its answers keep the daemon from closing.
        let keepalive = Keepalive { interval: Duration::from_secs(60), misses: 1 };
        let connection = Connection::open_with(&host.unix(), &options(Some(keepalive))).unwrap();
        let events = connection.subscribe(&[EventKind::Lifecycle]).unwrap();
        assert_eq!(events.recv_timeout(Duration::from_secs(6)), Err(RecvTimeoutError::Timeout));
        assert!(connection.is_open());
        assert_eq!(connection.hostname().unwrap(), "h1");
    }
}

fabric_test! {
    fn calls_wait_for_a_place(fabric) {
        let mut fabric = fabric;
        let (host, _other) = (fabric.host(), fabric.host());
        let disk = fabric.images().join("a.img");
        guest::disk(&disk);
        let options = ConnectOptions { calls_at_once: 1, ..ConnectOptions::default() };
        let connection = Connection::open_with(&host.unix(), &options).unwrap();
        let domain = connection.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
        connection.start_domain(&domain, StartFlags::NONE).unwrap();
        guest::wait_until_it_writes(&disk);
        connection.set_max_downtime(&domain, Duration::from_millis(1)).unwrap();
        let mut migration = Migration::to("qemu+tcp://h2/system").with_flags(MigrateFlags::UNSAFE);
        migration.params.bandwidth_mib = Some(1);
        let call = connection.begin_migration(&domain, &migration).unwrap();
        let error = connection.with_timeout(Duration::from_millis(200)).hostname().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        // Nobody waits for it any more, and its place is still taken.
        drop(call);
        let error = connection.with_timeout(Duration::from_millis(200)).hostname().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        let second = host.connect();
        let waiting = { let connection = connection.clone(); std::thread::spawn(move || connection.hostname()) };
        until("the abort to be taken", || second.abort_job(&domain).ok());
        assert_eq!(waiting.join().unwrap().unwrap(), "h1");
    }
}

fabric_test! {
    fn calls_that_hang_do_not_cost_the_connection(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let disk = fabric.images().join("a.img");
        guest::disk(&disk);
        let setup = host.connect();
        let domain = setup.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
        setup.start_domain(&domain, StartFlags::NONE).unwrap();
        // Every question to this guest hangs in the daemon now.
        host.signal("qemu-system-x86", "STOP");
        let ask = |calls_at_once| {
            let keepalive = Some(Keepalive { interval: Duration::from_millis(300), misses: 4 });
            let options = ConnectOptions { keepalive, calls_at_once, ..ConnectOptions::default() };
            let connection = Connection::open_with(&host.unix(), &options).unwrap();
            let threads: Vec<_> = (0..6)
                .map(|_| {
                    let (connection, domain) = (connection.clone(), domain.clone());
                    std::thread::spawn(move || connection.block_info(&domain, "vda"))
                })
                .collect();
            (connection, threads)
        };
        let (careful, answers) = ask(ConnectOptions::default().calls_at_once);
        let (greedy, losses) = ask(6);
        for loss in losses {
            let error = loss.join().unwrap().unwrap_err();
            assert!(matches!(&error, Error::Lost { reason: CloseReason::KeepaliveLost { .. }, .. }), "{error:?}");
        }
        assert!(!greedy.is_open(), "a daemon reads nothing from a client with five calls");
        assert!(careful.is_open());
        host.signal("qemu-system-x86", "CONT");
        for answer in answers {
            assert_eq!(answer.join().unwrap().unwrap().capacity, 1 << 20);
        }
    }
}

fabric_test! {
    fn the_last_handle_ends_the_connection(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let connection = host.connect();
        let events = connection.subscribe(&[EventKind::Lifecycle]).unwrap();
        let other = connection.clone();
        drop(connection);
        assert!(other.is_open());
        drop(other);
        assert_eq!(events.recv_timeout(PATIENCE), Ok(Event::Closed(CloseReason::Asked)));
    }
}
