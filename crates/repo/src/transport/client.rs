//! HTTP as the transports need it: attempts, waits, limits.
//!
//! Owns: the one HTTP client (`ureq` with rustls), its settings, retries, what statuses mean. Promises: an answer that
//! is the server's passing trouble is waited out, a bounded number of times; at most five redirects, never from HTTPS
//! to HTTP, never with credentials to another host. Does not: read bodies (`parts`), know addresses or credentials
//! (the transports and `auth`).

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, SendBody};

use super::auth::Authority;
use super::parts::Copied;
use super::{Body, Credentials, TransportError};

/// Where Debian and its relatives keep the certificates of public authorities.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";
const REDIRECTS: u32 = 5;
/// What is read of an error's body.
const ERROR_BODY: u64 = 2048;

/// How the network is used.
#[derive(Debug, Clone)]
pub struct NetSettings {
    /// File with certificates (PEM) of authorities that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// Attempts in a row that bring no progress before it is given up.
    pub tries: u32,
    /// Wait before the second attempt; doubled before every further one, up to 32 times.
    pub first_wait: Duration,
    /// Longest wait for a connection, for the head of an answer, and for the next bytes of it.
    pub patience: Duration,
    /// Credentials of S3; those of the environment are brought by the program.
    pub s3: Option<Credentials>,
    /// User and password of web servers and registries; what an address says comes first.
    pub login: Option<(String, String)>,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            ca: None,
            tries: 6,
            first_wait: Duration::from_millis(250),
            patience: Duration::from_secs(30),
            s3: None,
            login: None,
        }
    }
}

/// What went over the network.
#[derive(Debug, Default)]
pub struct Traffic {
    pub(super) received: AtomicU64,
    sent: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
}

impl Traffic {
    /// Bytes of answers' bodies, without heads.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
    /// Bytes of requests' bodies, without heads.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
    /// Requests, every attempt counted.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
    /// Attempts after a failed one.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// One question, before it is signed.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<&'a Body<'a>>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &'a Body<'a>) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn again(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body,
        }
    }
}

/// An answer whose head was read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(super) body: ureq::Body,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// What a status that was not wanted means.
    pub(crate) fn refused(self, at: &str) -> TransportError {
        let (at, status) = (at.to_owned(), self.status);
        let mut text = String::new();
        let mut reader = self.body.into_with_config().limit(ERROR_BODY).lossy_utf8(true).reader();
        // What cannot be read is not told; the status is.
        let _ = (&mut reader).take(ERROR_BODY).read_to_string(&mut text);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        let said = if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) };
        match status {
            404 => TransportError::NotFound { at },
            401 | 403 | 407 => TransportError::Denied { at, status, said },
            _ => TransportError::Status { at, status, said },
        }
    }
}

/// The client of one place.
pub(crate) struct Client {
    agent: Agent,
    authority: Box<dyn Authority>,
    pub(super) tries: u32,
    first_wait: Duration,
    pub(super) patience: Duration,
    pub(super) traffic: Arc<Traffic>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

/// What one attempt came to.
enum Attempt<T> {
    Done(T),
    /// Worth another one.
    Failed(TransportError),
}

impl Client {
    pub(crate) fn new(
        https: bool,
        authority: Box<dyn Authority>,
        settings: &NetSettings,
    ) -> Result<Self, TransportError> {
        let patience = Some(settings.patience);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(https)
            .max_redirects(REDIRECTS)
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .timeout_per_write(patience);
        if https {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            config = config.tls_config(
                TlsConfig::builder()
                    .provider(TlsProvider::Rustls)
                    .unversioned_rustls_crypto_provider(provider)
                    .root_certs(roots(settings)?)
                    .build(),
            );
        }
        Ok(Self {
            agent: config.build().new_agent(),
            authority,
            tries: settings.tries.max(1),
            first_wait: settings.first_wait,
            patience: settings.patience,
            traffic: Arc::new(Traffic::default()),
        })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Asks until there is an answer that is not the server's passing trouble. Any status may come back.
    pub(crate) fn ask(&self, at: &str, ask: &Ask<'_>) -> Result<Answer, TransportError> {
        self.persist(|tries| {
            let answer = match self.once(at, ask, tries) {
                Ok(answer) => answer,
                Err(error @ TransportError::Network { .. }) => return Ok(Attempt::Failed(error)),
                Err(error) => return Err(error),
            };
            if passing(answer.status) {
                return Ok(Attempt::Failed(answer.refused(at)));
            }
            Ok(Attempt::Done(answer))
        })
    }

    /// A whole small body.
    pub(crate) fn get(&self, at: &str, ask: &Ask<'_>, limit: u64) -> Result<Vec<u8>, TransportError> {
        self.persist(|tries| {
            let answer = match self.once(at, ask, tries) {
                Ok(answer) => answer,
                Err(error @ TransportError::Network { .. }) => return Ok(Attempt::Failed(error)),
                Err(error) => return Err(error),
            };
            if passing(answer.status) {
                return Ok(Attempt::Failed(answer.refused(at)));
            }
            if answer.status != 200 {
                return Err(answer.refused(at));
            }
            let mut bytes = Vec::new();
            match self.copy(at, answer, limit, &mut bytes) {
                Ok(_) => Ok(Attempt::Done(bytes)),
                Err(Copied::Stopped(source)) => {
                    Ok(Attempt::Failed(TransportError::Network { at: at.to_owned(), tries, source }))
                }
                Err(Copied::Refused(error)) => Err(error),
            }
        })
    }

    /// A whole body in one pass; before its first byte an attempt may be repeated, later not.
    pub(crate) fn stream(
        &self,
        at: &str,
        ask: &Ask<'_>,
        limit: u64,
        sink: &mut dyn Write,
    ) -> Result<u64, TransportError> {
        let answer = self.ask(at, ask)?;
        if answer.status != 200 {
            return Err(answer.refused(at));
        }
        self.copy(at, answer, limit, sink).map_err(|error| match error {
            Copied::Stopped(source) => TransportError::Network { at: at.to_owned(), tries: 1, source },
            Copied::Refused(error) => error,
        })
    }

    /// The body of an answer, whole.
    pub(crate) fn body(&self, at: &str, answer: Answer, limit: u64) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        match self.copy(at, answer, limit, &mut bytes) {
            Ok(_) => Ok(bytes),
            Err(Copied::Stopped(source)) => {
                Err(TransportError::Network { at: at.to_owned(), tries: 1, source })
            }
            Err(Copied::Refused(error)) => Err(error),
        }
    }

    /// One attempt, with one more if the server wants other credentials first.
    pub(super) fn once(&self, at: &str, ask: &Ask<'_>, tries: u32) -> Result<Answer, TransportError> {
        let answer = self.send(at, ask, tries)?;
        if answer.status == 401 && self.authority.challenged(self, &answer, ask)? {
            return self.send(at, ask, tries);
        }
        Ok(answer)
    }

    /// Sends without signing: for the places that hand out tokens.
    pub(crate) fn send_plain(&self, at: &str, ask: &Ask<'_>, tries: u32) -> Result<Answer, TransportError> {
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
        if tries > 1 {
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
        }
        let mut request = Request::builder().method(ask.method.clone()).uri(&ask.url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let setup =
            |error: &dyn fmt::Display| TransportError::Setup { what: format!("asking for {at}: {error}") };
        let response: Result<Response<ureq::Body>, ureq::Error> = if let Some(body) = ask.body {
            let mut reader = body.reader();
            let request = request
                .header("content-length", body.len())
                .body(SendBody::from_reader(&mut reader))
                .map_err(|error| setup(&error))?;
            self.traffic.sent.fetch_add(body.len(), Ordering::Relaxed);
            self.agent.run(request)
        } else {
            self.agent.run(request.body(()).map_err(|error| setup(&error))?)
        };
        match response {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
            }
            Err(
                error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_)),
            ) => Err(setup(&error)),
            Err(error @ ureq::Error::TooManyRedirects) => {
                Err(TransportError::BadAnswer { at: at.to_owned(), what: error.to_string() })
            }
            Err(ureq::Error::Io(source)) => Err(TransportError::Network { at: at.to_owned(), tries, source }),
            Err(error) => {
                Err(TransportError::Network { at: at.to_owned(), tries, source: io::Error::other(error) })
            }
        }
    }

    fn send(&self, at: &str, ask: &Ask<'_>, tries: u32) -> Result<Answer, TransportError> {
        let mut signed = ask.again();
        self.authority.sign(&mut signed)?;
        self.send_plain(at, &signed, tries)
    }

    fn persist<T>(
        &self,
        mut attempt: impl FnMut(u32) -> Result<Attempt<T>, TransportError>,
    ) -> Result<T, TransportError> {
        let mut tries = 1;
        loop {
            match attempt(tries)? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Failed(error) if tries >= self.tries => return Err(error),
                Attempt::Failed(_) => self.wait(tries),
            }
            tries += 1;
        }
    }

    pub(super) fn wait(&self, tries: u32) {
        thread::sleep(self.first_wait * (1 << tries.saturating_sub(1).min(5)));
    }
}

/// The server's own passing trouble, or too many questions.
pub(super) fn passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn roots(settings: &NetSettings) -> Result<RootCerts, TransportError> {
    let path = settings.ca.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_CAS));
    let pem = std::fs::read(&path).map_err(TransportError::local(
        "reading the certificates of trusted authorities from",
        path.clone(),
    ))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(TransportError::Setup {
            what: format!(
                "{} holds no certificate in PEM form; name a file with the authority's",
                path.display()
            ),
        });
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
