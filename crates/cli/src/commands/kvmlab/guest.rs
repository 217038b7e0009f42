//! `lifeboat kvmlab guest`

use lifeboat_kvmlab::{GuestDisk, GuestKind, GuestSpec, KvmLab, LabError};
use serde::Serialize;

use super::errors::kvmlab_error;
use super::open;
use crate::args::{DiskWord, GuestWord, KvmLabGuestArgs};
use crate::error::CliError;
use crate::run::Ctx;

/// What was done to a guest.
#[derive(Serialize)]
struct Done<'a> {
    guest: &'a str,
    host: Option<&'a str>,
    now: &'static str,
}

pub(super) fn run(ctx: &Ctx, args: &KvmLabGuestArgs) -> Result<(), CliError> {
    let there = open(ctx, &args.lab)?;
    let (guest, host) = (args.guest.as_str(), args.host.as_deref());
    if ctx.dry_run {
        ctx.out.say(&format!("would {} guest {guest}", if args.remove { "remove" } else { "make" }));
        return Ok(());
    }
    let now = act(&there, args).map_err(|cause| kvmlab_error(&args.lab, cause))?;
    let done = Done { guest, host, now };
    ctx.out.object("kvmlab-guest", &done, guest, || match done.host {
        Some(host) => format!("guest {guest} is {} on {host}\n", done.now),
        None => format!("guest {guest} is {}\n", done.now),
    })
}

fn act(there: &KvmLab, args: &KvmLabGuestArgs) -> Result<&'static str, LabError> {
    let Some(host) = &args.host else {
        return there.remove_guest(&args.guest).map(|()| "removed");
    };
    if args.off {
        there.define_guest(host, &spec(args)).map(|()| "defined")
    } else {
        there.start_guest(host, &spec(args)).map(|()| "counting")
    }
}

fn spec(args: &KvmLabGuestArgs) -> GuestSpec {
    let name = args.guest.as_str();
    let mut spec = match args.kind {
        GuestWord::Tick => {
            GuestSpec { kind: GuestKind::Tick { period: args.period }, ..GuestSpec::tick(name) }
        }
        GuestWord::Churn => GuestSpec::churn(name),
        GuestWord::Elastic => GuestSpec::elastic(name, args.pages),
    };
    if let Some(memory) = args.memory {
        spec.memory_kib = u64::from(memory) * 1024;
    }
    spec.disk = match args.disk {
        DiskWord::Nbd => GuestDisk::Nbd,
        DiskWord::Shared => GuestDisk::SharedFile,
        DiskWord::Local => GuestDisk::Local,
    };
    (spec.autostart, spec.pinned, spec.local_cdrom) = (args.autostart, args.pinned, args.local_cdrom);
    spec
}
