//! Recorded conversations with a real daemon: what was said then is said now, and understood.
//!
//! A recording has a line per frame, `>` from the client and `<` from the daemon, in hexadecimal, and `=` lines with what
//! the client made of it. `LIFEBOAT_RECORD=1 cargo test -p lifeboat-libvirt golden` writes them anew.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_libvirt::xdr::Decoder;
use lifeboat_libvirt::{Affect, ResumedWhy, SuspendedWhy};
use lifeboat_libvirt::{
    ConnectOptions, Connection, DefineFlags, DestroyFlags, DomainFilter, Event, EventKind, JobStatsFlags,
    Lifecycle, MetadataKind, MigrateFlags, Migration, NetworkFilter, PoolFilter, StartFlags, StoppedWhy, Uri,
    XmlFlags, xml,
};

use crate::fabric::{PATIENCE, fabric_test, guest};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Daemon,
}

/// A conversation and what was made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) frames: Vec<(From, Vec<u8>)>,
    pub(crate) facts: Vec<String>,
}

impl Recording {
    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(format!("{name}.txt"))
    }

    pub(crate) fn read(name: &str) -> Self {
        let mut recording = Self::default();
        for line in std::fs::read_to_string(Self::path(name)).unwrap().lines() {
            match line.split_at(2) {
                ("> ", hex) => recording.frames.push((From::Client, bytes(hex))),
                ("< ", hex) => recording.frames.push((From::Daemon, bytes(hex))),
                ("= ", fact) => recording.facts.push(fact.to_owned()),
                ("# ", _) => {}
                other => panic!("{other:?}"),
            }
        }
        recording
    }

    fn write(&self, name: &str) {
        let mut text = format!("# libvirt 9.0.0, QEMU 10.0.2: {name}\n");
        for (from, frame) in &self.frames {
            text.push_str(if *from == From::Client { "> " } else { "< " });
            for byte in frame {
                write!(text, "{byte:02x}").unwrap();
            }
            text.push('\n');
        }
        for fact in &self.facts {
            writeln!(text, "= {}", fact.replace('\n', " ")).unwrap();
        }
        std::fs::create_dir_all(Self::path(name).parent().unwrap()).unwrap();
        std::fs::write(Self::path(name), text).unwrap();
    }

    pub(crate) fn questions(&self) -> Vec<&Vec<u8>> {
        self.frames.iter().filter(|(from, _)| *from == From::Client).map(|(_, frame)| frame).collect()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The next frame of a stream, if there is one.
pub(crate) fn frame(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let len = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    frame.resize(len, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// A connection over no keepalive, whose messages would come at any time.
pub(crate) fn open(socket: &Path) -> Result<Connection, lifeboat_libvirt::Error> {
    let uri = Uri::parse(&format!("qemu+unix:///system?socket={}", socket.display())).unwrap();
    let options = ConnectOptions {
        keepalive: None,
        call_timeout: Duration::from_secs(60),
        ..ConnectOptions::default()
    };
    Connection::open_with(&uri, &options)
}

/// Stands between client and daemon and writes down what they say.
struct Recorder {
    socket: PathBuf,
    said: Arc<Mutex<Recording>>,
}

impl Recorder {
    fn start(daemon: PathBuf, folder: &Path) -> Self {
        let (socket, said) = (folder.join("recorder"), Arc::new(Mutex::new(Recording::default())));
        let listener = UnixListener::bind(&socket).unwrap();
        let recording = Arc::clone(&said);
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let daemon = UnixStream::connect(daemon).unwrap();
            let pass = |from: &UnixStream, to: &UnixStream, who: From| {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let recording = Arc::clone(&recording);
                std::thread::spawn(move || {
                    while let Some(frame) = frame(&mut from) {
                        // Written down before it is heard, so that an answer never stands before its question.
                        recording.lock().unwrap().frames.push((who, frame.clone()));
                        to.write_all(&frame).unwrap();
                    }
                    to.shutdown(Shutdown::Both).ok();
                })
            };
            pass(&client, &daemon, From::Client);
            pass(&daemon, &client, From::Daemon);
        });
        Self { socket, said }
    }

    /// Compares with what was recorded, or records.
    fn finish(self, name: &str, facts: Vec<String>) {
        let mut said = self.said.lock().unwrap().clone();
        // The farewell may come through before this looks, or after.
        said.frames.retain(|(_, frame)| frame[12..16] != 2_u32.to_be_bytes());
        said.facts = facts;
        if std::env::var_os("LIFEBOAT_RECORD").is_some() {
            said.write(name);
        }
        let kept = Recording::read(name);
        let (said, kept) = (said.questions(), kept.questions());
        assert_eq!(said.len(), kept.len());
        for (index, (said, kept)) in said.iter().zip(&kept).enumerate() {
            assert_eq!(said, kept, "frame {index} of the client");
        }
    }
}

/// Answers as the recording does, and insists on its questions.
pub(crate) fn replay(recording: &Recording, mut client: UnixStream) {
    for (from, expected) in &recording.frames {
        match from {
            From::Client => {
                let Some(said) = frame(&mut client) else { return };
                assert_eq!(&said, expected, "the client says something else than was recorded");
            }
            From::Daemon => {
                if client.write_all(expected).is_err() {
                    return;
                }
            }
        }
    }
}

/// What a session asks, and what it learns, one line each.
pub(crate) fn session(
    connection: &Connection,
    guest_xml: &str,
    patience: Duration,
) -> Result<Vec<String>, lifeboat_libvirt::Error> {
    let mut facts = Vec::new();
    let mut note = |what: &str, value: &dyn std::fmt::Debug| facts.push(format!("{what}: {value:?}"));
    note("hostname", &connection.hostname()?);
    note("libvirt", &connection.lib_version()?.to_string());
    note("hypervisor", &(connection.hypervisor_type()?, connection.hypervisor_version()?.to_string()));
    note("node", &connection.node_info()?);
    note("memory figures", &connection.memory_stats(None)?.len());
    note("free memory", &(connection.free_memory()? > 0));
    note("models", &connection.cpu_models("x86_64")?);
    note("unknown domain", &connection.domain_by_name("nobody").map_err(|error| error.remote().cloned()));
    let domain = connection.define_domain(guest_xml, DefineFlags::NONE)?;
    note("defined", &domain);
    let kinds = [EventKind::Lifecycle];
    let events = connection.subscribe(&kinds)?;
    note("started", &connection.start_domain(&domain, StartFlags::PAUSED)?);
    note("all", &connection.domains(DomainFilter::ALL)?);
    note("state", &connection.domain_state(&domain)?);
    let info = connection.domain_info(&domain)?;
    note("info", &(info.state, info.max_memory_kib, info.vcpus));
    note("facts", &xml::domain(&connection.domain_xml(&domain, XmlFlags::NONE)?));
    note("job", &connection.job_stats(&domain, JobStatsFlags::NONE)?);
    note("block", &connection.block_info(&domain, "vda")?.capacity);
    connection.resume_domain(&domain)?;
    connection.suspend_domain(&domain)?;
    connection.set_metadata(&domain, &MetadataKind::Title, Some("ü"), Affect::CONFIG)?;
    note("title", &connection.metadata(&domain, &MetadataKind::Title, Affect::CONFIG)?);
    note("description", &connection.metadata(&domain, &MetadataKind::Description, Affect::CONFIG)?);
    connection.destroy_domain(&domain, DestroyFlags::NONE)?;
    note(
        "networks",
        &connection.networks(NetworkFilter::NONE)?.iter().map(|one| &one.name).collect::<Vec<_>>(),
    );
    note("pools", &connection.storage_pools(PoolFilter::NONE)?);
    let mut changes = Vec::new();
    while let Ok(event) = events.recv_timeout(patience) {
        let last =
            matches!(event, Event::Lifecycle { change: Lifecycle::Stopped(StoppedWhy::Destroyed), .. });
        changes.push(event);
        if last {
            break;
        }
    }
    note("changes", &changes);
    Ok(facts)
}

/// The disk's path is in the recording, so it is the same each time; a tmpfs has no direct I/O.
pub(crate) fn guest_xml() -> String {
    guest::xml("a", 1, Path::new("/run/a.img")).replace(" cache='none'", "")
}

fabric_test! {
    fn this_client_says_to_a_real_daemon_what_was_recorded(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        guest::disk(&host.base.join("run/a.img"));
        let recorder = Recorder::start(host.socket(), &fabric.images());
        let connection = open(&recorder.socket).unwrap();
        let facts = session(&connection, &guest_xml(), PATIENCE).unwrap();
        connection.close();
        recorder.finish("session", facts);
    }
}

fabric_test! {
    fn a_migration_is_asked_for_as_was_recorded(fabric) {
        let mut fabric = fabric;
        let (host, _other) = (fabric.host(), fabric.host());
        // Hosts see it at the same place.
        let disk = Path::new("/media/a.img");
        guest::disk(disk);
        let setup = host.connect();
        let domain = setup.define_domain(&guest::xml("a", 1, disk).replace(" cache='none'", ""), DefineFlags::NONE).unwrap();
        setup.start_domain(&domain, StartFlags::NONE).unwrap();
        guest::wait_until_it_writes(disk);
        let recorder = Recorder::start(host.socket(), &fabric.images());
        let connection = open(&recorder.socket).unwrap();
        let facts = migrate(&connection).unwrap();
        connection.close();
        recorder.finish("migration", facts);
    }
}

fabric_test! {
    fn virsh_asks_for_the_same_migration_in_the_same_words(fabric) {
        let mut fabric = fabric;
        let (host, _other) = (fabric.host(), fabric.host());
        let disk = Path::new("/media/a.img");
        guest::disk(disk);
        let setup = host.connect();
        let domain = setup.define_domain(&guest::xml("a", 1, disk).replace(" cache='none'", ""), DefineFlags::NONE).unwrap();
        setup.start_domain(&domain, StartFlags::NONE).unwrap();
        let recorder = Recorder::start(host.socket(), &fabric.images());
        let uri = format!("qemu+unix:///system?socket={}", recorder.socket.display());
        let line = "migrate a qemu+tcp://h2/system tcp://h2 --live --p2p --unsafe --persistent --undefinesource \
                    --auto-converge --auto-converge-initial 20 --bandwidth 512";
        crate::fabric::shell(&format!("virsh -c '{uri}' {line}"));
        let said = recorder.said.lock().unwrap().clone();
        let ours = Recording::read("migration");
        assert_eq!(Asked::of(&said), Asked::of(&ours));
    }
}

/// What a client asks for with `domain-migrate-perform3-params`; parameters in alphabetical order.
#[derive(Debug, PartialEq)]
struct Asked {
    domain: (String, [u8; 16], i32),
    target: Option<String>,
    parameters: Vec<(String, String)>,
    cookie: usize,
    flags: u32,
}

impl Asked {
    fn of(recording: &Recording) -> Self {
        let question = recording.questions().into_iter().find(|frame| frame[12..16] == 305_u32.to_be_bytes());
        let mut from = Decoder::new(&question.unwrap()[28..]);
        let domain = (from.string().unwrap(), from.array("a UUID").unwrap(), from.int().unwrap());
        let target = from.optional(Decoder::string).unwrap();
        let parameter = |from: &mut Decoder<'_>| {
            let name = from.string()?;
            let kind = from.int()?;
            let value = match kind {
                1 => from.int()?.to_string(),
                4 => from.unsigned_hyper()?.to_string(),
                7 => from.string()?,
                other => panic!("type {other}"),
            };
            Ok((name, format!("{kind} {value}")))
        };
        let mut parameters = from.list("parameters", 64, 12, parameter).unwrap();
        parameters.sort();
        let cookie = from.opaque("a cookie", 4096).unwrap().len();
        let flags = from.unsigned().unwrap();
        from.finish().unwrap();
        Self { domain, target, parameters, cookie, flags }
    }
}

fn migrate(connection: &Connection) -> Result<Vec<String>, lifeboat_libvirt::Error> {
    let domain = connection.domain_by_name("a")?;
    let events = connection.subscribe(&EventKind::ALL)?;
    let flags = MigrateFlags::UNSAFE | MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE;
    let mut migration = Migration::to("qemu+tcp://h2/system").with_flags(flags | MigrateFlags::AUTO_CONVERGE);
    migration.params.bandwidth_mib = Some(512);
    migration.params.auto_converge_initial = Some(20);
    migration.params.migrate_uri = Some("tcp://h2".to_owned());
    connection.migrate(&domain, &migration)?;
    let gone = connection.domain_by_name("a").map_err(|error| error.code());
    let mut changes = Vec::new();
    let mut open = ["job", "stopped"].to_vec();
    while !open.is_empty() {
        let event = events.recv_timeout(PATIENCE).unwrap();
        match &event {
            Event::JobCompleted { .. } => open.retain(|one| *one != "job"),
            Event::Lifecycle { change: Lifecycle::Stopped(StoppedWhy::Migrated), .. } => {
                open.retain(|one| *one != "stopped");
            }
            _ => {}
        }
        changes.push(format!("{event:?}"));
    }
    Ok([format!("then: {gone:?}")].into_iter().chain(changes).collect())
}

/// Holds a conversation with a recording.
fn converse<T>(name: &str, talk: impl FnOnce(&Connection) -> T) -> (T, Recording) {
    let recording = Recording::read(name);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("daemon");
    let listener = UnixListener::bind(&socket).unwrap();
    let told = recording.clone();
    let daemon = std::thread::spawn(move || replay(&told, listener.accept().unwrap().0));
    let connection = open(&socket).unwrap();
    let heard = talk(&connection);
    connection.close();
    daemon.join().unwrap();
    (heard, recording)
}

#[test]
fn a_recorded_session_is_understood_as_it_was() {
    let (facts, recording) =
        converse("session", |connection| session(connection, &guest_xml(), PATIENCE).unwrap());
    assert_eq!(facts, recording.facts);
    for change in [
        format!("{:?}", Lifecycle::Resumed(ResumedWhy::Unpaused)),
        format!("{:?}", Lifecycle::Suspended(SuspendedWhy::Paused)),
    ] {
        assert!(facts.last().unwrap().contains(&change), "{change} is not in the events");
    }
}

#[test]
fn a_recorded_migration_is_understood_as_it_was() {
    let (facts, recording) = converse("migration", |connection| migrate(connection).unwrap());
    assert_eq!(facts, recording.facts);
    assert!(facts.iter().any(|fact| fact.contains("JobCompleted") && fact.contains("MigrationOut")
        || fact.contains("\"operation\", Int(5)")));
}
