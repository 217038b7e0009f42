//! `lifeboat roll recover`
//!
//! Owns: the way out when a roll's journal is damaged. Promises: the damaged file is copied before anything is
//! changed; nothing is done on hearsay; every order is written to a small log before it is given; a second run goes
//! on where the first stopped, and does nothing twice. Does not: mend the journal, or go on with the old plan.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{BankState, Effect, FeatureKind, FeatureView, Millis, Outcome, RollId, World};
use lifeboat_roll::{Journal, Status};
use lifeboat_store::{Damage, Lease, RollState, Salvage, Store};

use super::salvaged::{FeatureLeft, Proof, Salvaged, Stand, keep, kept, log_place, read};
use super::{drive, open_store, store_error};
use crate::args::{RecoverArgs, RollRef};
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::{PlanSource, pick};

mod log;
mod tell;

use log::RecoveryLog;
use tell::{people, way_on};

/// Longest wait for one order, by the pool's time.
const LIMIT: Millis = Millis::from_secs(600);

/// The name of the roll that is meant, without reading any plan.
pub(super) fn find_id(store: &Store, wanted: &RollRef) -> Result<RollId, CliError> {
    let heads = store.heads().map_err(store_error)?;
    if let Some(given) = &wanted.roll {
        let names = heads.iter().map(|head| head.id.to_string()).collect();
        let name = pick("roll", given, names, "lifeboat roll list")?;
        return RollId::new(&name).map_err(|error| CliError::usage("a roll's name").because(error));
    }
    let open = |state| heads.iter().find(|head| head.state == state);
    let chosen = open(RollState::Active).or_else(|| open(RollState::Stopped)).or(heads.first());
    chosen.map(|head| head.id.clone()).ok_or_else(|| {
        CliError::new(Kind::NotFound, "there is no roll yet").remedy("see: lifeboat roll list")
    })
}

pub(super) fn run(ctx: &Ctx, args: &RecoverArgs) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let id = find_id(&store, &args.roll)?;
    let mut salvage = store.salvage(&id).map_err(store_error)?;
    let (state, _) = store.state(&id).map_err(store_error)?;
    needed(&store, &mut salvage, state)?;
    let before = kept(&store, &id)?;
    let mut salvaged = read(&salvage);
    if let Some(before) = before {
        salvaged.copies = before.copies;
        salvaged.take_over(&before.features);
    }
    name_values(&mut salvaged, &args.value)?;
    let (pool, dir) = ctx.state.pool(salvage.pool.as_str())?;
    let lease = if ctx.dry_run {
        None
    } else {
        Some(store.lease(&salvage.pool, drive::holder()).map_err(store_error)?)
    };
    let mut driver = drivers::open(&pool, &dir, None)?;
    let world = driver.observe().map_err(|cause| drivers::driver_error(&pool, cause))?;
    salvaged.look(&world, &salvage);
    salvaged.at = driver.now();
    if ctx.dry_run {
        return ctx.out.object("recovery", &salvaged, id.as_str(), || people(&salvaged));
    }
    if !ctx.out.format.is_json() {
        ctx.out.text(&people(&salvaged))?;
    }
    let what = format!("roll {id} is ended, and its hosts are given back to the pool");
    super::super::ask(ctx, &what)?;
    let mut recovery = Recovery {
        store: &store,
        driver: driver.as_mut(),
        log: RecoveryLog::open(&log_place(&store, &id), &id)?,
        lease: lease.as_ref(),
        salvaged,
    };
    recovery.end_roll(state)?;
    recovery.hosts(args)?;
    recovery.guests()?;
    if args.restore {
        recovery.features()?;
    }
    let world = recovery.driver.observe().map_err(|cause| drivers::driver_error(&pool, cause))?;
    recovery.salvaged.look_again(&world);
    keep(&store, &recovery.salvaged)?;
    let salvaged = recovery.salvaged;
    let source = serde_json::from_str::<PlanSource>(&salvage.context).ok();
    let way = way_on(&salvaged, source.as_ref());
    ctx.out.object("recovery", &salvaged, id.as_str(), || way.clone())?;
    rest(&salvaged, &way)
}

/// Refuses to recover a roll that can simply be taken up.
fn needed(store: &Store, salvage: &mut Salvage, state: RollState) -> Result<(), CliError> {
    if !salvage.damage.is_empty() {
        return Ok(());
    }
    let row = store.roll(&salvage.roll).map_err(store_error)?;
    let mut journal = Journal::new(Arc::clone(&row.plan), row.plan_hash);
    for event in &salvage.events {
        if let Err(error) = journal.apply(&event.event) {
            let reason = lifeboat_model::chain(&error);
            salvage.damage.push(Damage { seq: Some(event.event.seq), reason });
            return Ok(());
        }
    }
    let ended = matches!(journal.status(), Status::Ended(_));
    if state == RollState::Ended && !ended {
        // It was given up without its journal, which is whole.
        return Ok(());
    }
    let error = CliError::new(Kind::Conflict, format!("the journal of roll {} is whole", salvage.roll));
    Err(error.remedy(match state {
        RollState::Ended => "there is nothing to recover; see: lifeboat roll status",
        RollState::Active | RollState::Stopped => {
            "take it up: lifeboat roll resume, or end it: lifeboat roll abort"
        }
    }))
}

/// Values that a person names: `FEATURE=VALUE`.
fn name_values(salvaged: &mut Salvaged, values: &[String]) -> Result<(), CliError> {
    for given in values {
        let wrong = |what: String| CliError::usage(what).remedy("give --value FEATURE=VALUE");
        let (name, value) =
            given.split_once('=').ok_or_else(|| wrong(format!("{given:?} is not FEATURE=VALUE")))?;
        let feature: FeatureKind = serde_json::from_value(serde_json::Value::String(name.to_owned()))
            .map_err(|_| wrong(format!("{name:?} is no feature")))?;
        if value.is_empty() || value == FeatureView::OFF {
            return Err(wrong(format!("{value:?} is not a value that {feature} can be restored to")));
        }
        let left = salvaged.features.iter_mut().find(|left| left.feature == feature);
        let Some(left) = left else {
            return Err(CliError::new(Kind::Conflict, format!("the roll did not switch {feature} off"))
                .remedy("see what it left: lifeboat roll recover --dry-run"));
        };
        if left.proof == Proof::Proved && left.original.as_deref() != Some(value) {
            let original = left.original.as_deref().unwrap_or_default();
            let what = format!("the journal proves that {feature} had the value {original:?}, not {value:?}");
            return Err(CliError::new(Kind::Conflict, what).remedy("leave --value out for this feature"));
        }
        if left.proof != Proof::Proved {
            left.original = Some(value.to_owned());
            left.proof = Proof::Person;
        }
    }
    Ok(())
}

impl Salvaged {
    /// What an earlier run of the recovery knows of features: what a person named, and what was restored.
    fn take_over(&mut self, before: &[FeatureLeft]) {
        for left in &mut self.features {
            let earlier = before.iter().find(|earlier| earlier.feature == left.feature);
            if let Some(earlier) =
                earlier.filter(|earlier| earlier.proof == Proof::Person && !left.proof.holds())
            {
                left.original.clone_from(&earlier.original);
                left.proof = Proof::Person;
            }
        }
    }

    /// Compares what the journal tells with the pool.
    fn look(&mut self, world: &World, salvage: &Salvage) {
        // Without the plan, any feature that is off may be the roll's.
        if salvage.plan.is_none() {
            let known: Vec<FeatureKind> = self.features.iter().map(|left| left.feature).collect();
            let off = world.features().filter(|view| !view.is_on() && !known.contains(&view.kind));
            self.features.extend(off.map(|view| FeatureLeft {
                feature: view.kind,
                original: None,
                proof: Proof::Unknown,
                seq: None,
                now: None,
                stand: Stand::NotSeen,
            }));
        }
        self.look_again(world);
        // One of which nothing is known and that is on was never switched off, or has its value again.
        self.features.retain(|left| left.original.is_some() || left.stand == Stand::Left);
        for host in world.hosts().filter(|host| host.maintenance) {
            let planned =
                salvage.plan.as_ref().is_none_or(|plan| plan.steps.iter().any(|step| step.host == host.id));
            if planned && !self.hosts.iter().any(|left| left.host == host.id) {
                self.hosts.push(super::salvaged::HostLeft {
                    host: host.id.clone(),
                    phase: "unknown".to_owned(),
                    in_flight: false,
                    maintenance: false,
                    rebooting: false,
                    installing: false,
                    proof: Proof::Unknown,
                    stand: Stand::Left,
                });
            }
        }
        self.hosts.retain(|left| left.in_flight || left.maintenance || left.stand == Stand::Left);
    }

    /// How everything stands in the pool now.
    fn look_again(&mut self, world: &World) {
        for left in &mut self.features {
            let now = world.features().find(|view| view.kind == left.feature);
            left.now = now.map(|view| view.value.clone());
            let restored = left.stand == Stand::Restored;
            left.stand = match (now, &left.original) {
                (Some(view), _) if !view.is_on() => Stand::Left,
                (Some(view), Some(original)) if view.value == *original => {
                    if restored {
                        Stand::Restored
                    } else {
                        Stand::AsBefore
                    }
                }
                (Some(_), _) => Stand::Other,
                (None, _) => Stand::AsBefore,
            };
        }
        for left in &mut self.hosts {
            let restored = left.stand == Stand::Restored;
            left.stand = match world.host(&left.host) {
                Some(host) if !well(host) => Stand::NotWell,
                Some(host) if host.maintenance => Stand::Left,
                Some(_) if restored => Stand::Restored,
                Some(_) => Stand::AsBefore,
                None => Stand::NotWell,
            };
        }
        for left in &mut self.guests {
            let restored = left.stand == Stand::Restored;
            left.stand = match world.guest(&left.guest) {
                Some(guest) if !guest.running => Stand::Left,
                Some(_) if restored => Stand::Restored,
                Some(_) | None => Stand::AsBefore,
            };
        }
    }
}

/// A host that answers and runs from a bank that was blessed; one on trial judges itself first.
fn well(host: &lifeboat_model::HostView) -> bool {
    host.reachable && host.active.is_some_and(|bank| host.bank(bank).state == BankState::Good)
}

struct Recovery<'a> {
    store: &'a Store,
    driver: &'a mut dyn Hypervisor,
    log: RecoveryLog,
    lease: Option<&'a Lease>,
    salvaged: Salvaged,
}

impl Recovery<'_> {
    /// Keeps the damaged file, and ends the roll.
    fn end_roll(&mut self, state: RollState) -> Result<(), CliError> {
        if self.salvaged.copies.is_empty() && !self.salvaged.damage.is_empty() {
            let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
            let suffix = format!("damaged-{}-{stamp}", self.salvaged.roll);
            let copies: Vec<PathBuf> = self.store.keep_copy(&suffix).map_err(store_error)?;
            self.salvaged.copies = copies;
        }
        // Kept before the roll is ended: whoever comes after a crash finds it.
        keep(self.store, &self.salvaged)?;
        if state != RollState::Ended {
            self.store.end_unread(&self.salvaged.roll).map_err(store_error)?;
        }
        Ok(())
    }

    /// Gives hosts back that the roll put into maintenance.
    fn hosts(&mut self, args: &RecoverArgs) -> Result<(), CliError> {
        for at in 0..self.salvaged.hosts.len() {
            let Some(left) = self.salvaged.hosts.get(at).cloned() else { continue };
            let ordered = args.leave_maintenance.contains(&left.host);
            // Which orders were given is no value that could be wrong: hearsay of one and a host in maintenance fit.
            if left.stand != Stand::Left || !(left.maintenance || ordered) {
                continue;
            }
            let done = self.order(&Effect::LeaveMaintenance { host: left.host.clone() })?;
            if let Some(left) = self.salvaged.hosts.get_mut(at).filter(|_| done) {
                left.stand = Stand::Restored;
            }
        }
        Ok(())
    }

    /// Starts guests that the roll shut down, where they are.
    fn guests(&mut self) -> Result<(), CliError> {
        for at in 0..self.salvaged.guests.len() {
            let Some(left) = self.salvaged.guests.get(at).cloned() else { continue };
            let host = self.salvaged.hosts.iter().find(|host| host.host == left.host);
            let host_serves = host.is_none_or(|host| matches!(host.stand, Stand::AsBefore | Stand::Restored));
            if left.stand != Stand::Left || !left.proof.holds() || !host_serves {
                continue;
            }
            let effect = Effect::StartGuest { guest: left.guest.clone(), host: left.host.clone() };
            let done = self.order(&effect)?;
            if let Some(left) = self.salvaged.guests.get_mut(at).filter(|_| done) {
                left.stand = Stand::Restored;
            }
        }
        Ok(())
    }

    /// Restores features whose values are known, in the reverse order of their suspension.
    fn features(&mut self) -> Result<(), CliError> {
        let mut order: Vec<usize> = (0..self.salvaged.features.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.salvaged.features.get(at).and_then(|left| left.seq)));
        for at in order {
            let Some(left) = self.salvaged.features.get(at).cloned() else { continue };
            let Some(original) = left.original.filter(|_| left.stand == Stand::Left && left.proof.holds())
            else {
                continue;
            };
            let done = self.order(&Effect::RestoreFeature { feature: left.feature, original })?;
            if let Some(left) = self.salvaged.features.get_mut(at).filter(|_| done) {
                left.stand = Stand::Restored;
            }
        }
        Ok(())
    }

    /// Writes the order down, gives it, and waits for its end; says whether it was done.
    fn order(&mut self, effect: &Effect) -> Result<bool, CliError> {
        let key = effect.key();
        let failed = |cause| {
            CliError::new(Kind::Unreachable, format!("{effect}: the pool cannot be reached"))
                .because(cause)
                .remedy("when it answers again, run the same command: what is done is not done twice")
        };
        let fence = self.lease.map_or(0, |lease| lease.fence);
        self.log.intent(self.driver.now(), fence, effect)?;
        self.driver.start(&key, effect).map_err(failed)?;
        let began = self.driver.now();
        // The pool's clock may stand still while a machine is gone: real time has a limit too.
        let real = std::time::Instant::now();
        loop {
            let news = self.driver.poll(Duration::from_millis(200)).map_err(failed)?;
            let ended = news.into_iter().find_map(|event| match event {
                DriverEvent::Outcome { key: of, outcome } if of == key => Some(outcome),
                DriverEvent::Outcome { .. }
                | DriverEvent::Host(_)
                | DriverEvent::Guest(_)
                | DriverEvent::GuestGone(_)
                | DriverEvent::Feature(_)
                | DriverEvent::Progress { .. } => None,
            });
            let late = self.driver.now().since(began) > LIMIT || real.elapsed() > LIMIT.duration();
            let outcome = match ended {
                Some(outcome) => outcome,
                None if late => {
                    Outcome::Failed { reason: format!("it took longer than {LIMIT}"), retriable: true }
                }
                None => continue,
            };
            self.log.outcome(self.driver.now(), fence, &key, &outcome)?;
            return Ok(!matches!(outcome, Outcome::Failed { .. }));
        }
    }
}

/// What is left for a person decides how the command ends.
fn rest(salvaged: &Salvaged, way: &str) -> Result<(), CliError> {
    let unknown = salvaged.features.iter().filter(|left| left.stand == Stand::Left && !left.proof.holds());
    let unknown: Vec<String> = unknown.map(|left| left.feature.to_string()).collect();
    let hosts = salvaged.hosts.iter().filter(|left| matches!(left.stand, Stand::Left | Stand::NotWell));
    let hosts: Vec<String> = hosts.map(|left| left.host.to_string()).collect();
    if unknown.is_empty() && hosts.is_empty() {
        return Ok(());
    }
    let mut what = Vec::new();
    if !unknown.is_empty() {
        what.push(format!("the values that {} had are not proved", unknown.join(", ")));
    }
    if !hosts.is_empty() {
        what.push(format!("{} could not be given back to the pool", hosts.join(", ")));
    }
    let first = way.lines().find(|line| line.starts_with("  lifeboat roll recover")).map(str::trim);
    let remedy = first.unwrap_or("look at the hosts that are named, then run the same command again");
    Err(CliError::new(Kind::NeedsPerson, what.join("; ")).remedy(remedy))
}
