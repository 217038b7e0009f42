//! `lifeboat bank check|rebuild` of banks that Lifeboat made.

use std::path::{Path, PathBuf};

use lifeboat_bank::finding::Finding;
use lifeboat_bank::install::{BankCheck, verify_bank};
use lifeboat_bank::rebuild::{RebuildError, RebuildPlan, plan_rebuild, rebuild as rebuild_bank};
use lifeboat_model::{Bank, BankState};
use serde::Serialize;

use super::errors::install_error;
use super::open::{self, running_bank};
use crate::args::{CheckBankArgs, RebuildArgs};
use crate::commands::ask;
use crate::commands::pool::paint_of;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Paint, ProgressLine, Table};
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Checked {
    disk: PathBuf,
    kind: &'static str,
    verdict: &'static str,
    banks: Vec<CheckedBank>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct CheckedBank {
    state: BankState,
    check: Option<BankCheck>,
}

pub(super) fn check(ctx: &Ctx, args: &CheckBankArgs) -> Result<(), CliError> {
    let disk = open::read(&args.disk)?;
    let mut banks = Vec::new();
    for bank in Bank::BOTH {
        let state = disk.record().bank(bank).state;
        // A bank that never held anything, or says itself that it holds nothing whole, is not damaged by that.
        let look = !args.quick && !matches!(state, BankState::Empty | BankState::Invalid);
        let check = look.then(|| verify_bank(disk.disk(), disk.layout(), Some(disk.record()), bank));
        banks.push(CheckedBank { state, check });
    }
    let damaged: Vec<Bank> = banks
        .iter()
        .filter_map(|bank| bank.check.as_ref())
        .filter(|check| !check.is_whole())
        .map(|check| check.bank)
        .collect();
    let verdict = if damaged.is_empty() { "good" } else { "damaged" };
    let findings = disk.report().findings.clone();
    let checked = Checked { disk: args.disk.clone(), kind: "lifeboat", verdict, banks, findings };
    ctx.out.object("bank-check", &checked, verdict, || people(ctx, &checked))?;
    let Some(first) = damaged.first() else { return Ok(()) };
    let from = first.other();
    let way = if damaged.len() == 1 && disk.record().bank(from).state == BankState::Good {
        format!("make it anew: lifeboat bank rebuild {} {first} --from {from}", args.disk.display())
    } else {
        format!("install a release: lifeboat bank install {} BUNDLE --trust KEY", args.disk.display())
    };
    let names: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    Err(CliError::new(
        Kind::Blockers,
        format!("{}: damaged: bank {}", args.disk.display(), names.join(" and bank ")),
    )
    .remedy(way)
    .told())
}

fn people(ctx: &Ctx, checked: &Checked) -> String {
    let mut table = Table::new().column("BANK").column("STATE").column("BYTES").flexible("RELEASE");
    let mut lines = String::new();
    for (bank, letter) in checked.banks.iter().zip(Bank::BOTH) {
        let (bytes, release) = match &bank.check {
            None => (Cell::painted("not read", Paint::Dim), String::new()),
            Some(check) => {
                for finding in &check.findings {
                    lines.push_str(&format!(
                        "{} [{}] bank {letter}: {}\n",
                        ctx.out.paint("error", Paint::Bad),
                        finding.code,
                        finding.text
                    ));
                }
                let word = if check.is_whole() {
                    Cell::painted("whole", Paint::Good)
                } else {
                    Cell::painted("damaged", Paint::Bad)
                };
                (
                    word,
                    check.manifest.as_ref().map_or_else(String::new, |manifest| manifest.release.to_string()),
                )
            }
        };
        table.row([
            Cell::painted(letter.to_string(), Paint::Strong),
            Cell::painted(bank.state.word(), paint_of(bank.state)),
            bytes,
            Cell::from(release),
        ]);
    }
    for finding in &checked.findings {
        lines.push_str(&format!(
            "{} [{}] {}\n",
            ctx.out.paint("finding", Paint::Warn),
            finding.code,
            finding.text
        ));
    }
    format!(
        "{}: banks of a Lifeboat host\n\n{}\n{lines}{}\n",
        checked.disk.display(),
        ctx.out.render(&table),
        checked.verdict
    )
}

#[derive(Serialize)]
struct Rebuilding {
    disk: PathBuf,
    dry_run: bool,
    plan: RebuildPlan,
    written: u64,
}

pub(super) fn rebuild(ctx: &Ctx, args: &RebuildArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let bank = |name: &str| {
        name.to_ascii_uppercase().parse::<Bank>().map_err(|_| {
            CliError::new(Kind::NotFound, format!("there is no bank {name:?} on this disk"))
                .remedy("name A or B")
        })
    };
    let (to, from) = (bank(&args.bank)?, bank(&args.from)?);
    if args.fall_back || args.state_of.is_some() || args.change.undo.is_some() {
        return Err(CliError::usage("--fall-back, --state-of and --undo are for banks of ESXi hosts")
            .remedy("leave them out: the bank that is rebuilt is verified, and its first boot is a trial"));
    }
    let looked = open::read(path)?;
    if running_bank(looked.layout()) == Some(to) {
        return Err(CliError::new(
            Kind::Conflict,
            format!("bank {to} runs: it cannot be rebuilt under itself"),
        )
        .remedy("boot the other bank first, or do it from another machine"));
    }
    let plan = plan_rebuild(looked.disk(), looked.layout(), from, to).map_err(|cause| failed(path, cause))?;
    let mut disk = open::write(path, args.change.force || open::is_free(&looked, to))?;
    let mut shown = Rebuilding { disk: path.clone(), dry_run: ctx.dry_run, plan, written: 0 };
    if !ctx.dry_run {
        let held = if shown.plan.to_whole { ", which is whole" } else { "" };
        ask(
            ctx,
            &format!(
                "write bank {to}{held} of {} anew with {} from bank {from}?",
                path.display(),
                shown.plan.release
            ),
        )?;
        let (disk, layout) = disk.parts();
        let mut line = ProgressLine::bytes("rebuilding", 0);
        let mut last = None;
        let done = rebuild_bank(disk, layout, from, to, &mut |step, done, total| {
            if last != Some(step) {
                line.step(format!("bank {to}: {step}"), total);
                last = Some(step);
            }
            line.set(done);
        });
        line.finish();
        shown.written = done.map_err(|cause| failed(path, cause))?.written;
    }
    ctx.out.object("bank-rebuild", &shown, &to.to_string(), || {
        let would = if shown.dry_run { "would write" } else { "wrote" };
        let mut text = format!(
            "{}: {would} bank {to} anew with {} from bank {from}, {}\n",
            path.display(),
            shown.plan.release,
            show_size(shown.plan.bytes)
        );
        for note in &shown.plan.notes {
            text.push_str(&format!("  {note}\n"));
        }
        text
    })
}

fn failed(path: &Path, cause: RebuildError) -> CliError {
    let remedy = match cause {
        RebuildError::Write { source, .. } => return install_error(path, source),
        RebuildError::Same { .. } => "name the other bank with --from",
        RebuildError::OnTrial { .. } => "let the host boot, then look again: lifeboat bank show DISK",
        RebuildError::SourceNotGood { .. }
        | RebuildError::SourceDamaged { .. }
        | RebuildError::Record { .. }
        | RebuildError::Read { .. }
        | RebuildError::Relabel { .. }
        | RebuildError::Line { .. } => {
            "install a release into the bank instead: lifeboat bank install DISK BUNDLE --trust KEY"
        }
    };
    CliError::new(Kind::Blockers, path.display().to_string()).because(cause).remedy(remedy)
}
