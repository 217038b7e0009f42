//! Which host's turn it is.

use lifeboat_model::{Phase, Timestamp};

use crate::decide::{Action, View, record_phase};
use crate::journal::{HostRun, Journal, Status};

/// Lets the next hosts begin, as many as may.
pub(crate) fn next(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    for &step in journal.pending.iter().filter(|&&step| journal.hosts.get(step).is_some_and(|run| run.skip)) {
        if let Some(run) = journal.hosts.get(step) {
            let reason = "left out by a person's order".to_owned();
            actions.push(record_phase(&run.host, Phase::Skipped { reason }));
        }
    }
    if !actions.is_empty() || view.retreating() || journal.status != Status::Running || view.held().is_some()
    {
        return;
    }
    let limit = limit(view);
    let mut free = limit.saturating_sub(journal.in_flight.len());
    // A look ahead past a host that must wait, but not past the whole pool at every event.
    for &step in journal.pending.iter().take(limit.saturating_mul(2)) {
        if free == 0 {
            break;
        }
        if why_not(view, step).is_none() && !conflicts(view, step, actions) {
            free -= 1;
            if let Some(run) = journal.hosts.get(step) {
                actions.push(begin(view, run));
            }
        }
    }
    if actions.is_empty() && journal.in_flight.is_empty() {
        stuck(view, actions);
    }
}

fn begin(view: &View<'_>, run: &HostRun) -> Action {
    let phase = match view.world.host(&run.host) {
        None => Phase::NeedsYou { reason: "it is no longer in the pool; make a new plan".to_owned() },
        Some(_) => Phase::Admitted,
    };
    record_phase(&run.host, phase)
}

/// Whether a host has still to give its guests away.
fn undrained(run: &HostRun) -> bool {
    matches!(run.phase, Phase::Pending | Phase::Admitted | Phase::Checked | Phase::StateSaved)
}

/// How many hosts may be in flight: what the policy allows, and no more than the plan reckoned with.
fn limit(view: &View<'_>) -> usize {
    let allowed = view.policy.in_flight_of(view.world.hosts().len());
    match usize::try_from(view.journal.plan.figures.peak_hosts_down.planned) {
        Ok(planned) if planned > 0 => allowed.min(planned),
        Ok(_) | Err(_) => allowed,
    }
}

/// Whether a host can take guests of hosts that are upgraded after it.
fn upgraded(view: &View<'_>, run: &HostRun) -> bool {
    let target = view.journal.plan.target.digest;
    matches!(run.phase, Phase::Committed)
        || (!run.phase.in_flight()
            && view.world.host(&run.host).is_some_and(|host| host.running == Some(target)))
}

/// Hosts that were let in a moment ago are not in the journal yet.
fn conflicts(view: &View<'_>, step: usize, actions: &[Action]) -> bool {
    let journal = view.journal;
    let admitted = actions.iter().filter_map(|action| match action {
        Action::Record(lifeboat_model::EventKind::HostPhase { host, .. }) => journal.index.get(host).copied(),
        Action::Record(_) | Action::Perform { .. } => None,
    });
    let domain = domain_of(view, step);
    admitted.into_iter().any(|other| {
        let takes =
            |a: usize, b: usize| journal.links.get(a).is_some_and(|links| links.old_targets.contains(&b));
        let same = view.policy.one_per_fault_domain && domain.is_some() && domain == domain_of(view, other);
        same || takes(step, other) || takes(other, step) || alone(journal, other)
    })
}

/// The first wave is a single host: the coordinator, or the canary.
fn alone(journal: &Journal, step: usize) -> bool {
    journal.plan.steps.get(step).is_some_and(|step| step.wave <= 1)
}

fn domain_of<'a>(view: &View<'a>, step: usize) -> Option<&'a str> {
    let run = view.journal.hosts.get(step)?;
    view.world.host(&run.host)?.fault_domain.as_deref()
}

/// Why a pending host cannot begin now; `None` if it can.
pub(crate) fn why_not(view: &View<'_>, step: usize) -> Option<String> {
    let journal = view.journal;
    let limit = limit(view);
    if journal.in_flight.len() >= limit {
        return Some(format!(
            "{limit} host{} in flight, as many as may be",
            if limit == 1 { "" } else { "s" }
        ));
    }
    if let Some(first) =
        journal.pending.iter().chain(&journal.in_flight).find(|&&other| alone(journal, other))
        && *first != step
        && journal.committed == 0
    {
        let first = journal.hosts.get(*first).map_or_else(String::new, |run| run.host.to_string());
        return Some(format!("{first}, which goes first and alone"));
    }
    if let Some(reason) = soaking(view, view.now) {
        return Some(reason);
    }
    if journal.unmet.get(step).copied().unwrap_or(0) > 0 {
        let links = journal.links.get(step)?;
        let open: Vec<String> = links
            .after
            .iter()
            .filter_map(|&target| journal.hosts.get(target))
            .filter(|run| !upgraded(view, run))
            .map(|run| run.host.to_string())
            .collect();
        if !open.is_empty() {
            return Some(format!("{} to take its guests", open.join(", ")));
        }
    }
    let links = journal.links.get(step)?;
    if let Some(giver) =
        links.givers.iter().filter_map(|&giver| journal.hosts.get(giver)).find(|run| undrained(run))
    {
        return Some(format!("{} to bring its guests here first", giver.host));
    }
    if let Some(busy) = links.old_targets.iter().find(|target| journal.in_flight.contains(target)) {
        let busy = journal.hosts.get(*busy).map_or_else(String::new, |run| run.host.to_string());
        return Some(format!("{busy}, which is to take its guests and is in flight"));
    }
    if view.policy.one_per_fault_domain
        && let Some(domain) = domain_of(view, step)
        && let Some(other) = journal.in_flight.iter().find(|&&other| domain_of(view, other) == Some(domain))
    {
        let other = journal.hosts.get(*other).map_or_else(String::new, |run| run.host.to_string());
        return Some(format!("{other} of the same fault domain {domain}"));
    }
    None
}

fn soaking(view: &View<'_>, now: Timestamp) -> Option<String> {
    let since = view.journal.first_committed?;
    let gone = now.since(since);
    let soak = view.policy.soak;
    (view.journal.committed == 1 && gone < soak)
        .then(|| format!("the soak time after the first host: {gone} of {soak}"))
}

/// Nothing is in flight and nothing can begin: hosts whose targets will never be ready are given to a person,
/// so that the roll comes to its end instead of waiting for ever.
fn stuck(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    if soaking(view, view.now).is_some() {
        return;
    }
    for &step in &journal.pending {
        let (Some(links), Some(run)) = (journal.links.get(step), journal.hosts.get(step)) else { continue };
        let lost = links.after.iter().filter_map(|&target| journal.hosts.get(target)).find(|target| {
            !upgraded(view, target) && !matches!(target.phase, Phase::Pending) && !target.phase.in_flight()
        });
        let Some(target) = lost else { continue };
        let reason = format!(
            "{} was to take its guests and is {}; make a new plan for the hosts that are left",
            target.host, target.phase
        );
        actions.push(record_phase(&run.host, Phase::NeedsYou { reason }));
    }
}
