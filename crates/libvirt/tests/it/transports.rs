//! Local socket, TCP, TLS and SSH to real daemons and a real SSH server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use lifeboat_libvirt::{
    Affect, ConnectError, ConnectOptions, Connection, DefineFlags, DomainFilter, Error, ErrorCode,
    MetadataKind, MigrateFlags, Migration, StartFlags, Uri, XmlFlags,
};

use crate::fabric::{Fabric, Host, fabric_test, guest, shell, until};

fn open(uri: &str) -> Result<Connection, Error> {
    Connection::open(&Uri::parse(uri).unwrap())
}

fn refused(uri: &str) -> ConnectError {
    match open(uri).unwrap_err() {
        Error::Connect { uri: told, source } => {
            assert_eq!(told, uri);
            source
        }
        other => panic!("{other:?}"),
    }
}

/// What a person would read, with causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        all = format!("{all}: {error}");
        cause = error.source();
    }
    all
}

/// Small and big calls in both directions.
fn try_out(connection: &Connection, host: &Host, fabric: &mut Fabric) {
    let begin = Instant::now();
    for _ in 0..200 {
        assert_eq!(connection.hostname().unwrap(), host.name);
    }
    println!("{}: {:?} a call", connection.uri(), begin.elapsed() / 200);
    assert_eq!(connection.capabilities().unwrap().trim(), host.virsh(&["capabilities"]).trim());
    let disk = fabric.images().join("a.img");
    guest::disk(&disk);
    let domain = connection.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
    let long = "0123456789".repeat(100_000);
    connection.set_metadata(&domain, &MetadataKind::Description, Some(&long), Affect::CONFIG).unwrap();
    let kept = connection.metadata(&domain, &MetadataKind::Description, Affect::CONFIG).unwrap().unwrap();
    assert!(kept == long, "{} of {} bytes came back", kept.len(), long.len());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (connection, domain) = (connection.clone(), domain.clone());
            std::thread::spawn(move || connection.domain_xml(&domain, XmlFlags::NONE).unwrap().len())
        })
        .collect();
    let sizes: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(sizes.iter().all(|size| *size == sizes[0] && *size > long.len()), "{sizes:?}");
    connection.undefine_domain(&domain, lifeboat_libvirt::UndefineFlags::NONE).unwrap();
}

fabric_test! {
    fn unix_and_tcp_carry_calls_of_any_size(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        try_out(&host.connect(), &host, &mut fabric);
        try_out(&open("qemu+tcp://h1/system").unwrap(), &host, &mut fabric);
        try_out(&open("qemu+tcp://10.77.0.11:16509/system").unwrap(), &host, &mut fabric);
        let nobody = refused("qemu+tcp://h1:16510/system");
        assert!(matches!(nobody, ConnectError::Tcp { port: 16510, .. }), "{nobody:?}");
        let nobody = refused("qemu+tcp://h9/system");
        assert!(matches!(nobody, ConnectError::Name { .. }), "{nobody:?}");
        let nobody = refused("qemu+unix:///system?socket=/nowhere");
        assert!(words(&nobody).contains("is libvirtd (or virtqemud) running?"), "{nobody:?}");
        // A driver that this daemon has not.
        let other = refused("bhyve+tcp://h1/system");
        assert!(matches!(other, ConnectError::Refused(_)), "{other:?}");
    }
}

fabric_test! {
    fn a_read_only_connection_changes_nothing(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let uri = format!("qemu+unix:///system?socket={}-ro", host.socket().display());
        let options = ConnectOptions { read_only: true, ..ConnectOptions::default() };
        let connection = Connection::open_with(&Uri::parse(&uri).unwrap(), &options).unwrap();
        assert_eq!(connection.domains(DomainFilter::ALL).unwrap(), []);
        let error = connection.define_domain(&guest::xml("a", 1, Path::new("/a")), DefineFlags::NONE).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::OPERATION_DENIED), "{error:?}");
    }
}

fabric_test! {
    fn a_daemon_that_asks_for_a_password_is_refused_with_the_way_out(fabric) {
        let mut fabric = fabric;
        Fabric::with_settings("auth_tcp = \"sasl\"\n");
        let _host = fabric.host();
        let error = refused("qemu+tcp://h1/system");
        assert!(matches!(error, ConnectError::Authentication { .. }), "{error:?}");
        assert!(words(&error).contains("SASL") && words(&error).contains("use SSH"), "{error}");
    }
}

fabric_test! {
    fn tls_checks_both_sides(fabric) {
        let mut fabric = fabric;
        fabric.with_pki();
        let (host, other) = (fabric.host(), fabric.host());
        let client = Fabric::path("client");
        Fabric::certify("controller", "10.77.0.254", &client);
        let with = |host: &str, folder: &Path| format!("qemu+tls://{host}/system?pkipath={}", folder.display());
        let connection = open(&with("h1", &client)).unwrap();
        try_out(&connection, &host, &mut fabric);
        assert_eq!(open(&with("10.77.0.11", &client)).unwrap().hostname().unwrap(), "h1");
        assert_eq!(open(&with("h2:16514", &client)).unwrap().hostname().unwrap(), "h2");

        // Another name than the certificate has.
        let error = refused(&with("alias", &client));
        assert!(matches!(error, ConnectError::Tls { .. }) && words(&error).contains("not valid for name"), "{}", words(&error));
        assert_eq!(open(&format!("{}&no_verify=1", with("alias", &client))).unwrap().hostname().unwrap(), "h1");
        // A client without a certificate.
        let bare = Fabric::path("bare");
        fs::create_dir_all(&bare).unwrap();
        fs::copy(client.join("cacert.pem"), bare.join("cacert.pem")).unwrap();
        let error = refused(&with("h1", &bare));
        assert!(matches!(error, ConnectError::NotAdmitted { .. }), "{error:?}");
        println!("{}", words(&error));
        // A key without its certificate.
        fs::copy(client.join("clientkey.pem"), bare.join("clientkey.pem")).unwrap();
        let error = refused(&with("h1", &bare));
        assert!(words(&error).contains("clientcert.pem is not"), "{}", words(&error));
        // A certificate of another authority; and one that does not trust the daemon's.
        fabric.with_pki();
        let stranger = Fabric::path("stranger");
        Fabric::certify("stranger", "10.77.0.254", &stranger);
        let error = refused(&with("h1", &stranger));
        assert!(matches!(error, ConnectError::Tls { .. }) && words(&error).contains("UnknownIssuer"), "{}", words(&error));
        fs::copy(client.join("cacert.pem"), stranger.join("cacert.pem")).unwrap();
        let error = refused(&with("h1", &stranger));
        assert!(matches!(error, ConnectError::NotAdmitted { .. }), "{error:?}");
        println!("{}", words(&error));
        let error = refused("qemu+tls://h1/system?pkipath=/nowhere");
        assert!(words(&error).contains("/nowhere/cacert.pem"), "{}", words(&error));

        // The hosts reach each other by their own certificates.
        let disk = fabric.images().join("m.img");
        guest::disk(&disk);
        let domain = connection.define_domain(&guest::xml("m", 3, &disk), DefineFlags::NONE).unwrap();
        connection.start_domain(&domain, StartFlags::NONE).unwrap();
        let flags = MigrateFlags::UNSAFE | MigrateFlags::TUNNELLED;
        connection.migrate(&domain, &Migration::to("qemu+tls://h2/system").with_flags(flags)).unwrap();
        assert_eq!(other.virsh(&["domstate", "m"]).trim(), "running");
    }
}

fabric_test! {
    fn ssh_carries_calls_and_tells_why_it_does_not(fabric) {
        let mut fabric = fabric;
        fabric.with_ssh();
        let host = fabric.host();
        let home = Fabric::path("home");
        let base = |user: &str, key: &str, hosts: &str| {
            format!(
                "qemu+ssh://{user}@h1:2222/system?keyfile={home}/{key}&known_hosts={home}/{hosts}",
                home = home.display()
            )
        };
        let good = base("root", "key", "known_hosts");
        let connection = open(&good).unwrap();
        try_out(&connection, &host, &mut fabric);
        drop(connection);
        until("ssh to be gone", || (processes("ssh") == 0).then_some(()));

        shell(&format!("cd {} && ssh-keygen -q -t ed25519 -N '' -f other && touch none", home.display()));
        let error = refused(&base("root", "other", "known_hosts"));
        assert!(words(&error).contains("Permission denied"), "{}", words(&error));
        let error = refused(&base("root", "key", "none"));
        assert!(words(&error).contains("Host key verification failed"), "{}", words(&error));
        let error = refused(&format!("{good}&command=/nowhere/ssh"));
        assert!(matches!(error, ConnectError::Command { .. }), "{error:?}");
        let error = refused(&format!("{good}&netcat=/nowhere/nc"));
        assert!(matches!(error, ConnectError::Ended { .. }), "{error:?}");
        println!("{}", words(&error));
        until("ssh to be gone", || (processes("ssh") == 0).then_some(()));

        // A host without libvirt's helper: any program that joins its pipes with the socket.
        if Path::new("/usr/bin/socat").exists() {
            let netcat = Fabric::path("nc");
            fs::write(&netcat, "#!/bin/sh\n[ \"$1\" = -q ] && exit 1\n[ \"$1\" = -U ] && exec socat - \"UNIX-CONNECT:$2\"\n").unwrap();
            fs::set_permissions(&netcat, fs::Permissions::from_mode(0o755)).unwrap();
            let connection = open(&format!("{good}&netcat={}", netcat.display())).unwrap();
            assert_eq!(connection.hostname().unwrap(), "h1");
        } else {
            let reason = "/usr/bin/socat is missing, so netcat was not tried; install socat";
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
            println!("skipped: {reason}");
        }
    }
}

/// How many processes of this name are in the fabric.
fn processes(name: &str) -> usize {
    let all = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("comm")).ok());
    all.filter(|comm| comm.trim() == name).count()
}
