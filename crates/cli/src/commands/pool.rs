//! `lifeboat pool …`

use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_model::{Bank, BankState, World};
use serde::Serialize;

use crate::args::PoolCmd;
use crate::drivers;
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::state::DriverKind;

pub(crate) fn run(ctx: &Ctx, cmd: &PoolCmd) -> Result<(), CliError> {
    match cmd {
        PoolCmd::List => list(ctx),
        PoolCmd::Show { pool } => show(ctx, pool),
        PoolCmd::CreateSim(args) => super::pool_sim::create_sim(ctx, args),
        PoolCmd::AddKvm(args) => super::pool_kvm::add(ctx, args),
        PoolCmd::SimSet { .. }
        | PoolCmd::SimClear { .. }
        | PoolCmd::SimFeature { .. }
        | PoolCmd::SimReset { .. } => super::pool_order::run(ctx, cmd),
    }
}

#[derive(Serialize)]
struct PoolLine {
    name: String,
    driver: Option<&'static str>,
    dir: Option<std::path::PathBuf>,
    error: Option<String>,
}

fn list(ctx: &Ctx) -> Result<(), CliError> {
    let mut pools = Vec::new();
    for name in ctx.state.pool_names()? {
        // A damaged pool file must not hide the other pools.
        pools.push(match ctx.state.pool(&name) {
            Ok((file, dir)) => {
                PoolLine { name, driver: Some(file.driver.word()), dir: Some(dir), error: None }
            }
            Err(error) => PoolLine { name, driver: None, dir: None, error: Some(error.line()) },
        });
    }
    ctx.out.list(
        "pool",
        &pools,
        |pool| pool.name.clone(),
        || {
            if pools.is_empty() {
                return "no pools; make one: lifeboat pool create-sim NAME, or lifeboat lab up\n".to_owned();
            }
            let mut table = Table::new().column("POOL").column("DRIVER").flexible("FILES");
            for pool in &pools {
                let driver = pool.driver.map_or_else(|| Cell::painted("damaged", Paint::Bad), Cell::from);
                let dir = pool.dir.as_ref().map(|dir| dir.display().to_string());
                let dir = dir.or_else(|| pool.error.clone()).unwrap_or_default();
                table.row([Cell::from(pool.name.clone()), driver, Cell::from(dir)]);
            }
            ctx.out.render(&table)
        },
    )
}

/// A pool as its driver sees it.
#[derive(Serialize)]
struct Shown<'a> {
    driver: &'static str,
    world: &'a World,
    /// What is ordered to go wrong in a simulated pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
    /// What a simulated pool is like beyond its world.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<String>,
}

fn show(ctx: &Ctx, name: &str) -> Result<(), CliError> {
    let (file, dir) = ctx.state.pool(name)?;
    let fail = |cause| drivers::driver_error(&file, cause);
    let (mut faults, mut conditions) = (Vec::new(), Vec::new());
    let world = match file.driver {
        DriverKind::Sim => {
            let mut sim = drivers::look_at_sim(&file, &dir)?;
            faults.extend(sim.faults().iter().map(ToString::to_string));
            conditions.extend(sim.conditions().iter().map(ToString::to_string));
            sim.observe().map_err(fail)?
        }
        DriverKind::Lab | DriverKind::Libvirt => drivers::look(&file, &dir, None)?.observe().map_err(fail)?,
    };
    let shown = Shown { driver: file.driver.word(), world: &world, faults, conditions };
    ctx.out.object("pool", &shown, file.name.as_str(), || {
        let mut text = people(ctx, &world);
        for (title, words) in [("FAULT", &shown.faults), ("CONDITION", &shown.conditions)] {
            if !words.is_empty() {
                let mut table = Table::new().flexible(title);
                for word in words {
                    table.row([word.clone()]);
                }
                text.push('\n');
                text.push_str(&ctx.out.render(&table));
            }
        }
        text
    })
}

fn people(ctx: &Ctx, world: &World) -> String {
    let guests = world.guests().len();
    let running = world.guests().filter(|guest| guest.running).count();
    let coordinator = world.coordinator().map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut text = format!(
        "pool {}: {} hosts, {guests} guests ({running} running), coordinator {coordinator}\n\n",
        world.pool(),
        world.hosts().len()
    );
    let mut hosts = Table::new()
        .column("HOST")
        .column("STATE")
        .column("VERSION")
        .column("ACTIVE")
        .column("BANK A")
        .column("BANK B")
        .number("GUESTS")
        .number("LOAD")
        .number("MEMORY")
        .flexible("FAULT DOMAIN");
    for host in world.hosts() {
        let state = match (host.reachable, host.maintenance) {
            (false, _) => Cell::painted("no answer", Paint::Bad),
            (true, true) => Cell::painted("maintenance", Paint::Warn),
            (true, false) => Cell::painted("serving", Paint::Good),
        };
        let version = host.version.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let active = host.active.map_or_else(|| "?".to_owned(), |bank| bank.to_string());
        hosts.row([
            Cell::from(host.id.to_string()),
            state,
            Cell::from(version),
            Cell::from(active),
            bank(host, Bank::A),
            bank(host, Bank::B),
            Cell::from(world.running_on(&host.id).count().to_string()),
            Cell::from(world.load_of(&host.id).to_string()),
            Cell::from(host.memory.to_string()),
            Cell::from(host.fault_domain.clone().unwrap_or_else(|| "-".to_owned())),
        ]);
    }
    text.push_str(&ctx.out.render(&hosts));
    let mut features = Table::new().column("FEATURE").column("VALUE");
    let mut any = false;
    for feature in world.features() {
        features.row([feature.kind.to_string(), feature.value.clone()]);
        any = true;
    }
    if any {
        text.push('\n');
        text.push_str(&ctx.out.render(&features));
    }
    if ctx.verbose > 0 {
        let mut table =
            Table::new().column("GUEST").column("HOST").number("MEMORY").column("STATE").flexible("MOVABLE");
        for guest in world.guests() {
            let movable = match &guest.movable {
                lifeboat_model::Movable::Yes => "yes".to_owned(),
                lifeboat_model::Movable::No { reason } => format!("no: {reason}"),
            };
            let state = if guest.running { "running" } else { "off" };
            let memory = guest.memory.to_string();
            table.row([guest.id.to_string(), guest.host.to_string(), memory, state.to_owned(), movable]);
        }
        text.push('\n');
        text.push_str(&ctx.out.render(&table));
    }
    text
}

fn bank(host: &lifeboat_model::HostView, bank: Bank) -> Cell {
    let view = host.bank(bank);
    let version = view.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    Cell::painted(format!("{}{version}", view.state), paint_of(view.state))
}

/// The colour that repeats the word of a bank's state.
pub(crate) fn paint_of(state: BankState) -> Paint {
    match state {
        BankState::Good => Paint::Good,
        BankState::Empty => Paint::Dim,
        BankState::Upgraded | BankState::Trying => Paint::Busy,
        BankState::Invalid => Paint::Warn,
        BankState::Failed => Paint::Bad,
    }
}
