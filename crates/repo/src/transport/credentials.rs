//! Credentials for S3.
//!
//! Owns: the form of the shared credentials file (`~/.aws/credentials`). Promises: secrets are never shown by
//! `Debug`. Does not: read the environment or files (the program brings their text), or ask a metadata service.

use std::fmt;

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Token of a temporary key.
    pub token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.access_key)
    }
}

impl Credentials {
    /// The section `[profile]` of a shared credentials file; `None` if it is not there or lacks a key.
    #[must_use]
    pub fn from_profile(text: &str, profile: &str) -> Option<Self> {
        let mut here = false;
        let (mut access_key, mut secret_key, mut token) = (None, None, None);
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                here = name.trim() == profile;
            } else if here
                && !line.starts_with(['#', ';'])
                && let Some((name, value)) = line.split_once('=')
            {
                let value = Some(value.trim().to_owned());
                match name.trim() {
                    "aws_access_key_id" => access_key = value,
                    "aws_secret_access_key" => secret_key = value,
                    "aws_session_token" => token = value,
                    _ => {}
                }
            }
        }
        Some(Self { access_key: access_key?, secret_key: secret_key?, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_and_its_secret_is_not_shown() {
        let text =
            "[default]\naws_access_key_id = A\naws_secret_access_key=S\n# x\n[other]\naws_access_key_id=B\n";
        let read = Credentials::from_profile(text, "default");
        let expected = Credentials { access_key: "A".into(), secret_key: "S".into(), token: None };
        assert_eq!(read, Some(expected.clone()));
        assert_eq!(Credentials::from_profile(text, "other"), None);
        assert_eq!(Credentials::from_profile(text, "third"), None);
        assert_eq!(format!("{expected:?}"), "Credentials(A)");
    }
}
