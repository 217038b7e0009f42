//! Stopping what calls the package manager, and restoring it exactly.
//!
//! Owns: the order: write down, mask, stop; and back: unmask, start. Promises: the state of a unit is in the journal before
//! the unit is touched; a service at work is waited for, never ended; only what Lifeboat changed is changed back. Does
//! not: touch jobs of cron, which find the lock held.

use std::thread;
use std::time::{Duration, Instant};

use crate::agents::{Caller, CallerKind};
use crate::error::PackageError;
use crate::holders::find_holders;
use crate::journal::{Journal, Record};
use crate::roots::Roots;
use crate::services::{Services, UnitState, is_kind};

/// Whether a unit is doing work that is never interrupted: it is kept from starting, and waited for. `was` is how it was
/// found: of a masked unit systemd no longer tells whether it ends by itself.
fn is_at_work(state: &UnitState, was: &UnitState, roots: &Roots) -> bool {
    if !state.runs() || is_kind(&state.unit, "timer") {
        return false;
    }
    let holds =
        || find_holders(roots).iter().any(|holder| holder.process.unit.as_deref() == Some(&state.unit));
    was.oneshot || state.active != "active" || holds()
}

/// Quiesces all units among `callers`; timers first, so that none starts what is being waited for.
pub(crate) fn quiesce(
    roots: &Roots,
    services: &dyn Services,
    callers: &[Caller],
    journal: &mut Journal,
    limit: Duration,
    say: &mut dyn FnMut(String),
) -> Result<(), PackageError> {
    let mut units: Vec<&str> = callers
        .iter()
        .filter(|caller| caller.kind == CallerKind::Unit && caller.quiesced)
        .map(|caller| caller.name.as_str())
        .collect();
    units.sort_by_key(|unit| !is_kind(unit, "timer"));
    for unit in units {
        let Some(state) = services.state(unit)? else { continue };
        // A forerunner that died quiesced it: how it was found then is the original.
        let known = journal.quiesced().into_iter().find(|known| known.unit == *unit);
        // Nothing of it runs and nothing can start it: there is nothing to change or to restore.
        if known.is_none() && state.masked() && !state.runs() {
            continue;
        }
        let was = known.clone().unwrap_or_else(|| state.clone());
        if known.is_none() {
            journal.append(&Record::Quiesce { unit: state.clone() })?;
        }
        // A timer that is masked while it runs fails in the eyes of systemd.
        if is_kind(unit, "timer") && state.runs() {
            services.stop(unit)?;
        }
        // A unit file in /run or /etc outranks the mask: such a unit is only stopped, and a timer needs no more.
        if !state.masked() && services.mask(unit).is_err() {
            say(format!("{unit} cannot be masked, it is only stopped"));
        }
        wait_for_work(roots, services, &was, limit, say)?;
        if services.state(unit)?.is_some_and(|state| state.runs()) {
            services.stop(unit)?;
        }
        say(format!("{unit} was {} and is quiet now", state.active));
    }
    Ok(())
}

fn wait_for_work(
    roots: &Roots,
    services: &dyn Services,
    was: &UnitState,
    limit: Duration,
    say: &mut dyn FnMut(String),
) -> Result<(), PackageError> {
    let begin = Instant::now();
    let unit = was.unit.as_str();
    let mut told = false;
    while let Some(state) = services.state(unit)?.filter(|state| is_at_work(state, was, roots)) {
        if begin.elapsed() > limit {
            return Err(PackageError::Busy { unit: unit.to_owned(), waited_secs: limit.as_secs() });
        }
        if !told {
            say(format!("waiting for {unit}, which is at work as process {}", state.main_pid));
            told = true;
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Restores what the journal names and has not restored yet; the last first. What fails is told and stays open.
pub(crate) fn restore(
    services: &dyn Services,
    journal: &mut Journal,
    say: &mut dyn FnMut(String),
) -> Result<Vec<String>, PackageError> {
    let mut failed = Vec::new();
    for unit in journal.quiesced().into_iter().rev() {
        match restore_one(services, &unit) {
            Ok(()) => {
                say(format!("{} is {} again", unit.unit, unit.active));
                journal.append(&Record::Restored { unit: unit.unit })?;
            }
            Err(error) => failed.push(format!("{}: {error}", unit.unit)),
        }
    }
    Ok(failed)
}

fn restore_one(services: &dyn Services, was: &UnitState) -> Result<(), PackageError> {
    if !was.masked() {
        services.unmask(&was.unit)?;
    }
    let runs = services.state(&was.unit)?.is_some_and(|now| now.runs());
    // A oneshot that was at work has done its work: it is not started a second time.
    if was.runs() && !runs && !was.oneshot {
        services.start(&was.unit)?;
    }
    Ok(())
}
