//! Opening a stream by URI, within a time.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Stream, pki::PkiFiles, ssh, tls};
use crate::error::ConnectError;
use crate::uri::{Transport, Uri};

/// Where sockets of daemons are; `/var/run` is there on old hosts too.
const RUN: &str = "/var/run/libvirt";

/// Opens the stream.
pub(crate) fn open(uri: &Uri, patience: Duration, read_only: bool) -> Result<Box<dyn Stream>, ConnectError> {
    let deadline = Instant::now() + patience;
    match uri.transport() {
        Transport::Unix { socket } => {
            let path = match socket {
                Some(path) => path.clone(),
                None => local_socket(uri, read_only),
            };
            let stream = UnixStream::connect(&path).and_then(|stream| {
                stream.set_nonblocking(true)?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => Ok(Box::new(stream)),
                Err(source) => Err(ConnectError::Socket { path, source }),
            }
        }
        Transport::Tcp { host, port } => {
            let stream = tcp(host, *port, deadline)?;
            let doing = "make a TCP connection not wait";
            stream.set_nonblocking(true).map_err(|source| ConnectError::Local { doing, source })?;
            Ok(Box::new(stream))
        }
        Transport::Tls { host, port, pki_path, verify } => {
            let files = PkiFiles::locate(pki_path.as_deref());
            let config = tls::config(&files, *verify)?;
            let stream = tcp(host, *port, deadline)?;
            Ok(Box::new(tls::TlsStream::open(host, config, stream, deadline)?))
        }
        Transport::Ssh(parts) => Ok(Box::new(ssh::SshStream::open(parts, uri.name(), patience, read_only)?)),
    }
}

/// The daemon for one driver if its socket is there, else the one for all.
fn local_socket(uri: &Uri, read_only: bool) -> String {
    let suffix = if read_only { "sock-ro" } else { "sock" };
    let folder = match std::env::var("XDG_RUNTIME_DIR") {
        // A daemon of this user, not of the machine.
        Ok(folder) if uri.name().ends_with(":///session") => format!("{folder}/libvirt"),
        _ => RUN.to_owned(),
    };
    let modular = format!("{folder}/virt{}d-{suffix}", uri.driver());
    if Path::new(&modular).exists() { modular } else { format!("{folder}/libvirt-{suffix}") }
}

/// Tries each address until one answers.
fn tcp(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let name = |source| ConnectError::Name { host: host.to_owned(), source };
    let failed = |source| ConnectError::Tcp { host: host.to_owned(), port, source };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs().map_err(name)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(io::ErrorKind::TimedOut.into()));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                // Small frames go out at once.
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(source) => last = source,
        }
    }
    Err(failed(last))
}
