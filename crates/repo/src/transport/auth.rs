//! Who asks: what a transport adds to its questions.

use super::TransportError;
use super::client::{Answer, Ask, Client};

/// Adds credentials to questions.
pub(crate) trait Authority: Send + Sync {
    /// Signs one question.
    fn sign(&self, ask: &mut Ask<'_>) -> Result<(), TransportError>;

    /// The server answered 401: whether it is worth asking once more with what was learned now.
    fn challenged(&self, _client: &Client, _answer: &Answer, _ask: &Ask<'_>) -> Result<bool, TransportError> {
        Ok(false)
    }
}

/// Nobody in particular.
pub(crate) struct Anonymous;

impl Authority for Anonymous {
    fn sign(&self, _ask: &mut Ask<'_>) -> Result<(), TransportError> {
        Ok(())
    }
}

/// User and password (RFC 7617).
pub(crate) struct Basic(pub(crate) String);

impl Basic {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self(basic(user, password))
    }
}

impl Authority for Basic {
    fn sign(&self, ask: &mut Ask<'_>) -> Result<(), TransportError> {
        ask.headers.push(("authorization", self.0.clone()));
        Ok(())
    }
}

/// The header's value.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0_u8; 4];
        for (to, from) in word.iter_mut().skip(1).zip(group) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(word);
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            let letter = LETTERS.get(index).copied().unwrap_or_default();
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, coded) in cases.into_iter().chain([("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]) {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
