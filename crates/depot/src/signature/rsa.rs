//! Verifying RSA signatures (RFC 8017, RSASSA-PKCS1-v1_5) and the digests that they are made over.
//!
//! Promises: the whole encoded message is compared, nothing in it is parsed; sizes of keys are bounded. Holds no
//! secret, so nothing here needs constant time. Does not: know certificates.

use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Reader as _, SliceReader};
use num_bigint::BigUint;
use sha1::Digest as _;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA1_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// A digest that a signature may be made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the identifier of a digest.
    pub(super) fn of(algorithm: &AlgorithmIdentifierOwned) -> Result<Self, String> {
        match algorithm.oid {
            SHA1 => Ok(Self::Sha1),
            SHA256 => Ok(Self::Sha256),
            SHA384 => Ok(Self::Sha384),
            SHA512 => Ok(Self::Sha512),
            other => Err(format!("the digest {other} is not known here")),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        }
    }

    /// What stands before the digest in an encoded message (RFC 8017, section 9.2, note 1).
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Self::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            Self::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        }
    }
}

/// Why a signature could not be verified or is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Not known here.
    Method(String),
    /// Known, and it does not fit.
    Signature(String),
}

/// The digest of a signature's method; `from_message` is the one that the message names beside it.
pub(super) fn hash_of(method: &AlgorithmIdentifierOwned, from_message: Option<Hash>) -> Result<Hash, Wrong> {
    let hash = match method.oid {
        RSA => from_message,
        SHA1_RSA => Some(Hash::Sha1),
        SHA256_RSA => Some(Hash::Sha256),
        SHA384_RSA => Some(Hash::Sha384),
        SHA512_RSA => Some(Hash::Sha512),
        _ => None,
    };
    hash.ok_or_else(|| Wrong::Method(format!("the method {} is not known here", method.oid)))
}

/// A public key of RSA.
pub(super) struct Key {
    modulus: BigUint,
    exponent: BigUint,
    /// Bytes of the modulus.
    len: usize,
}

impl Key {
    pub(super) fn of(info: &SubjectPublicKeyInfoOwned) -> Result<Self, Wrong> {
        let method = |what: &str| Wrong::Method(what.to_owned());
        if info.algorithm.oid != RSA {
            return Err(Wrong::Method(format!("a key of kind {} is not known here", info.algorithm.oid)));
        }
        let bytes = info.subject_public_key.as_bytes().ok_or_else(|| method("the public key is cut"))?;
        let (modulus, exponent) =
            numbers(bytes).map_err(|error| Wrong::Method(format!("the public key: {error}")))?;
        let key =
            Self { len: modulus.bits().div_ceil(8).try_into().unwrap_or(usize::MAX), modulus, exponent };
        if key.modulus.bits() < 1024 || key.modulus.bits() > 8192 || !key.modulus.bit(0) {
            return Err(method("the public key has fewer than 1024 or more than 8192 bits, or is even"));
        }
        if key.exponent.bits() < 2 || key.exponent.bits() > 33 || !key.exponent.bit(0) {
            return Err(method("the public key has an unusual exponent"));
        }
        Ok(key)
    }

    pub(super) fn bits(&self) -> u64 {
        self.modulus.bits()
    }

    /// Holds a signature against what it ought to be made over.
    pub(super) fn verify(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> Result<(), Wrong> {
        let wrong = |what: &str| Err(Wrong::Signature(what.to_owned()));
        if signature.len() != self.len {
            return wrong("it has another length than the key");
        }
        let number = BigUint::from_bytes_be(signature);
        if number >= self.modulus {
            return wrong("it is no number below the key's modulus");
        }
        let power = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        let tail = hash.prefix().len() + digest.len();
        let Some(filling) = self.len.checked_sub(tail + 3).filter(|filling| *filling >= 8) else {
            return wrong("the key is too short for the digest");
        };
        // The leading zero of the encoded message is not part of the number.
        let mut expected = vec![0x01];
        expected.resize(1 + filling, 0xff);
        expected.push(0x00);
        expected.extend_from_slice(hash.prefix());
        expected.extend_from_slice(digest);
        if power == expected { Ok(()) } else { wrong("it was made over something else, or with another key") }
    }
}

fn numbers(bytes: &[u8]) -> der::Result<(BigUint, BigUint)> {
    let mut reader = SliceReader::new(bytes)?;
    let pair = reader.sequence(|inner| -> der::Result<_> {
        let modulus = UintRef::decode(inner)?;
        let exponent = UintRef::decode(inner)?;
        Ok((BigUint::from_bytes_be(modulus.as_bytes()), BigUint::from_bytes_be(exponent.as_bytes())))
    })?;
    reader.finish()?;
    Ok(pair)
}
