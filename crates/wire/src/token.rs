//! Enrolment tokens: what a host shows once, to get its first certificate.
//!
//! Owns: the text `lifeboat1.SECRET.FINGERPRINT`: 24 random bytes and the SHA-256 of the authority's certificate,
//! both as hexadecimal digits. Promises: the host knows by the fingerprint that it speaks with the right controller
//! before it shows the secret; the controller keeps only a hash. Does not: say for which host it is; the controller
//! knows that.

use std::fmt;
use std::str::FromStr;

use lifeboat_model::Sha256Hex;
use thiserror::Error;

use crate::certificate::hex;

const PREFIX: &str = "lifeboat1";
const SECRET_BYTES: usize = 24;

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolToken {
    secret: String,
    /// SHA-256 of the authority's certificate (DER).
    pub fingerprint: Sha256Hex,
}

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It has another form.
    #[error("this is no enrolment token ({why}): copy the whole text that `lifeboatd host add` printed")]
    Form {
        /// What is wrong.
        why: &'static str,
    },
    /// The kernel gives no random bytes.
    #[error("no random bytes for a token")]
    Random,
}

impl EnrolToken {
    /// A new token for the authority with this fingerprint.
    pub fn generate(fingerprint: Sha256Hex) -> Result<Self, TokenError> {
        let mut bytes = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| TokenError::Random)?;
        Ok(Self { secret: hex(&bytes), fingerprint })
    }

    /// What is shown to the controller, and to nobody else.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What the controller keeps of a secret.
    pub fn hash(secret: &str) -> Sha256Hex {
        Sha256Hex::of(secret.as_bytes())
    }
}

impl fmt::Display for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}", self.secret, self.fingerprint)
    }
}

impl fmt::Debug for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolToken").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl FromStr for EnrolToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let form = |why| TokenError::Form { why };
        let mut parts = text.trim().split('.');
        let (prefix, secret, fingerprint) = (parts.next(), parts.next(), parts.next());
        if prefix != Some(PREFIX) {
            return Err(form("it does not begin with lifeboat1."));
        }
        let secret = secret.unwrap_or_default();
        if secret.len() != SECRET_BYTES * 2 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(form("its secret is not whole"));
        }
        let fingerprint = fingerprint.unwrap_or_default().parse();
        let fingerprint = fingerprint.map_err(|_| form("its fingerprint is not whole"))?;
        if parts.next().is_some() {
            return Err(form("it is longer than a token"));
        }
        Ok(Self { secret: secret.to_owned(), fingerprint })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_never_if_it_was_cut() {
        let token = EnrolToken::generate(Sha256Hex::of(b"authority")).unwrap();
        let text = token.to_string();
        assert_eq!(text.parse::<EnrolToken>().unwrap(), token);
        assert_eq!(format!(" {text}\n").parse::<EnrolToken>().unwrap(), token);
        for length in 0..text.len() {
            assert!(text[..length].parse::<EnrolToken>().is_err(), "cut to {length}");
        }
        assert!(format!("{text}.x").parse::<EnrolToken>().is_err());
        assert!(!format!("{token:?}").contains(token.secret()));
        assert_ne!(token, EnrolToken::generate(token.fingerprint).unwrap());
    }
}
