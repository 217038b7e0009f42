//! `lifeboat bank export`

use std::path::Path;

use lifeboat_bank::esx::state::{StateError, StateExport, StateLayer, export_state};
use serde::Serialize;

use super::open::{look_esx, named};
use crate::args::ExportArgs;
use crate::error::{CliError, Kind};
use crate::files::replace;
use crate::output::Table;
use crate::run::Ctx;
use crate::size::show_size;

pub(in crate::commands::bank) fn export(ctx: &Ctx, args: &ExportArgs) -> Result<(), CliError> {
    let (file, esx) = look_esx(&args.disk, "the saved state of a Lifeboat host travels with its banks")?;
    let bank = named(&esx, &args.bank)?;
    let fail = |cause: StateError| {
        let what = format!("{}: exporting the saved state of bank {}", args.disk.display(), bank.letter);
        CliError::new(Kind::Failed, what)
            .because(cause)
            .remedy("look at the other bank: lifeboat bank check; its state may be whole")
    };
    let Some(out) = args.out.as_ref().filter(|_| !args.list) else {
        let state = export_state(&file, bank, &mut std::io::sink()).map_err(fail)?;
        return show(ctx, None, &state);
    };
    if out.exists() && !args.force {
        return Err(CliError::new(Kind::Conflict, format!("{} is there already", out.display()))
            .remedy("take another name, or add --force"));
    }
    if ctx.dry_run {
        let state = export_state(&file, bank, &mut std::io::sink()).map_err(fail)?;
        return show(ctx, None, &state);
    }
    let state = replace(out, 0o600, |to| export_state(&file, bank, to).map_err(fail))?;
    show(ctx, Some(out), &state)
}

fn show(ctx: &Ctx, out: Option<&Path>, state: &StateExport) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        file: Option<&'a Path>,
        state: &'a StateExport,
    }
    let shown = Shown { file: out, state };
    let name = out.map_or_else(|| state.listing.sha256.clone(), |out| out.display().to_string());
    ctx.out.object("esxi-state", &shown, &name, || {
        let build: String =
            state.build.as_deref().unwrap_or("unknown").chars().filter(|c| !c.is_control()).collect();
        let size = show_size(state.listing.bytes);
        let head = format!(
            "saved state of bank {}, build {build}: {size}, SHA-256 {}",
            state.bank, state.listing.sha256
        );
        if let Some(out) = out {
            return format!("{head}\nwritten to {}\n", out.display());
        }
        let mut table = Table::new().number("SIZE").column("IN").flexible("PATH");
        for entry in &state.listing.entries {
            let layer = match entry.layer {
                StateLayer::Outer => "state.tgz",
                StateLayer::Local => "local.tgz",
            };
            let path: String = entry.member.path.chars().filter(|letter| !letter.is_control()).collect();
            table.row([show_size(entry.member.len), layer.to_owned(), path]);
        }
        format!("{head}\n\n{}", ctx.out.render(&table))
    })
}
