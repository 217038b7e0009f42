//! Keys of release makers and their text forms.
//!
//! Owns: `lifeboat-secret-key-1` and `lifeboat-public-key-1` lines, key ids. Promises: a secret key is never
//! printed by `Debug` and is wiped when dropped; weak public keys are refused. Does not: make randomness
//! (the caller brings 32 random bytes) or keep files.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use lifeboat_model::Sha256Hex;
use thiserror::Error;

const SECRET: &str = "lifeboat-secret-key-1";
const PUBLIC: &str = "lifeboat-public-key-1";
const MAX_COMMENT: usize = 200;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The line does not begin with the expected word.
    #[error("the line does not begin with `{expected}`; give the {kind} key file")]
    WrongKind {
        /// The word that was expected.
        expected: &'static str,
        /// `secret` or `public`.
        kind: &'static str,
    },
    /// The key is not 64 hexadecimal digits.
    #[error("the key is not 64 lower-case hexadecimal digits; the file is damaged")]
    NotHex,
    /// The key is no point of the curve, or one of the few with which everything verifies.
    #[error("the public key is not a usable ed25519 key; ask its owner for it again")]
    Unusable,
    /// The comment has control characters or is longer than 200 bytes.
    #[error("the comment of a key must be one printable line of at most {MAX_COMMENT} bytes")]
    Comment,
    /// Line `line` of a file with several keys is wrong.
    #[error("line {line} of the trusted keys is wrong")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: Box<KeyError>,
    },
    /// The file holds no key.
    #[error("no key is in the text; put one `{PUBLIC} …` line per trusted key")]
    Empty,
    /// The threshold can never be met.
    #[error(
        "{threshold} signatures are asked for, but {keys} key(s) are trusted; trust more or ask for fewer"
    )]
    Threshold {
        /// Signatures needed.
        threshold: usize,
        /// Keys trusted.
        keys: usize,
    },
}

/// Short name of a public key: the first 8 bytes of its SHA-256, 16 hexadecimal digits on paper.
///
/// It finds a key; it never proves one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The key that signs releases (RFC 8032 seed).
pub struct SecretKey {
    key: SigningKey,
    comment: String,
}

impl SecretKey {
    /// A key of 32 bytes that must come from a good source of randomness.
    pub fn from_random(random: [u8; 32], comment: &str) -> Result<Self, KeyError> {
        check_comment(comment)?;
        Ok(Self { key: SigningKey::from_bytes(&random), comment: comment.to_owned() })
    }

    /// Reads the line `lifeboat-secret-key-1 HEX comment`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (seed, comment) = parse_line(text, SECRET, "secret")?;
        Self::from_random(seed, comment)
    }

    /// The line that [`SecretKey::parse`] reads, without a line end. Keep it secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_line(SECRET, self.key.as_bytes(), &self.comment)
    }

    /// The key that others need to trust this one.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey { key: self.key.verifying_key(), comment: self.comment.clone() }
    }

    /// Id of the public key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public().id()
    }

    /// Signs something that is no release: metadata of a repository (JSON, which begins with a brace). What is
    /// signed of a release begins otherwise, so that neither can ever be taken for the other; `None` for such bytes.
    #[must_use]
    pub fn sign_metadata(&self, message: &[u8]) -> Option<[u8; 64]> {
        message.starts_with(b"{").then(|| self.sign(message))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.id())
    }
}

/// The key that verifies releases.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    comment: String,
}

impl PublicKey {
    /// Reads the line `lifeboat-public-key-1 HEX comment`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (bytes, comment) = parse_line(text, PUBLIC, "public")?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Unusable)?;
        if key.is_weak() {
            return Err(KeyError::Unusable);
        }
        Ok(Self { key, comment: comment.to_owned() })
    }

    /// The line that [`PublicKey::parse`] reads, without a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_line(PUBLIC, self.key.as_bytes(), &self.comment)
    }

    /// The 32 bytes of the key (RFC 8032).
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// What its owner wrote beside it.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Short name of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Sha256Hex::of(self.key.as_bytes());
        KeyId(digest.0.first_chunk().copied().unwrap_or_default())
    }

    /// Whether both are the same key, whatever their comments say.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: [u8; 64]) -> bool {
        // Strict: no second signature for the same message can be made out of a first one.
        self.key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {:?})", self.id(), self.comment)
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Exactly `2 * N` lower-case digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(KeyError::NotHex),
    };
    let mut out = [0; N];
    if text.len() != N * 2 {
        return Err(KeyError::NotHex);
    }
    for (to, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        if let [high, low] = *pair {
            *to = digit(high)? << 4 | digit(low)?;
        }
    }
    Ok(out)
}

fn parse_line<'t>(
    text: &'t str,
    word: &'static str,
    kind: &'static str,
) -> Result<([u8; 32], &'t str), KeyError> {
    let wrong = KeyError::WrongKind { expected: word, kind };
    let rest = text.trim().strip_prefix(word).ok_or(wrong.clone())?;
    let rest = rest.strip_prefix(' ').ok_or(wrong)?.trim_start();
    let (hex, comment) = rest.split_once(' ').unwrap_or((rest, ""));
    let comment = comment.trim();
    check_comment(comment)?;
    Ok((from_hex(hex)?, comment))
}

fn to_line(word: &str, bytes: &[u8; 32], comment: &str) -> String {
    let line = format!("{word} {} {comment}", to_hex(bytes));
    line.trim_end().to_owned()
}

fn check_comment(comment: &str) -> Result<(), KeyError> {
    if comment.len() > MAX_COMMENT || comment.chars().any(char::is_control) {
        return Err(KeyError::Comment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn keys_survive_their_text_form() {
        let secret = SecretKey::from_random([7; 32], "build host, 2026").unwrap();
        let again = SecretKey::parse(&format!("{}\n", secret.to_text())).unwrap();
        assert_eq!(again.to_text(), secret.to_text());
        let public = PublicKey::parse(&secret.public().to_text()).unwrap();
        assert_eq!(public, secret.public());
        assert_eq!(public.comment(), "build host, 2026");
        assert_eq!(public.id().to_string().parse(), Ok(public.id()));
    }

    #[test]
    fn the_first_vector_of_rfc_8032_gives_its_public_key_and_signature() {
        let seed = from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let secret = SecretKey::from_random(seed, "").unwrap();
        let public = "lifeboat-public-key-1 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(secret.public().to_text(), public);
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(to_hex(&secret.sign(b"")), signature);
    }

    #[test]
    fn a_secret_key_is_not_printed_by_debug() {
        let secret = SecretKey::from_random([7; 32], "").unwrap();
        assert!(!format!("{secret:?}").contains("0707"));
    }

    #[test]
    fn wrong_texts_are_refused_with_their_reason() {
        let secret = SecretKey::from_random([7; 32], "x").unwrap();
        assert!(matches!(PublicKey::parse(&secret.to_text()), Err(KeyError::WrongKind { .. })));
        assert!(matches!(SecretKey::parse(&secret.public().to_text()), Err(KeyError::WrongKind { .. })));
        assert_eq!(PublicKey::parse("lifeboat-public-key-1 12").unwrap_err(), KeyError::NotHex);
        // The neutral element: every signature with s = 0 would verify.
        let weak = format!("lifeboat-public-key-1 01{}", "0".repeat(62));
        assert_eq!(PublicKey::parse(&weak).unwrap_err(), KeyError::Unusable);
        assert_eq!(SecretKey::from_random([1; 32], "two\nlines").unwrap_err(), KeyError::Comment);
    }
}
