//! Credentials for registries: Basic, or a Bearer token.
//!
//! Owns: the challenge of a 401 (RFC 9110, section 11.6.1) and the token endpoint (the "distribution token
//! authentication" that registries share). Promises: credentials go only to the registry itself and to the token
//! server that it names, and to that one not in plain text unless the registry is. Does not: refresh tokens.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use ureq::http::Method;

use super::TransportError;
use super::auth::{Authority, basic};
use super::client::{Answer, Ask, Client};
use super::sigv4::encode_query;

/// Longest answer of a token server.
const MAX_TOKEN: u64 = 64 * 1024;

/// Whoever asks a registry.
pub(crate) struct RegistryAuthority {
    /// `http(s)://host[:port]`.
    endpoint: String,
    login: Option<(String, String)>,
    /// Value of the header, once it is known what the registry wants.
    header: Mutex<Option<String>>,
}

impl RegistryAuthority {
    pub(crate) fn new(endpoint: &str, login: Option<(String, String)>) -> Self {
        Self { endpoint: endpoint.to_owned(), login, header: Mutex::new(None) }
    }

    fn remember(&self, value: String) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }
}

impl Authority for RegistryAuthority {
    fn sign(&self, ask: &mut Ask<'_>) -> Result<(), TransportError> {
        // Uploads may be sent elsewhere; our credentials are the registry's.
        if !ask.url.strip_prefix(&self.endpoint).is_some_and(|path| path.starts_with('/')) {
            return Ok(());
        }
        let header = self.header.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ask.headers.extend(header.map(|value| ("authorization", value)));
        Ok(())
    }

    fn challenged(&self, client: &Client, answer: &Answer, ask: &Ask<'_>) -> Result<bool, TransportError> {
        let challenges = answer.headers.get_all("www-authenticate");
        for challenge in challenges.iter().filter_map(|value| value.to_str().ok()).filter_map(parse_challenge)
        {
            match (challenge, &self.login) {
                (Challenge::Basic, Some((user, password))) => {
                    self.remember(basic(user, password));
                    return Ok(true);
                }
                (Challenge::Bearer { realm, service, scope }, login) => {
                    let at = format!("{realm} (the token server of {})", self.endpoint);
                    if self.endpoint.starts_with("https://") && !realm.starts_with("https://") {
                        let what =
                            "a registry with HTTPS must not send credentials to a plain address".to_owned();
                        return Err(TransportError::BadAnswer { at, what });
                    }
                    let query: Vec<(&str, String)> = [("service", service), ("scope", scope)]
                        .into_iter()
                        .filter_map(|(name, value)| value.map(|value| (name, value)))
                        .collect();
                    let joiner = if realm.contains('?') { '&' } else { '?' };
                    let mut ask = Ask::new(Method::GET, format!("{realm}{joiner}{}", encode_query(&query)));
                    if let Some((user, password)) = login {
                        ask = ask.header("authorization", basic(user, password));
                    }
                    let answer = client.send_plain(&at, &ask, 1)?;
                    if answer.status != 200 {
                        return Err(answer.refused(&at));
                    }
                    let bytes = client.body(&at, answer, MAX_TOKEN)?;
                    let token = parse_token(&bytes).ok_or_else(|| TransportError::BadAnswer {
                        at,
                        what: "it holds no token".to_owned(),
                    })?;
                    self.remember(format!("Bearer {token}"));
                    return Ok(true);
                }
                (Challenge::Basic, None) => {}
            }
        }
        let _ = ask;
        Ok(false)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

fn parse_challenge(text: &str) -> Option<Challenge> {
    let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = parameters;
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_once(',').unwrap_or((behind, "")),
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value.to_owned()),
            "service" => service = Some(value.to_owned()),
            "scope" => scope = Some(value.to_owned()),
            _ => {}
        }
        rest = behind.trim_start().trim_start_matches(',');
    }
    let realm = realm.filter(|realm| realm.starts_with("https://") || realm.starts_with("http://"))?;
    Some(Challenge::Bearer { realm, service, scope })
}

fn parse_token(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Form {
        token: Option<String>,
        access_token: Option<String>,
    }
    let form: Form = serde_json::from_slice(bytes).ok()?;
    // A token with a line end would be a second header.
    form.token.or(form.access_token).filter(|token| token.bytes().all(|c| c.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_understood_or_passed_over() {
        let bearer = parse_challenge(
            r#"Bearer realm="https://auth.example/token",service="r, x",scope="repository:a/b:pull,push""#,
        );
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("r, x".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(bearer, Some(expected));
        assert_eq!(parse_challenge("basic realm=x"), Some(Challenge::Basic));
        for bad in
            ["", "Bearer", "Bearer realm=", "Bearer realm=\"file:///etc\"", "Digest a=b", "Bearer realm=\"x"]
        {
            assert_eq!(parse_challenge(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(parse_token(br#"{"token":"a"}"#).as_deref(), Some("a"));
        assert_eq!(parse_token(br#"{"access_token":"b","expires_in":3}"#).as_deref(), Some("b"));
        for bad in [&br#"{"token":"a\r\nb"}"#[..], b"{}", b"", b"[]"] {
            assert_eq!(parse_token(bad), None);
        }
    }
}
