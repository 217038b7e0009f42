//! First and further certificates of hosts.
//!
//! Owns: the use of tokens, and renewals. Promises: a token is good for one key, also across a crash: its use is on
//! stable storage before the certificate leaves; the same key may ask again, if the answer was lost, and gets the same
//! certificate. Old certificates of a host that enrols anew are refused from then on. Does not: choose names; they
//! were chosen when the token was made.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::agent::ControllerMessage;
use lifeboat_model::{HostId, Sha256Hex, chain};
use lifeboat_wire::{Authority, EnrolToken, HubEventKind, RevokedSerial};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use super::lines::say;
use crate::ledger::{Purpose, Token};
use crate::time::{date, now_secs};
use crate::{Controller, Entry};

/// How long a refusal of a token takes: whoever tries many waits.
const REFUSAL: Duration = Duration::from_secs(1);
/// Agent certificates of one host that may live at the same time.
const MOST_LIVING: usize = 16;

/// Answers a host that asks for its first certificate.
pub(super) async fn enrol(
    controller: &Controller,
    stream: &mut TlsStream<TcpStream>,
    secret: &str,
    named: Option<&str>,
    csr: &str,
) -> io::Result<()> {
    let answer = match admit(controller, secret, named, csr).await {
        Ok((host, certificate)) => {
            let authority = controller.authority.pem().to_owned();
            ControllerMessage::Enrolled { host, certificate, authority }
        }
        Err(reason) => {
            eprintln!("lifeboatd: an enrolment is refused: {reason}");
            sleep(REFUSAL).await;
            ControllerMessage::Refused { reason }
        }
    };
    say(stream, &answer).await
}

/// The host's name and its certificate (PEM), or why there is none.
async fn admit(
    controller: &Controller,
    secret: &str,
    named: Option<&str>,
    csr: &str,
) -> Result<(String, String), String> {
    let key = Authority::key_of(csr).map_err(|error| chain(&error))?;
    // Two that show the same token at the same time come one after the other.
    let _one_at_a_time = controller.certificates.lock().await;
    let (host, token, old) = find_token(controller, secret)?;
    if let Some(named) = named
        && named != host
    {
        return Err(format!("the token is of host {host}, not of {named}: use that host's own token"));
    }
    let now = now_secs();
    match token.used {
        Some((of, certificate)) if of == key && token.until > now => return Ok((host, certificate)),
        Some(_) => {
            return Err(format!(
                "the token of host {host} was used already: make a new one with `lifeboatd host add {host}`"
            ));
        }
        None if token.until <= now => {
            return Err(format!(
                "the token of host {host} ended {}: make a new one with `lifeboatd host add {host}`; if that is not so, \
                 set the controller's clock",
                date(token.until)
            ));
        }
        None => {}
    }
    let name = HostId::new(&host).map_err(|error| error.to_string())?;
    let issued = controller
        .authority
        .issue_host(csr, &name, now, controller.agent_life())
        .map_err(|error| chain(&error))?;
    // Refused before the new one is given: at no time are two machines the same host.
    if !old.is_empty() {
        controller.revocations.revoke(None, &old, now).map_err(|error| chain(&error))?;
    }
    controller.revocations.readmit(&host, now).map_err(|error| chain(&error))?;
    controller.publish_revocations().map_err(|error| chain(&error))?;
    let entry = Entry::Enrolled {
        host: host.clone(),
        key,
        certificate: issued.certificate.clone(),
        serial: issued.read.serial.clone(),
        until: issued.read.not_after,
    };
    controller.ledger.append(vec![entry]).await.map_err(|error| chain(&*error))?;
    controller.close(&host, "the host enrolled anew");
    let (serial, until) = (issued.read.serial, issued.read.not_after);
    controller.events.tell(&host, HubEventKind::Certificate { serial, until, enrolled: true });
    Ok((host, issued.certificate))
}

/// The host of a token, the token, and the certificates that it had before.
fn find_token(controller: &Controller, secret: &str) -> Result<(String, Token, Vec<RevokedSerial>), String> {
    let hash: Sha256Hex = EnrolToken::hash(secret);
    let now = now_secs();
    let book = controller.ledger.book();
    let found = book.hosts.iter().find_map(|(host, book)| {
        let token = book.token.as_ref().filter(|token| token.hash == hash)?;
        let old = book
            .certificates
            .iter()
            .filter(|known| known.purpose == Purpose::Agent && known.until > now)
            .map(|known| RevokedSerial {
                serial: known.serial.clone(),
                host: host.clone(),
                at: now,
                until: known.until,
            })
            .collect();
        Some((host.clone(), token.clone(), old))
    });
    found.ok_or_else(|| {
        "the token is not known here: it was replaced by a newer one, or its host was revoked or removed; make one with \
         `lifeboatd host add NAME`"
            .to_owned()
    })
}

/// A further certificate of a host that showed a good one; PEM.
pub(super) async fn renew(controller: &Arc<Controller>, host: &HostId, csr: &str) -> Result<String, String> {
    let now = now_secs();
    {
        let book = controller.ledger.book();
        let known = book.hosts.get(host.as_str()).ok_or("the host is not known any more")?;
        if known.revoked {
            return Err("its certificates were revoked".to_owned());
        }
        let living = |purpose, until| purpose == Purpose::Agent && until > now;
        if known.certificates.iter().filter(|known| living(known.purpose, known.until)).count() >= MOST_LIVING
        {
            return Err(format!("{MOST_LIVING} of its certificates live already"));
        }
    }
    let issued = controller
        .authority
        .issue_host(csr, host, now, controller.agent_life())
        .map_err(|error| chain(&error))?;
    let (serial, until) = (issued.read.serial, issued.read.not_after);
    let entry = Entry::Issued {
        host: host.as_str().to_owned(),
        serial: serial.clone(),
        until,
        purpose: Purpose::Agent,
    };
    controller.ledger.append(vec![entry]).await.map_err(|error| chain(&*error))?;
    controller.events.tell(host.as_str(), HubEventKind::Certificate { serial, until, enrolled: false });
    Ok(issued.certificate)
}
