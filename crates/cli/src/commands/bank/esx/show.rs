//! `lifeboat bank show` of a disk with ESXi banks.

use std::path::{Path, PathBuf};

use lifeboat_bank::esx::select::{BankOutcome, Selection};
use lifeboat_bank::esx::{EsxBank, EsxDisk, uuid_text};
use serde::Serialize;

use super::check::finding_lines;
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Shown<'a> {
    disk: PathBuf,
    kind: &'static str,
    layout: String,
    next: Option<char>,
    why: String,
    selection: Selection,
    esx: &'a EsxDisk,
}

pub(in crate::commands::bank) fn show(ctx: &Ctx, path: &Path, esx: &EsxDisk) -> Result<(), CliError> {
    let selection = esx.selection();
    let next = selection.boots().and_then(|index| esx.banks.get(index)).map(|bank| bank.letter);
    let shown = Shown {
        disk: path.to_owned(),
        kind: "esxi",
        layout: esx.layout.words(),
        next,
        why: esx.next_boot(&selection),
        selection,
        esx,
    };
    let name = next.map_or_else(|| "-".to_owned(), |letter| letter.to_string());
    ctx.out.object("esxi-banks", &shown, &name, || people(ctx, &shown))
}

/// The state as a word and as it stands in boot.cfg.
fn state(bank: &EsxBank, outcome: Option<&BankOutcome>) -> Cell {
    let Some(state) = outcome.and_then(|outcome| outcome.state) else {
        return Cell::painted("unreadable", Paint::Bad);
    };
    let _ = bank;
    match state {
        0 => Cell::painted("valid (0)", Paint::Good),
        1 => Cell::painted("upgrading (1)", Paint::Warn),
        2 => Cell::painted("dirty (2)", Paint::Warn),
        3 => Cell::painted("invalid (3)", Paint::Warn),
        other => Cell::painted(format!("{other}, no state"), Paint::Bad),
    }
}

fn people(ctx: &Ctx, shown: &Shown<'_>) -> String {
    let esx = shown.esx;
    let mut text = format!("{}: {}, {}\n\n", shown.disk.display(), show_size(esx.bytes), shown.layout);
    let mut table = Table::new()
        .column("BANK")
        .number("PARTITION")
        .column("ROLE")
        .column("BOOTSTATE")
        .number("UPDATED")
        .column("BUILD")
        .number("MODULES")
        .number("SIZE")
        .flexible("VOLUME");
    for (index, bank) in esx.banks.iter().enumerate() {
        let outcome = shown.selection.banks.get(index);
        let values = bank.cfg.as_ref().map(|cfg| &cfg.values);
        let dash = || "-".to_owned();
        let role = match shown.next {
            Some(next) if next == bank.letter => "boots next",
            Some(_) | None => "-",
        };
        table.row([
            Cell::painted(bank.letter.to_string(), Paint::Strong),
            Cell::from(bank.partition.to_string()),
            Cell::from(role),
            state(bank, outcome),
            Cell::from(values.map_or_else(dash, |values| values.updated.to_string())),
            Cell::from(
                values
                    .map_or_else(dash, |values| values.build.clone())
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(40)
                    .collect::<String>(),
            ),
            Cell::from(values.map_or_else(dash, |values| values.modules.len().to_string())),
            Cell::from(show_size(bank.bytes)),
            Cell::from(bank.uuid.map_or_else(|| "no mark of a bank".to_owned(), uuid_text)),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    text.push_str(&format!("\nboots next: {}\n", ctx.out.paint(&shown.why, Paint::Strong)));
    for bank in &esx.banks {
        if let Some(why) = &bank.cfg_error {
            text.push_str(&format!("bank {}: boot.cfg {why}\n", bank.letter));
        }
    }
    text.push_str(&finding_lines(ctx, &shown.disk, &esx.findings));
    text
}
