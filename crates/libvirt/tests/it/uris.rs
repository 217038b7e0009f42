//! URIs that are read, and URIs that are refused.

use lifeboat_libvirt::{SshProxy, Transport, Uri, UriError};

fn parse(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

#[test]
fn every_transport_is_read_with_its_parameters() {
    assert_eq!(parse("qemu:///system").transport(), &Transport::Unix { socket: None });
    let socket = Some("/run/x".to_owned());
    assert_eq!(parse("qemu+unix:///system?socket=/run/x").transport(), &Transport::Unix { socket });
    let tcp = |host: &str, port| Transport::Tcp { host: host.to_owned(), port };
    assert_eq!(parse("qemu+tcp://h1/system").transport(), &tcp("h1", 16509));
    assert_eq!(parse("qemu+tcp://[fd00::1]:99/system").transport(), &tcp("fd00::1", 99));
    let tls = |pki_path: Option<&str>, verify| Transport::Tls {
        host: "h1".to_owned(),
        port: 16514,
        pki_path: pki_path.map(str::to_owned),
        verify,
    };
    assert_eq!(parse("qemu://h1/system").transport(), &tls(None, true));
    assert_eq!(
        parse("qemu+tls://h1/system?pkipath=%2Fetc%2Fp&no_verify=1").transport(),
        &tls(Some("/etc/p"), false)
    );
    assert_eq!(parse("qemu+tls://h1/system?no_verify=0").transport(), &tls(None, true));
    let uri = parse("qemu+ssh://root@h1:2222/system?keyfile=/k&command=/usr/bin/ssh&no_verify=1&no_tty=1");
    assert_eq!((uri.host(), uri.name(), uri.driver()), (Some("h1"), "qemu:///system", "qemu"));
    let Transport::Ssh(ssh) = uri.transport() else { panic!("{uri:?}") };
    assert_eq!(
        (ssh.user.as_deref(), ssh.port, ssh.keyfile.as_deref()),
        (Some("root"), Some(2222), Some("/k"))
    );
    assert_eq!((ssh.command.as_str(), ssh.verify, ssh.proxy), ("/usr/bin/ssh", false, SshProxy::Auto));
    let uri = parse("qemu+ssh://h1/system?socket=/s");
    let Transport::Ssh(ssh) = uri.transport() else { panic!("{uri:?}") };
    assert_eq!((ssh.socket.as_deref(), ssh.proxy), (Some("/s"), SshProxy::Netcat));
    // What is not this client's goes to the daemon.
    assert_eq!(parse("test+unix:///default?socket=/s&x=1").name(), "test:///default?x=1");
    assert_eq!(parse("qemu+tcp://h1/system?name=qemu:///session").name(), "qemu:///session");
    assert_eq!(parse("qemu+tcp://h1/system").to_string(), "qemu+tcp://h1/system");
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    for (uri, words) in [
        ("", "no ://"),
        ("qemu:/system", "no ://"),
        ("QEMU:///system", "lower-case"),
        ("qemu+tcp://h1", "no path"),
        ("qemu+tcp:///system", "needs a host"),
        ("qemu+ssh:///system", "needs a host"),
        ("qemu+unix://h1/system", "has no host"),
        ("qemu+tcp://root@h1/system", "has no user"),
        ("qemu+tcp://h1:0/system", "port is no number"),
        ("qemu+tcp://h1:x/system", "port is no number"),
        ("qemu+tcp://fd00::1/system", "stands in [ ]"),
        ("qemu+tcp://h1/system?pkipath=/p", "has no parameter pkipath"),
        ("qemu+tls://h1/system?keyfile=/k", "has no parameter keyfile"),
        ("qemu+tls://h1/system?tls_priority=NORMAL", "has no parameter tls_priority"),
        ("qemu+ssh://h1/system?sshauth=agent", "has no parameter sshauth"),
        ("qemu+ssh://h1/system?socket=/a&socket=/b", "there twice"),
        ("qemu+ext://h1/system", "\"ext\" is not one of"),
        ("qemu+libssh2://h1/system", "\"libssh2\" is not one of"),
        ("qemu+tcp://h1/sys tem", "blank"),
        ("qemu+tcp://h1/system?x=%0a", "control"),
        ("qemu+tcp://h1/system?x=%4", "no two hexadecimal"),
    ] {
        let error = Uri::parse(uri).unwrap_err().to_string();
        assert!(error.contains(words), "{uri}: {error}");
    }
    assert!(matches!(
        Uri::parse(&format!("qemu+tcp://h1/{}", "x".repeat(5000))),
        Err(UriError::TooLong { .. })
    ));
}

#[test]
fn nothing_reaches_a_shell_or_becomes_an_option_of_ssh() {
    for uri in [
        "qemu+ssh://h1/system?socket=/a';reboot;'",
        "qemu+ssh://h1/system?socket=/a%24(reboot)",
        "qemu+ssh://h1/system?netcat=%60reboot%60",
        "qemu+ssh://h1/system?netcat=-x",
        "qemu+ssh://h1/system\"$(reboot)",
        "qemu+ssh://h1/system?name=qemu:///system%22;reboot",
        "qemu+ssh://-oProxyCommand=reboot/system",
        "qemu+ssh://-x@h1/system",
        "qemu+ssh://a;b/system",
    ] {
        let error = Uri::parse(uri).unwrap_err();
        assert!(matches!(error, UriError::Character { .. } | UriError::Form { .. }), "{uri}: {error}");
    }
    let error = Uri::parse("qemu+ssh://root:secret@h1/system").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
