//! Hosts: made known, looked at, revoked, forgotten.
//!
//! Owns: tokens and revocations. Promises: a revocation is on stable storage before it is answered, closes the live
//! connection, and cannot be lost by a crash half way: whoever gives it again finishes it. Does not: speak with hosts.

use lifeboat_model::{HostId, chain};
use lifeboat_wire::{
    EnrolToken, HostStanding, HubAnswer, HubEventKind, HubHost, LIBVIRT_LIFE, NamedText, RevokedSerial,
    Subject,
};

use super::answer::append;
use crate::ledger::{HostBook, Purpose};
use crate::time::now_secs;
use crate::{Controller, Entry};

/// Longest life of a token: thirty days.
const MAX_TOKEN_SECS: u64 = 30 * 86_400;

/// Every host, or one.
pub(super) fn list(controller: &Controller, only: Option<&str>) -> HubAnswer {
    let now = now_secs();
    let book = controller.ledger.book();
    let known: Vec<(String, HostBook)> = book
        .hosts
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
        .map(|(name, book)| {
            // Its outcomes are many, and not asked for.
            let HostBook { added, token, certificates, revoked, orders, .. } = book;
            let (token, certificates, orders) = (token.clone(), certificates.clone(), orders.clone());
            let outcomes = std::collections::VecDeque::new();
            let book = HostBook { added: *added, token, certificates, revoked: *revoked, orders, outcomes };
            (name.clone(), book)
        })
        .collect();
    drop(book);
    let live = controller.live();
    let hosts = known
        .into_iter()
        .map(|(host, book)| {
            let link = live.link(&host);
            let last = live.last.get(&host);
            HubHost {
                standing: standing(&book, now),
                connected_since: link.map(|(since, _)| since),
                last_seen: last.map(|(seen, _)| *seen),
                address: link.map(|(_, address)| address.to_string()),
                certificate_until: book.certificate_until(),
                status: last.map(|(_, status)| status.clone()),
                open_orders: u32::try_from(book.orders.len()).unwrap_or(u32::MAX),
                refused: live.refused.get(&host).cloned(),
                host,
            }
        })
        .collect();
    HubAnswer::Hosts { hosts }
}

fn standing(book: &HostBook, now: u64) -> HostStanding {
    match book.certificate_until() {
        _ if book.revoked => HostStanding::Revoked,
        None => HostStanding::Invited,
        Some(until) if until <= now => HostStanding::Expired,
        Some(_) => HostStanding::Enrolled,
    }
}

/// Makes a token for a host, which may be a new one.
pub(super) async fn add(controller: &Controller, host: &str, token_secs: u64) -> Result<HubAnswer, String> {
    let name = HostId::new(host).map_err(|error| error.to_string())?;
    if !(1..=MAX_TOKEN_SECS).contains(&token_secs) {
        return Err(format!("a token lives 1 to {MAX_TOKEN_SECS} seconds, not {token_secs}"));
    }
    let token =
        EnrolToken::generate(controller.authority.fingerprint()).map_err(|error| error.to_string())?;
    let at = now_secs();
    let until = at + token_secs;
    let entry = Entry::Invited { host: host.to_owned(), at, token: EnrolToken::hash(token.secret()), until };
    append(controller, entry).await?;
    let token = token.to_string();
    let command = format!(
        "lifeboat-agent enroll --server {} --token {token} --name {name}",
        controller.agent_address()
    );
    Ok(HubAnswer::Token { host: host.to_owned(), token, until, command })
}

/// Refuses certificates of a host.
pub(super) async fn revoke(
    controller: &Controller,
    host: &str,
    serial: Option<&str>,
) -> Result<HubAnswer, String> {
    let _one_at_a_time = controller.certificates.lock().await;
    let now = now_secs();
    let known = controller.ledger.book().hosts.get(host).cloned();
    let known = known.ok_or_else(|| format!("host {host} is not known"))?;
    let serial = serial.map(|serial| serial.to_ascii_lowercase().trim_start_matches('0').to_owned());
    let meant: Vec<RevokedSerial> = known
        .certificates
        .iter()
        .filter(|of| serial.as_ref().is_none_or(|serial| *serial == of.serial) && of.until > now)
        .map(|of| RevokedSerial {
            serial: of.serial.clone(),
            host: host.to_owned(),
            at: now,
            until: of.until,
        })
        .collect();
    if let Some(serial) = &serial
        && meant.is_empty()
    {
        return Err(format!("host {host} has no living certificate with the serial number {serial}"));
    }
    // First what every handshake looks at.
    let whole = serial.is_none().then_some(host);
    controller.revocations.revoke(whole, &meant, now).map_err(|error| chain(&error))?;
    controller.publish_revocations().map_err(|error| chain(&error))?;
    if whole.is_some() {
        append(controller, Entry::Revoked { host: host.to_owned() }).await?;
    }
    // One that holds another certificate dials again with it.
    let closed = controller.close(host, "the host's certificate was revoked");
    let serials: Vec<String> = meant.into_iter().map(|of| of.serial).collect();
    controller.events.tell(host, HubEventKind::Revoked { serials: serials.clone() });
    Ok(HubAnswer::Revoked { serials, closed })
}

/// Revokes a host and forgets it.
pub(super) async fn remove(controller: &Controller, host: &str) -> Result<HubAnswer, String> {
    revoke(controller, host, None).await?;
    append(controller, Entry::Removed { host: host.to_owned() }).await?;
    {
        let mut live = controller.live();
        live.last.remove(host);
        live.refused.remove(host);
    }
    controller.events.tell(host, HubEventKind::Changed { what: "the host was removed".to_owned() });
    Ok(HubAnswer::Done {})
}

/// Certificates for libvirt's own TLS.
pub(super) async fn issue_libvirt(
    controller: &Controller,
    host: &str,
    names: &[String],
) -> Result<HubAnswer, String> {
    if !controller.ledger.book().hosts.contains_key(host) {
        return Err(format!("host {host} is not known: add it with `lifeboatd host add {host}`"));
    }
    let mut all = vec![host.to_owned()];
    all.extend(names.iter().filter(|name| *name != host).cloned());
    let issued = controller
        .authority
        .issue_named(Subject::Libvirt, &all, now_secs(), LIBVIRT_LIFE)
        .map_err(|error| chain(&error))?;
    let (serial, until) = (issued.read.serial, issued.read.not_after);
    let entry = Entry::Issued { host: host.to_owned(), serial, until, purpose: Purpose::Libvirt };
    append(controller, entry).await?;
    let key = issued.key.unwrap_or_default();
    let file = |name: &str, text: &str| NamedText { name: name.to_owned(), text: text.to_owned() };
    let files = vec![
        file("cacert.pem", controller.authority.pem()),
        file("servercert.pem", &issued.certificate),
        file("serverkey.pem", &key),
        // One key for both sides: every host is both in a migration.
        file("clientcert.pem", &issued.certificate),
        file("clientkey.pem", &key),
    ];
    Ok(HubAnswer::Issued { files, until })
}
