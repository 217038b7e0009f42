//! Who is let in, who is not, and what is said about it.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lifeboat_wire::{
    AGENT_LIFE, EnrolToken, HostKey, PeerCertificate, RevokedSerial, TlsStream, dial, explain_tls,
    first_contact_config, host_config,
};
use rustls::ClientConfig;

use crate::support::{Server, authority, enrol, enrol_now, first_line, now, serve};

fn connect(server: &Server, name: &str, config: ClientConfig) -> io::Result<TlsStream> {
    let socket = dial(&server.address.to_string(), Duration::from_secs(10))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    TlsStream::connect(socket, &format!("{name}:1"), Arc::new(config))
}

/// What the server says first, or why it says nothing.
fn greeting(server: &Server, config: ClientConfig) -> Result<String, String> {
    let told = |error: io::Error| explain_tls(&error).unwrap_or_else(|| error.to_string());
    let stream = connect(server, "localhost", config).map_err(told)?;
    first_line(stream.reader()).map_err(told)
}

#[test]
fn the_name_of_a_host_comes_from_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let server = serve(&authority, folder.path(), &["localhost"], now());
    let one = enrol_now(&authority, &folder.path().join("one"), "one");
    assert_eq!(greeting(&server, host_config(&one).unwrap()), Ok("you are pool-1/one".to_owned()));
}

#[test]
fn a_host_without_certificate_proves_the_server_by_the_fingerprint_of_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let server = serve(&authority, folder.path(), &["localhost"], now());
    let token = EnrolToken::generate(authority.fingerprint()).unwrap();
    let config = first_contact_config(token.fingerprint).unwrap();
    assert_eq!(greeting(&server, config), Ok("you are nobody".to_owned()));
    let other = crate::support::authority(&folder.path().join("other"));
    let refused = greeting(&server, first_contact_config(other.fingerprint()).unwrap()).unwrap_err();
    assert!(refused.contains("is not the controller that made this token"), "{refused}");
}

#[test]
fn a_host_cannot_pose_as_the_controller() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let request = HostKey::generate().unwrap().request().unwrap();
    let host = "localhost".parse().unwrap();
    let issued = authority.issue_host(&request, &host, now(), AGENT_LIFE).unwrap();
    // A host whose name is that of the controller: its certificate is good for the client's side only.
    let victim = enrol_now(&authority, &folder.path().join("victim"), "victim");
    let key = HostKey::pending(&folder.path().join("bad")).unwrap();
    let bad = authority.issue_host(&key.request().unwrap(), &host, now(), AGENT_LIFE).unwrap();
    assert_ne!(issued.read.serial, bad.read.serial);
    key.keep(&folder.path().join("bad"), &bad.certificate, Some(authority.pem())).unwrap();
    let pem = std::fs::read_to_string(folder.path().join("bad/host.pem")).unwrap();
    let keys = lifeboat_wire::ServerKeys::new(&bad.certificate, &pem, authority.der()).unwrap();
    let revocations = lifeboat_wire::Revocations::open(&folder.path().join("revoked.json")).unwrap();
    let config =
        lifeboat_wire::server_config(Arc::new(keys), authority.der(), Arc::new(revocations)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let posing = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok::<_, io::Error>(())
    });
    let socket = dial(&address, Duration::from_secs(10)).unwrap();
    let config = Arc::new(host_config(&victim).unwrap());
    assert!(TlsStream::connect(socket, "localhost:1", config).is_err());
    assert!(posing.join().unwrap().is_err());
}

#[test]
fn hosts_of_another_pool_and_revoked_hosts_are_refused_in_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let server = serve(&authority, folder.path(), &["localhost"], now());
    let other = crate::support::authority(&folder.path().join("other"));
    // It trusts our server, and shows a certificate of its own authority.
    let foreign = enrol_now(&other, &folder.path().join("foreign"), "one");
    std::fs::write(folder.path().join("foreign/authority.pem"), authority.pem()).unwrap();
    drop(foreign);
    let foreign = lifeboat_wire::Identity::read(&folder.path().join("foreign")).unwrap().unwrap();
    let refused = greeting(&server, host_config(&foreign).unwrap()).unwrap_err();
    assert!(refused.contains("of another pool"), "{refused}");

    let one = enrol_now(&authority, &folder.path().join("one"), "one");
    let two = enrol_now(&authority, &folder.path().join("two"), "two");
    let serial = |read: &PeerCertificate| RevokedSerial {
        serial: read.serial.clone(),
        host: "one".to_owned(),
        at: now(),
        until: read.not_after,
    };
    server.revocations.revoke(None, &[serial(&one.read)], now()).unwrap();
    let refused = greeting(&server, host_config(&one).unwrap()).unwrap_err();
    assert!(refused.contains("it was revoked"), "{refused}");
    assert!(greeting(&server, host_config(&two).unwrap()).is_ok());
    server.revocations.revoke(Some("two"), &[], now()).unwrap();
    assert!(greeting(&server, host_config(&two).unwrap()).is_err(), "without a restart");
}

#[test]
fn wrong_clocks_are_told_with_both_times() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let server = serve(&authority, folder.path(), &["localhost"], now() + 86_400);
    let one = enrol_now(&authority, &folder.path().join("one"), "one");
    let refused = greeting(&server, host_config(&one).unwrap()).unwrap_err();
    assert!(refused.contains("begins 20") && refused.contains("set the clock"), "{refused}");
    let server = serve(&authority, folder.path(), &["localhost"], now() - 200 * 86_400);
    let refused = greeting(&server, host_config(&one).unwrap()).unwrap_err();
    assert!(refused.contains("ended 20"), "{refused}");
    let server = serve(&authority, folder.path(), &["localhost"], now());
    let late =
        enrol(&authority, &folder.path().join("late"), "late", now() - 86_400, Duration::from_secs(60));
    let refused = greeting(&server, host_config(&late).unwrap()).unwrap_err();
    assert!(refused.contains("compare the clocks"), "{refused}");
    let stream = connect(&server, "elsewhere.example", host_config(&one).unwrap());
    let refused = explain_tls(&stream.unwrap_err()).unwrap();
    assert!(refused.contains("does not hold the name"), "{refused}");
}

#[test]
fn both_directions_carry_more_than_any_buffer_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(&folder.path().join("ca"));
    let server = serve(&authority, folder.path(), &["localhost"], now());
    let one = enrol_now(&authority, &folder.path().join("one"), "one");
    let stream = connect(&server, "localhost", host_config(&one).unwrap()).unwrap();
    let mut writer = stream.writer();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let bytes = sent.clone();
    let writing = thread::spawn(move || writer.write_all(&bytes));
    let mut reader = stream.reader();
    let mut got = vec![0; "you are pool-1/one\n".len() + sent.len()];
    reader.read_exact(&mut got).unwrap();
    writing.join().unwrap().unwrap();
    assert!(got.ends_with(&sent));
    stream.close();
    assert!(reader.read(&mut [0; 10]).is_err(), "a connection that is cut is no good end");
}
