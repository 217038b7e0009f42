//! `openssl` and `certtool` look at what was signed, and knock at the server's door.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_wire::{LIBVIRT_LIFE, RevokedSerial, Subject};

use crate::support::{authority, enrol_now, now, serve};

/// Output of a program, both streams, and whether it succeeded; none if it is not installed.
fn run(program: &str, args: &[&str]) -> Option<(bool, String)> {
    match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{program} is required: {error}");
            println!("skipped: {program}: {error}");
            None
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn openssl_verifies_what_the_authority_signs() {
    let folder = tempfile::tempdir().unwrap();
    let ca_folder = folder.path().join("ca");
    let ca = authority(&ca_folder);
    let ca_file = ca_folder.join("authority.crt");
    enrol_now(&ca, &folder.path().join("one"), "one");
    let host = folder.path().join("one/host.pem");
    let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", text(&ca_file), text(&host)];
    let Some((good, told)) = run("openssl", &verify) else { return };
    assert!(good, "{told}");
    let as_server = ["verify", "-purpose", "sslserver", "-CAfile", text(&ca_file), text(&host)];
    assert!(!run("openssl", &as_server).unwrap().0, "a host's certificate is none of a server");
    let names = ["one".to_owned(), "10.1.2.3".to_owned(), "fd00::1".to_owned()];
    let issued = ca.issue_named(Subject::Libvirt, &names, now(), LIBVIRT_LIFE).unwrap();
    let libvirt = folder.path().join("libvirt.pem");
    fs::write(&libvirt, &issued.certificate).unwrap();
    for purpose in ["sslserver", "sslclient"] {
        let verify =
            ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", text(&ca_file), text(&libvirt)];
        let (good, told) = run("openssl", &verify).unwrap();
        assert!(good, "{told}");
    }
    let (_, shown) = run("openssl", &["x509", "-noout", "-text", "-in", text(&libvirt)]).unwrap();
    for word in ["rsaEncryption", "3072 bit", "Key Encipherment", "IP Address:10.1.2.3", "DNS:one"] {
        assert!(shown.contains(word), "{word} is missing in {shown}");
    }
    let serial = RevokedSerial {
        serial: issued.read.serial.clone(),
        host: "one".to_owned(),
        at: now(),
        until: issued.read.not_after,
    };
    let list = folder.path().join("crl.pem");
    fs::write(&list, ca.revocation_list(7, &[serial], now()).unwrap()).unwrap();
    let show = ["crl", "-noout", "-text", "-CAfile", text(&ca_file), "-in", text(&list)];
    let (good, shown) = run("openssl", &show).unwrap();
    assert!(good && shown.contains("verify OK"), "{shown}");
    assert!(shown.to_lowercase().contains(&issued.read.serial), "{shown}");
    let check = ["verify", "-crl_check", "-CRLfile", text(&list), "-CAfile", text(&ca_file), text(&libvirt)];
    let (good, told) = run("openssl", &check).unwrap();
    assert!(!good && told.contains("revoked"), "{told}");
}

#[test]
fn certtool_which_is_of_the_library_that_libvirt_uses_verifies_the_certificate_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(&folder.path().join("ca"));
    let issued = ca.issue_named(Subject::Libvirt, &["one".to_owned()], now(), LIBVIRT_LIFE).unwrap();
    let chain = folder.path().join("chain.pem");
    fs::write(&chain, &issued.certificate).unwrap();
    let ca_file = folder.path().join("ca/authority.crt");
    let verify = ["--verify", "--load-ca-certificate", text(&ca_file), "--infile", text(&chain)];
    let Some((good, told)) = run("certtool", &verify) else { return };
    assert!(good && told.contains("Verified"), "{told}");
}

#[test]
fn an_older_tls_is_refused_and_whoever_has_no_certificate_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(&folder.path().join("ca"));
    let server = serve(&ca, folder.path(), &["localhost"], now());
    let ca_file = folder.path().join("ca/authority.crt");
    let address = server.address.to_string();
    let Some((good, told)) = run("openssl", &["s_client", "-connect", &address, "-tls1_2"]) else { return };
    assert!(!good && told.contains("protocol version"), "{told}");
    let line = format!(
        "sleep 1 | openssl s_client -connect {address} -CAfile {} -tls1_3 -servername localhost -verify_hostname \
         localhost -verify_return_error -alpn lifeboat-agent/1 2>&1",
        ca_file.display()
    );
    let (_, told) = run("sh", &["-c", &line]).unwrap();
    assert!(told.contains("you are nobody") && told.contains("TLSv1.3"), "{told}");
}
