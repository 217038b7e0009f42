//! Certificates that a person trusts, and how far.
//!
//! Promises: a root vouches for no level above the one that the person gave it.

use der::{Decode as _, Document};
use thiserror::Error;
use x509_cert::Certificate;

use crate::level::Level;

/// Most certificates of one file.
const MOST: usize = 512;

/// What is wrong with a file of roots.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// None in it.
    #[error("it holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    Empty,
    /// Too many.
    #[error("it holds more than {MOST} certificates")]
    TooMany,
    /// One that cannot be read.
    #[error("certificate {number} in it cannot be read: {what}")]
    Certificate {
        /// Counted from 1.
        number: usize,
        /// Why.
        what: String,
    },
}

/// A trusted certificate.
#[derive(Debug, Clone)]
pub struct Root {
    pub(super) certificate: Certificate,
    /// The highest level that VIBs signed under it may claim.
    pub level: Level,
}

impl Root {
    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }
}

/// Every trusted certificate.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    pub(super) roots: Vec<Root>,
}

impl Trust {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Adds every certificate of a PEM file; tells how many.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn add_pem(&mut self, text: &str, level: Level) -> Result<usize, TrustError> {
        let blocks = blocks(text, &["CERTIFICATE"]);
        if blocks.is_empty() {
            return Err(TrustError::Empty);
        }
        if blocks.len() > MOST {
            return Err(TrustError::TooMany);
        }
        for (index, block) in blocks.iter().enumerate() {
            let wrong =
                |error: der::Error| TrustError::Certificate { number: index + 1, what: error.to_string() };
            let (_, document) = Document::from_pem(block).map_err(wrong)?;
            let certificate = Certificate::from_der(document.as_bytes()).map_err(wrong)?;
            self.roots.push(Root { certificate, level });
        }
        Ok(blocks.len())
    }
}

/// The PEM blocks with one of these labels, text around them left out.
pub(super) fn blocks<'t>(text: &'t str, labels: &[&str]) -> Vec<&'t str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let from = rest.get(start..).unwrap_or_default();
        let label = from.get(11..).and_then(|after| after.split_once("-----")).map_or("", |(label, _)| label);
        let end_mark = format!("-----END {label}-----");
        let Some(end) = from.find(&end_mark) else { break };
        let block = from.get(..end + end_mark.len()).unwrap_or_default();
        if labels.contains(&label) {
            found.push(block);
        }
        rest = from.get(block.len().max(1)..).unwrap_or_default();
        if found.len() > MOST {
            break;
        }
    }
    found
}
