//! What a bundle says about its release, and what a host has against one.
//!
//! Owns: from a bundle and trusted keys to the facts that checks judge; from what an agent said to a refusal. Promises:
//! a signature that is not good is no signature. Does not: verify the bundle's content.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use lifeboat_bundle::{SignatureState, TrustStore, inspect};
use lifeboat_model::agent::AgentStatus;
use lifeboat_model::{HostId, ReleaseFacts, ReleaseRef, Timestamp};

/// The facts of `release`, whose bundle lies at `path`. A bundle that cannot be read has nobody's signature.
pub(crate) fn bundle_facts(release: ReleaseRef, path: &Path, trust: &TrustStore) -> ReleaseFacts {
    let serial = Some(release.serial);
    let mut facts =
        ReleaseFacts { release, signed_by: None, serial, expires: None, machines: BTreeSet::new() };
    let read = File::open(path).map_err(drop).and_then(|file| inspect(file, Some(trust)).map_err(drop));
    if let Ok(info) = read {
        let good = info.signatures.into_iter().find(|signature| signature.state == SignatureState::Good);
        facts.signed_by = good.map(|signature| {
            let comment = signature.comment.filter(|comment| !comment.is_empty());
            comment.unwrap_or_else(|| signature.key_id.to_string())
        });
        facts.expires = info.expires.map(|unix| Timestamp(unix.saturating_mul(1000)));
        facts.machines.insert(info.arch);
    }
    facts
}

/// Whether a host takes a release, as far as its agent said; if not, why, and whether another try may help.
pub(crate) fn takes_release(
    host: &HostId,
    status: &AgentStatus,
    release: &ReleaseRef,
    retry: bool,
) -> Result<String, (String, bool)> {
    let active = status.bank(status.active).and_then(|report| report.release.as_ref());
    if let Some(active) = active.filter(|active| active.name != release.name) {
        return Err((format!("{host} runs the line {}, not {}", active.name, release.name), false));
    }
    if release.serial < status.floor {
        let reason =
            format!("{release} has serial {}; {host} takes {} and above", release.serial, status.floor);
        return Err((reason, false));
    }
    if status.failed.contains(&release.digest) && !retry {
        let reason = format!("{release} failed on {host} before; order a retry if that cause is gone");
        return Err((reason, false));
    }
    Ok(format!("bank {} is good, bank {} can be written", status.active, status.active.other()))
}
