//! The signed message in `sig.pkcs7`.
//!
//! Promises: strict DER; a message that carries content of its own is refused, because then it would be open which
//! bytes were signed. Does not: verify.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfo};
use der::asn1::ObjectIdentifier;
use der::{Decode as _, Document};
use x509_cert::Certificate;

use super::trust::blocks;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// Most certificates and signers of one message.
const MOST: usize = 32;

/// What the message holds.
pub(super) struct Message {
    pub(super) content_type: ObjectIdentifier,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(bytes).ok();
    let pem = text.map(|text| blocks(text, &["PKCS7", "CMS"])).unwrap_or_default();
    let document = match pem.as_slice() {
        [] => Document::try_from(bytes)
            .map_err(|_| "it is neither PEM (`-----BEGIN PKCS7-----`) nor DER".to_owned())?,
        [one] => Document::from_pem(one).map_err(|error| format!("its PEM is damaged: {error}"))?.1,
        _ => return Err("it holds more than one message".to_owned()),
    };
    let wrong = |what: &str, error: der::Error| format!("{what} is not strict DER: {error}");
    let info = ContentInfo::from_der(document.as_bytes()).map_err(|error| wrong("the message", error))?;
    if info.content_type != SIGNED_DATA {
        return Err(format!("it is a message of kind {}, not signed data", info.content_type));
    }
    let signed: SignedData = info.content.decode_as().map_err(|error| wrong("the signed data", error))?;
    if signed.encap_content_info.econtent.is_some() {
        return Err(
            "it carries content of its own; a detached signature over descriptor.xml is needed".to_owned()
        );
    }
    let certificates = signed.certificates.map(|set| set.0.into_vec()).unwrap_or_default();
    let certificates: Vec<Certificate> = certificates
        .into_iter()
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let signers = signed.signer_infos.0.into_vec();
    if signers.is_empty() {
        return Err("nobody signed in it".to_owned());
    }
    if signers.len() > MOST || certificates.len() > MOST {
        return Err(format!("it has more than {MOST} signers or certificates"));
    }
    Ok(Message { content_type: signed.encap_content_info.econtent_type, certificates, signers })
}
