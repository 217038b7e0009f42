//! `lifeboat bank activate`

use std::path::Path;

use lifeboat_bank::efi::UefiBoot;
use lifeboat_bank::ops;
use lifeboat_model::{Bank, BankState};
use serde::Serialize;

use super::errors::ops_error;
use super::firmware::{Next, predict};
use super::open::{self, DryDisk};
use super::vars::Vars;
use crate::args::ActivateArgs;
use crate::error::{CliError, Kind};
use crate::run::Ctx;

pub(super) fn activate(ctx: &Ctx, args: &ActivateArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let looked = open::read(path)?;
    let running = open::running_bank(looked.layout());
    if running == Some(args.bank) {
        return Err(CliError::new(Kind::Conflict, format!("bank {} runs already", args.bank))
            .remedy("name the alternate bank; see: lifeboat bank show"));
    }
    let place = Vars::find(args.vars.as_deref(), path, running.is_some()).ok_or_else(|| {
        CliError::usage(format!("where the firmware of {} keeps its variables is not known", path.display()))
            .remedy("give --vars: an OVMF variable image, a JSON file, or an efivarfs directory")
    })?;
    // The rehearsal refuses whatever can be refused before the first write.
    let mut dry = DryDisk::new(looked.disk());
    let mut boot = UefiBoot::of_layout(Vars::open(&place, true)?, looked.layout());
    let rehearsed = ops::activate(&mut dry, looked.layout(), args.bank, &mut || Ok(()), &mut boot);
    if let Err(cause) = rehearsed
        && !dry.reached()
    {
        return Err(ops_error(path, cause));
    }
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would set the one-shot boot of {} to bank {} in {}",
            path.display(),
            args.bank,
            place.display()
        ));
        return Ok(());
    }
    drop(looked);
    // On the running disk only the record is written, which lies outside of every file system.
    let mut disk = open::write(path, running.is_some() || args.force)?;
    let mut boot = UefiBoot::of_layout(Vars::open(&place, false)?, disk.layout());
    let entries = boot.ensure_entries().map_err(|cause| {
        CliError::new(Kind::Failed, format!("making the boot entries in {}", place.display())).because(cause)
    })?;
    let (writer, layout) = disk.parts();
    let record = ops::activate(writer, layout, args.bank, &mut || Ok(()), &mut boot)
        .map_err(|cause| ops_error(path, cause))?;
    let status = boot.status().map_err(|cause| {
        CliError::new(Kind::Failed, format!("reading back {}", place.display())).because(cause)
    })?;
    let next = predict(disk.disk(), disk.layout(), &record, Some(&status));
    report(ctx, args.bank, record.bank(args.bank).state, &place, entries.changes, next)
}

fn report(
    ctx: &Ctx,
    bank: Bank,
    state: BankState,
    place: &Path,
    changes: Vec<String>,
    next: Next,
) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Done<'a> {
        bank: Bank,
        state: BankState,
        vars: &'a Path,
        changes: Vec<String>,
        next: Next,
    }
    let done = Done { bank, state, vars: place, changes, next };
    ctx.out.object("bank-activated", &done, &bank.to_string(), || {
        let mut text = format!("bank {bank} is tried at the next boot, and only then (state {state})\n");
        for line in done.changes.iter().chain(&done.next.why) {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str("the watchdog is armed by the agent before it reboots, not by this command\n");
        text
    })
}
