//! `lifeboat kvmlab up` and `down`

use std::path::PathBuf;

use lifeboat_kvmlab::{CarrierProgram, GuestSpec, HostKind, KvmLab, LabError, LabOptions};
use serde::Serialize;

use super::errors::kvmlab_error;
use super::folder_of;
use crate::args::{KindWord, KvmLabName, KvmLabUpArgs};
use crate::commands::ask;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::StateDir;

/// A lab that was made.
#[derive(Serialize)]
struct Up {
    name: String,
    folder: PathBuf,
    hosts: Vec<UpHost>,
    guests: Vec<String>,
}

#[derive(Serialize)]
struct UpHost {
    name: String,
    address: String,
    uri: String,
}

pub(super) fn up(ctx: &Ctx, args: &KvmLabUpArgs) -> Result<(), CliError> {
    let folder = folder_of(ctx, &args.lab);
    if ctx.dry_run {
        ctx.out.say(&format!("would make a lab of {} hosts in {}", args.hosts, folder.display()));
        return Ok(());
    }
    if args.lab.dir.is_none() {
        StateDir::make_dir(&ctx.state.root().join("kvmlab"))?;
    }
    let lab = KvmLab::up(&options(args, folder)?, &mut |line| ctx.out.say(line))
        .map_err(|cause| kvmlab_error(&args.lab, cause))?;
    let failed = |cause: LabError| kvmlab_error(&args.lab, cause);
    let hosts = lab.host_names();
    let mut guests = Vec::new();
    for (number, host) in (1..=args.guests).zip(hosts.iter().cycle()) {
        let name = format!("g{number}");
        lab.start_guest(host, &GuestSpec::tick(&name)).map_err(failed)?;
        ctx.out.say(&format!("guest {name} counts on {host}"));
        guests.push(name);
    }
    let one = |host: &lifeboat_kvmlab::HostSettings| {
        let uri = lab.uri(&host.name).map_err(failed)?;
        Ok(UpHost { name: host.name.clone(), address: host.address(), uri })
    };
    let hosts = lab.settings().hosts.iter().map(one).collect::<Result<Vec<_>, CliError>>()?;
    let up = Up { name: args.lab.name.to_string(), folder: lab.folder().path().to_owned(), hosts, guests };
    ctx.out.object("kvmlab", &up, &up.name, || {
        let mut text =
            format!("lab {} is up: {} hosts, {} guests\n", up.name, up.hosts.len(), up.guests.len());
        for host in &up.hosts {
            text.extend(["  ", &host.name, "  ", &host.address, "  ", &host.uri, "\n"]);
        }
        text + "next: lifeboat kvmlab watch; lifeboat kvmlab exec -- virsh -c qemu+tcp://h1/system list\n"
    })
}

fn options(args: &KvmLabUpArgs, folder: PathBuf) -> Result<LabOptions, CliError> {
    let path = std::env::current_exe()
        .map_err(|source| CliError::new(Kind::Failed, "finding this program").because(source))?;
    let program = CarrierProgram { path, args: vec!["kvmlab".to_owned(), "carry".to_owned()] };
    let kind = match args.kind {
        KindWord::Packages => HostKind::Packages,
        KindWord::Banks => HostKind::Banks,
    };
    let mut options = LabOptions::new(folder, program)
        .hosts(args.hosts)
        .kind(kind)
        .memory_mib(args.memory)
        .watchdog_secs(args.watchdog);
    if let Some(agent) = &args.agent {
        options = options.agent(agent);
    }
    if args.tls {
        options = options.tls();
    }
    if args.ssh {
        options = options.ssh();
    }
    Ok(options)
}

/// A lab that was ended.
#[derive(Serialize)]
struct Down {
    name: String,
    ran: bool,
}

pub(super) fn down(ctx: &Ctx, lab: &KvmLabName) -> Result<(), CliError> {
    let folder = folder_of(ctx, lab);
    if ctx.dry_run {
        ctx.out.say(&format!("would end lab {} and remove {}", lab.name, folder.display()));
        return Ok(());
    }
    ask(
        ctx,
        &format!("End lab {} with all its hosts and guests, and remove {}?", lab.name, folder.display()),
    )?;
    let ran = KvmLab::down(&folder).map_err(|cause| kvmlab_error(lab, cause))?;
    let down = Down { name: lab.name.to_string(), ran };
    ctx.out.object("kvmlab-down", &down, &down.name, || {
        let how = if down.ran { "its hosts and guests were ended" } else { "it did not run" };
        format!("lab {} is down: {how}, its files are removed\n", down.name)
    })
}
