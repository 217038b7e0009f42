//! Maintenance of hosts, and guests that are shut down or started.
//!
//! Promises: each is done once however often it is ordered; what is switched off is kept on disk before. Does not:
//! move guests.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lifeboat_libvirt::{Connection, Domain, ShutdownFlags, StartFlags, Uuid};
use lifeboat_model::{HostId, Outcome, Timestamp, chain};

use super::maintenance::{Marks, give_back, hold_guests, look};
use super::migrate::Seen;
use super::read::read_domain;
use super::work::{self, Answer};

/// Pause between looks at a guest that goes down.
const LOOK: Duration = Duration::from_millis(200);
/// A guest that has not gone down is told again: its system may have been booting when it was told first.
const AGAIN: Duration = Duration::from_secs(20);
/// A guest that takes no notice for so long is left to the roll's own limit.
const MOST: Duration = Duration::from_secs(570);

/// Lets a host take no new guests: none starts with it, and none is sent to it.
pub(super) fn enter(conn: &Connection, host: &HostId, marks: &mut Marks, now: Timestamp) -> Answer {
    let mark = look(conn, marks.get(host), now).map_err(|reason| (format!("{host}: {reason}"), true))?;
    let (starting, defined) = (mark.autostart.len(), mark.defined.len());
    marks.set(host, mark).map_err(|error| (chain(&error), true))?;
    hold_guests(conn).map_err(|reason| (format!("{host}: {reason}"), true))?;
    Ok(format!(
        "{host} takes no guests; {starting} that start with it are held, {defined} that do not run are kept in writing"
    ))
}

/// Lets a host take guests again, and gives it back what it had.
pub(super) fn leave(
    conn: &Connection,
    host: &HostId,
    marks: &mut Marks,
    elsewhere: &BTreeSet<String>,
) -> Answer {
    let Some(mark) = marks.get(host) else { return Ok(format!("{host} takes guests")) };
    let told = give_back(conn, mark, elsewhere).map_err(|reason| (format!("{host}: {reason}"), true))?;
    marks.clear(host).map_err(|error| (chain(&error), true))?;
    let told = if told.is_empty() { String::new() } else { format!("; {}", told.join("; ")) };
    Ok(format!("{host} takes guests again{told}"))
}

/// Shuts a guest down cleanly, or starts it, and says how that ended.
pub(super) fn switch(conn: &Connection, host: &HostId, uuid: Uuid, name: &str, run: bool) -> (Outcome, Seen) {
    let answer = try_switch(conn, host, uuid, name, run);
    let seen = match conn.domain_by_uuid(&uuid) {
        Ok(domain) => read_domain(conn, domain).ok().map(|read| (host.clone(), uuid, read.map(Box::new))),
        Err(error) if error.is_no_domain() => Some((host.clone(), uuid, None)),
        Err(_) => None,
    };
    (work::outcome(answer), seen.into_iter().collect())
}

fn try_switch(conn: &Connection, host: &HostId, uuid: Uuid, name: &str, run: bool) -> Answer {
    let domain = conn
        .domain_by_uuid(&uuid)
        .map_err(|error| (format!("{name} is not found on {host}: {}", chain(&error)), true))?;
    let runs = |domain: &Domain| {
        conn.is_active(domain).map_err(|error| (format!("{host} gives no answer: {}", chain(&error)), true))
    };
    if runs(&domain)? == run {
        return Ok(format!("{name} {}", if run { "runs" } else { "is shut down" }));
    }
    if run {
        return match conn.start_domain(&domain, StartFlags::NONE) {
            Ok(_) => Ok(format!("{name} runs on {host}")),
            Err(_) if runs(&domain)? => Ok(format!("{name} runs on {host}")),
            Err(error) => Err((format!("{name} does not start on {host}: {}", chain(&error)), true)),
        };
    }
    if !conn.is_persistent(&domain).unwrap_or(true) {
        return Err((
            format!(
                "{name} is not described on {host} beyond its run: shut down, it would be gone; define it first"
            ),
            false,
        ));
    }
    let begin = Instant::now();
    let mut told: Option<Instant> = None;
    while runs(&domain)? {
        if told.is_none_or(|at| at.elapsed() > AGAIN) {
            conn.shutdown_domain(&domain, ShutdownFlags::NONE)
                .map_err(|error| (format!("{name} cannot be told to shut down: {}", chain(&error)), true))?;
            told = Some(Instant::now());
        }
        if begin.elapsed() > MOST {
            let reason = format!(
                "{name} on {host} takes no notice of the power button for {} s; shut it down from inside",
                MOST.as_secs()
            );
            return Err((reason, true));
        }
        std::thread::sleep(LOOK);
    }
    Ok(format!("{name} is shut down after {:.1} s", begin.elapsed().as_secs_f64()))
}
