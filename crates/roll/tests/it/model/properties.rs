//! The promises, each under the name by which a search tells that it was broken.

use std::collections::BTreeSet;

use lifeboat_model::{Effect, Mib, Order, Phase, RollEnd};
use lifeboat_roll::{Status, waiting_on, waiting_on_pool};
use stateright::Property;

use super::machine::Machine;
use super::state::State;

pub(crate) const GUESTS: &str = "no guest is lost and none runs twice";
pub(crate) const REBOOT: &str = "no host reboots with a running guest";
pub(crate) const WIDTH: &str = "at most K hosts are in flight, and one of a fault domain";
pub(crate) const CAPACITY: &str = "capacity covers load and reserve";
pub(crate) const ORDER: &str = "the coordinator goes first, the controller's own host last";
pub(crate) const FEATURES: &str = "features have their values again at every end";
pub(crate) const SAME_END: &str = "a crash leads to no other end";
pub(crate) const BANKS: &str = "no second bank is written before the first is proved";
pub(crate) const STALE: &str = "a controller that was replaced never acts";
pub(crate) const ENDS: &str = "the roll ends or says what it waits for";
pub(crate) const STOPPED: &str = "guests that were shut down run again or are named";
pub(crate) const SUSPENDED: &str = "no guest is moved while a feature is on";
pub(crate) const PERSON: &str = "what a person set is not overwritten";
pub(crate) const BARRIERS: &str = "no wave begins before its window, approval and gate";
pub(crate) const TIDY: &str = "what a hook had prepared is ended by the last stage";
pub(crate) const PREFLIGHT: &str = "nothing is begun before all preflight hooks passed";
pub(crate) const PLACING: &str = "features stay suspended until the last move has ended";
pub(crate) const NOT_BACK: &str = "no guest goes back to a host with the old release";
pub(crate) const RESTARTS: &str = "no host leaves maintenance while it restarts";
pub(crate) const LEGAL: &str = "every decision can be recorded";
pub(crate) const QUIET: &str = "at an end no feature, guest or maintenance is being changed";
/// The only one that is looked for: the search is not empty.
pub(crate) const COMPLETES: &str = "the roll can complete";

pub(crate) fn all() -> Vec<Property<Machine>> {
    vec![
        Property::always(GUESTS, |_, state: &State| guests(state)),
        Property::always(REBOOT, |_, state: &State| !state.broken.rebooted_full),
        Property::always(WIDTH, |_, state: &State| width(state)),
        Property::always(CAPACITY, capacity),
        Property::always(ORDER, |_, state: &State| order(state)),
        Property::always(FEATURES, features),
        Property::always(SAME_END, same_end),
        Property::always(BANKS, |_, state: &State| !state.broken.bad_bank),
        Property::always(STALE, |_, state: &State| !state.broken.stale_acted),
        Property::always(ENDS, ends),
        Property::always(STOPPED, |_, state: &State| stopped(state)),
        Property::always(SUSPENDED, |_, state: &State| !state.broken.moved_while_on),
        Property::always(PERSON, |_, state: &State| !state.broken.person_overruled),
        Property::always(BARRIERS, |_, state: &State| {
            !state.broken.outside_window && !state.broken.unapproved
        }),
        Property::always(TIDY, |_, state: &State| !state.broken.untidy),
        Property::always(PREFLIGHT, |_, state: &State| !state.broken.before_preflight),
        Property::always(PLACING, |_, state: &State| !state.broken.restored_early),
        Property::always(NOT_BACK, |_, state: &State| !state.broken.back_to_old),
        Property::always(RESTARTS, |_, state: &State| !state.broken.left_early),
        Property::always(LEGAL, |_, state: &State| !state.broken.unrecordable),
        Property::always(QUIET, quiet),
        Property::sometimes(COMPLETES, |_, state: &State| {
            *state.fold.journal.status() == Status::Ended(RollEnd::Completed)
        }),
    ]
}

fn ended(state: &State) -> Option<&RollEnd> {
    match state.fold.journal.status() {
        Status::Ended(end) => Some(end),
        Status::Running | Status::Paused | Status::Finishing | Status::Aborting => None,
    }
}

fn guests(state: &State) -> bool {
    let down: BTreeSet<_> = state.fold.journal.stopped_guests().map(|(_, guest, _)| guest).collect();
    let world = state.world();
    let lost = world.guests().any(|guest| {
        let about = format!("/{}", guest.id);
        let ordered = || state.under_way.keys().any(|key| key.0.ends_with(&about));
        if guest.running {
            world.host(&guest.host).is_none_or(|host| !host.reachable)
        } else {
            !down.contains(&guest.id) && !ordered()
        }
    });
    !lost && !state.broken.guest_lost && !state.broken.guest_twice
}

fn width(state: &State) -> bool {
    let journal = &state.fold.journal;
    let policy = journal.policy();
    let domains: Vec<&str> = journal
        .in_flight()
        .filter_map(|run| state.world().host(&run.host).and_then(|host| host.fault_domain.as_deref()))
        .collect();
    let distinct: BTreeSet<&str> = domains.iter().copied().collect();
    let hosts = state.world().hosts().len();
    journal.in_flight().count() <= policy.in_flight_of(hosts)
        && (!policy.one_per_fault_domain || distinct.len() == domains.len())
}

/// What serves, against what runs and what is kept free. A host that failed is what the reserve was kept for.
fn capacity(machine: &Machine, state: &State) -> bool {
    let Some(reserve) = machine.scene.reserve else { return true };
    let world = state.world();
    let failed = |host: &lifeboat_model::HostId| {
        state.fold.journal.host(host).is_some_and(|run| run.phase.is_failure())
    };
    let (mut serves, mut lost) = (Mib(0), Mib(0));
    for host in world.hosts() {
        if host.reachable && !host.maintenance {
            serves += host.memory;
        } else if failed(&host.id) {
            lost += host.memory;
        }
    }
    let load: Mib = world.guests().filter(|guest| guest.running).map(|guest| guest.memory).sum();
    serves >= load + reserve.saturating_sub(lost)
}

fn order(state: &State) -> bool {
    let journal = &state.fold.journal;
    if state.broken.last_too_early {
        return false;
    }
    let Some(first) = journal.plan().coordinator.as_ref() else { return true };
    if journal.policy().order != Order::CoordinatorFirst {
        return true;
    }
    let upgraded =
        state.world().host(first).is_some_and(|host| host.running == Some(journal.plan().target.digest));
    let begun = |phase: &Phase| phase.in_flight() || *phase == Phase::Committed;
    let done = journal.host(first).is_none_or(|run| run.phase == Phase::Committed) || upgraded;
    done || !journal.hosts().iter().any(|run| run.host != *first && begun(&run.phase))
}

fn features(machine: &Machine, state: &State) -> bool {
    let Some(end) = ended(state) else { return true };
    let named = |word: &str| {
        matches!(end, RollEnd::Stopped { reason } if reason.contains(word))
            || state.fold.journal.warnings().iter().any(|warning| warning.subject == word)
    };
    machine.scene.world.features().all(|original| {
        let due = state.given.get(&original.kind).unwrap_or(&original.value);
        let now = state.world().feature(original.kind);
        now.is_some_and(|now| now.value == *due) || named(original.kind.word())
    })
}

/// What a person sees at the end, without times and numbers of tries; and what had gone wrong until then.
pub(crate) fn told(state: &State, end: &RollEnd) -> String {
    let hosts: Vec<String> = state
        .fold
        .journal
        .hosts()
        .iter()
        .map(|run| {
            let host = state.world().host(&run.host);
            format!("{} {} {:?}", run.host, run.phase, host.map(|host| (host.active, host.maintenance)))
        })
        .collect();
    let guests: Vec<String> = state
        .world()
        .guests()
        .map(|guest| format!("{} {} {}", guest.id, guest.host, guest.running))
        .collect();
    let features: Vec<&str> = state.world().features().map(|feature| feature.value.as_str()).collect();
    let end = match end {
        RollEnd::Completed => "completed",
        RollEnd::CompletedWithExceptions { .. } => "with exceptions",
        RollEnd::Stopped { .. } => "stopped",
        RollEnd::Aborted => "aborted",
    };
    format!("{end}: {hosts:?} {guests:?} {features:?} after {:?}", state.luck)
}

fn same_end(machine: &Machine, state: &State) -> bool {
    let Some(end) = ended(state).filter(|_| machine.compare) else { return true };
    let told = told(state, end);
    if let Some(known) = &machine.known {
        return known.contains(&told);
    }
    machine.ends.lock().unwrap().insert(told);
    true
}

fn ends(machine: &Machine, state: &State) -> bool {
    let journal = &state.fold.journal;
    if ended(state).is_some() || !machine.at_rest(state) {
        return true;
    }
    let world = state.world();
    let says = |list: Vec<String>| list.iter().any(|reason| !EMPTY_WORDS.contains(&reason.as_str()));
    let pool = says(waiting_on_pool(world, journal, state.now));
    let open = |run: &&lifeboat_roll::HostRun| run.phase == Phase::Pending || run.phase.in_flight();
    let mut hosts = journal.hosts().iter().filter(open).peekable();
    if hosts.peek().is_none() {
        return pool;
    }
    pool || hosts.all(|run| says(waiting_on(world, journal, run, state.now)))
}

/// Orders that a limit has ended, and orders of a controller that slept before it gave them, cannot be taken back.
fn quiet(machine: &Machine, state: &State) -> bool {
    let late = state.left.slow < machine.scene.budget.slow || machine.scene.late_orders;
    let changes = |effect: &Effect| match effect {
        Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::Stage { .. }
        | Effect::RunHook { .. }
        | Effect::RunGate { .. }
        // They concern a bank that does not run, and a boot that is over.
        | Effect::Install { .. }
        | Effect::Restart { .. }
        | Effect::RebootInto { .. } => false,
        Effect::SuspendFeature { .. }
        | Effect::RestoreFeature { .. }
        | Effect::EnterMaintenance { .. }
        | Effect::LeaveMaintenance { .. }
        | Effect::Migrate { .. }
        | Effect::StopGuest { .. }
        | Effect::StartGuest { .. }
        | Effect::Place { .. }
        | Effect::Mend { .. }
        | Effect::Unmend { .. } => true,
    };
    ended(state).is_none() || late || !state.under_way.values().any(|order| changes(&order.effect))
}

/// What says nothing to somebody who waits.
const EMPTY_WORDS: [&str; 2] = ["the roll's next look", "its turn"];

fn stopped(state: &State) -> bool {
    let Some(end) = ended(state) else { return true };
    let journal = &state.fold.journal;
    let mut words: Vec<&str> = journal.hosts().iter().filter_map(|run| run.phase.reason()).collect();
    if let RollEnd::Stopped { reason } = end {
        words.push(reason);
    }
    let warned = |name: &str| {
        journal.warnings().iter().any(|warning| warning.subject == name || warning.text.contains(name))
    };
    state.world().guests().filter(|guest| !guest.running).all(|guest| {
        let name = guest.id.as_str();
        words.iter().any(|reason| reason.contains(name)) || warned(name)
    })
}
