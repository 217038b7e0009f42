//! The pool's own certificate authority.
//!
//! Owns: its key and certificate in a folder, and what it signs: the server's certificate, short-lived certificates
//! of hosts, RSA certificates for libvirt's own TLS, revocation lists (RFC 5280). Promises: keys are 0600 and written
//! whole or not at all; of a request only the key counts, never what it asks to be called; a host's certificate is
//! good for the client's side only, so that no host can pose as the controller. Does not: remember what it issued.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_model::{HostId, PoolName, Sha256Hex};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, RevocationReason, RevokedCertParams, RsaKeySize,
    SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

use crate::certificate::{host_uri, serial_bytes};
use crate::{CertificateError, PeerCertificate, RevokedSerial, make_folder, write_durably, write_private};

/// Life of the authority itself: twenty years.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);
/// Life of the server's certificate: ninety days. It is made anew by itself.
pub const SERVER_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// Life of a host's certificate: seven days.
pub const AGENT_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Life of a certificate for libvirt: a year. It is renewed by hand, and libvirt reads it when it starts.
pub const LIBVIRT_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Certificates begin this long before they are made: clocks are never the same.
const BACKDATE: Duration = Duration::from_secs(600);
/// Longest certificate signing request that is read, in bytes.
const MAX_REQUEST: usize = 16 * 1024;

/// Why the authority could not do it.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file failed.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is one already.
    #[error("{} holds an authority already; a second one would lock every host out", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error("{} holds no authority: make one with `lifeboatd init`", folder.display())]
    None {
        /// The folder.
        folder: PathBuf,
    },
    /// Its files are damaged or do not belong together.
    #[error("the authority in {} is damaged ({what}): put its folder back from a backup", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A request is not one, or its signature is wrong.
    #[error("the certificate signing request cannot be used: {why}")]
    Request {
        /// What is wrong.
        why: String,
    },
    /// A name cannot stand in a certificate.
    #[error("{name:?} can be neither a DNS name nor an address in a certificate")]
    Name {
        /// The name.
        name: String,
    },
    /// Signing failed.
    #[error("signing {what}")]
    Sign {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// What was just signed cannot be read.
    #[error("the certificate that was just signed cannot be read")]
    Read {
        /// Why not.
        #[source]
        source: CertificateError,
    },
    /// The kernel gives no random bytes.
    #[error("no random bytes for a serial number")]
    Random,
}

/// A certificate that was just signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// What stands in it.
    pub read: PeerCertificate,
    /// Its key, PEM, if it was made here.
    pub key: Option<String>,
}

/// Whom a certificate with a key made here is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `lifeboatd` itself: an ECDSA key, the server's side.
    Server,
    /// libvirt on a host: an RSA key, both sides. libvirt 9.0 refuses ECDSA ("usage does not permit key
    /// encipherment").
    Libvirt,
}

/// An authority.
pub struct Authority {
    pool: PoolName,
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    until: u64,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority for `pool` in `folder`.
    pub fn create(folder: &Path, pool: &PoolName, now: u64) -> Result<Self, AuthorityError> {
        let (key_path, certificate_path) = paths(folder);
        // The certificate is written last: without it nothing was signed yet.
        if certificate_path.exists() {
            return Err(AuthorityError::Exists { folder: folder.to_owned() });
        }
        make_folder(folder).map_err(file_error("making", folder))?;
        let sign = |source| AuthorityError::Sign { what: "the authority's own certificate", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(sign)?;
        let mut params = blank(now, AUTHORITY_LIFE)?;
        params.distinguished_name = named(pool.as_str());
        params.distinguished_name.push(DnType::OrganizationName, "Lifeboat");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = false;
        let pem = params.self_signed(&key).map_err(sign)?.pem();
        write_private(&key_path, key.serialize_pem().as_bytes()).map_err(file_error("writing", &key_path))?;
        write_durably(&certificate_path, pem.as_bytes()).map_err(file_error("writing", &certificate_path))?;
        Self::open(folder)
    }

    /// Opens the authority in `folder`.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let (key_path, certificate_path) = paths(folder);
        let pem = match fs::read_to_string(&certificate_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AuthorityError::None { folder: folder.to_owned() });
            }
            read => read.map_err(file_error("reading", &certificate_path))?,
        };
        let key = fs::read_to_string(&key_path).map_err(file_error("reading", &key_path))?;
        let damaged = |what: String| AuthorityError::Damaged { folder: folder.to_owned(), what };
        let key = KeyPair::from_pem(&key).map_err(|error| damaged(format!("authority.key: {error}")))?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| damaged(format!("authority.crt: {error}")))?;
        let read = PeerCertificate::read(&der).map_err(|error| damaged(error.to_string()))?;
        if read.key != Sha256Hex::of(&key.subject_public_key_info()) {
            return Err(damaged("authority.key and authority.crt do not belong together".to_owned()));
        }
        let pool = read.common_name.as_deref().and_then(|name| PoolName::new(name).ok());
        let pool = pool.ok_or_else(|| damaged("authority.crt names no pool".to_owned()))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { pool, issuer, der, pem, until: read.not_after })
    }

    /// Name of the pool.
    pub fn pool(&self) -> &PoolName {
        &self.pool
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Last second of its life, since 1970.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// SHA-256 of its certificate.
    pub fn fingerprint(&self) -> Sha256Hex {
        Sha256Hex::of(&self.der)
    }

    /// Signs a certificate for the key of a request, in the name of `host`, whatever the request asks for.
    pub fn issue_host(
        &self,
        request: &str,
        host: &HostId,
        now: u64,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        if request.len() > MAX_REQUEST {
            return Err(AuthorityError::Request { why: format!("it has more than {MAX_REQUEST} bytes") });
        }
        let asked = CertificateSigningRequestParams::from_pem(request)
            .map_err(|error| AuthorityError::Request { why: error.to_string() })?;
        if *asked.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
            return Err(AuthorityError::Request { why: "its key is not of ECDSA P-256".to_owned() });
        }
        let mut params = blank(now, life)?;
        // A common name holds 64 bytes; who the host is stands in the URI.
        params.distinguished_name = named(host.as_str().get(..64).unwrap_or(host.as_str()));
        params.subject_alt_names = vec![SanType::URI(ia5(&host_uri(&self.pool, host))?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params
            .signed_by(&asked.public_key, &self.issuer)
            .map_err(|source| AuthorityError::Sign { what: "a host's certificate", source })?;
        issued(&signed, None)
    }

    /// SHA-256 of the key in a request whose signature is good.
    pub fn key_of(request: &str) -> Result<Sha256Hex, AuthorityError> {
        if request.len() > MAX_REQUEST {
            return Err(AuthorityError::Request { why: format!("it has more than {MAX_REQUEST} bytes") });
        }
        let asked = CertificateSigningRequestParams::from_pem(request)
            .map_err(|error| AuthorityError::Request { why: error.to_string() })?;
        Ok(Sha256Hex::of(&asked.public_key.subject_public_key_info()))
    }

    /// Makes a key and signs a certificate for it, which is good for these DNS names and addresses.
    pub fn issue_named(
        &self,
        subject: Subject,
        names: &[String],
        now: u64,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let sign = |source| AuthorityError::Sign { what: "a certificate with a name", source };
        let mut params = blank(now, life)?;
        let first = names.first().map_or("lifeboatd", String::as_str);
        params.distinguished_name = named(first.get(..64).unwrap_or(first));
        params.subject_alt_names = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        let key = match subject {
            Subject::Server => {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(sign)?
            }
            Subject::Libvirt => {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
                KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).map_err(sign)?
            }
        };
        let signed = params.signed_by(&key, &self.issuer).map_err(sign)?;
        issued(&signed, Some(key.serialize_pem()))
    }

    /// A revocation list with this number, PEM; it is renewed long before its thirty days are over.
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[RevokedSerial],
        now: u64,
    ) -> Result<String, AuthorityError> {
        let sign = |source| AuthorityError::Sign { what: "the revocation list", source };
        let entry = |serial: &RevokedSerial| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from(serial_bytes(&serial.serial)?),
                revocation_time: at(serial.at).into(),
                reason_code: Some(RevocationReason::CessationOfOperation),
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update: at(now.saturating_sub(BACKDATE.as_secs())).into(),
            next_update: at(now + 30 * 86_400).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().filter_map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(sign)
    }
}

fn paths(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("authority.key"), folder.join("authority.crt"))
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthorityError + use<> {
    let path = path.to_owned();
    move |source| AuthorityError::File { doing, path, source }
}

fn at(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs)
}

/// A certificate without names that lives from `now` on.
fn blank(now: u64, life: Duration) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0_u8; 16];
    getrandom::fill(&mut serial).map_err(|_| AuthorityError::Random)?;
    // Positive, and of one length always.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    let mut params = CertificateParams::default();
    params.not_before = at(now.saturating_sub(BACKDATE.min(life).as_secs())).into();
    params.not_after = at(now + life.as_secs()).into();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn ia5(text: &str) -> Result<rcgen::string::Ia5String, AuthorityError> {
    text.try_into().map_err(|_| AuthorityError::Name { name: text.to_owned() })
}

fn alternative(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
    if name.is_empty() || name.len() > 253 || !name.chars().all(fine) {
        return Err(AuthorityError::Name { name: name.to_owned() });
    }
    Ok(SanType::DnsName(ia5(name)?))
}

fn issued(signed: &rcgen::Certificate, key: Option<String>) -> Result<Issued, AuthorityError> {
    let read = PeerCertificate::read(signed.der()).map_err(|source| AuthorityError::Read { source })?;
    Ok(Issued { certificate: signed.pem(), read, key })
}
