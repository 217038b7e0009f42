//! From a driver and a store to what checks look at.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_model::{Plan, Policy, PoolName, ReleaseRef, Survey};
use lifeboat_plan::check::{Checked, Ground, RollInProgress, run};
use lifeboat_store::{RollState, Store};

use crate::commands::roll::{open_store, store_error};
use crate::drivers;
use crate::error::CliError;
use crate::run::Ctx;
use crate::state::PoolFile;

/// The pool with everything that its driver can tell.
pub(crate) fn survey(
    driver: &mut dyn Hypervisor,
    pool: &PoolFile,
    release: Option<&ReleaseRef>,
) -> Result<Survey, CliError> {
    driver.survey(release).map_err(|cause| drivers::driver_error(pool, cause))
}

/// Every check.
pub(super) fn look(
    survey: &Survey,
    policy: &Policy,
    plan: Option<&Plan>,
    rolls: &[RollInProgress],
) -> Vec<Checked> {
    run(&Ground { survey, policy, plan, rolls })
}

/// The journal, if there is one: looking makes none.
pub(super) fn store_if_there(ctx: &Ctx) -> Result<Option<Store>, CliError> {
    if ctx.state.database().exists() { open_store(ctx).map(Some) } else { Ok(None) }
}

/// The roll over a pool that has not ended. One that a failure stopped is not in the way: a new one takes its place.
pub(super) fn rolls(store: Option<&Store>, pool: &PoolName) -> Result<Vec<RollInProgress>, CliError> {
    let Some(store) = store else { return Ok(Vec::new()) };
    let heads = store.heads().map_err(store_error)?;
    let active = heads.into_iter().filter(|head| head.pool == *pool && head.state == RollState::Active);
    let holder = store.holder(pool);
    let what = match &holder {
        Some(holder) => format!("{} carries it out since {}", holder.name, holder.since),
        None => "it was interrupted: no controller is at work".to_owned(),
    };
    Ok(active.map(|head| RollInProgress { roll: head.id, what: what.clone() }).collect())
}
