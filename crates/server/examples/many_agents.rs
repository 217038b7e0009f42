//! Measures one `lifeboatd` with many agents: simulated ones, in this process, each with a certificate of its own and a
//! connection of its own over mutual TLS.
//!
//! `cargo build --release -p lifeboat-server --bins --example many_agents && target/release/examples/many_agents 1000`
//!
//! Prints how long all took to come, the latency of commands (from the order until its outcome is an event at the
//! program that ordered) one at a time and all at once, and the memory of `lifeboatd` per agent.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_model::agent::{
    AGENT_PROTOCOL, AgentCommand, AgentMessage, AgentOutcome, AgentStatus, ControllerMessage, HostKind,
};
use lifeboat_model::{Bank, Mib, Millis};
use lifeboat_wire::{
    EnrolToken, Heard, HostKey, HubAnswer, HubClient, HubEventKind, HubRequest, Identity, Order,
    first_contact_config, host_config,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn main() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let count: usize = std::env::args().nth(1).map_or(1000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let mut hub = HubClient::connect(&folder.path().join("socket")).unwrap();
    let names: Vec<String> = (0..count).map(|at| format!("host-{at:04}")).collect();
    let tokens: Vec<EnrolToken> = names.iter().map(|name| token(&mut hub, name)).collect();
    let before = daemon.rss_kib();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let begin = Instant::now();
    let identities: Vec<Identity> = runtime.block_on(async {
        let (mut tasks, mut identities) = (Vec::new(), Vec::new());
        for (name, token) in names.iter().zip(tokens) {
            let (address, pki) = (daemon.address.clone(), folder.path().join("pki").join(name));
            tasks.push(tokio::spawn(async move { enrol(&address, &token, &pki).await }));
            // People enrol hosts one after the other; fifty at a time is a lot.
            if tasks.len() % 50 == 0 {
                for task in tasks.drain(..) {
                    identities.push(task.await.unwrap());
                }
            }
        }
        for task in tasks {
            identities.push(task.await.unwrap());
        }
        identities
    });
    println!("{count} enrolments: {:.2?}", begin.elapsed());
    hub.watch().unwrap();
    let begin = Instant::now();
    for (name, identity) in names.iter().zip(identities) {
        let (address, name) = (daemon.address.clone(), name.clone());
        runtime.spawn(async move { agent(&address, &name, &identity).await });
    }
    while hub.hosts().unwrap().iter().filter(|host| host.connected_since.is_some()).count() < count {
        assert!(begin.elapsed() < Duration::from_secs(120), "not all came");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{count} connections: {:.2?}", begin.elapsed());
    std::thread::sleep(Duration::from_secs(2));
    let idle = daemon.rss_kib();
    println!(
        "lifeboatd: {before} KiB before, {idle} KiB with {count} idle agents: {} KiB each",
        idle.saturating_sub(before) / count as u64
    );
    let one_by_one: Vec<Duration> = names
        .iter()
        .map(|name| {
            let begin = Instant::now();
            hub.order(order(name, "one")).unwrap();
            outcomes(&mut hub, 1);
            begin.elapsed()
        })
        .collect();
    tell("commands one at a time", one_by_one);
    let begin = Instant::now();
    hub.order_all(names.iter().map(|name| order(name, "all")).collect()).unwrap();
    let all: Vec<Duration> = outcomes(&mut hub, count).into_iter().map(|at| at - begin).collect();
    tell("commands for all at once", all);
    println!("lifeboatd: {} KiB at the end", daemon.rss_kib());
}

fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!("{what}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}", at(50), at(99), took[took.len() - 1]);
}

fn order(host: &str, key: &str) -> Order {
    Order { host: host.to_owned(), key: key.to_owned(), fence: None, command: AgentCommand::SaveState }
}

/// When each of `count` outcomes was heard.
fn outcomes(hub: &mut HubClient, count: usize) -> Vec<Instant> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match hub.next_event(Duration::from_secs(30)).unwrap() {
            Some(Heard::Event(event)) => {
                if matches!(event.what, HubEventKind::Outcome { .. }) {
                    heard.push(Instant::now());
                }
            }
            other => panic!("{other:?} after {} outcomes", heard.len()),
        }
    }
    heard
}

fn token(hub: &mut HubClient, host: &str) -> EnrolToken {
    match hub.request(&HubRequest::AddHost { host: host.to_owned(), token_secs: 600 }).unwrap() {
        HubAnswer::Token { token, .. } => token.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Dials; whoever is sent away from a full door comes again after a random pause, as agents do.
async fn dial(address: &str, config: rustls::ClientConfig) -> BufReader<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config));
    loop {
        let name = "localhost".try_into().unwrap();
        if let Ok(socket) = TcpStream::connect(address).await {
            socket.set_nodelay(true).unwrap();
            if let Ok(stream) = connector.connect(name, socket).await {
                return BufReader::with_capacity(1024, stream);
            }
        }
        let millis = 250 + getrandom::u64().unwrap() % 500;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

async fn say(stream: &mut BufReader<TlsStream<TcpStream>>, message: &AgentMessage) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

async fn hear(stream: &mut BufReader<TlsStream<TcpStream>>) -> std::io::Result<ControllerMessage> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

async fn enrol(address: &str, token: &EnrolToken, pki: &Path) -> Identity {
    let key = HostKey::pending(pki).unwrap();
    let mut stream = dial(address, first_contact_config(token.fingerprint).unwrap()).await;
    let (secret, csr) = (token.secret().to_owned(), key.request().unwrap());
    say(&mut stream, &AgentMessage::Enroll { protocol: AGENT_PROTOCOL, token: secret, host: None, csr })
        .await
        .unwrap();
    match hear(&mut stream).await.unwrap() {
        ControllerMessage::Enrolled { certificate, authority, .. } => {
            key.keep(pki, &certificate, Some(&authority)).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn agent(address: &str, name: &str, identity: &Identity) {
    loop {
        // As agents do: whatever ends a connection, it is dialled again.
        let ended = converse(address, name, identity).await;
        eprintln!("{name}: {ended:?}");
    }
}

async fn converse(address: &str, name: &str, identity: &Identity) -> std::io::Result<()> {
    let mut stream = dial(address, host_config(identity).unwrap()).await;
    let status = Box::new(status(name));
    say(&mut stream, &AgentMessage::Hello { protocol: AGENT_PROTOCOL, token: String::new(), status }).await?;
    loop {
        match hear(&mut stream).await? {
            ControllerMessage::Command { key, .. } => {
                let outcome = AgentOutcome::Done { detail: "saved".to_owned() };
                say(&mut stream, &AgentMessage::Outcome { key, outcome }).await?;
            }
            // An agent gives its sign of life as often as the controller.
            ControllerMessage::Alive {} => {
                let status = Box::new(self::status(name));
                say(&mut stream, &AgentMessage::Status { status }).await?;
            }
            ControllerMessage::Welcome { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn status(name: &str) -> AgentStatus {
    AgentStatus {
        host: name.to_owned(),
        boot_id: "5f0c1bd6-45f0-4a61-9d04-6cf1be7ad0b5".to_owned(),
        kind: HostKind::Packages,
        active: Bank::A,
        default: None,
        version: "debian 12, kernel 6.1.0-28-amd64".to_owned(),
        digest: None,
        banks: Vec::new(),
        floor: 0,
        failed: Vec::new(),
        on_trial: false,
        notes: Vec::new(),
        uptime: Millis(1),
        memory: Mib(262_144),
        agent: "0.1.0".to_owned(),
        health: Vec::new(),
        held: None,
        certificate_until: None,
    }
}

struct Daemon {
    process: Child,
    address: String,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let program = program.parent().unwrap().with_file_name("lifeboatd");
        let command = |verb: &str| {
            let mut command = Command::new(&program);
            command.arg("--dir").arg(folder.join("controller")).arg("--socket").arg(folder.join("socket"));
            command.arg(verb).stdout(Stdio::null());
            command
        };
        assert!(command("init").args(["--name", "localhost"]).status().unwrap().success());
        let port = folder.join("port");
        let mut run = command("run");
        let process = run.args(["--listen", "127.0.0.1:0", "--port-file"]).arg(&port).spawn().unwrap();
        let begin = Instant::now();
        let address = loop {
            if let Ok(text) = std::fs::read_to_string(&port)
                && HubClient::connect(&folder.join("socket")).is_ok()
            {
                break text.trim().to_owned();
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "lifeboatd does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { process, address }
    }

    fn rss_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
