//! TLS: rustls over a TCP stream, and libvirt's confirmation byte.
//!
//! After the handshake a daemon checks the client's certificate against its own rules and sends the byte 1, or closes.
//! Promises: the daemon's certificate must have the name or address of the URI, unless `no_verify` was asked for.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::pki::{PkiError, PkiFiles};
use super::stream::Stream;
use crate::error::ConnectError;

/// Settings of TLS from these files.
pub(crate) fn config(files: &PkiFiles, verify: bool) -> Result<Arc<ClientConfig>, PkiError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| PkiError::Settings(error.into()))?;
    let verifier: Arc<dyn ServerCertVerifier> = if verify {
        WebPkiServerVerifier::builder_with_provider(files.authorities()?.into(), provider)
            .with_crls(files.revocations()?)
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| PkiError::Settings(error.into()))?
    } else {
        Arc::new(Anybody(provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match files.identity()? {
        Some((certificates, key)) => builder
            .with_client_auth_cert(certificates, key)
            .map_err(|source| PkiError::Client { certificate: files.certificate.clone(), source })?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// A TLS session over a TCP stream that does not wait.
#[derive(Debug)]
pub(crate) struct TlsStream {
    session: ClientConnection,
    tcp: TcpStream,
}

impl TlsStream {
    /// Handshake and confirmation byte.
    pub(crate) fn open(
        host: &str,
        config: Arc<ClientConfig>,
        tcp: TcpStream,
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError::Tls { host: host.to_owned(), source };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(io::Error::other(error)))?;
        let session = ClientConnection::new(config, name).map_err(|error| failed(io::Error::other(error)))?;
        let mut stream = Self { session, tcp };
        while stream.session.is_handshaking() || stream.session.wants_write() {
            stream.limit(deadline).and_then(|()| stream.step()).map_err(failed)?;
        }
        stream.confirm(host, deadline)?;
        stream.tcp.set_nonblocking(true).map_err(failed)?;
        Ok(stream)
    }

    /// Reads or writes once, waiting.
    fn step(&mut self) -> io::Result<()> {
        if self.session.wants_write() {
            self.session.write_tls(&mut self.tcp)?;
            return Ok(());
        }
        if self.session.read_tls(&mut self.tcp)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let outcome = self.session.process_new_packets();
        if let Err(error) = outcome {
            // The other side should learn why.
            self.session.write_tls(&mut self.tcp).ok();
            return Err(io::Error::other(error));
        }
        Ok(())
    }

    fn confirm(&mut self, host: &str, deadline: Instant) -> Result<(), ConnectError> {
        let refused = |detail| ConnectError::NotAdmitted { host: host.to_owned(), detail };
        let mut byte = [0];
        loop {
            match self.session.reader().read(&mut byte) {
                Ok(1) if byte == [1] => return Ok(()),
                Ok(1) => return Err(refused("its confirmation byte is not 1".to_owned())),
                Ok(_) => return Err(refused("it closed the session after the handshake".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(refused(error.to_string())),
            }
            // An alert, or the end, is the daemon's no.
            self.limit(deadline).and_then(|()| self.step()).map_err(|error| refused(error.to_string()))?;
        }
    }

    /// Limits the next wait to what is left.
    fn limit(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.tcp.set_read_timeout(Some(left))?;
        self.tcp.set_write_timeout(Some(left))
    }
}

impl Stream for TlsStream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // GnuTLS may end without a word; frames show whether anything is missing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if self.session.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.session.wants_write() {
            Stream::flush(self)?;
        }
        let taken = self.session.writer().write(bytes)?;
        match Stream::flush(self) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }

    fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    fn end(&mut self) -> String {
        self.session.send_close_notify();
        // Best effort: the other side finds out from the closed socket as well.
        Stream::flush(self).ok();
        String::new()
    }
}

/// Takes any certificate whose key signs the handshake: `no_verify` of the URI.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
