//! Who a host is: its key and certificate, and the authority that it trusts.
//!
//! Owns: the folder `pki/` on a host: `host.pem` (key and certificate in one file, so that they are replaced
//! together), `authority.pem`, and `pending.key` while an enrolment is under way. Promises: keys are made on the host
//! and never leave it; a certificate is taken only if it fits the key. Does not: speak to anybody.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_model::{HostId, PoolName, Sha256Hex};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::{CertificateError, PeerCertificate, make_folder, write_durably, write_private};

/// Why a host's identity cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
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
    /// A file is not what it should be.
    #[error("{} is damaged ({what}): enrol this host again, with a new token from the controller", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// What the controller sent cannot be read.
    #[error("the certificate from the controller cannot be read")]
    Certificate {
        /// Why not.
        #[source]
        source: CertificateError,
    },
    /// What the controller sent is not for this host.
    #[error("the controller sent a certificate that this host cannot use: {why}")]
    Wrong {
        /// Why not.
        why: String,
    },
    /// A key could not be made.
    #[error("making a key")]
    Key {
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
}

/// A key that has no certificate yet.
#[derive(Debug)]
pub struct HostKey {
    key: KeyPair,
}

impl HostKey {
    /// A new key.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        Ok(Self { key: key.map_err(|source| IdentityError::Key { source })? })
    }

    /// The key of an enrolment that was begun in `folder`, or a new one that is kept there: an enrolment whose answer
    /// was lost can be repeated only with the same key.
    pub fn pending(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join("pending.key");
        if let Ok(text) = fs::read_to_string(&path)
            && let Ok(key) = KeyPair::from_pem(&text)
        {
            return Ok(Self { key });
        }
        make_folder(folder).map_err(file_error("making", folder))?;
        let new = Self::generate()?;
        write_private(&path, new.key.serialize_pem().as_bytes()).map_err(file_error("writing", &path))?;
        Ok(new)
    }

    /// A certificate signing request, PEM. It asks for no name: that is not the host's to choose.
    pub fn request(&self) -> Result<String, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&self.key).and_then(|request| request.pem());
        request.map_err(|source| IdentityError::Key { source })
    }

    /// Keeps the certificate for this key in `folder`; `authority` is given at an enrolment.
    pub fn keep(
        &self,
        folder: &Path,
        certificate: &str,
        authority: Option<&str>,
    ) -> Result<Identity, IdentityError> {
        let wrong = |why: &str| IdentityError::Wrong { why: why.to_owned() };
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| wrong(&error.to_string()))?;
        let read = PeerCertificate::read(&der).map_err(|source| IdentityError::Certificate { source })?;
        if read.key != Sha256Hex::of(&self.key.subject_public_key_info()) {
            return Err(wrong("it is for another key"));
        }
        if read.host.is_none() {
            return Err(wrong("it names no host"));
        }
        if let Some(authority) = authority {
            let path = folder.join("authority.pem");
            write_durably(&path, authority.as_bytes()).map_err(file_error("writing", &path))?;
        }
        let path = folder.join("host.pem");
        let text = format!("{}{certificate}", self.key.serialize_pem());
        write_private(&path, text.as_bytes()).map_err(file_error("writing", &path))?;
        // Of no more use, and of no harm if it stays.
        drop(fs::remove_file(folder.join("pending.key")));
        Identity::read(folder)?.ok_or_else(|| wrong("it vanished"))
    }
}

/// Who a host is.
#[derive(Debug)]
pub struct Identity {
    /// Pool, from the certificate.
    pub pool: PoolName,
    /// Name, from the certificate.
    pub host: HostId,
    /// What stands in the certificate.
    pub read: PeerCertificate,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) authority: CertificateDer<'static>,
}

impl Identity {
    /// Reads the identity in `folder`; none if this host was never enrolled.
    pub fn read(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join("host.pem");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(file_error("reading", &path))?,
        };
        let damaged = |path: &Path, what: String| IdentityError::Damaged { path: path.to_owned(), what };
        let certificate =
            CertificateDer::from_pem_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        let read = PeerCertificate::read(&certificate).map_err(|error| damaged(&path, error.to_string()))?;
        let (pool, host) = read.host.clone().ok_or_else(|| damaged(&path, "it names no host".to_owned()))?;
        let path = folder.join("authority.pem");
        let text = fs::read(&path).map_err(file_error("reading", &path))?;
        let authority =
            CertificateDer::from_pem_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        Ok(Some(Self { pool, host, read, certificate, key, authority }))
    }
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError + use<> {
    let path = path.to_owned();
    move |source| IdentityError::File { doing, path, source }
}
