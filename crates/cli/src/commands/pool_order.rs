//! `lifeboat pool sim-set`, `sim-clear`, `sim-feature`, `sim-reset`: the hands of a person in a simulated pool.
//!
//! Promises: an order is carried out at once if nobody has the pool open, and otherwise left for the process that has;
//! what names nothing of the pool is refused either way. Does not: wait until that process took it.

use lifeboat_hypervisor::sim::{SimOrder, SimPool, leave_orders};
use serde::Serialize;

use crate::args::{PoolCmd, SimWord};
use crate::drivers::{clock, driver_error, sim_is_held};
use crate::error::{CliError, Kind, file_error};
use crate::run::Ctx;
use crate::state::{DriverKind, PoolFile};

/// The orders of a command.
pub(super) fn run(ctx: &Ctx, cmd: &PoolCmd) -> Result<(), CliError> {
    match cmd {
        PoolCmd::List | PoolCmd::Show { .. } | PoolCmd::CreateSim(_) | PoolCmd::AddKvm(_) => Ok(()),
        PoolCmd::SimSet { pool, words, release } => {
            let mut orders = Vec::new();
            if let Some(path) = release {
                let bundle = path.canonicalize().map_err(|source| file_error("looking at", path, source))?;
                orders.push(SimOrder::Offer { bundle });
            }
            orders.extend(words.iter().map(set));
            deliver(ctx, pool, &orders)
        }
        PoolCmd::SimClear { pool, all: true, .. } => deliver(ctx, pool, &[SimOrder::ClearAll]),
        PoolCmd::SimClear { pool, words, all: false } => {
            let orders: Vec<SimOrder> = words.iter().map(clear).collect();
            deliver(ctx, pool, &orders)
        }
        PoolCmd::SimFeature { pool, feature, value } => {
            deliver(ctx, pool, &[SimOrder::Feature { feature: *feature, value: value.clone() }])
        }
        PoolCmd::SimReset { pool, host } => deliver(ctx, pool, &[SimOrder::Reset { host: host.clone() }]),
    }
}

/// The order that lets a word be so.
pub(super) fn set(word: &SimWord) -> SimOrder {
    match word {
        SimWord::Fault(fault) => SimOrder::Strike { fault: fault.clone() },
        SimWord::Condition(condition) => SimOrder::Set { condition: condition.clone() },
    }
}

fn clear(word: &SimWord) -> SimOrder {
    match word {
        SimWord::Fault(fault) => SimOrder::End { fault: fault.clone() },
        SimWord::Condition(condition) => SimOrder::Clear { condition: condition.clone() },
    }
}

#[derive(Serialize)]
struct Ordered<'a> {
    pool: &'a str,
    orders: &'a [SimOrder],
    /// `pool`: done; `controller`: left for the process that has the pool open.
    through: &'static str,
}

fn deliver(ctx: &Ctx, name: &str, orders: &[SimOrder]) -> Result<(), CliError> {
    let (file, dir) = ctx.state.pool(name)?;
    if file.driver != DriverKind::Sim {
        let what = format!(
            "pool {} has the driver {}; only simulated pools obey this",
            file.name,
            file.driver.word()
        );
        return Err(CliError::new(Kind::Conflict, what).remedy("make one: lifeboat pool create-sim NAME"));
    }
    let look = SimPool::open_to_look(&dir, clock(file.speed)).map_err(|cause| driver_error(&file, cause))?;
    for order in orders {
        look.check_order(order).map_err(|cause| refused(&file, cause))?;
    }
    drop(look);
    if ctx.dry_run {
        ctx.out.say("nothing was changed (--dry-run)");
        return Ok(());
    }
    let opened = if sim_is_held(&dir) { None } else { SimPool::open(&dir, clock(file.speed)).ok() };
    let through = if let Some(mut sim) = opened {
        for order in orders {
            sim.order(order).map_err(|cause| refused(&file, cause))?;
        }
        "pool"
    } else {
        // Somebody has it, or took it just now.
        leave_orders(&dir, orders).map_err(|cause| driver_error(&file, cause))?;
        "controller"
    };
    let ordered = Ordered { pool: file.name.as_str(), orders, through };
    ctx.out.object("pool-ordered", &ordered, file.name.as_str(), || match through {
        "pool" => format!("pool {}: done\n", file.name),
        _ => format!(
            "pool {}: left for the process that has it open; it takes it at its next look\n",
            file.name
        ),
    })
}

fn refused(file: &PoolFile, cause: lifeboat_hypervisor::DriverError) -> CliError {
    CliError::new(Kind::Conflict, format!("pool {} does not do this", file.name))
        .because(cause)
        .remedy("see what is there: lifeboat pool show")
}
