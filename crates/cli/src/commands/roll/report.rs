//! `lifeboat roll report`

use std::io::Write as _;

use lifeboat_model::{EventKind, RollEnd};
use lifeboat_store::{RollRow, Store};

use super::{find, open_store, store_error};
use crate::args::ReportArgs;
use crate::error::CliError;
use crate::files::{ReplaceError, replace};
use crate::output::with_schema;
use crate::report::{Report, gather, html};
use crate::run::Ctx;

pub(super) fn run(ctx: &Ctx, args: &ReportArgs) -> Result<(), CliError> {
    let json = ctx.out.format.is_json();
    if args.html == json {
        let what =
            if json { "the report is either a page or JSON" } else { "the form of the report is missing" };
        return Err(CliError::usage(what).remedy("give --html, or -o json"));
    }
    let store = open_store(ctx)?;
    let row = find(&store, &args.roll)?;
    let links = store.events(&row, 0).map_err(store_error)?;
    let report: Report = gather(&row, &links, before(&store, &row));
    let text = if args.html { html(&report) } else { with_schema("report", &report, true)? };
    let Some(path) = &args.out else { return ctx.out.text(&text) };
    if ctx.dry_run {
        return ctx.out.text(&format!("would write {} bytes to {}\n", text.len(), path.display()));
    }
    replace(path, 0o600, |file| file.write_all(text.as_bytes()).map_err(ReplaceError::from))?;
    ctx.out.say(&format!("the report of roll {} is in {}", row.id, path.display()));
    Ok(())
}

/// What the newest completed roll before this one brought to the pool.
fn before(store: &Store, row: &RollRow) -> Option<String> {
    let rolls = store.rolls().ok()?;
    let earlier = rolls.into_iter().filter(|other| other.pool == row.pool && other.created < row.created);
    for other in earlier {
        let links = store.events(&other, 0).ok()?;
        let completed = matches!(
            links.last().map(|link| &link.event.what),
            Some(EventKind::RollEnded { end: RollEnd::Completed })
        );
        if completed {
            let target = &other.plan.target;
            return Some(format!("{} {} (brought by {})", target.name, target.version, other.id));
        }
    }
    None
}
