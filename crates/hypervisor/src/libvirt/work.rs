//! What the driver and its workers share: answers, and what a host has against a release.

use lifeboat_model::agent::AgentStatus;
use lifeboat_model::{HostId, Outcome, ReleaseRef};

/// What was done, or why not and whether another try may help.
pub(super) type Answer = Result<String, (String, bool)>;

/// An answer as the outcome of an effect.
pub(super) fn outcome(answer: Answer) -> Outcome {
    match answer {
        Ok(detail) => Outcome::Done { detail: Some(detail) },
        Err((reason, retriable)) => Outcome::Failed { reason, retriable },
    }
}

/// Whether a host takes a release, as far as its agent said.
pub(crate) fn fits(host: &HostId, status: &AgentStatus, release: &ReleaseRef, retry: bool) -> Answer {
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
