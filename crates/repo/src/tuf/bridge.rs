//! Our transports as tough's.
//!
//! Owns: the made-up addresses that tough asks for, and limits by kind of file. Promises: only "not there" means
//! that there is no newer root; a connection that fails is an error, so nobody can hide a root by cutting it (tough
//! itself takes every failure to begin for "not there").

use std::sync::Arc;

use futures_util::stream;
use tough::{Bytes, TransportError as ToughError, TransportErrorKind, TransportStream, async_trait};
use url::Url;

use crate::layout::{MAX_RELEASE_FILE, MAX_SMALL_ROLE, MAX_TARGETS, METADATA};
use crate::transport::{Key, Transport};

/// Base of all addresses; nobody resolves it (RFC 2606).
pub(crate) const BASE: &str = "https://repository.invalid/";

/// A transport as tough wants it.
#[derive(Debug, Clone)]
pub(crate) struct Bridge(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl tough::Transport for Bridge {
    async fn fetch(&self, url: Url) -> Result<TransportStream, ToughError> {
        let failed = |kind, cause: Box<dyn std::error::Error + Send + Sync>| {
            ToughError::new_with_cause(kind, url.as_str(), cause)
        };
        let answer = match url.as_str().strip_prefix(BASE).map(Key::new) {
            Some(Ok(key)) => match self.0.get(&key, limit(key.as_str())) {
                Ok(bytes) => Ok(Bytes::from(bytes)),
                Err(error) if error.is_not_found() => {
                    Err(failed(TransportErrorKind::FileNotFound, Box::new(error)))
                }
                Err(error) => Err(failed(TransportErrorKind::Other, Box::new(error))),
            },
            Some(Err(error)) => Err(failed(TransportErrorKind::Other, Box::new(error))),
            None => Err(ToughError::new(TransportErrorKind::UnsupportedUrlScheme, url.as_str())),
        };
        // The failure is inside the stream: see the promise above.
        Ok(Box::pin(stream::iter([answer])))
    }
}

fn limit(key: &str) -> u64 {
    if !key.starts_with(METADATA) {
        MAX_RELEASE_FILE
    } else if key.ends_with(".targets.json") {
        MAX_TARGETS
    } else {
        MAX_SMALL_ROLE
    }
}
