//! Telling systemd that the service is ready (`sd_notify(3)`).

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says a word if somebody asked to be told. A service that cannot say it serves all the same.
pub(crate) fn tell_systemd(word: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let _ =
        address(&path).and_then(|address| UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address));
}

fn address(path: &OsStr) -> std::io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}
