//! What a certificate says of its holder.
//!
//! Owns: reading the host's name, the serial number and the times of an X.509 certificate (RFC 5280). The name of a
//! host stands in one URI of the subject's alternative names, `lifeboat://POOL/HOST`, and nowhere else counts.
//! Promises: a certificate with no such name, or with two, names nobody. Does not: verify signatures; TLS did that.

use der::Decode as _;
use lifeboat_model::{HostId, PoolName, Sha256Hex};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const SCHEME: &str = "lifeboat://";

/// A certificate that a peer showed, or our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The pool and the host, if it is a host's.
    pub host: Option<(PoolName, HostId)>,
    /// Serial number as hexadecimal digits, without leading zeros.
    pub serial: String,
    /// First second of its life, since 1970.
    pub not_before: u64,
    /// Last second of its life, since 1970.
    pub not_after: u64,
    /// SHA-256 of its public key (DER of the SubjectPublicKeyInfo).
    pub key: Sha256Hex,
    /// Common name of its subject.
    pub common_name: Option<String>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// It is no certificate.
    #[error("the certificate cannot be read")]
    Der {
        /// Why not.
        #[source]
        source: der::Error,
    },
    /// It names more than one host.
    #[error("the certificate names more than one host")]
    TwoHosts,
    /// Its name of a host is none.
    #[error("the certificate names the host {uri:?}, which no host can be called")]
    BadHost {
        /// The name.
        uri: String,
    },
}

impl PeerCertificate {
    /// Reads a certificate (DER).
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        let der_error = |source| CertificateError::Der { source };
        let certificate = Certificate::from_der(bytes).map_err(der_error)?;
        let tbs = certificate.tbs_certificate();
        let names = tbs.get_extension::<SubjectAltName>().map_err(der_error)?;
        let mut host = None;
        for name in names.iter().flat_map(|(_, names)| &names.0) {
            let GeneralName::UniformResourceIdentifier(uri) = name else { continue };
            let Some(rest) = uri.as_str().strip_prefix(SCHEME) else { continue };
            if host.is_some() {
                return Err(CertificateError::TwoHosts);
            }
            let parsed = rest
                .split_once('/')
                .and_then(|(pool, name)| Some((PoolName::new(pool).ok()?, HostId::new(name).ok()?)));
            host = Some(parsed.ok_or_else(|| CertificateError::BadHost { uri: uri.to_string() })?);
        }
        let validity = tbs.validity();
        let key = der::Encode::to_der(tbs.subject_public_key_info()).map_err(der_error)?;
        Ok(Self {
            host,
            serial: serial_text(tbs.serial_number().as_bytes()),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            key: Sha256Hex::of(&key),
            common_name: tbs.subject().common_name().ok().flatten().map(|name| name.value().into_owned()),
        })
    }

    /// When the next certificate should be asked for: after two thirds of the life of this one.
    pub fn renew_at(&self) -> u64 {
        self.not_before + (self.not_after.saturating_sub(self.not_before)) / 3 * 2
    }
}

/// The URI that names a host in its certificate.
pub(crate) fn host_uri(pool: &PoolName, host: &HostId) -> String {
    format!("{SCHEME}{pool}/{host}")
}

/// A serial number as hexadecimal digits.
pub(crate) fn serial_text(bytes: &[u8]) -> String {
    let text = hex(bytes);
    let short = text.trim_start_matches('0');
    if short.is_empty() { "0".to_owned() } else { short.to_owned() }
}

/// The bytes of a serial number.
pub(crate) fn serial_bytes(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len().is_multiple_of(2) { text.to_owned() } else { format!("0{text}") };
    let digits: Vec<u8> =
        padded.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// SHA-256 of the certificate in a PEM text, if it holds one.
pub fn fingerprint_of_pem(text: &str) -> Option<Sha256Hex> {
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
    Some(Sha256Hex::of(&der))
}
