//! How a host gets its first certificate.
//!
//! Owns: the one conversation with a token instead of a certificate, and `agent.json` afterwards. Promises: the token
//! is shown only to the controller whose fingerprint it carries; the key is made here and never leaves; a
//! conversation that was cut off is repeated with the same key, which the controller answers with the same
//! certificate. Does not: restart a running agent; that one reads its identity at its next connection.

use std::fs;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_model::agent::{AGENT_PROTOCOL, AgentMessage, ControllerMessage};
use lifeboat_model::{Sha256Hex, chain};
use lifeboat_wire::{
    EnrolToken, HostKey, Identity, IdentityError, TlsError, TlsStream, dial, explain_tls,
    first_contact_config, parse_line, write_line, write_private,
};
use thiserror::Error;

use crate::connection::{SILENCE, next_line};
use crate::{CONFIG_SCHEMA, Paths};

/// Why a host could not be enrolled.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The key cannot be made or kept.
    #[error("enrolling this host")]
    Identity {
        /// The cause.
        #[source]
        source: IdentityError,
    },
    /// TLS cannot be set up.
    #[error("enrolling this host")]
    Tls {
        /// The cause.
        #[source]
        source: TlsError,
    },
    /// The controller cannot be reached, or is another one.
    #[error("no conversation with the controller {server}: {why}")]
    Talk {
        /// Its address.
        server: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The controller refuses.
    #[error("the controller {server} refuses: {reason}")]
    Refused {
        /// Its address.
        server: String,
        /// In its words.
        reason: String,
    },
    /// The authority that was sent is not the token's.
    #[error("the controller {server} sent another authority than the token's: nothing was kept")]
    Authority {
        /// Its address.
        server: String,
    },
    /// The configuration cannot be kept.
    #[error("{doing} {}", path.display())]
    Config {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Enrols this host with the controller `server` (`host:port`).
pub fn enroll(
    paths: &Paths,
    server: &str,
    token: &EnrolToken,
    name: Option<&str>,
) -> Result<Identity, EnrolError> {
    let identity_error = |source| EnrolError::Identity { source };
    let talk = |error: &io::Error| EnrolError::Talk {
        server: server.to_owned(),
        why: explain_tls(error).unwrap_or_else(|| error.to_string()),
    };
    fs::create_dir_all(&paths.state).map_err(|source| EnrolError::Config {
        doing: "making",
        path: paths.state.clone(),
        source,
    })?;
    let key = HostKey::pending(&paths.pki()).map_err(identity_error)?;
    let csr = key.request().map_err(identity_error)?;
    let settings = first_contact_config(token.fingerprint).map_err(|source| EnrolError::Tls { source })?;
    let answer = (|| {
        let socket = dial(server, SILENCE)?;
        socket.set_read_timeout(Some(SILENCE))?;
        let stream = TlsStream::connect(socket, server, Arc::new(settings))?;
        let (secret, host) = (token.secret().to_owned(), name.map(str::to_owned));
        let message = AgentMessage::Enroll { protocol: AGENT_PROTOCOL, token: secret, host, csr };
        write_line(&mut stream.writer(), &message)?;
        let line = next_line(&mut BufReader::new(stream.reader()))?;
        let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
        parse_line::<ControllerMessage>(&line).map_err(|error| io::Error::other(chain(&error)))
    })();
    match answer.map_err(|error| talk(&error))? {
        ControllerMessage::Enrolled { host, certificate, authority } => {
            if fingerprint_of(&authority) != Some(token.fingerprint) {
                return Err(EnrolError::Authority { server: server.to_owned() });
            }
            // First, so that whoever finds a certificate finds the controller too.
            keep_config(paths, server, &host)?;
            key.keep(&paths.pki(), &certificate, Some(&authority)).map_err(identity_error)
        }
        ControllerMessage::Refused { reason } => {
            Err(EnrolError::Refused { server: server.to_owned(), reason })
        }
        ControllerMessage::Welcome { .. }
        | ControllerMessage::Alive {}
        | ControllerMessage::Renewed { .. }
        | ControllerMessage::Command { .. }
        | ControllerMessage::Bundle { .. } => {
            Err(talk(&io::Error::other("it answered with a word that does not belong here")))
        }
    }
}

fn fingerprint_of(authority: &str) -> Option<Sha256Hex> {
    lifeboat_wire::fingerprint_of_pem(authority)
}

/// Sets host and controller in `agent.json`; what else stands there stays.
fn keep_config(paths: &Paths, server: &str, host: &str) -> Result<(), EnrolError> {
    let path = paths.state.join("agent.json");
    let failed = |doing| {
        let path = path.clone();
        move |source| EnrolError::Config { doing, path, source }
    };
    let mut config = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes)
            .map_err(io::Error::other)
            .map_err(failed("understanding"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => serde_json::Map::new(),
        Err(source) => return Err(failed("reading")(source)),
    };
    config.entry("schema").or_insert_with(|| CONFIG_SCHEMA.into());
    config.insert("host".to_owned(), host.into());
    config.insert("controller".to_owned(), server.into());
    config.remove("token");
    let mut bytes =
        serde_json::to_vec_pretty(&config).map_err(io::Error::other).map_err(failed("writing"))?;
    bytes.push(b'\n');
    write_private(&path, &bytes).map_err(failed("writing"))
}
