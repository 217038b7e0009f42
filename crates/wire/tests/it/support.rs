//! Authorities, hosts and a server for the tests.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_model::{HostId, PoolName};
use lifeboat_wire::{
    AGENT_LIFE, Authority, HostKey, Identity, PeerCertificate, Revocations, SERVER_LIFE, ServerKeys, Subject,
    server_config,
};
use rustls::{ServerConnection, Stream};

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn authority(folder: &Path) -> Authority {
    Authority::create(folder, &PoolName::new("pool-1").unwrap(), now()).unwrap()
}

pub(crate) fn enrol(authority: &Authority, folder: &Path, host: &str, at: u64, life: Duration) -> Identity {
    let key = HostKey::pending(folder).unwrap();
    let issued =
        authority.issue_host(&key.request().unwrap(), &HostId::new(host).unwrap(), at, life).unwrap();
    key.keep(folder, &issued.certificate, Some(authority.pem())).unwrap()
}

pub(crate) fn enrol_now(authority: &Authority, folder: &Path, host: &str) -> Identity {
    enrol(authority, folder, host, now(), AGENT_LIFE)
}

/// A server that says to each peer who it is, and then what it said.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) revocations: Arc<Revocations>,
    _running: JoinHandle<()>,
}

pub(crate) fn serve(authority: &Authority, folder: &Path, names: &[&str], at: u64) -> Server {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let issued = authority.issue_named(Subject::Server, &names, at, SERVER_LIFE).unwrap();
    let keys = ServerKeys::new(&issued.certificate, issued.key.as_deref().unwrap(), authority.der()).unwrap();
    let revocations = Arc::new(Revocations::open(&folder.join("revoked.json")).unwrap());
    let config = server_config(Arc::new(keys), authority.der(), Arc::clone(&revocations)).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let running = thread::spawn(move || {
        for socket in listener.incoming() {
            let config = Arc::clone(&config);
            thread::spawn(move || {
                let mut socket = socket.unwrap();
                let mut session = ServerConnection::new(config).unwrap();
                while session.is_handshaking() {
                    if session.complete_io(&mut socket).is_err() {
                        return;
                    }
                }
                let who = session.peer_certificates().and_then(<[_]>::first).map_or_else(
                    || "nobody".to_owned(),
                    |certificate| {
                        let (pool, host) = PeerCertificate::read(certificate).unwrap().host.unwrap();
                        format!("{pool}/{host}")
                    },
                );
                let mut stream = Stream::new(&mut session, &mut socket);
                if writeln!(stream, "you are {who}").is_err() {
                    return;
                }
                let mut bytes = vec![0; 64 * 1024];
                while let Ok(got) = stream.read(&mut bytes) {
                    if got == 0 || stream.write_all(&bytes[..got]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Server { address, revocations, _running: running }
}

pub(crate) fn first_line(reader: impl std::io::Read) -> std::io::Result<String> {
    let line = lifeboat_wire::read_line(&mut BufReader::new(reader), 1024)?;
    Ok(String::from_utf8(line.unwrap_or_default()).unwrap())
}
