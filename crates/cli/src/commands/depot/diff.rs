//! `lifeboat depot diff`

use std::path::Path;

use lifeboat_depot::Difference;

use super::findings::several;
use super::open::open;
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

pub(super) fn diff(ctx: &Ctx, from: &Path, to: &Path) -> Result<(), CliError> {
    let (left, right) = (open(from)?, open(to)?);
    let found = lifeboat_depot::diff(&left.depot, &right.depot);
    ctx.out.list("depot-difference", &found, name, || {
        let mut table = Table::new().column("CHANGE").flexible("BEFORE").flexible("AFTER");
        for one in &found {
            let (word, paint, before, after) = match one {
                Difference::Added { id } => ("added", Paint::Good, String::new(), id.to_string()),
                Difference::Removed { id } => ("removed", Paint::Warn, id.to_string(), String::new()),
                Difference::Upgraded { from, to } => ("newer", Paint::Good, from.to_string(), to.to_string()),
                Difference::Downgraded { from, to } => {
                    ("older", Paint::Warn, from.to_string(), to.to_string())
                }
                Difference::Renamed { from, to } => {
                    ("other vendor", Paint::Warn, from.to_string(), to.to_string())
                }
                Difference::OtherPayload { id, from, to } => {
                    ("OTHER PAYLOAD", Paint::Bad, format!("{id}: {from}"), format!("{id}: {to}"))
                }
            };
            table.row([Cell::painted(word, paint), Cell::from(before), Cell::from(after)]);
        }
        let tail = several(found.len(), "difference");
        if found.is_empty() {
            return "the newest VIBs of both are the same\n".to_owned();
        }
        format!("{}{tail}\n", ctx.out.wrap(&table))
    })
}

fn name(one: &Difference) -> String {
    match one {
        Difference::Added { id } | Difference::Removed { id } | Difference::OtherPayload { id, .. } => {
            id.to_string()
        }
        Difference::Upgraded { to, .. }
        | Difference::Downgraded { to, .. }
        | Difference::Renamed { to, .. } => to.to_string(),
    }
}
