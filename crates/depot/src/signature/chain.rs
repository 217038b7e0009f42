//! From a signer's certificate to a trusted root (RFC 5280, section 6, without policies, names and revocation).
//!
//! Promises: each certificate of the message is tried once, so the work is bounded; the reason is told when no chain
//! is found. Does not: look at dates (these are findings of their own, so that a chain which expired is told apart
//! from a chain that never was) and know revocation.

use der::Encode as _;
use der::asn1::ObjectIdentifier;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::rsa::{Hash, Key, Wrong, hash_of};
use super::trust::{Root, Trust};

/// Longest chain.
const LONGEST: usize = 8;

/// Extensions that may be critical, because they are looked at here or forbid nothing that is done here: basic
/// constraints, key usage, extended key usage, alternative names, policies.
const CRITICAL: [ObjectIdentifier; 5] = [
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
];

/// A chain: the signer first, the trusted certificate last.
pub(super) struct Chain<'c> {
    pub(super) links: Vec<&'c Certificate>,
    pub(super) root: &'c Root,
    /// Methods on it that are no longer safe.
    pub(super) weak: Vec<String>,
}

pub(super) fn find<'c>(
    signer: &'c Certificate,
    pool: &'c [Certificate],
    trust: &'c Trust,
) -> Result<Chain<'c>, String> {
    let mut search = Search { pool, trust, tried: vec![false; pool.len()], why: None, weak: Vec::new() };
    let mut links = vec![signer];
    match search.from(signer, &mut links) {
        Some(root) => Ok(Chain { links, root, weak: search.weak }),
        None => Err(search.why.unwrap_or_else(|| {
            format!("nobody trusted or in the message is {}", signer.tbs_certificate().issuer())
        })),
    }
}

struct Search<'c> {
    pool: &'c [Certificate],
    trust: &'c Trust,
    tried: Vec<bool>,
    why: Option<String>,
    weak: Vec<String>,
}

impl<'c> Search<'c> {
    fn from(&mut self, current: &'c Certificate, links: &mut Vec<&'c Certificate>) -> Option<&'c Root> {
        if let Some(what) = critical(current) {
            self.why = Some(what);
            return None;
        }
        // A person may trust a certificate in the middle, or the signer's own.
        if let Some(root) = self.trust.roots.iter().find(|root| root.certificate == *current) {
            return Some(root);
        }
        let issuer = current.tbs_certificate().issuer();
        for root in &self.trust.roots {
            if root.certificate.tbs_certificate().subject() == issuer
                && self.signed_by(current, &root.certificate, links.len() - 1)
            {
                links.push(&root.certificate);
                return Some(root);
            }
        }
        if links.len() >= LONGEST {
            self.why = Some(format!("the chain has more than {LONGEST} certificates"));
            return None;
        }
        let pool = self.pool;
        for (index, next) in pool.iter().enumerate() {
            if self.tried.get(index) != Some(&false) || next.tbs_certificate().subject() != issuer {
                continue;
            }
            if next == current || !self.signed_by(current, next, links.len() - 1) {
                continue;
            }
            if let Some(tried) = self.tried.get_mut(index) {
                *tried = true;
            }
            links.push(next);
            if let Some(root) = self.from(next, links) {
                return Some(root);
            }
            links.pop();
        }
        if self.why.is_none() {
            let subject = current.tbs_certificate().subject();
            self.why = Some(if subject == issuer {
                format!("it ends at {subject}, which signed itself and is not trusted")
            } else {
                format!("it ends at {subject}: its issuer {issuer} is neither trusted nor in the message")
            });
        }
        None
    }

    /// Whether `issuer` may and did sign `current`; `below` counts the certificates between it and the signer.
    fn signed_by(&mut self, current: &Certificate, issuer: &Certificate, below: usize) -> bool {
        let name = issuer.tbs_certificate().subject();
        if let Some(what) = may_not_issue(issuer, below) {
            self.why = Some(format!("{name} {what}"));
            return false;
        }
        match signature(current, issuer) {
            Ok(weak) => {
                self.weak.extend(weak);
                true
            }
            Err(Wrong::Method(what) | Wrong::Signature(what)) => {
                let subject = current.tbs_certificate().subject();
                self.why = Some(format!("the signature of {name} on the certificate of {subject}: {what}"));
                false
            }
        }
    }
}

fn critical(certificate: &Certificate) -> Option<String> {
    let extensions = certificate.tbs_certificate().extensions()?;
    let unknown = extensions.iter().find(|one| one.critical && !CRITICAL.contains(&one.extn_id))?;
    let subject = certificate.tbs_certificate().subject();
    Some(format!(
        "the certificate of {subject} has a critical extension {} that is not known here",
        unknown.extn_id
    ))
}

fn may_not_issue(issuer: &Certificate, below: usize) -> Option<String> {
    let tbs = issuer.tbs_certificate();
    match tbs.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) if constraints.ca => {
            if constraints.path_len_constraint.is_some_and(|longest| below > usize::from(longest)) {
                return Some("may not stand so high in a chain (path length)".to_owned());
            }
        }
        // Roots of version 1 have no extensions; a person trusts them by name.
        Ok(None) if tbs.extensions().is_none() && tbs.subject() == tbs.issuer() => {}
        Ok(_) => return Some("may not issue certificates (basic constraints)".to_owned()),
        Err(error) => return Some(format!("has basic constraints that cannot be read: {error}")),
    }
    match tbs.get_extension::<KeyUsage>() {
        Ok(Some((_, usage))) if !usage.key_cert_sign() => {
            Some("may not issue certificates (key usage)".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("has a key usage that cannot be read: {error}")),
    }
}

/// Verifies one certificate's signature; tells methods that are weak.
fn signature(current: &Certificate, issuer: &Certificate) -> Result<Vec<String>, Wrong> {
    let method = |what: String| Wrong::Method(what);
    let tbs = current.tbs_certificate();
    if tbs.signature() != current.signature_algorithm() {
        return Err(Wrong::Signature("the certificate names two methods".to_owned()));
    }
    let hash = hash_of(current.signature_algorithm(), None)?;
    let bytes = tbs.to_der().map_err(|error| method(error.to_string()))?;
    let key = Key::of(issuer.tbs_certificate().subject_public_key_info())?;
    let signed = current.signature().as_bytes().ok_or_else(|| method("it is cut".to_owned()))?;
    key.verify(hash, &hash.digest(&bytes), signed)?;
    let subject = tbs.subject();
    let mut weak = Vec::new();
    if hash == Hash::Sha1 {
        weak.push(format!("the certificate of {subject} is signed over SHA-1"));
    }
    if key.bits() < 2048 {
        weak.push(format!("the key of {} has {} bits", issuer.tbs_certificate().subject(), key.bits()));
    }
    Ok(weak)
}
