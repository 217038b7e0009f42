//! Certificates of a TLS client: where libvirt keeps them, and reading them.
//!
//! Promises: files are read up to a bound; an error names the file. Does not: make certificates.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use thiserror::Error;

/// Largest file that is read; revocation lists are the long ones.
const LIMIT: u64 = 4 << 20;

/// What is wrong with certificates.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Too long.
    #[error("{path} is longer than {LIMIT} bytes")]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// Not PEM, or not what it should be.
    #[error("{path} holds no usable {what} in PEM form")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        #[source]
        source: pem::Error,
    },
    /// A certificate authority that cannot be used.
    #[error("{path} holds a certificate that cannot be an authority")]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// Only one of certificate and key.
    #[error("{there} is there and {missing} is not; a client shows both or none")]
    Half {
        /// What is there.
        there: PathBuf,
        /// What is not.
        missing: PathBuf,
    },
    /// A key and a certificate that do not fit, or of a kind that cannot be used.
    #[error("the certificate and key of this client cannot be used ({certificate})")]
    Client {
        /// The certificate.
        certificate: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("the settings of TLS cannot be used")]
    Settings(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PkiFiles {
    pub(crate) authority: PathBuf,
    pub(crate) revoked: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl PkiFiles {
    /// In this folder; else in the user's folder, if any of them is there and the user is not root; else libvirt's own.
    pub(crate) fn locate(folder: Option<&str>) -> Self {
        if let Some(folder) = folder {
            return Self::in_folder(Path::new(folder));
        }
        if !rustix::process::geteuid().is_root()
            && let Some(home) = std::env::home_dir()
        {
            let files = Self::in_folder(&home.join(".pki/libvirt"));
            if [&files.authority, &files.certificate, &files.key].into_iter().any(|file| file.exists()) {
                return files;
            }
        }
        Self {
            authority: "/etc/pki/CA/cacert.pem".into(),
            revoked: "/etc/pki/CA/cacrl.pem".into(),
            certificate: "/etc/pki/libvirt/clientcert.pem".into(),
            key: "/etc/pki/libvirt/private/clientkey.pem".into(),
        }
    }

    fn in_folder(folder: &Path) -> Self {
        Self {
            authority: folder.join("cacert.pem"),
            revoked: folder.join("cacrl.pem"),
            certificate: folder.join("clientcert.pem"),
            key: folder.join("clientkey.pem"),
        }
    }

    /// Who is trusted.
    pub(crate) fn authorities(&self) -> Result<RootCertStore, PkiError> {
        let path = &self.authority;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|source| PkiError::Authority { path: path.clone(), source })?;
        }
        Ok(roots)
    }

    /// What is no longer trusted; mostly there is no such file.
    pub(crate) fn revocations(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, PkiError> {
        if !self.revoked.exists() {
            return Ok(Vec::new());
        }
        let path = &self.revoked;
        let bytes = read(path)?;
        let all: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
        all.map_err(|source| PkiError::Pem { path: path.clone(), what: "revocation list", source })
    }

    /// Who this client is; a daemon may be set up not to ask.
    pub(crate) fn identity(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, PkiError> {
        match (self.certificate.exists(), self.key.exists()) {
            (false, false) => Ok(None),
            (true, false) => {
                Err(PkiError::Half { there: self.certificate.clone(), missing: self.key.clone() })
            }
            (false, true) => {
                Err(PkiError::Half { there: self.key.clone(), missing: self.certificate.clone() })
            }
            (true, true) => {
                let (path, what) = (self.key.clone(), "private key without a password");
                let key = PrivateKeyDer::from_pem_slice(&read(&path)?);
                let key = key.map_err(|source| PkiError::Pem { path, what, source })?;
                Ok(Some((certificates(&self.certificate)?, key)))
            }
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let bytes = read(path)?;
    let pem = |source| PkiError::Pem { path: path.to_owned(), what: "certificate", source };
    let all: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(pem)?;
    if all.is_empty() { Err(pem(pem::Error::NoItemsFound)) } else { Ok(all) }
}

fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    let failed = |source| PkiError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT { Err(PkiError::TooLong { path: path.to_owned() }) } else { Ok(bytes) }
}
