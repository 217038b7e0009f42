//! A repository in a bucket.
//!
//! Owns: the S3 requests that files need (`GetObject` with ranges, `HeadObject`, `PutObject`, `ListObjectsV2`,
//! `DeleteObject`), path style, signed by `sigv4`. Promises: a put whose bytes did not arrive as they were is refused
//! by the server (its digest is signed). Does not: multipart uploads (a file has at most 5 GB), versions, ACLs.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use lifeboat_model::Sha256Hex;
use ureq::http::Method;

use super::auth::Authority;
use super::client::{Ask, Client, NetSettings, Traffic};
use super::location::S3Place;
use super::s3_list::parse_listing;
use super::sigv4::{Signed, Signing, encode, encode_query};
use super::{Body, Credentials, Key, MAX_PUT, Put, PutMode, Transport, TransportError};

/// Longest page of a listing, bytes: 1000 keys of 1 KiB with their XML.
const MAX_LISTING: u64 = 8 << 20;
/// Most keys that a listing may have.
const MAX_KEYS: usize = 1_000_000;

/// A bucket, or the part of it below a prefix.
#[derive(Debug)]
pub struct S3Transport {
    place: S3Place,
    client: Client,
}

struct AwsAuthority {
    credentials: Credentials,
    region: String,
}

impl S3Transport {
    /// The bucket of `place`. Without credentials the questions are not signed: public buckets can be read.
    pub fn new(place: &S3Place, settings: &NetSettings) -> Result<Self, TransportError> {
        let authority: Box<dyn Authority> = match &settings.s3 {
            Some(credentials) => {
                Box::new(AwsAuthority { credentials: credentials.clone(), region: place.region.clone() })
            }
            None => Box::new(super::auth::Anonymous),
        };
        let client = Client::new(place.endpoint.starts_with("https://"), authority, settings)?;
        Ok(Self { place: place.clone(), client })
    }

    fn at(&self, key: &Key) -> String {
        format!("s3://{}/{}{key}", self.place.bucket, self.place.prefix)
    }

    fn url(&self, key: &Key) -> String {
        let path = format!("/{}/{}{key}", self.place.bucket, self.place.prefix);
        format!("{}{}", self.place.endpoint, encode(&path, true))
    }

    fn ask(&self, method: Method, key: &Key) -> (String, Ask<'static>) {
        (self.at(key), Ask::new(method, self.url(key)))
    }
}

impl Authority for AwsAuthority {
    fn sign(&self, ask: &mut Ask<'_>) -> Result<(), TransportError> {
        let url = url::Url::parse(&ask.url)
            .map_err(|error| TransportError::Setup { what: format!("{}: {error}", ask.url) })?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let payload = ask.body.map_or_else(|| Sha256Hex::of(b""), Body::sha256);
        ask.headers.push(("x-amz-date", time.clone()));
        ask.headers.push(("x-amz-content-sha256", payload.to_string()));
        if let Some(token) = &self.credentials.token {
            ask.headers.push(("x-amz-security-token", token.clone()));
        }
        let mut headers: BTreeMap<String, String> =
            ask.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        headers.insert("host".to_owned(), host);
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<(&str, String)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let signing = Signing {
            access_key: &self.credentials.access_key,
            secret_key: &self.credentials.secret_key,
            region: &self.region,
            service: "s3",
            time: &time,
        };
        let signed = Signed {
            method: ask.method.as_str(),
            path: url.path(),
            query: &query,
            headers: &headers,
            payload,
        };
        ask.headers.push(("authorization", signing.authorization(&signed)));
        Ok(())
    }
}

impl Transport for S3Transport {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.place.bucket, self.place.prefix)
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError> {
        let (at, ask) = self.ask(Method::GET, key);
        self.client.get(&at, &ask, limit)
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError> {
        let (at, ask) = self.ask(Method::GET, key);
        self.client.fill(&at, &ask, offset, buf)
    }

    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError> {
        let (at, ask) = self.ask(Method::GET, key);
        self.client.stream(&at, &ask, limit, sink)
    }

    fn put(&self, key: &Key, body: &Body<'_>, mode: PutMode) -> Result<Put, TransportError> {
        let (at, ask) = self.ask(Method::PUT, key);
        if body.len() > MAX_PUT {
            return Err(TransportError::TooLongToPut { at, len: body.len(), max: MAX_PUT });
        }
        // Servers that do not know the condition would write over the old file: ask them first.
        if mode == PutMode::IfAbsent && self.stat(key)?.is_some() {
            return Ok(Put::Existed);
        }
        let mut ask = ask.body(body).header("content-type", "application/octet-stream");
        if mode == PutMode::IfAbsent {
            ask = ask.header("if-none-match", "*");
        }
        let answer = self.client.ask(&at, &ask)?;
        match answer.status {
            200 => Ok(Put::Stored),
            409 | 412 if mode == PutMode::IfAbsent => Ok(Put::Existed),
            _ => Err(answer.refused(&at)),
        }
    }

    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError> {
        let (at, ask) = self.ask(Method::HEAD, key);
        let answer = self.client.ask(&at, &ask)?;
        match answer.status {
            200 => {
                let len = answer.header("content-length").and_then(|len| len.parse().ok());
                let what = "it does not say how long the file is".to_owned();
                len.map(Some).ok_or(TransportError::BadAnswer { at, what })
            }
            404 => Ok(None),
            _ => Err(answer.refused(&at)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Key>, TransportError> {
        let at = self.place();
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query =
                vec![("list-type", "2".to_owned()), ("prefix", format!("{}{prefix}", self.place.prefix))];
            query.extend(token.take().map(|token| ("continuation-token", token)));
            let url = format!(
                "{}/{}?{}",
                self.place.endpoint,
                encode(&self.place.bucket, false),
                encode_query(&query)
            );
            let page = self.client.get(&at, &Ask::new(Method::GET, url), MAX_LISTING)?;
            let page =
                parse_listing(&page).map_err(|what| TransportError::BadAnswer { at: at.clone(), what })?;
            for name in page.keys {
                // Files of others in the same bucket are not ours to see.
                let ours = name.strip_prefix(&self.place.prefix).filter(|name| name.starts_with(prefix));
                keys.extend(ours.and_then(|name| Key::new(name).ok()));
            }
            if keys.len() > MAX_KEYS {
                return Err(TransportError::BadAnswer { at, what: format!("more than {MAX_KEYS} files") });
            }
            token = page.next;
            if token.is_none() {
                keys.sort();
                return Ok(keys);
            }
        }
    }

    fn delete(&self, key: &Key) -> Result<(), TransportError> {
        let (at, ask) = self.ask(Method::DELETE, key);
        let answer = self.client.ask(&at, &ask)?;
        match answer.status {
            200 | 202 | 204 | 404 => Ok(()),
            _ => Err(answer.refused(&at)),
        }
    }

    fn traffic(&self) -> Option<Arc<Traffic>> {
        Some(self.client.traffic())
    }
}
