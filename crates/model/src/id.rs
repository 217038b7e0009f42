//! Names of things, each a type of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("a {kind} name is empty")]
    Empty {
        /// What was to be named.
        kind: &'static str,
    },
    /// More than 128 bytes.
    #[error("{kind} name {text:?} has {length} bytes; at most 128 are allowed")]
    TooLong {
        /// What was to be named.
        kind: &'static str,
        /// The first bytes of the text.
        text: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A character that could be read as a path, an option or a blank.
    #[error(
        "{kind} name {text:?} has the character {character:?}; letters, digits and . _ : - are allowed, and no - first"
    )]
    Character {
        /// What was to be named.
        kind: &'static str,
        /// The text.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > 128 {
        let text = text.chars().take(32).collect();
        return Err(IdError::TooLong { kind, length: 129, text });
    }
    let bad = text.char_indices().find(|&(at, c)| {
        let plain = c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        !plain || (at == 0 && (c == '-' || c == '.'))
    });
    match bad {
        Some((_, character)) => Err(IdError::Character { kind, text: text.to_owned(), character }),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes it a name.
            ///
            /// # Errors
            /// [`IdError`] if it is empty, longer than 128 bytes or has a character that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                check($kind, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

id!(
    /// Name of a pool, unique in one installation of Lifeboat.
    PoolName,
    "pool"
);
id!(
    /// Name of a host, unique in its pool.
    HostId,
    "host"
);
id!(
    /// Name of a guest, unique in its pool.
    GuestId,
    "guest"
);
id!(
    /// Name of one execution of a plan.
    RollId,
    "roll"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_a_path_or_an_option() {
        for bad in ["", "../h1", "-h", "h 1", "a/b", ".hidden", "h\n1", "hé"] {
            assert!(HostId::new(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["h1", "esx-01.example.org", "0f3a:1", "A_b"] {
            assert_eq!(HostId::new(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        assert!(HostId::new("x".repeat(129)).is_err());
    }
}
