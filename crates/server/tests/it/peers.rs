//! Peers that are no agents: openssl, slow ones, mad ones.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Daemon, Raw};

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn openssl_without_a_certificate_hears_that_it_needs_one_and_an_older_tls_hears_nothing() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "openssl is required");
        println!("skipped: openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let agent = daemon.connected("one");
    let ca = folder.path().join("controller/ca/authority.crt");
    let hello = serde_json::json!({"fetch": {
        "protocol": 1, "host": "one", "token": "", "digest": "0".repeat(64), "offset": 0 }});
    let dial = |more: &str| {
        sh(&format!(
            "(echo '{hello}'; sleep 2) | timeout 20 openssl s_client -connect {} -servername localhost -CAfile {} \
             -verify_return_error -alpn lifeboat-agent/1 {more} 2>&1",
            daemon.address,
            ca.display()
        ))
    };
    let told = dial("-tls1_3");
    assert!(told.contains("this needs a host's certificate"), "{told}");
    let with = format!("-tls1_3 -cert {0} -key {0}", agent.pki().join("host.pem").display());
    let told = dial(&with);
    assert!(told.contains("no bundle of release"), "with a certificate it is heard: {told}");
    let told = dial("-tls1_2");
    assert!(told.contains("protocol version"), "{told}");
    let other = folder.path().join("other.pem");
    let made = sh(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=one -days 1 -addext \
         'subjectAltName=URI:lifeboat://pool/one' -keyout {0} -out {0}.crt && cat {0}.crt >> {0}",
        other.display()
    ));
    assert!(other.with_extension("pem.crt").exists(), "{made}");
    let told = dial(&format!("-tls1_3 -cert {0} -key {0}", other.display()));
    assert!(told.contains("alert") && !told.contains("no bundle"), "signed by itself: {told}");
}

#[test]
fn peers_that_send_nothing_leave_the_door_and_keep_no_host_out() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let slow: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut socket = TcpStream::connect(&daemon.address).unwrap();
            socket.write_all(&[0x16]).unwrap();
            socket
        })
        .collect();
    let begin = Instant::now();
    let _agent = daemon.connected("one");
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "before the slow ones are put out: {:?}",
        begin.elapsed()
    );
    for mut socket in slow {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Closed, with or without an alert.
        let mut bytes = Vec::new();
        let _ = socket.read_to_end(&mut bytes);
        assert!(bytes.len() < 100);
    }
    assert!(daemon.host("one").connected_since.is_some());
}

#[test]
fn a_host_that_sends_no_end_of_a_line_or_nonsense_loses_its_connection_and_nothing_else_happens() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(folder.path(), "");
    let agent = daemon.enrolled("one");
    let rss = || {
        let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (before, piece) = (rss(), vec![b'x'; 64 * 1024]);
    for _ in 0..20 {
        let mut raw = Raw::connect(&daemon.address, &agent.identity()).unwrap();
        let mut sent = 0;
        while raw.say_bytes(&piece).is_ok() {
            sent += 64 * 1024;
            assert!(sent < 64 << 20, "an endless line is read for ever");
        }
    }
    let mut raw = Raw::connect(&daemon.address, &agent.identity()).unwrap();
    raw.say_bytes(b"{\"explode\":{}}\n").unwrap();
    assert!(format!("{:?}", raw.hear().unwrap()).contains("the first line must be"));
    let after = rss();
    assert!(after < before + 16 * 1024, "{before} KiB grew to {after} KiB");
}
