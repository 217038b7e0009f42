//! A TLS connection with blocking calls, whose two directions belong to two threads.
//!
//! Owns: dialling, the handshake, reading and writing. Promises: a thread that waits for bytes does not keep the
//! other from writing; everything that was written is on its way when the call returns. Does not: choose names or
//! keys.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// How long an address may take to answer, and a handshake.
const DIAL: Duration = Duration::from_secs(10);

/// Dials `address`, `host:port`; every address that the name has is tried. `silence` limits each write, and the time
/// that sent bytes may go without an answer of the network.
pub fn dial(address: &str, silence: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIAL) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(silence))?;
                // A cable that was pulled is noticed by whoever only waits, too.
                let millis = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
                rustix::net::sockopt::set_tcp_user_timeout(&stream, millis)?;
                rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
                rustix::net::sockopt::set_tcp_keepidle(&stream, silence)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Bytes that are taken from the network at once.
const BUFFER: usize = 16 * 1024;

/// A connection.
#[derive(Debug)]
pub struct TlsStream {
    shared: Arc<Shared>,
    socket: TcpStream,
}

#[derive(Debug)]
struct Shared {
    session: Mutex<ClientConnection>,
    socket: TcpStream,
}

impl TlsStream {
    /// Shakes hands over `socket` with the server that `address` (`host:port`) names.
    pub fn connect(mut socket: TcpStream, address: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let before = socket.read_timeout()?;
        socket.set_read_timeout(Some(DIAL))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        flush(&mut session, &socket)?;
        socket.set_read_timeout(before)?;
        let shared = Shared { session: Mutex::new(session), socket: socket.try_clone()? };
        Ok(Self { shared: Arc::new(shared), socket })
    }

    /// The side that reads.
    pub fn reader(&self) -> TlsReader {
        TlsReader { shared: Arc::clone(&self.shared), buffer: Vec::new(), used: 0, ended: false }
    }

    /// The side that writes.
    pub fn writer(&self) -> TlsWriter {
        TlsWriter { shared: Arc::clone(&self.shared) }
    }

    /// The socket below, for its time limits and its end.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Ends both directions.
    pub fn close(&self) {
        // It may be gone already.
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, ClientConnection> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading side of a [`TlsStream`].
#[derive(Debug)]
pub struct TlsReader {
    shared: Arc<Shared>,
    /// Bytes of the network, of which those before `used` were given to the session.
    buffer: Vec<u8>,
    used: usize,
    ended: bool,
}

impl Read for TlsReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut session = self.shared.session();
            match session.reader().read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut rest = self.buffer.get(self.used..).unwrap_or_default();
            if rest.is_empty() {
                drop(session);
                // The session is free while this waits.
                self.buffer.resize(BUFFER, 0);
                let got = (&self.shared.socket).read(&mut self.buffer)?;
                self.buffer.truncate(got);
                self.used = 0;
                self.ended = got == 0;
                session = self.shared.session();
                rest = &self.buffer;
            }
            // Zero bytes tell the session that the peer closed.
            self.used += session.read_tls(&mut rest)?;
            let state = session.process_new_packets();
            // An alert about what was wrong goes out before the error is told.
            let sent = flush(&mut session, &self.shared.socket);
            state.map_err(io::Error::other)?;
            sent?;
        }
    }
}

fn flush(session: &mut ClientConnection, mut socket: &TcpStream) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut socket)?;
    }
    Ok(())
}

/// The writing side of a [`TlsStream`].
#[derive(Debug)]
pub struct TlsWriter {
    shared: Arc<Shared>,
}

impl Write for TlsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = self.shared.session();
        let taken = session.writer().write(bytes)?;
        flush(&mut session, &self.shared.socket)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.shared.session(), &self.shared.socket)
    }
}
