//! The model's driver: what an effect does to the pool. Every effect may be ordered twice.

use lifeboat_model::{
    Bank, BankState, BankView, Effect, FeatureView, GuestView, HostId, HostView, Outcome, World,
};

use super::mutants::Mutant;
use super::scene::{Scene, bank};
use super::state::{Boot, Broken, State, bank_of, number};
use crate::toy::release;

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), retriable: false }
}

fn change(world: &mut World, id: &HostId, change: impl FnOnce(&mut HostView)) {
    let mut host = world.host(id).unwrap().clone();
    change(&mut host);
    world.set_host(host);
}

/// Carries an effect out, and says how it ended.
pub(crate) fn carry_out(state: &mut State, scene: &Scene, mutant: Mutant, effect: &Effect) -> Outcome {
    let mut world = state.world().clone();
    if let Some(host) = effect.host()
        && !effect.is_command()
        && !world.host(host).unwrap().reachable
    {
        // An order that was carried out before its host went down is not carried out again.
        return if matches!(effect, Effect::RebootInto { .. }) {
            Outcome::Done { detail: None }
        } else {
            Outcome::Failed { reason: "the host does not answer".to_owned(), retriable: true }
        };
    }
    match effect {
        Effect::SuspendFeature { feature, .. } => {
            world.set_feature(FeatureView { kind: *feature, value: "off".to_owned() });
        }
        Effect::RestoreFeature { feature, original } => {
            let now = world.feature(*feature).unwrap();
            let persons = state.given.get(feature).is_some_and(|given| now.is_on() && *given == now.value);
            state.broken.person_overruled |= persons && now.value != *original;
            world.set_feature(FeatureView { kind: *feature, value: original.clone() });
        }
        Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::Stage { .. }
        | Effect::RunHook { .. }
        | Effect::RunGate { .. }
        | Effect::Mend { .. }
        | Effect::Unmend { .. } => {}
        Effect::EnterMaintenance { host } => change(&mut world, host, |host| host.maintenance = true),
        Effect::LeaveMaintenance { host } => change(&mut world, host, |host| host.maintenance = false),
        Effect::Migrate { guest, from, to } | Effect::Place { guest, from, to } => {
            let view = world.guest(guest).unwrap().clone();
            if view.host == *to || view.host != *from {
                // It is there already. A driver without a look of its own would start it a second time.
                state.broken.guest_twice |= mutant == Mutant::RunTwice;
            } else {
                let there = world.host(to).unwrap();
                if !there.reachable || there.maintenance {
                    return failed("the target takes no guests");
                }
                let target = Some(scene.plan.target.digest);
                state.broken.back_to_old |= matches!(effect, Effect::Place { .. })
                    && world.host(&view.host).unwrap().running == target
                    && there.running != target;
                if world.load_of(to).0 + view.memory.0 > there.memory.0 {
                    return failed("no room on the target");
                }
                world.set_guest(GuestView { host: to.clone(), ..view }).unwrap();
            }
        }
        Effect::StopGuest { guest, host } | Effect::StartGuest { guest, host } => {
            let view = world.guest(guest).unwrap().clone();
            let running = matches!(effect, Effect::StartGuest { .. });
            if view.host == *host {
                if running && world.host(host).unwrap().maintenance {
                    return failed("the host is in maintenance");
                }
                world.set_guest(GuestView { running, ..view }).unwrap();
            }
        }
        Effect::Install { host, bank: target, .. } => {
            let late = state.left.slow < scene.budget.slow;
            if late && world.host(host).unwrap().active == Some(*target) {
                // A reboot that a limit had ended came after all. The agent's own rule stands.
                return failed("the active bank is never written");
            }
            state.broken.bad_bank |= !may_be_written(state, scene, &world, host, *target);
            change(&mut world, host, |host| host.banks[target.index()] = bank(BankState::Upgraded, 2));
        }
        Effect::Restart { host, boot_id_before } => {
            if world.host(host).unwrap().boot_id.as_ref() == Some(boot_id_before) {
                go_down(&mut state.broken, &mut world, host);
                state.boots.insert(host.clone(), Boot::Again);
            }
        }
        Effect::RebootInto { host, bank, boot_id_before } => {
            let done = world.host(host).unwrap().boot_id.as_ref() != Some(boot_id_before);
            if done && mutant != Mutant::RunTwice {
                return Outcome::Done { detail: None };
            }
            go_down(&mut state.broken, &mut world, host);
            state.boots.insert(host.clone(), Boot::Down(number(*bank)));
        }
    }
    state.seen = super::state::Seen::new(world);
    Outcome::Done { detail: None }
}

/// Whether there is nothing to do.
pub(crate) fn is_done(state: &State, effect: &Effect) -> bool {
    let world = state.world();
    let host = |id: &HostId| world.host(id).unwrap();
    match effect {
        Effect::SuspendFeature { feature, .. } => !world.feature(*feature).is_some_and(FeatureView::is_on),
        Effect::RestoreFeature { feature, original } => {
            world.feature(*feature).is_some_and(|seen| seen.value == *original)
        }
        Effect::EnterMaintenance { host: id } => host(id).reachable && host(id).maintenance,
        Effect::LeaveMaintenance { host: id } => host(id).reachable && !host(id).maintenance,
        Effect::Migrate { guest, to, .. } | Effect::Place { guest, to, .. } => {
            world.guest(guest).unwrap().host == *to
        }
        Effect::StopGuest { guest, .. } => !world.guest(guest).unwrap().running,
        Effect::StartGuest { guest, .. } => world.guest(guest).unwrap().running,
        Effect::RebootInto { host: id, boot_id_before, .. } => {
            state.boots.contains_key(id) || host(id).boot_id.as_ref() != Some(boot_id_before)
        }
        Effect::Restart { host: id, boot_id_before } => {
            host(id).reachable && host(id).boot_id.as_ref() != Some(boot_id_before)
        }
        Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::Stage { .. }
        | Effect::Install { .. }
        | Effect::RunHook { .. }
        | Effect::RunGate { .. }
        | Effect::Mend { .. }
        | Effect::Unmend { .. } => false,
    }
}

fn go_down(broken: &mut Broken, world: &mut World, host: &HostId) {
    if world.running_on(host).next().is_some() {
        broken.rebooted_full = true;
        broken.guest_lost = true;
    }
    change(world, host, |host| host.reachable = false);
}

/// The way back is never written: not the active bank, not beside an unproven one, and not on a second host before
/// the first release was proved good on one.
fn may_be_written(state: &State, scene: &Scene, world: &World, host: &HostId, target: Bank) -> bool {
    let view = world.host(host).unwrap();
    let proven =
        view.active.is_some_and(|active| active != target && view.bank(active).state == BankState::Good);
    let good = |host: &HostView| host.running == Some(scene.plan.target.digest);
    let any_proved = world.hosts().any(|host| {
        good(host) && host.active.is_some_and(|active| host.bank(active).state == BankState::Good)
    });
    let other_unproven = world.hosts().any(|other| {
        other.id != *host
            && (state.boots.contains_key(&other.id)
                || other.banks.iter().any(|bank| bank.state == BankState::Upgraded && other.maintenance))
            && !scene_gave_up(state, &other.id)
    });
    proven && (any_proved || !other_unproven)
}

/// The roll has told a person to look at this host: nothing is expected of it any more.
fn scene_gave_up(state: &State, host: &HostId) -> bool {
    state.fold.journal.host(host).is_some_and(|run| run.phase.is_failure())
}

/// How a boot goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It runs the new bank, blessed.
    Good,
    /// It runs the new bank, and its health checks have not ended.
    Trial,
    /// It is back in its old bank.
    Back,
    /// It does not come back.
    Gone,
}

/// A host that was told to reboot takes its next step.
pub(crate) fn boot(state: &mut State, host: &HostId, next: Next) {
    let Some(boot) = state.boots.remove(host) else { return };
    let mut world = state.world().clone();
    let target = match boot {
        Boot::Down(bank) | Boot::Trying(bank) => bank_of(bank),
        Boot::Again => world.host(host).unwrap().active.unwrap(),
        Boot::Gone => return,
    };
    let new_boot = |view: &mut HostView| {
        let count: u32 = view.boot_id.as_deref().unwrap_or("0").parse().unwrap();
        view.boot_id = Some((count + 1).to_string());
    };
    let take = |view: &mut HostView, active: Bank| {
        let (version, digest) = (view.bank(active).version.clone(), view.bank(active).digest);
        (view.active, view.running, view.version) = (Some(active), digest, version);
        view.reachable = true;
    };
    change(&mut world, host, |view| match next {
        Next::Good => {
            view.banks[target.index()].state = BankState::Good;
            if matches!(boot, Boot::Down(_) | Boot::Again) {
                new_boot(view);
                // Whatever waited for a reboot had one.
                view.pending_reboot.clear();
            }
            take(view, target);
        }
        Next::Trial => {
            view.banks[target.index()].state = BankState::Trying;
            new_boot(view);
            take(view, target);
        }
        Next::Back => {
            view.banks[target.index()] =
                BankView { note: Some("it did not start".to_owned()), ..bank(BankState::Failed, 2) };
            view.failed_releases.push(release(2).digest);
            new_boot(view);
            take(view, target.other());
        }
        Next::Gone => {}
    });
    match next {
        Next::Good | Next::Back => {}
        Next::Trial => {
            state.boots.insert(host.clone(), Boot::Trying(number(target)));
        }
        Next::Gone => {
            state.boots.insert(host.clone(), Boot::Gone);
        }
    }
    if next == Next::Back && matches!(boot, Boot::Trying(_)) && world.running_on(host).next().is_some() {
        state.broken.guest_lost = true;
    }
    state.seen = super::state::Seen::new(world);
}
