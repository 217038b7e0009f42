//! A repository on a web server.
//!
//! Owns: URLs of files below a base. Does not: write; WebDAV and its like are not spoken.

use std::io::Write;
use std::sync::Arc;

use ureq::http::Method;
use url::Url;

use super::auth::{Anonymous, Authority, Basic};
use super::client::{Ask, Client, NetSettings, Traffic};
use super::location::decode;
use super::{Body, Key, Put, PutMode, Transport, TransportError};

/// A web server.
#[derive(Debug)]
pub struct HttpTransport {
    /// Ends with a slash, without user and password.
    base: String,
    client: Client,
}

impl HttpTransport {
    /// The files below `base`, whose path ends with a slash.
    pub fn new(base: &Url, settings: &NetSettings) -> Result<Self, TransportError> {
        let mut base = base.clone();
        let login = base
            .password()
            .map(|password| (decode(base.username()), decode(password)))
            .or_else(|| settings.login.clone());
        // Both fail only for addresses without a host, which are no web server's.
        let _ = base.set_password(None);
        let _ = base.set_username("");
        let authority: Box<dyn Authority> = match login {
            Some((user, password)) => Box::new(Basic::new(&user, &password)),
            None => Box::new(Anonymous),
        };
        let client = Client::new(base.scheme() == "https", authority, settings)?;
        Ok(Self { base: base.into(), client })
    }

    fn url(&self, key: &Key) -> String {
        // A plus sign is the only letter of a key that servers read in more than one way.
        format!("{}{}", self.base, key.as_str().replace('+', "%2B"))
    }

    fn read_only(&self) -> TransportError {
        TransportError::ReadOnly { at: self.place() }
    }
}

impl Transport for HttpTransport {
    fn place(&self) -> String {
        self.base.clone()
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError> {
        let url = self.url(key);
        self.client.get(&url, &Ask::new(Method::GET, url.clone()), limit)
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError> {
        let url = self.url(key);
        self.client.fill(&url, &Ask::new(Method::GET, url.clone()), offset, buf)
    }

    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError> {
        let url = self.url(key);
        self.client.stream(&url, &Ask::new(Method::GET, url.clone()), limit, sink)
    }

    fn put(&self, _key: &Key, _body: &Body<'_>, _mode: PutMode) -> Result<Put, TransportError> {
        Err(self.read_only())
    }

    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError> {
        let url = self.url(key);
        let answer = self.client.ask(&url, &Ask::new(Method::HEAD, url.clone()))?;
        match answer.status {
            200 => {
                let len = answer.header("content-length").and_then(|len| len.parse().ok());
                let what = "it does not say how long the file is".to_owned();
                len.map(Some).ok_or(TransportError::BadAnswer { at: url, what })
            }
            404 => Ok(None),
            _ => Err(answer.refused(&url)),
        }
    }

    fn list(&self, _prefix: &str) -> Result<Vec<Key>, TransportError> {
        Err(self.read_only())
    }

    fn delete(&self, _key: &Key) -> Result<(), TransportError> {
        Err(self.read_only())
    }

    fn traffic(&self) -> Option<Arc<Traffic>> {
        Some(self.client.traffic())
    }
}
