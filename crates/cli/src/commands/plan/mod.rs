//! `lifeboat plan …`

mod create;
mod diff;
mod show;

use lifeboat_model::Plan;
use serde::Serialize;

use crate::args::PlanCmd;
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &PlanCmd) -> Result<(), CliError> {
    match cmd {
        PlanCmd::Create(args) => create::create(ctx, args),
        PlanCmd::Show { plan } => {
            let stored = ctx.state.plan(plan, true)?;
            show::show(ctx, &stored.hash, &stored.plan)
        }
        PlanCmd::List => list(ctx),
        PlanCmd::Diff { old, new } => diff::show(ctx, old, new),
    }
}

#[derive(Serialize)]
struct PlanLine {
    hash: String,
    pool: Option<String>,
    target: Option<String>,
    hosts: usize,
    blocked: usize,
    moves: u64,
    error: Option<String>,
}

impl PlanLine {
    fn of(hash: String, plan: &Plan) -> Self {
        Self {
            hash,
            pool: Some(plan.pool.to_string()),
            target: Some(format!("{} {}", plan.target.name, plan.target.version)),
            hosts: plan.steps.len(),
            blocked: plan.blocked.len(),
            moves: plan.figures.moves.planned,
            error: None,
        }
    }
}

fn list(ctx: &Ctx) -> Result<(), CliError> {
    let mut lines = Vec::new();
    for hash in ctx.state.plan_hashes()? {
        // A damaged plan must not hide the others.
        lines.push(match ctx.state.plan(&hash, false) {
            Ok(stored) => PlanLine::of(hash, &stored.plan),
            Err(error) => PlanLine {
                hash,
                pool: None,
                target: None,
                hosts: 0,
                blocked: 0,
                moves: 0,
                error: Some(error.line()),
            },
        });
    }
    ctx.out.list(
        "plan-line",
        &lines,
        |line| line.hash.clone(),
        || {
            if lines.is_empty() {
                return "no plans; make one: lifeboat plan create POOL --release BUNDLE --trust KEY\n"
                    .to_owned();
            }
            let mut table = Table::new()
                .column("PLAN")
                .column("POOL")
                .column("TARGET")
                .number("HOSTS")
                .number("BLOCKED")
                .number("MOVES");
            for line in &lines {
                let short: String = line.hash.chars().take(12).collect();
                let blocked = line.blocked.to_string();
                table.row([
                    Cell::from(short),
                    line.pool.clone().map_or_else(|| Cell::painted("damaged", Paint::Bad), Cell::from),
                    Cell::from(line.target.clone().unwrap_or_default()),
                    Cell::from(line.hosts.to_string()),
                    if line.blocked > 0 { Cell::painted(blocked, Paint::Warn) } else { Cell::from(blocked) },
                    Cell::from(line.moves.to_string()),
                ]);
            }
            ctx.out.render(&table)
        },
    )
}
