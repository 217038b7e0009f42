//! `lifeboat bank show`

use std::path::PathBuf;

use lifeboat_bank::disk::DiskReport;
use lifeboat_bank::efi::{UefiBoot, UefiBootStatus};
use lifeboat_bank::finding::Finding;
use lifeboat_model::Bank;
use serde::Serialize;

use super::esx::open::{Banks, look};
use super::firmware::{Next, predict};
use super::open::{self, Active, Disk};
use super::vars::Vars;
use crate::args::ShowBankArgs;
use crate::commands::pool::paint_of;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Shown {
    disk: PathBuf,
    running: Option<Bank>,
    active: Option<Bank>,
    active_by: Option<&'static str>,
    next: Next,
    vars: Option<String>,
    boot: Option<UefiBootStatus>,
    report: DiskReport,
}

pub(super) fn show(ctx: &Ctx, args: &ShowBankArgs) -> Result<(), CliError> {
    if let (_, Banks::Esx(esx)) = look(&args.disk)? {
        return super::esx::show::show(ctx, &args.disk, &esx);
    }
    let disk = open::read(&args.disk)?;
    let running = open::running_bank(disk.layout());
    let (vars, boot) = read_vars(&args.disk, args.vars.as_deref(), &disk, running.is_some())?;
    let next = predict(disk.disk(), disk.layout(), disk.record(), boot.as_ref());
    let active = Active::of(None, &disk, &next, boot.is_some());
    let shown = Shown {
        disk: args.disk.clone(),
        running,
        active: active.bank(),
        active_by: match active {
            Active::Known { by, .. } => Some(by),
            Active::New | Active::Unknown => None,
        },
        next,
        vars,
        boot,
        report: disk.report().clone(),
    };
    let name = shown.next.bank.map_or_else(|| "-".to_owned(), |bank| bank.to_string());
    ctx.out.object("banks", &shown, &name, || people(ctx, &shown, &active))
}

/// The place of the variables and what they say; nothing if there is no place.
pub(super) fn read_vars(
    path: &std::path::Path,
    given: Option<&std::path::Path>,
    disk: &Disk,
    running: bool,
) -> Result<(Option<String>, Option<UefiBootStatus>), CliError> {
    let Some(place) = Vars::find(given, path, running) else { return Ok((None, None)) };
    let vars = Vars::open(&place, true)?;
    let place = vars.place();
    let status = UefiBoot::of_layout(vars, disk.layout()).status().map_err(|cause| {
        CliError::new(Kind::Failed, format!("reading the boot variables in {place}")).because(cause)
    })?;
    Ok((Some(place), Some(status)))
}

/// What a bank is now: of a disk that lies still with a one-shot boot set, what it will be.
fn role(shown: &Shown, active: &Active, bank: Bank) -> &'static str {
    match (shown.running, shown.next.bank) {
        (None, Some(next)) if shown.next.once => {
            if next == bank {
                "tried next"
            } else {
                "fall-back"
            }
        }
        (None | Some(_), None | Some(_)) => active.role(bank),
    }
}

fn people(ctx: &Ctx, shown: &Shown, active: &Active) -> String {
    let report = &shown.report;
    let mut text =
        format!("{}: {}, disk {}\n\n", shown.disk.display(), show_size(report.disk_bytes), report.disk_guid);
    let mut table = Table::new()
        .column("BANK")
        .column("ROLE")
        .column("STATE")
        .column("RELEASE")
        .number("SERIAL")
        .number("UPDATED")
        .number("KERNEL")
        .number("ROOT")
        .number("OF")
        .flexible("NOTE");
    for bank in &report.banks {
        let release = bank.release.as_ref();
        let dash = || "-".to_owned();
        table.row([
            Cell::painted(bank.bank.to_string(), Paint::Strong),
            Cell::from(role(shown, active, bank.bank)),
            Cell::painted(bank.state.word(), paint_of(bank.state)),
            Cell::from(release.map_or_else(dash, ToString::to_string)),
            Cell::from(release.map_or_else(dash, |release| release.serial.to_string())),
            Cell::from(bank.updated.to_string()),
            Cell::from(show_size(bank.boot_used)),
            Cell::from(show_size(bank.root_used)),
            Cell::from(show_size(bank.root_bytes)),
            Cell::from(bank.note.clone().unwrap_or_default()),
        ]);
    }
    text.push_str(&ctx.out.render(&table));
    let next = match (shown.next.bank, shown.next.once) {
        (Some(bank), true) => format!("bank {bank}, once"),
        (Some(bank), false) => format!("bank {bank}"),
        (None, _) => "nothing of ours".to_owned(),
    };
    text.push_str(&format!("\nboots next: {}\n", ctx.out.paint(&next, Paint::Strong)));
    for why in &shown.next.why {
        text.push_str(&format!("  {why}\n"));
    }
    if let Active::Known { by, .. } = active {
        text.push_str(&format!("the active bank is known by {by}\n"));
    }
    if report.floor > 0 {
        text.push_str(&format!("lowest serial that may be installed: {}\n", report.floor));
    }
    for failed in &report.failed {
        text.push_str(&format!("failed on this host: {} ({})\n", failed.digest.short(), failed.reason));
    }
    let odd = shown.boot.iter().flat_map(|boot| &boot.findings);
    let findings: Vec<&Finding> = report.findings.iter().chain(odd).collect();
    if !findings.is_empty() {
        text.push('\n');
    }
    for finding in findings {
        text.push_str(&format!(
            "{} [{}] {}\n",
            ctx.out.paint("finding", Paint::Warn),
            finding.code,
            finding.text
        ));
    }
    text
}
