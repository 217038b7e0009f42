//! Which host's turn it is.

use std::collections::BTreeSet;

use lifeboat_model::{Mib, Millis, Order, Phase};

use crate::decide::{Action, View, record_phase};
use crate::journal::{HostRun, Journal, Status};
use crate::waves::{self, Barrier};

/// Lets the next hosts begin, as many as may.
pub(crate) fn next(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    for &step in journal.skips.intersection(&journal.pending) {
        if let Some(run) = journal.hosts.get(step) {
            let reason = "left out by a person's order".to_owned();
            actions.push(record_phase(&run.host, Phase::Skipped { reason }));
        }
    }
    if !actions.is_empty() || view.retreating() || journal.status != Status::Running || view.held().is_some()
    {
        return;
    }
    waves::open_gates(view, actions);
    if !actions.is_empty() {
        return;
    }
    let common = Common::of(view);
    let mut free = common.limit.saturating_sub(journal.in_flight.len());
    // A look ahead past a host that must wait, but not past the whole pool at every event.
    // With nothing in flight all are looked at: there is nothing else to wait for.
    let ahead = if journal.in_flight.is_empty() { usize::MAX } else { common.limit.saturating_mul(2) };
    for &step in journal.pending.iter().take(ahead) {
        if free == 0 || common.obstacle.is_some() {
            break;
        }
        if own_obstacle(view, &common, step).is_none() && !conflicts(view, step, actions) {
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
    // One until one is proved good, also when the host of the first wave came to another end.
    if view.journal.committed == 0 {
        return 1;
    }
    let allowed = view.policy.in_flight_of(view.world.hosts().len());
    // A host that was lost is out of service too; one at a time may still go on.
    let allowed = allowed.saturating_sub(lost(view).count()).max(1);
    match usize::try_from(view.journal.plan.figures.peak_hosts_down.planned) {
        Ok(planned) if planned > 0 => allowed.min(planned),
        Ok(_) | Err(_) => allowed,
    }
}

/// Hosts that this roll had in hand, that a person is to look at or has left at that, and that do not serve.
fn lost<'a>(view: &View<'a>) -> impl Iterator<Item = (usize, &'a HostRun)> {
    let out = view.journal.out.iter().filter_map(|&step| Some((step, view.journal.hosts.get(step)?)));
    let world = view.world;
    out.filter(move |(_, run)| world.host(&run.host).is_none_or(|host| !host.reachable || host.maintenance))
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

/// What keeps a pending host from beginning.
enum Obstacle<'a> {
    /// So many are in flight as may be.
    Full(usize),
    /// This one goes first and alone.
    First(&'a HostRun),
    /// The coordinator goes first, and did not come to its good end.
    Coordinator(&'a HostRun),
    /// The time after the first host is not over: what is gone of it, and the whole.
    Soaking(Millis, Millis),
    /// Something between the waves.
    Barrier(Barrier<'a>),
    /// It goes last, and this one has not come to an end.
    Last(&'a HostRun),
    /// Of these targets some are not upgraded.
    Targets(&'a [usize]),
    /// This one brings its guests here first.
    Giver(&'a HostRun),
    /// This one takes its guests and is in flight.
    Busy(&'a HostRun),
    /// This one of the same fault domain is in flight.
    Domain(&'a HostRun, &'a str),
    /// This one of the same fault domain was lost.
    Lost(&'a HostRun, &'a str),
    /// This one was lost, and without this host too so much would remain for guests that need so much.
    NoRoom(&'a HostRun, Mib, Mib),
}

/// Why a pending host cannot begin now; `None` if it can.
pub(crate) fn why_not(view: &View<'_>, step: usize) -> Option<String> {
    Some(match obstacle(view, step)? {
        Obstacle::Full(1) => "1 host in flight, as many as may be".to_owned(),
        Obstacle::Full(limit) => format!("{limit} hosts in flight, as many as may be"),
        Obstacle::First(run) => format!("{}, which goes first and alone", run.host),
        Obstacle::Coordinator(run) => {
            format!("coordinator {}, which goes first and is {}", run.host, run.phase)
        }
        Obstacle::Soaking(gone, soak) => format!("the soak time after the first host: {gone} of {soak}"),
        Obstacle::Barrier(barrier) => waves::tell(&barrier),
        Obstacle::Last(run) => format!("{}, after which this host goes last", run.host),
        Obstacle::NoRoom(run, left, load) => format!(
            "{}, which is {} and does not serve: without this host too {left} would remain for guests that use {load}",
            run.host, run.phase
        ),
        Obstacle::Lost(run, domain) => {
            format!(
                "{} of the same fault domain {domain}, which is {} and does not serve",
                run.host, run.phase
            )
        }
        Obstacle::Targets(after) => {
            let open = after.iter().filter_map(|&target| view.journal.hosts.get(target));
            let open = open.filter(|run| !upgraded(view, run)).map(|run| run.host.to_string());
            format!("{} to take its guests", open.collect::<Vec<_>>().join(", "))
        }
        Obstacle::Giver(run) => format!("{} to bring its guests here first", run.host),
        Obstacle::Busy(run) => format!("{}, which is to take its guests and is in flight", run.host),
        Obstacle::Domain(run, domain) => format!("{} of the same fault domain {domain}", run.host),
    })
}

/// What keeps any host from beginning: the same for all of them.
struct Common<'a> {
    limit: usize,
    /// The host of the first wave, while none is proved good.
    first: Option<usize>,
    obstacle: Option<Obstacle<'a>>,
    /// A host that was lost, the memory of the hosts that serve, and what guests use of it.
    lost: Option<(&'a HostRun, Mib, Mib)>,
}

impl<'a> Common<'a> {
    fn of(view: &View<'a>) -> Self {
        let limit = limit(view);
        let first = if view.journal.committed == 0 { first(view.journal) } else { None };
        let obstacle = if view.journal.in_flight.len() >= limit {
            Some(Obstacle::Full(limit))
        } else if let Some(run) = lost_first(view) {
            Some(Obstacle::Coordinator(run))
        } else {
            soaking(view).map(|(gone, soak)| Obstacle::Soaking(gone, soak))
        };
        let lost = lost(view).next().map(|(_, run)| {
            let serving = view.world.hosts().filter(|host| host.reachable && !host.maintenance);
            let used = view.world.guests().filter(|guest| guest.running).map(|guest| guest.memory).sum();
            (run, serving.map(|host| host.memory).sum(), used)
        });
        Self { limit, first, obstacle, lost }
    }
}

fn obstacle<'a>(view: &View<'a>, step: usize) -> Option<Obstacle<'a>> {
    let common = Common::of(view);
    if let Some(full @ Obstacle::Full(_)) = common.obstacle {
        return Some(full);
    }
    match own_obstacle(view, &common, step) {
        // Which host goes first tells more than what holds all of them.
        Some(first @ Obstacle::First(_)) => Some(first),
        own => common.obstacle.or(own),
    }
}

/// Looked at for many hosts at every event: cheap things first, and no words before somebody asks for them.
fn own_obstacle<'a>(view: &View<'a>, common: &Common<'a>, step: usize) -> Option<Obstacle<'a>> {
    let journal = view.journal;
    if let Some(first) = common.first
        && first != step
    {
        return journal.hosts.get(first).map(Obstacle::First);
    }
    let links = journal.links.get(step)?;
    let waits = journal.unmet.get(step).copied().unwrap_or(0) > 0;
    // Between full looks a target counts when it is committed; one that was upgraded by other means is seen then.
    if waits && !view.full {
        return Some(Obstacle::Targets(&links.after));
    }
    if let Some(barrier) = waves::barrier(view, step) {
        return Some(Obstacle::Barrier(barrier));
    }
    if let Some(before) = before_last(view, step) {
        return Some(Obstacle::Last(before));
    }
    if waits
        && links.after.iter().filter_map(|&target| journal.hosts.get(target)).any(|run| !upgraded(view, run))
    {
        return Some(Obstacle::Targets(&links.after));
    }
    let mut givers = links.givers.iter().filter_map(|&giver| journal.hosts.get(giver));
    if let Some(giver) = givers.find(|run| undrained(run)) {
        return Some(Obstacle::Giver(giver));
    }
    if let Some(&busy) = links.old_targets.iter().find(|target| journal.in_flight.contains(target)) {
        return journal.hosts.get(busy).map(Obstacle::Busy);
    }
    if view.policy.one_per_fault_domain
        && let Some(domain) = domain_of(view, step)
        && let Some(&other) = journal.in_flight.iter().find(|&&other| domain_of(view, other) == Some(domain))
    {
        return journal.hosts.get(other).map(|run| Obstacle::Domain(run, domain));
    }
    if view.policy.one_per_fault_domain
        && let Some(domain) = domain_of(view, step)
        && let Some((_, run)) =
            lost(view).find(|&(other, _)| other != step && domain_of(view, other) == Some(domain))
    {
        return Some(Obstacle::Lost(run, domain));
    }
    no_room(view, common, step)
}

/// The plan did not reckon with a host that was lost: the sums are made anew.
fn no_room<'a>(view: &View<'a>, common: &Common<'a>, step: usize) -> Option<Obstacle<'a>> {
    let (run, serving, used) = common.lost?;
    let host = view.world.host(&view.journal.hosts.get(step)?.host)?;
    let own = if host.reachable && !host.maintenance { host.memory } else { Mib(0) };
    let left = serving.saturating_sub(own);
    (left < used && run.host != host.id).then_some(Obstacle::NoRoom(run, left, used))
}

/// For a host that goes last: one before it in the plan that has not come to an end.
fn before_last<'a>(view: &View<'a>, step: usize) -> Option<&'a HostRun> {
    let journal = view.journal;
    let host = &journal.hosts.get(step)?.host;
    let coordinator =
        view.policy.order == Order::CoordinatorLast && journal.plan.coordinator.as_ref() == Some(host);
    if !coordinator && !view.policy.last.contains(host) {
        return None;
    }
    let before = journal.first_open()?;
    (before < step).then(|| journal.hosts.get(before)).flatten()
}

/// The host of the first wave that has not come to an end: one that waits before one that is in flight.
fn first(journal: &Journal) -> Option<usize> {
    let of = |steps: &BTreeSet<usize>| journal.first_wave.iter().copied().find(|step| steps.contains(step));
    of(&journal.pending).or_else(|| of(&journal.in_flight))
}

/// The coordinator, if the policy wants it first and it came to another end than that.
fn lost_first<'a>(view: &View<'a>) -> Option<&'a HostRun> {
    let journal = view.journal;
    let run = journal.host(journal.plan.coordinator.as_ref()?)?;
    let over = !matches!(run.phase, Phase::Pending) && !run.phase.in_flight();
    (view.policy.order == Order::CoordinatorFirst && over && !upgraded(view, run)).then_some(run)
}

pub(crate) fn soaking(view: &View<'_>) -> Option<(Millis, Millis)> {
    let since = view.journal.first_committed?;
    let gone = view.now.since(since);
    let soak = view.policy.soak;
    (view.journal.committed == 1 && gone < soak).then_some((gone, soak))
}

/// Nothing is in flight and nothing can begin: hosts whose targets will never be ready are given to a person,
/// so that the roll comes to its end instead of waiting for ever.
fn stuck(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    if soaking(view).is_some() {
        return;
    }
    let first = journal.pending.first().and_then(|&step| obstacle(view, step));
    if let Some(Obstacle::NoRoom(run, left, load)) = first {
        let reason = format!(
            "{} is {} and does not serve; without another host {left} would remain for guests that use {load}. Mend it, \
             then order `roll resume`",
            run.host, run.phase
        );
        return actions.push(Action::Record(lifeboat_model::EventKind::Halted { reason }));
    }
    if let Some(Obstacle::Lost(run, domain)) = first {
        let reason = format!(
            "{} of fault domain {domain} is {} and does not serve; the others of the domain are not begun. Mend it, \
             then order `roll resume`",
            run.host, run.phase
        );
        return actions.push(Action::Record(lifeboat_model::EventKind::Halted { reason }));
    }
    if let Some(run) = lost_first(view) {
        let reason = format!(
            "coordinator {} goes first and is {}; order `roll resume --retry {}`, or make a new plan",
            run.host, run.phase, run.host
        );
        return actions.push(Action::Record(lifeboat_model::EventKind::Halted { reason }));
    }
    for &step in &journal.pending {
        let (Some(links), Some(run)) = (journal.links.get(step), journal.hosts.get(step)) else { continue };
        let lost = links.after.iter().filter_map(|&target| journal.hosts.get(target)).find(|target| {
            !upgraded(view, target) && !matches!(target.phase, Phase::Pending) && !target.phase.in_flight()
        });
        let Some(target) = lost else { continue };
        let reason = format!(
            "not begun: {} was to take its guests and is {}; make a new plan for the hosts that are left",
            target.host, target.phase
        );
        actions.push(record_phase(&run.host, Phase::Skipped { reason }));
    }
}
