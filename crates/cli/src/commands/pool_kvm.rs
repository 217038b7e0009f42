//! `lifeboat pool add-kvm`

use std::path::{Path, PathBuf};

use lifeboat_hypervisor::libvirt::{KVM_SCHEMA, KvmHost, KvmSettings, LocalDisks, MigrationSettings};
use lifeboat_model::{HostId, chain};
use serde::Serialize;

use crate::args::AddKvmArgs;
use crate::error::{CliError, Kind};
use crate::files::write_new;
use crate::run::Ctx;
use crate::size::parse_size;
use crate::state::{DriverKind, StateDir};

/// A pool that was added.
#[derive(Serialize)]
struct Added {
    pool: String,
    settings: PathBuf,
    hosts: Vec<String>,
}

pub(super) fn add(ctx: &Ctx, args: &AddKvmArgs) -> Result<(), CliError> {
    let settings = settings(args)?;
    settings.validate().map_err(|cause| {
        CliError::usage("these settings make no sense")
            .because(chain(&cause))
            .remedy("see: lifeboat pool add-kvm --help")
    })?;
    let home = ctx.state.pool_dir(&args.name);
    if home.join("pool.toml").exists() {
        return Err(CliError::new(Kind::Conflict, format!("there is a pool {} already", args.name))
            .remedy(format!("change {}, or choose another name", home.join("kvm.toml").display())));
    }
    let hosts: Vec<String> = settings.hosts.iter().map(|host| host.name.to_string()).collect();
    if ctx.dry_run {
        ctx.out.say(&format!("would add pool {} with hosts {}", args.name, hosts.join(", ")));
        return Ok(());
    }
    StateDir::make_dir(&home)?;
    let text = toml::to_string(&settings)
        .map_err(|cause| CliError::new(Kind::Bug, "writing settings as TOML").because(cause))?;
    let path = home.join("kvm.toml");
    write_new(&path, text.as_bytes(), 0o600)?;
    // Last: a pool without this file is none.
    ctx.state.add_pool(&args.name, DriverKind::Libvirt, Path::new("."), 1)?;
    let added = Added { pool: args.name.to_string(), settings: path, hosts };
    ctx.out.object("pool-added", &added, &added.pool, || {
        format!(
            "pool {} added: {}\nsettings: {}\nnext: lifeboat pool show {}\n",
            added.pool,
            added.hosts.join(", "),
            added.settings.display(),
            added.pool
        )
    })
}

fn settings(args: &AddKvmArgs) -> Result<KvmSettings, CliError> {
    Ok(KvmSettings {
        schema: KVM_SCHEMA,
        controller: (!args.no_controller).then(|| args.controller.clone()),
        shared_folders: args.shared_folder.iter().cloned().collect(),
        migration: MigrationSettings {
            bandwidth_mib: args.bandwidth.unwrap_or_default(),
            trust_shared_folders: args.trust_shared_folders,
            local_disks: if args.copy_local_disks { LocalDisks::Copy } else { LocalDisks::Forbid },
            ..MigrationSettings::default()
        },
        hosts: args.hosts.iter().map(|text| host(text)).collect::<Result<_, _>>()?,
    })
}

/// `NAME=ADDRESS[,key=value…]`
fn host(text: &str) -> Result<KvmHost, CliError> {
    let wrong = |what: String| {
        CliError::usage(what).remedy("write it as: --host h1=qemu+tls://h1/system,memory=96G,rack=r1")
    };
    let mut parts = text.split(',');
    let (name, uri) = parts
        .next()
        .and_then(|first| first.split_once('='))
        .ok_or_else(|| wrong(format!("--host {text} has no NAME=ADDRESS")))?;
    let name = HostId::new(name).map_err(|cause| wrong(cause.to_string()))?;
    let mut host = KvmHost {
        name,
        uri: uri.to_owned(),
        peer_uri: None,
        migrate_uri: None,
        memory_mib: None,
        fault_domain: None,
    };
    for part in parts {
        let (key, value) =
            part.split_once('=').ok_or_else(|| wrong(format!("--host {text}: {part} has no value")))?;
        match key {
            "peer" => host.peer_uri = Some(value.to_owned()),
            "migrate" => host.migrate_uri = Some(value.to_owned()),
            "rack" => host.fault_domain = Some(value.to_owned()),
            "memory" => {
                let bytes = parse_size(value).map_err(|cause| wrong(format!("--host {text}: {cause}")))?;
                host.memory_mib = Some(bytes >> 20);
            }
            _ => {
                return Err(wrong(format!(
                    "--host {text}: {key} is not known; known are peer, migrate, memory, rack"
                )));
            }
        }
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::host;

    #[test]
    fn a_host_is_read_with_all_that_is_said_of_it() {
        let read =
            host("h1=qemu+ssh://root@h1/system?keyfile=/k,peer=qemu+tls://h1/system,memory=96G,rack=r1")
                .unwrap();
        assert_eq!(read.uri, "qemu+ssh://root@h1/system?keyfile=/k");
        assert_eq!((read.memory_mib, read.fault_domain.as_deref()), (Some(98_304), Some("r1")));
        assert_eq!(read.peer(), "qemu+tls://h1/system");
        for wrong in [
            "h1",
            "h1=qemu:///system,rack",
            "h1=qemu:///system,colour=red",
            "=qemu:///system",
            "h1=x,memory=lots",
        ] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
