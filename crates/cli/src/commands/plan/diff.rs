//! `lifeboat plan diff`

use lifeboat_model::Sha256Hex;
use lifeboat_plan::{FigureChange, MoveChange, PlanDiff, diff};
use serde::Serialize;

use crate::error::CliError;
use crate::run::Ctx;

/// A value that differs, as text.
#[derive(Serialize)]
struct Change {
    name: String,
    old: String,
    new: String,
}

#[derive(Serialize)]
struct Shown {
    old: Sha256Hex,
    new: Sha256Hex,
    same: bool,
    frame: Vec<Change>,
    policy: Vec<Change>,
    added: Vec<String>,
    removed: Vec<String>,
    waves: Vec<Change>,
    reordered: bool,
    newly_blocked: Vec<String>,
    no_longer_blocked: Vec<String>,
    newly_excluded: Vec<String>,
    no_longer_excluded: Vec<String>,
    moves: Vec<Change>,
    stops: Vec<Change>,
    placement: Vec<Change>,
    figures: Vec<Change>,
}

/// Shows what differs between two plans.
pub(super) fn show(ctx: &Ctx, old: &str, new: &str) -> Result<(), CliError> {
    let old = ctx.state.plan(old, true)?;
    let new = ctx.state.plan(new, true)?;
    let changes = diff(&old.plan, &new.plan);
    let shown = form(old.hash, new.hash, &changes);
    let name = if shown.same { "same" } else { "different" };
    ctx.out.object("plan-diff", &shown, name, || {
        format!("{} -> {}\n{changes}", old.hash.short(), new.hash.short())
    })
}

fn form(old: Sha256Hex, new: Sha256Hex, changes: &PlanDiff) -> Shown {
    let figure = |change: &FigureChange| Change {
        name: change.name.to_owned(),
        old: change.old.clone(),
        new: change.new.clone(),
    };
    let names = |hosts: &[lifeboat_model::HostId]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let moved = |each: &MoveChange| Change {
        name: each.guest.to_string(),
        old: names(&each.old).join(" "),
        new: names(&each.new).join(" "),
    };
    Shown {
        old,
        new,
        same: changes.is_empty(),
        frame: changes.frame.iter().map(figure).collect(),
        policy: changes.policy.iter().map(figure).collect(),
        added: names(&changes.added),
        removed: names(&changes.removed),
        waves: changes
            .rewaved
            .iter()
            .map(|(host, old, new)| Change {
                name: host.to_string(),
                old: old.to_string(),
                new: new.to_string(),
            })
            .collect(),
        reordered: changes.reordered,
        newly_blocked: changes.newly_blocked.iter().map(|(host, _)| host.to_string()).collect(),
        no_longer_blocked: names(&changes.no_longer_blocked),
        newly_excluded: names(&changes.newly_excluded),
        no_longer_excluded: names(&changes.no_longer_excluded),
        moves: changes.moves.iter().map(&moved).collect(),
        stops: changes
            .stops
            .iter()
            .map(|(guest, old, new)| Change { name: guest.to_string(), old: old.clone(), new: new.clone() })
            .collect(),
        placement: changes.placement.iter().map(&moved).collect(),
        figures: changes.figures.iter().map(figure).collect(),
    }
}
