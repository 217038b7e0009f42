//! `lifeboat kvmlab …`

mod errors;
mod guest;
mod hosts;
mod release;
mod updown;
mod watch;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use lifeboat_kvmlab::KvmLab;

use crate::args::{KvmLabCmd, KvmLabName};
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use errors::kvmlab_error;

pub(crate) fn run(ctx: &Ctx, cmd: &KvmLabCmd) -> Result<(), CliError> {
    match cmd {
        KvmLabCmd::Up(args) => updown::up(ctx, args),
        KvmLabCmd::Down(lab) => updown::down(ctx, lab),
        KvmLabCmd::Status(lab) => hosts::status(ctx, lab),
        KvmLabCmd::Exec { lab, host, command } => exec(ctx, lab, host.as_deref(), command),
        KvmLabCmd::Enter { host, lab } => {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            exec(ctx, lab, host.as_deref(), &[shell])
        }
        KvmLabCmd::Power { host, what, lab } => hosts::power(ctx, lab, host, *what),
        KvmLabCmd::Guest(args) => guest::run(ctx, args),
        KvmLabCmd::Watch { guests, seconds, lab } => watch::run(ctx, lab, guests, *seconds),
        KvmLabCmd::Release { version, install, serial, layer, lab } => {
            let wanted =
                release::Wanted { version: version.as_deref(), install: install.as_deref(), serial: *serial };
            release::run(ctx, lab, &wanted, layer)
        }
        KvmLabCmd::Carry { words } => {
            // It tells its own errors, in the log of the lab.
            let _ = lifeboat_kvmlab::carry(words);
            Err(CliError::new(Kind::Failed, "this part of the lab has ended"))
        }
    }
}

/// Where the files of a lab are.
fn folder_of(ctx: &Ctx, lab: &KvmLabName) -> PathBuf {
    lab.dir.clone().unwrap_or_else(|| ctx.state.root().join("kvmlab").join(lab.name.as_str()))
}

fn open(ctx: &Ctx, lab: &KvmLabName) -> Result<KvmLab, CliError> {
    KvmLab::open(&folder_of(ctx, lab)).map_err(|cause| kvmlab_error(lab, cause))
}

/// Becomes the command, so that its exit code and its signals are its own.
fn exec(ctx: &Ctx, lab: &KvmLabName, host: Option<&str>, words: &[OsString]) -> Result<(), CliError> {
    let Some((program, args)) = words.split_first() else {
        return Err(CliError::usage("a command is missing").remedy("see: lifeboat kvmlab exec --help"));
    };
    let there = open(ctx, lab)?;
    let command = match host {
        Some(host) => there.command_in(host, program),
        None => there.command(program),
    };
    let source = command.map_err(|cause| kvmlab_error(lab, cause))?.args(args).exec();
    Err(CliError::new(Kind::Failed, "starting nsenter").because(source))
}
