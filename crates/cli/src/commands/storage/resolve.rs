//! `lifeboat storage resolve`

use lifeboat_topology::{Alias, NameIndex, Resolved};
use serde::Serialize;

use super::open::{open, unresolved};
use crate::args::ResolveNameArgs;
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    device: &'a Resolved,
    durable: bool,
    aliases: &'a [Alias],
}

pub(super) fn run(ctx: &Ctx, args: &ResolveNameArgs) -> Result<(), CliError> {
    let topology = open(&args.source)?;
    let index = NameIndex::new(&topology);
    let found = index.resolve(&args.name).map_err(|error| unresolved(&error))?;
    let aliases = index.names_of(&found.identity);
    let durable = found.identity.is_durable();
    let shown = Shown { name: &args.name, device: &found, durable, aliases: &aliases };
    ctx.out.object("storage-names", &shown, &found.node, || {
        let mut text = format!("{}  {}\n", ctx.out.paint(&found.node, Paint::Strong), found.identity);
        text.push_str(&format!("{}\n", found.why));
        if !durable {
            let warning = "this is only a place or a name of today: do not keep it in a backup";
            text.push_str(&format!("{}\n", ctx.out.paint(warning, Paint::Warn)));
        }
        let mut table = Table::new().column("ON THIS HOST").flexible("NAME");
        for alias in &aliases {
            let here = if alias.present {
                Cell::painted("yes", Paint::Good)
            } else {
                Cell::painted("by rule", Paint::Dim)
            };
            table.row([here, Cell::from(alias.name.clone())]);
        }
        text.push('\n');
        text.push_str(&ctx.out.wrap(&table));
        text
    })
}
