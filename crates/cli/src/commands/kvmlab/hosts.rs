//! `lifeboat kvmlab status` and `power`

use lifeboat_kvmlab::{HostStatus, KvmLab, LabStatus, Phase};
use serde::Serialize;

use super::errors::kvmlab_error;
use super::open;
use crate::args::{KvmLabName, PowerWord};
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

pub(super) fn status(ctx: &Ctx, lab: &KvmLabName) -> Result<(), CliError> {
    let status = open(ctx, lab)?.status().map_err(|cause| kvmlab_error(lab, cause))?;
    ctx.out.object("kvmlab-status", &status, lab.name.as_str(), || {
        let mut text = ctx.out.render(&table(&status));
        if !status.running {
            text.push_str("the lab does not run any more; end it and make it anew: lifeboat kvmlab down\n");
        }
        text
    })
}

fn table(status: &LabStatus) -> Table {
    let mut table = Table::new()
        .column("HOST")
        .column("ADDRESS")
        .column("POWER")
        .column("LIBVIRT")
        .column("BANK")
        .column("RELEASE")
        .number("BOOTS")
        .flexible("GUESTS");
    for host in &status.hosts {
        let dash = || "-".to_owned();
        table.row([
            Cell::from(host.name.clone()),
            Cell::from(host.address.clone()),
            power_cell(host),
            if host.libvirt {
                Cell::painted("answers", Paint::Good)
            } else {
                Cell::painted("silent", Paint::Bad)
            },
            Cell::from(host.power.bank.map_or_else(dash, |bank| bank.to_string())),
            Cell::from(host.power.release.clone().unwrap_or_else(dash)),
            Cell::from(host.power.boots.to_string()),
            Cell::from(guests(host)),
        ]);
    }
    table
}

fn power_cell(host: &HostStatus) -> Cell {
    match host.power.phase {
        Phase::Running => Cell::painted("on", Paint::Good),
        Phase::Booting | Phase::Waiting => Cell::painted("booting", Paint::Warn),
        Phase::Off => Cell::painted("off", Paint::Bad),
    }
}

fn guests(host: &HostStatus) -> String {
    let one = |guest: &lifeboat_kvmlab::PlacedGuest| match guest.state.as_str() {
        "running" => guest.name.clone(),
        state => format!("{} ({state})", guest.name),
    };
    host.guests.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A host after it was switched.
#[derive(Serialize)]
struct Switched {
    host: String,
    phase: Phase,
    boots: u32,
}

pub(super) fn power(ctx: &Ctx, lab: &KvmLabName, host: &str, what: PowerWord) -> Result<(), CliError> {
    let there = open(ctx, lab)?;
    if ctx.dry_run {
        ctx.out.say(&format!("would switch {host}: {what:?}"));
        return Ok(());
    }
    let switch = |there: &KvmLab| {
        match what {
            PowerWord::On => there.power_on(host),
            PowerWord::Off => there.power_off(host),
            PowerWord::Cut => there.cut(host),
            PowerWord::Reset => there.reset(host),
            PowerWord::Reboot => there.reboot(host),
            PowerWord::Unplug => there.set_cable(host, false),
            PowerWord::Plug => there.set_cable(host, true),
        }?;
        there.power(host)
    };
    let state = switch(&there).map_err(|cause| kvmlab_error(lab, cause))?;
    let switched = Switched { host: host.to_owned(), phase: state.phase, boots: state.boots };
    ctx.out.object("kvmlab-host", &switched, host, || {
        let word = if switched.phase == Phase::Off { "off" } else { "on" };
        format!("{host} is {word}, in boot {}\n", switched.boots)
    })
}
