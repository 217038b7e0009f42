//! A plan for people and programs.

use lifeboat_model::{Finding, Placement, Plan, Severity, Sha256Hex};
use serde::Serialize;

use crate::commands::check::show_findings;
use crate::error::CliError;
use crate::output::{Cell, Out, Paint, Table, fill};
use crate::run::Ctx;

/// Shows a plan under its hash.
pub(super) fn show(ctx: &Ctx, hash: &Sha256Hex, plan: &Plan) -> Result<(), CliError> {
    show_checked(ctx, hash, plan, &[])
}

/// The same, with what the checks found when it was made.
pub(super) fn show_checked(
    ctx: &Ctx,
    hash: &Sha256Hex,
    plan: &Plan,
    findings: &[Finding],
) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        hash: &'a Sha256Hex,
        plan: &'a Plan,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        findings: &'a [Finding],
    }
    let shown = Shown { hash, plan, findings };
    ctx.out.object("plan", &shown, &hash.to_string(), || people(ctx, hash, plan, findings))
}

fn people(ctx: &Ctx, hash: &Sha256Hex, plan: &Plan, findings: &[Finding]) -> String {
    let coordinator = plan.coordinator.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut text = format!(
        "plan {hash}\npool {}, target {} serial {}\ncoordinator {coordinator}, at most {} out of service, on failure {}\n",
        plan.pool, plan.target, plan.target.serial, plan.policy.max_in_flight, plan.policy.on_failure,
    );
    if !plan.suspends.is_empty() {
        let names: Vec<String> = plan.suspends.iter().map(ToString::to_string).collect();
        text.push_str(&format!("suspended first, restored last: {}\n", names.join(", ")));
    }
    if !plan.unchanged.is_empty() {
        let hosts = match plan.unchanged.len() {
            1 => "1 host runs".to_owned(),
            count => format!("{count} hosts run"),
        };
        text.push_str(&format!("{hosts} the release already\n"));
    }
    text.push('\n');
    if plan.steps.is_empty() {
        text.push_str("nothing to do\n");
    } else if ctx.verbose > 0 {
        text.push_str(&moves(ctx, plan));
    } else {
        text.push_str(&waves(ctx, plan));
    }
    text.push_str(&afterwards(ctx, plan));
    text.push('\n');
    text.push_str(&figures(ctx, plan));
    text.push_str(&blocked(ctx, plan));
    for note in &plan.notes {
        let lines = fill(&format!("note {note}"), Out::width().unwrap_or(usize::MAX)).join("\n");
        text.push_str(&format!("{}\n", lines.replacen("note", &ctx.out.paint("note", Paint::Warn), 1)));
    }
    if !findings.is_empty() {
        text.push_str(&format!("\nthe checks found:\n\n{}", show_findings(ctx, findings)));
    }
    let in_the_way = findings.iter().any(|finding| finding.severity == Severity::Blocker);
    if in_the_way && plan.blocked.is_empty() {
        text.push_str("\nthis plan cannot be started before the blockers are mended\n");
    } else if plan.blocked.is_empty() && !plan.steps.is_empty() {
        text.push_str(&format!("\napprove and carry out: lifeboat roll start {}\n", hash.short()));
    } else if !plan.blocked.is_empty() {
        text.push_str("\nthis plan cannot be started while hosts are blocked\n");
    }
    text
}

fn waves(ctx: &Ctx, plan: &Plan) -> String {
    let mut table = Table::new().number("WAVE").flexible("HOSTS").number("MOVES").number("MEMORY");
    let mut steps = plan.steps.iter().peekable();
    while let Some(first) = steps.next() {
        let mut hosts = vec![first.host.to_string()];
        let mut moves = first.moves.len();
        let mut memory: lifeboat_model::Mib = first.moves.iter().map(|each| each.memory).sum();
        while let Some(next) = steps.next_if(|next| next.wave == first.wave) {
            hosts.push(next.host.to_string());
            moves += next.moves.len();
            memory += next.moves.iter().map(|each| each.memory).sum();
        }
        table.row([first.wave.to_string(), hosts.join(" "), moves.to_string(), memory.to_string()]);
    }
    ctx.out.render(&table) + "every move: add -v\n"
}

fn moves(ctx: &Ctx, plan: &Plan) -> String {
    let mut table = Table::new().number("WAVE").column("HOST").column("GUEST").column("TO").number("MEMORY");
    for step in &plan.steps {
        let (wave, host) = (step.wave.to_string(), step.host.to_string());
        if step.moves.is_empty() && step.stops.is_empty() {
            table.row([wave.as_str(), &host, "-", "-", "-"]);
        }
        for each in &step.moves {
            let memory = each.memory.to_string();
            table.row([wave.as_str(), &host, each.guest.as_str(), each.to.as_str(), &memory]);
        }
        for each in &step.stops {
            let memory = each.memory.to_string();
            let how = if each.by_owner { "(its owner stops it)" } else { "(shut down, started)" };
            table.row([wave.as_str(), &host, each.guest.as_str(), how, &memory]);
        }
    }
    ctx.out.render(&table)
}

/// Moves after the last host.
fn afterwards(ctx: &Ctx, plan: &Plan) -> String {
    if plan.placement.is_empty() {
        return String::new();
    }
    let memory: lifeboat_model::Mib = plan.placement.iter().map(|each| each.memory).sum();
    let why = match plan.policy.placement {
        Placement::Keep => "guests are moved",
        Placement::Rebalance => "guests are spread evenly",
        Placement::Restore => "guests go back to where they were",
    };
    let mut text = format!("after the last host {why}: {} moves, {memory}\n", plan.placement.len());
    if ctx.verbose > 0 {
        let mut table = Table::new().column("GUEST").column("FROM").column("TO").number("MEMORY");
        for each in &plan.placement {
            let memory = each.memory.to_string();
            table.row([each.guest.as_str(), each.from.as_str(), each.to.as_str(), &memory]);
        }
        text.push_str(&ctx.out.render(&table));
    }
    text
}

/// What the placements would cost on top of `keep`.
fn prices(plan: &Plan) -> String {
    let Some(prices) = plan.figures.prices else { return String::new() };
    let of = |(moves, memory): (u64, lifeboat_model::Mib)| format!("{moves} moves, {memory}");
    let line = format!(
        "price of placement, on top of keep: rebalance {}; restore {} (this plan: {})",
        of(prices.rebalance),
        of(prices.restore),
        match plan.policy.placement {
            Placement::Keep => "keep",
            Placement::Rebalance => "rebalance",
            Placement::Restore => "restore",
        }
    );
    fill(&line, Out::width().unwrap_or(usize::MAX)).join("\n") + "\n"
}

fn figures(ctx: &Ctx, plan: &Plan) -> String {
    let figures = &plan.figures;
    let mut table = Table::new().column("FIGURE").number("THIS PLAN").number("NO PLAN BELOW");
    let rows = [
        ("moves of guests", figures.moves.planned.to_string(), figures.moves.bound.to_string()),
        ("memory moved", figures.moved.planned.to_string(), figures.moved.bound.to_string()),
        ("time, estimated", figures.makespan.planned.to_string(), figures.makespan.bound.to_string()),
        (
            "most hosts down",
            figures.peak_hosts_down.planned.to_string(),
            figures.peak_hosts_down.bound.to_string(),
        ),
        (
            "most memory down",
            figures.peak_unavailable.planned.to_string(),
            figures.peak_unavailable.bound.to_string(),
        ),
        ("most moves of a guest", figures.most_moves_of_a_guest.to_string(), String::new()),
        ("waves", figures.waves.to_string(), String::new()),
    ];
    for (name, planned, bound) in rows {
        table.row([name.to_owned(), planned, bound]);
    }
    let mut text = ctx.out.render(&table) + &prices(plan);
    for (first, last) in &figures.no_failover {
        let waves = if first == last { format!("wave {first}") } else { format!("waves {first} to {last}") };
        let warn = ctx.out.paint("warning", Paint::Warn);
        text.push_str(&format!("{warn} in {waves} the loss of the largest host could not be covered\n"));
    }
    text
}

fn blocked(ctx: &Ctx, plan: &Plan) -> String {
    if plan.blocked.is_empty() {
        return String::new();
    }
    let count = plan.blocked.len();
    let mut text = if count == 1 {
        "\n1 host is blocked:\n".to_owned()
    } else {
        format!("\n{count} hosts are blocked:\n")
    };
    let mut table = Table::new().column("HOST").column("GUEST").flexible("WHY").flexible("REMEDY");
    for each in &plan.blocked {
        let guest = each.guest.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        table.row([
            Cell::painted(each.host.to_string(), Paint::Bad),
            Cell::from(guest),
            Cell::from(each.reason.clone()),
            Cell::from(each.remedy.clone()),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    text
}
