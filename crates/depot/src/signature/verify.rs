//! The verdict on one VIB's signature.
//!
//! Promises: every signer is judged by itself; what is proved is told apart from what is claimed; without a root
//! nothing is proved. Does not: know the time; the date comes in.

use cms::signed_data::{SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _};
use lifeboat_model::Finding;
use serde::Serialize;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{KeyUsage, SubjectKeyIdentifier};
use x509_cert::time::Time;

use super::chain;
use super::message::{Message, parse};
use super::rsa::{Hash, Key, Wrong, hash_of};
use super::trust::Trust;
use crate::finding::Code;
use crate::level::Level;

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");

/// One who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// Subject of the certificate, or what the message says when the certificate is not there.
    pub subject: String,
    /// When it says that it signed, Unix seconds; not proved by anybody.
    pub claimed_time: Option<u64>,
    /// The digest.
    pub digest: Option<&'static str>,
    /// Subjects from the signer to the trusted certificate; empty if none was reached.
    pub chain: Vec<String>,
    /// The highest level that the trusted certificate may vouch for, if signature, chain and date are good.
    pub vouches_for: Option<Level>,
}

/// What a signature proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureReport {
    /// Whether there is a signature at all.
    pub signed: bool,
    /// Who signed.
    pub signers: Vec<Signer>,
    /// The level that is proved: the lower one of what is claimed and what the certificates may vouch for.
    pub proved: Level,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Judges `signature` over `descriptor`, for the VIB called `id` that claims `claimed`, at `at` (Unix seconds).
#[must_use]
pub fn verify(
    id: &str,
    descriptor: &[u8],
    signature: &[u8],
    claimed: Option<Level>,
    trust: &Trust,
    at: u64,
) -> SignatureReport {
    let claimed = claimed.unwrap_or(Level::Community);
    let mut report = SignatureReport {
        signed: false,
        signers: Vec::new(),
        proved: Level::Community,
        findings: Vec::new(),
    };
    if signature.is_empty() {
        report.unsigned(id, claimed);
        return report;
    }
    report.signed = true;
    match parse(signature) {
        Err(why) => report.findings.push(Code::SignatureUnreadable.at(id, why)),
        Ok(message) => {
            for info in &message.signers {
                let mut judge = Judge { id, message: &message, trust, at, findings: &mut report.findings };
                let signer = judge.signer(info, descriptor);
                report.signers.push(signer);
            }
        }
    }
    let vouched = report.signers.iter().filter_map(|signer| signer.vouches_for).max();
    match vouched {
        Some(vouched) => {
            report.proved = claimed.min(vouched);
            if claimed > vouched {
                let what = format!("it claims {claimed}; its certificate vouches for {vouched} at most");
                report.findings.push(Code::LevelNotCovered.at(id, what));
            }
        }
        None if trust.is_empty() => {
            let what = format!("it claims {claimed}; no root was given, so who signed it was not looked at");
            report.findings.push(Code::TrustNotChecked.at(id, what));
        }
        None => {}
    }
    report
}

impl SignatureReport {
    fn unsigned(&mut self, id: &str, claimed: Level) {
        if claimed > Level::Community {
            let what = format!("it claims {claimed}, and nobody signed it");
            self.findings.push(Code::LevelNotCovered.at(id, what));
        } else {
            self.findings
                .push(Code::Unsigned.at(id, "sig.pkcs7 is empty; it claims community, which needs none"));
        }
    }
}

struct Judge<'a> {
    id: &'a str,
    message: &'a Message,
    trust: &'a Trust,
    at: u64,
    findings: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    fn signer(&mut self, info: &SignerInfo, descriptor: &[u8]) -> Signer {
        let mut signer = Signer {
            subject: named(&info.sid),
            claimed_time: None,
            digest: None,
            chain: Vec::new(),
            vouches_for: None,
        };
        let message = self.message;
        let mut known =
            message.certificates.iter().chain(self.trust.roots.iter().map(|root| &root.certificate));
        let Some(certificate) = known.find(|certificate| fits(certificate, &info.sid)) else {
            let what = format!("the certificate of the signer ({}) is not in the message", signer.subject);
            self.findings.push(Code::ChainUntrusted.at(self.id, what));
            return signer;
        };
        signer.subject = certificate.tbs_certificate().subject().to_string();
        signer.claimed_time = attribute_time(info);
        let signature = self.signature(info, certificate, descriptor);
        let good = match signature {
            Ok(hash) => {
                signer.digest = Some(hash.name());
                true
            }
            Err(Wrong::Method(what)) => {
                self.findings.push(Code::SignatureMethod.at(self.id, format!("{}: {what}", signer.subject)));
                false
            }
            Err(Wrong::Signature(what)) => {
                self.findings.push(Code::SignatureWrong.at(self.id, format!("{}: {what}", signer.subject)));
                false
            }
        };
        if self.trust.is_empty() {
            return signer;
        }
        match chain::find(certificate, &message.certificates, self.trust) {
            Err(why) => self.findings.push(Code::ChainUntrusted.at(self.id, why)),
            Ok(chain) => {
                for weak in &chain.weak {
                    self.findings.push(Code::SignatureWeak.at(self.id, weak.clone()));
                }
                let mut in_time = true;
                for link in &chain.links {
                    signer.chain.push(link.tbs_certificate().subject().to_string());
                    if let Some(what) = out_of_time(link, self.at) {
                        self.findings.push(Code::CertificateDate.at(self.id, what));
                        in_time = false;
                    }
                }
                if good && in_time {
                    signer.vouches_for = Some(chain.root.level);
                }
            }
        }
        signer
    }

    /// The signature itself, with or without signed attributes.
    fn signature(
        &mut self,
        info: &SignerInfo,
        certificate: &Certificate,
        descriptor: &[u8],
    ) -> Result<Hash, Wrong> {
        let hash = Hash::of(&info.digest_alg).map_err(Wrong::Method)?;
        let method = hash_of(&info.signature_algorithm, Some(hash))?;
        if method != hash {
            return Err(Wrong::Signature("its method and its digest do not belong together".to_owned()));
        }
        if let Ok(Some((_, usage))) = certificate.tbs_certificate().get_extension::<KeyUsage>()
            && !usage.digital_signature()
            && !usage.non_repudiation()
        {
            return Err(Wrong::Signature("the certificate is not made for signing (key usage)".to_owned()));
        }
        let digest = hash.digest(descriptor);
        let key = Key::of(certificate.tbs_certificate().subject_public_key_info())?;
        let signed_digest = match &info.signed_attrs {
            None => digest,
            Some(attributes) => {
                let cut =
                    |error: der::Error| Wrong::Signature(format!("its attributes cannot be read: {error}"));
                let stated = attribute(info, MESSAGE_DIGEST).and_then(|value| {
                    value.decode_as::<&OctetStringRef>().ok().map(|value| value.as_bytes().to_vec())
                });
                match stated {
                    None => return Err(Wrong::Signature("its attributes state no digest".to_owned())),
                    Some(stated) if stated != digest => {
                        return Err(Wrong::Signature(
                            "descriptor.xml is not what was signed: its digest is another one".to_owned(),
                        ));
                    }
                    Some(_) => {}
                }
                let kind = attribute(info, CONTENT_TYPE)
                    .and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
                if kind != Some(self.message.content_type) {
                    return Err(Wrong::Signature("its attributes state another kind of content".to_owned()));
                }
                hash.digest(&attributes.to_der().map_err(cut)?)
            }
        };
        key.verify(hash, &signed_digest, info.signature.as_bytes())?;
        let subject = certificate.tbs_certificate().subject();
        if hash == Hash::Sha1 {
            self.findings.push(Code::SignatureWeak.at(self.id, format!("{subject} signed over SHA-1")));
        }
        if key.bits() < 2048 {
            let what = format!("the key of {subject} has {} bits", key.bits());
            self.findings.push(Code::SignatureWeak.at(self.id, what));
        }
        Ok(hash)
    }
}

/// The one value of an attribute that stands once.
fn attribute(info: &SignerInfo, oid: ObjectIdentifier) -> Option<&der::Any> {
    let mut found = info.signed_attrs.as_ref()?.iter().filter(|attribute| attribute.oid == oid);
    let one = found.next()?;
    let mut values = one.values.iter();
    match (found.next(), values.next(), values.next()) {
        (None, Some(value), None) => Some(value),
        _ => None,
    }
}

fn attribute_time(info: &SignerInfo) -> Option<u64> {
    let value = attribute(info, SIGNING_TIME)?;
    let time = Time::from_der(&value.to_der().ok()?).ok()?;
    Some(time.to_unix_duration().as_secs())
}

fn named(sid: &SignerIdentifier) -> String {
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(one) => {
            format!("serial {} of {}", one.serial_number, one.issuer)
        }
        SignerIdentifier::SubjectKeyIdentifier(key) => {
            format!("key {}", crate::payload::hex(key.0.as_bytes()))
        }
    }
}

fn fits(certificate: &Certificate, sid: &SignerIdentifier) -> bool {
    let tbs = certificate.tbs_certificate();
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(one) => {
            *tbs.issuer() == one.issuer && *tbs.serial_number() == one.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(key) => {
            matches!(tbs.get_extension::<SubjectKeyIdentifier>(), Ok(Some((_, own))) if own == *key)
        }
    }
}

fn out_of_time(certificate: &Certificate, at: u64) -> Option<String> {
    let tbs = certificate.tbs_certificate();
    let (from, until) = (tbs.validity().not_before, tbs.validity().not_after);
    let subject = tbs.subject();
    if at < from.to_unix_duration().as_secs() {
        Some(format!("the certificate of {subject} is valid from {from} on"))
    } else if at > until.to_unix_duration().as_secs() {
        Some(format!("the certificate of {subject} was valid until {until}"))
    } else {
        None
    }
}
