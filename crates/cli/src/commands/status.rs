//! `lifeboat status`: what is known and what is going on, at a glance.

use lifeboat_model::PoolName;
use lifeboat_store::{RollState, Store};
use serde::Serialize;

use super::roll::LeftOff;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

#[derive(Serialize)]
struct PoolStatus {
    pool: String,
    driver: Option<&'static str>,
    roll: Option<String>,
    state: &'static str,
    controller: Option<String>,
    /// Features that are off because of this roll, with the values they get back (I-22).
    suspended: Vec<String>,
    /// Remedies of checks that stand and wait to be taken back, or were interrupted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mended: Vec<String>,
    next: String,
}

pub(crate) fn run(ctx: &Ctx) -> Result<(), CliError> {
    let path = ctx.state.database();
    // Looking makes nothing: without a journal there was no roll.
    let store = if path.exists() {
        Some(Store::open(&path).map_err(|cause| {
            CliError::new(Kind::Failed, format!("opening the journal {}", path.display())).because(cause)
        })?)
    } else {
        None
    };
    let heads = match &store {
        Some(store) => store.heads().map_err(|cause| {
            CliError::new(Kind::Failed, format!("reading the journal {}", path.display())).because(cause)
        })?,
        None => Vec::new(),
    };
    let mut lines = Vec::new();
    for pool in ctx.state.pool_names()? {
        let driver = ctx.state.pool(&pool).ok().map(|(file, _)| file.driver.word());
        // Rolls come newest first.
        let roll = heads.iter().find(|roll| roll.pool.as_str() == pool);
        let holder = roll.and_then(|roll| store.as_ref()?.holder(&roll.pool)).map(|holder| holder.name);
        let (mut state, mut next) = match (roll.map(|roll| roll.state), &holder) {
            (None, _) => ("no roll yet", format!("lifeboat plan create {pool} …")),
            (Some(RollState::Active), Some(_)) => ("rolling", "lifeboat roll watch".to_owned()),
            (Some(RollState::Active), None) => ("interrupted", "lifeboat roll resume".to_owned()),
            (Some(RollState::Stopped), _) => {
                ("stopped", "lifeboat roll status; lifeboat roll resume".to_owned())
            }
            (Some(RollState::Ended), _) => ("ended", "lifeboat roll status".to_owned()),
        };
        let suspended = match (&store, roll) {
            (Some(store), Some(head)) => match super::roll::left_off(store, &head.id) {
                LeftOff::Told(list) => list,
                // One journal that cannot be read must not hide the other pools.
                LeftOff::Recovered(list) => {
                    if !list.is_empty() {
                        state = "recovered";
                        next = format!("lifeboat plan create {pool} …; roll start PLAN --adopt {}", head.id);
                    }
                    list
                }
                LeftOff::Damaged => {
                    state = "damaged";
                    next = format!("lifeboat roll recover {}", head.id);
                    Vec::new()
                }
            },
            (Some(_) | None, _) => Vec::new(),
        };
        let mended = match (&store, PoolName::new(&pool)) {
            (Some(store), Ok(name)) => super::check::standing(store, &name)?,
            (Some(_) | None, _) => Vec::new(),
        };
        let roll = roll.map(|roll| roll.id.to_string());
        lines.push(PoolStatus { pool, driver, roll, state, controller: holder, suspended, mended, next });
    }
    ctx.out.list("pool-status", &lines, |line| line.pool.clone(), || people(ctx, &lines))
}

fn people(ctx: &Ctx, lines: &[PoolStatus]) -> String {
    let plans = ctx.state.plan_hashes().map_or(0, |hashes| hashes.len());
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let pools = lines.len();
    let mut text = format!(
        "state in {}: {pools} pool{}, {plans} plan{}\n",
        ctx.state.root().display(),
        plural(pools),
        plural(plans)
    );
    if lines.is_empty() {
        text.push_str("begin with: lifeboat demo, lifeboat pool create-sim NAME, or lifeboat lab up\n");
        return text;
    }
    let mut table =
        Table::new().column("POOL").column("DRIVER").column("ROLL").column("STATE").flexible("NEXT");
    for line in lines {
        let paint = match line.state {
            "rolling" => Paint::Busy,
            "interrupted" | "stopped" | "recovered" => Paint::Warn,
            "damaged" => Paint::Bad,
            _ => Paint::Dim,
        };
        table.row([
            Cell::from(line.pool.clone()),
            line.driver.map_or_else(|| Cell::painted("damaged", Paint::Bad), Cell::from),
            Cell::from(line.roll.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::painted(line.state, paint),
            Cell::from(line.next.clone()),
        ]);
    }
    for line in lines {
        for feature in &line.suspended {
            let banner = format!("SUSPENDED in pool {}: {feature}", line.pool);
            text.push_str(&format!("{}\n", ctx.out.paint(&banner, Paint::Warn)));
        }
    }
    for line in lines {
        for remedy in &line.mended {
            let banner = format!("MENDED in pool {}: {remedy}", line.pool);
            text.push_str(&format!("{}\n", ctx.out.paint(&banner, Paint::Warn)));
        }
    }
    text.push_str(&ctx.out.render(&table));
    text
}
