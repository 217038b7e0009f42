//! TLS settings of both sides.
//!
//! Owns: which versions, certificates and names are accepted. Promises: TLS 1.3 only; no resumption, so that every
//! connection shows its certificate anew; a revoked certificate is refused in the handshake; a host that has no
//! certificate yet proves the controller by the fingerprint of its token. Does not: open connections.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use lifeboat_model::Sha256Hex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, ServerConfig, SignatureScheme,
};
use thiserror::Error;

use crate::{Identity, PeerCertificate, Revocations};

/// Name of the protocol inside TLS (RFC 7301).
pub const ALPN: &[u8] = b"lifeboat-agent/1";

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A setting is refused.
    #[error("setting up TLS: {what}")]
    Setup {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: Error,
    },
    /// A text is no certificate or no key.
    #[error("reading {what} of TLS")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The verifier cannot be made.
    #[error("setting up TLS: the check of certificates: {why}")]
    Verifier {
        /// Why not.
        why: String,
    },
}

/// Another controller than the one that the token is of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the server is not the controller that made this token: none of its certificates has the fingerprint {wanted}; \
     check --server, or make a token on that controller"
)]
pub struct PinnedError {
    /// The token's.
    pub wanted: Sha256Hex,
}

/// The server's key and certificate, which may be replaced while it runs.
#[derive(Debug)]
pub struct ServerKeys {
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerKeys {
    /// Keys from PEM texts; the authority's certificate goes along, for hosts that know its fingerprint only.
    pub fn new(certificate: &str, key: &str, authority: &CertificateDer<'_>) -> Result<Self, TlsError> {
        Ok(Self { current: RwLock::new(certified(certificate, key, authority)?) })
    }

    /// Puts others in their place; connections that are open stay so.
    pub fn replace(
        &self,
        certificate: &str,
        key: &str,
        authority: &CertificateDer<'_>,
    ) -> Result<(), TlsError> {
        let next = certified(certificate, key, authority)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl ResolvesServerCert for ServerKeys {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn certified(
    certificate: &str,
    key: &str,
    authority: &CertificateDer<'_>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|source| TlsError::Pem { what: "the server's certificate", source })?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|source| TlsError::Pem { what: "the server's key", source })?;
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|source| TlsError::Setup { what: "the server's key", source })?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate, authority.clone().into_owned()], key)))
}

/// Settings of the controller's port.
pub fn server_config(
    keys: Arc<ServerKeys>,
    authority: &CertificateDer<'_>,
    revocations: Arc<Revocations>,
) -> Result<ServerConfig, TlsError> {
    let inner = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Verifier { why: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Setup { what: "TLS 1.3", source })?
        .with_client_cert_verifier(Arc::new(HostVerifier { inner, revocations }))
        .with_cert_resolver(keys);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed connection would not be asked for its certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Settings of a host that has its identity.
pub fn host_config(identity: &Identity) -> Result<ClientConfig, TlsError> {
    let config = client()?
        .with_root_certificates(roots(&identity.authority)?)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .map_err(|source| TlsError::Setup { what: "the host's certificate", source })?;
    Ok(finish(config))
}

/// Settings of a host that knows the authority's fingerprint and nothing else.
pub fn first_contact_config(fingerprint: Sha256Hex) -> Result<ClientConfig, TlsError> {
    let verifier = PinnedAuthority { fingerprint, provider: provider() };
    let config =
        client()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(finish(config))
}

fn client() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Setup { what: "TLS 1.3", source })
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(authority: &CertificateDer<'_>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone().into_owned())
        .map_err(|source| TlsError::Setup { what: "the authority's certificate", source })?;
    Ok(Arc::new(roots))
}

/// Accepts certificates of the authority that were not revoked.
#[derive(Debug)]
struct HostVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    revocations: Arc<Revocations>,
}

impl ClientCertVerifier for HostVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let read = PeerCertificate::read(end_entity).map_err(|error| other(Box::new(error)))?;
        match self.revocations.refuses(&read) {
            Some(_) => Err(Error::InvalidCertificate(rustls::CertificateError::Revoked)),
            None => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn other(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::from(error))))
}

/// Accepts a server whose chain ends at the authority with this fingerprint.
#[derive(Debug)]
struct PinnedAuthority {
    fingerprint: Sha256Hex,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|shown| Sha256Hex::of(shown) == self.fingerprint);
        let authority = authority.ok_or_else(|| other(Box::new(PinnedError { wanted: self.fingerprint })))?;
        let roots = roots(authority).map_err(|error| other(Box::new(error)))?;
        let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| other(Box::new(error)))?;
        inner.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a person should know of a failure of TLS with the controller, if it is one.
pub fn explain_tls(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let clock = |time: &UnixTime| date(time.as_secs());
    Some(match error {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => format!(
            "the controller's certificate begins {}, and the clock of this host says {}: set the clock (chronyc, \
             timedatectl)",
            clock(not_before),
            clock(time)
        ),
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => format!(
            "the controller's certificate ended {}, and the clock of this host says {}: set the clock if it is wrong; \
             otherwise restart lifeboatd, which makes itself a new certificate",
            clock(not_after),
            clock(time)
        ),
        // A wrong signature is an authority of the same name with another key.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the controller's certificate is of another pool's authority: check the address, or enrol this host there"
                .to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the controller's certificate does not hold the name by which it was dialled: restart lifeboatd with \
              that name in --name, or dial one that it has"
            .to_owned(),
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => cause.to_string(),
        Error::AlertReceived(AlertDescription::CertificateRevoked) => {
            "the controller refuses this host's certificate: it was revoked".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the controller says that this host's certificate ended, or has not begun: compare the clocks of both"
                .to_owned()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError,
        ) => {
            "the controller does not know the authority of this host's certificate: it is of another pool, or the \
             controller was made anew"
                .to_owned()
        }
        other => format!("TLS: {other}"),
    })
}

/// Seconds since 1970 as `2026-01-31 12:00:00 UTC`.
fn date(secs: u64) -> String {
    let time = der::DateTime::from_unix_duration(std::time::Duration::from_secs(secs));
    time.map_or_else(
        |_| format!("{secs} s after 1970"),
        |time| {
            format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
                time.year(),
                time.month(),
                time.day(),
                time.hour(),
                time.minutes(),
                time.seconds()
            )
        },
    )
}
