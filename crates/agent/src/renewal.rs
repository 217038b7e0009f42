//! Getting the next certificate before the present one ends.
//!
//! Owns: when it is asked for (after two thirds of the life, and up to a tenth of it later, so that a pool does not ask
//! at once), and the key that waits for its certificate. Promises: the old certificate stays in use until the new
//! one is on stable storage. Does not: renew one that ended; that takes a person and a token.

use std::time::{Duration, Instant};

use lifeboat_model::agent::AgentMessage;
use lifeboat_model::chain;
use lifeboat_wire::{HostKey, PeerCertificate};

use crate::Machine;
use crate::connection::{random_below, unix_now};

/// Longest wait for an answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(60);

/// The renewal of one host's certificate.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    /// When the next one is to be asked for, in seconds since 1970.
    due: Option<u64>,
    waiting: Option<(HostKey, Instant)>,
}

impl Renewal {
    /// A connection with this certificate was opened.
    pub(crate) fn connected(&mut self, certificate: &PeerCertificate) {
        let life = certificate.not_after.saturating_sub(certificate.not_before);
        self.due = Some(certificate.renew_at() + random_below((life / 10).max(1)));
        self.waiting = None;
    }

    /// What is to be asked now, if it is time.
    pub(crate) fn ask(&mut self, machine: &Machine) -> Option<AgentMessage> {
        if self.due.is_none_or(|due| unix_now() < due)
            || self.waiting.as_ref().is_some_and(|(_, since)| since.elapsed() < ANSWER)
        {
            return None;
        }
        let made = HostKey::generate().and_then(|key| Ok((key.request()?, key)));
        match made {
            Ok((csr, key)) => {
                self.waiting = Some((key, Instant::now()));
                Some(AgentMessage::Renew { csr })
            }
            Err(error) => {
                machine.log.line(&format!("no key for the next certificate: {}", chain(&error)));
                None
            }
        }
    }

    /// The next certificate came.
    pub(crate) fn came(&mut self, machine: &Machine, certificate: &str) {
        let Some((key, _)) = self.waiting.take() else { return };
        match key.keep(&machine.paths.pki(), certificate, None) {
            Ok(identity) => {
                self.connected(&identity.read);
                machine.keep_certificate(Some(identity.read.not_after));
                machine.log.line(&format!("the certificate was renewed: {}", identity.read.serial));
            }
            Err(error) => {
                // Asked again at the next beat, and told each time: there are days left to mend it.
                machine.log.line(&format!("the next certificate could not be kept: {}", chain(&error)));
            }
        }
    }
}
