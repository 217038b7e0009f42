//! A repository in an OCI registry.
//!
//! Owns: each file as a manifest of our artifact type with one blob, under the tag that `oci_names` gives (OCI
//! distribution and image specifications 1.1). Promises: a tag is moved only when blob and manifest are there; no two
//! files share a manifest, so removing one never removes another. Does not: collect garbage (the registry's task).

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};
use ureq::http::Method;

use super::client::{Answer, Ask, Client, NetSettings, Traffic};
use super::location::OciPlace;
use super::oci_names::{Named, named, tag};
use super::oci_token::RegistryAuthority;
use super::{Body, Key, MAX_PUT, Put, PutMode, Transport, TransportError};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What our manifests say they are; also the type of their empty configuration, for registries of version 1.0.
const ARTIFACT: &str = "application/vnd.lifeboat.repository.file.v1";
const FILE: &str = "application/vnd.lifeboat.file.v1";
/// The annotation with the name of the file.
const KEY: &str = "org.lifeboat.key";
/// The configuration that every manifest must have: an empty object.
const EMPTY: &[u8] = b"{}";
const MAX_MANIFEST: u64 = 64 * 1024;
const MAX_TAGS_PAGE: u64 = 32 << 20;
const MAX_KEYS: usize = 1_000_000;

/// A repository of a registry.
#[derive(Debug)]
pub struct OciTransport {
    place: OciPlace,
    client: Client,
    /// Where parts of files that never change are: asked once.
    known: Mutex<HashMap<Key, Blob>>,
    config_is_there: AtomicBool,
}

/// A blob's digest and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blob {
    digest: Sha256Hex,
    len: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    fn new(media_type: &str, digest: Sha256Hex, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest: format!("sha256:{digest}"), size }
    }

    fn blob(&self) -> Option<Blob> {
        let digest = self.digest.strip_prefix("sha256:")?.parse().ok()?;
        Some(Blob { digest, len: self.size })
    }
}

impl OciTransport {
    /// The repository of `place`.
    pub fn new(place: &OciPlace, settings: &NetSettings) -> Result<Self, TransportError> {
        let login = place.login.clone().or_else(|| settings.login.clone());
        let authority = Box::new(RegistryAuthority::new(&place.endpoint, login));
        let client = Client::new(place.endpoint.starts_with("https://"), authority, settings)?;
        let known = Mutex::new(HashMap::new());
        Ok(Self { place: place.clone(), client, known, config_is_there: AtomicBool::new(false) })
    }

    fn at(&self, key: &Key) -> String {
        format!("{}:{}", self.place(), tag(key))
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.place.endpoint, self.place.name)
    }

    fn blob_ask(&self, blob: Blob) -> Ask<'static> {
        Ask::new(Method::GET, self.url(&format!("blobs/sha256:{}", blob.digest)))
    }

    fn manifest_ask(&self, method: Method, tag: &str) -> Ask<'static> {
        Ask::new(method, self.url(&format!("manifests/{tag}"))).header("accept", MANIFEST)
    }

    fn manifest(&self, at: &str, tag: &str) -> Result<(Manifest, Blob), TransportError> {
        let bytes = self.client.get(at, &self.manifest_ask(Method::GET, tag), MAX_MANIFEST)?;
        let bad = |what: &str| TransportError::BadAnswer { at: at.to_owned(), what: what.to_owned() };
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|_| bad("its manifest is not one of ours"))?;
        match manifest.layers.as_slice() {
            [layer] if manifest.config.media_type == ARTIFACT => {
                let blob = layer.blob().ok_or_else(|| bad("its manifest names no SHA-256 digest"))?;
                Ok((manifest, blob))
            }
            _ => Err(bad("its manifest is not one of ours")),
        }
    }

    /// The blob of a file as it is now.
    fn find(&self, key: &Key) -> Result<Blob, TransportError> {
        let at = self.at(key);
        let (manifest, blob) = self.manifest(&at, &tag(key))?;
        if manifest.annotations.get(KEY).map(String::as_str) != Some(key.as_str()) {
            let what = "its manifest is that of another file".to_owned();
            return Err(TransportError::BadAnswer { at, what });
        }
        Ok(blob)
    }

    fn find_once(&self, key: &Key) -> Result<Blob, TransportError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        if let Some(blob) = known {
            return Ok(blob);
        }
        let blob = self.find(key)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), blob);
        Ok(blob)
    }

    fn forget(&self, key: &Key) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn put_blob(&self, at: &str, body: &Body<'_>) -> Result<(), TransportError> {
        let digest = format!("sha256:{}", body.sha256());
        let there = self.client.ask(at, &Ask::new(Method::HEAD, self.url(&format!("blobs/{digest}"))))?;
        if there.status == 200 {
            return Ok(());
        }
        let nothing = Vec::new();
        let nothing = Body::bytes(&nothing);
        let begin = Ask::new(Method::POST, self.url("blobs/uploads/")).body(&nothing);
        let begun = self.client.ask(at, &begin)?;
        if begun.status != 202 {
            return Err(begun.refused(at));
        }
        let session = self.absolute(at, &begun)?;
        let joiner = if session.contains('?') { '&' } else { '?' };
        let upload = Ask::new(Method::PUT, format!("{session}{joiner}digest={digest}"))
            .header("content-type", "application/octet-stream")
            .body(body);
        let done = self.client.ask(at, &upload)?;
        if done.status == 201 { Ok(()) } else { Err(done.refused(at)) }
    }

    /// The address that an answer sends us to.
    fn absolute(&self, at: &str, answer: &Answer) -> Result<String, TransportError> {
        let bad = || TransportError::BadAnswer {
            at: at.to_owned(),
            what: "it does not say where the upload goes".to_owned(),
        };
        let location = answer.header("location").ok_or_else(bad)?;
        if location.starts_with('/') {
            return Ok(format!("{}{location}", self.place.endpoint));
        }
        let secure = self.place.endpoint.starts_with("https://");
        if location.starts_with("https://") || (!secure && location.starts_with("http://")) {
            Ok(location.to_owned())
        } else {
            Err(bad())
        }
    }
}

impl Transport for OciTransport {
    fn place(&self) -> String {
        let host =
            self.place.endpoint.split_once("://").map_or(self.place.endpoint.as_str(), |(_, host)| host);
        format!("oci://{host}/{}", self.place.name)
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError> {
        let at = self.at(key);
        let blob = self.find(key)?;
        if blob.len > limit {
            return Err(TransportError::TooLong { at, limit });
        }
        self.client.get(&at, &self.blob_ask(blob), limit)
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError> {
        let blob = self.find_once(key)?;
        self.client.fill(&self.at(key), &self.blob_ask(blob), offset, buf)
    }

    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError> {
        let blob = self.find_once(key)?;
        self.client.stream(&self.at(key), &self.blob_ask(blob), limit, sink)
    }

    fn put(&self, key: &Key, body: &Body<'_>, mode: PutMode) -> Result<Put, TransportError> {
        let at = self.at(key);
        if body.len() > MAX_PUT {
            return Err(TransportError::TooLongToPut { at, len: body.len(), max: MAX_PUT });
        }
        if mode == PutMode::IfAbsent && self.stat(key)?.is_some() {
            return Ok(Put::Existed);
        }
        let empty = EMPTY.to_vec();
        let config = Body::bytes(&empty);
        if !self.config_is_there.load(Ordering::Relaxed) {
            self.put_blob(&at, &config)?;
            self.config_is_there.store(true, Ordering::Relaxed);
        }
        self.put_blob(&at, body)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: ARTIFACT.to_owned(),
            config: Descriptor::new(ARTIFACT, config.sha256(), config.len()),
            layers: vec![Descriptor::new(FILE, body.sha256(), body.len())],
            annotations: BTreeMap::from([(KEY.to_owned(), key.as_str().to_owned())]),
        };
        let manifest = serde_json::to_vec(&manifest).map_err(|error| TransportError::Setup {
            what: format!("writing the manifest of {at}: {error}"),
        })?;
        let manifest = Body::bytes(&manifest);
        let ask = Ask::new(Method::PUT, self.url(&format!("manifests/{}", tag(key))))
            .header("content-type", MANIFEST)
            .body(&manifest);
        let answer = self.client.ask(&at, &ask)?;
        self.forget(key);
        if answer.status == 201 { Ok(Put::Stored) } else { Err(answer.refused(&at)) }
    }

    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError> {
        match self.find(key) {
            Ok(blob) => Ok(Some(blob.len)),
            Err(TransportError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Key>, TransportError> {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let at = self.place();
        let bad = |what: String| TransportError::BadAnswer { at: at.clone(), what };
        let mut keys = Vec::new();
        let mut next = Some(self.url("tags/list?n=1000"));
        let mut pages = 0_usize;
        while let Some(url) = next.take() {
            pages += 1;
            let answer = self.client.ask(&at, &Ask::new(Method::GET, url))?;
            if answer.status == 404 {
                // Nothing was ever pushed under this name.
                return Ok(Vec::new());
            }
            if answer.status != 200 {
                return Err(answer.refused(&at));
            }
            next = answer
                .header("link")
                .and_then(next_link)
                .map(|path| format!("{}{path}", self.place.endpoint));
            let bytes = self.client.body(&at, answer, MAX_TAGS_PAGE)?;
            let page: Tags = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
            for tag in page.tags.unwrap_or_default() {
                match named(&tag) {
                    Named::Key(key) => keys.push(key),
                    Named::Long => {
                        let (manifest, _) = self.manifest(&format!("{at}:{tag}"), &tag)?;
                        keys.extend(
                            manifest.annotations.get(KEY).and_then(|key| Key::new(key.as_str()).ok()),
                        );
                    }
                    Named::Foreign => {}
                }
            }
            if keys.len() > MAX_KEYS || pages > MAX_KEYS / 1000 {
                return Err(bad(format!("more than {MAX_KEYS} tags")));
            }
        }
        keys.retain(|key| key.as_str().starts_with(prefix));
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    fn delete(&self, key: &Key) -> Result<(), TransportError> {
        let at = self.at(key);
        self.forget(key);
        let head = self.client.ask(&at, &self.manifest_ask(Method::HEAD, &tag(key)))?;
        match head.status {
            200 => {}
            404 => return Ok(()),
            _ => return Err(head.refused(&at)),
        }
        let digest = head.header("docker-content-digest").unwrap_or_default().to_owned();
        if digest.strip_prefix("sha256:").and_then(|digest| digest.parse::<Sha256Hex>().ok()).is_none() {
            let what = "it does not say the digest of its manifest".to_owned();
            return Err(TransportError::BadAnswer { at, what });
        }
        let answer = self.client.ask(&at, &self.manifest_ask(Method::DELETE, &digest))?;
        match answer.status {
            200 | 202 | 404 => Ok(()),
            405 => Err(TransportError::Denied {
                at,
                status: 405,
                said: ": the registry does not let files be removed (REGISTRY_STORAGE_DELETE_ENABLED)"
                    .to_owned(),
            }),
            _ => Err(answer.refused(&at)),
        }
    }

    fn traffic(&self) -> Option<Arc<Traffic>> {
        Some(self.client.traffic())
    }
}

/// The path of `</v2/…>; rel="next"` (RFC 8288), if it stays on this registry.
fn next_link(text: &str) -> Option<&str> {
    let (path, parameters) = text.trim().strip_prefix('<')?.split_once('>')?;
    (parameters.contains("next") && path.starts_with("/v2/")).then_some(path)
}
