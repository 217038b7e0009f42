//! `lifeboat storage topology`

use std::collections::BTreeSet;

use lifeboat_model::Finding;
use lifeboat_topology::{
    Adapter, Device, Identity, Lun, NameIndex, Path, Remark, Source, Target, Topology, check,
};
use serde::Serialize;

use super::open::{open, unresolved};
use super::{findings, table, tree};
use crate::args::TopologyArgs;
use crate::error::CliError;
use crate::run::Ctx;

#[derive(Serialize)]
struct Shown<'a> {
    source: &'a Source,
    adapters: &'a [Adapter],
    targets: &'a [Target],
    luns: &'a [Lun],
    paths: &'a [Path],
    devices: &'a [Device],
    findings: &'a [Finding],
    remarks: &'a [Remark],
}

pub(super) fn run(ctx: &Ctx, args: &TopologyArgs) -> Result<(), CliError> {
    let mut topology = open(&args.source)?;
    let mut found = check(&topology);
    if let Some(name) = &args.lun {
        let wanted = lun(&topology, name)?;
        found.retain(|finding| {
            finding.subject == wanted.to_string() || finding.evidence.contains(&wanted.to_string())
        });
        keep(&mut topology, &wanted);
    }
    let shown = Shown {
        source: &topology.source,
        adapters: &topology.adapters,
        targets: &topology.targets,
        luns: &topology.luns,
        paths: &topology.paths,
        devices: &topology.devices,
        findings: &found,
        remarks: &topology.remarks,
    };
    let names: Vec<String> = topology.luns.iter().map(|lun| lun.identity.to_string()).collect();
    ctx.out.object("storage-topology", &shown, &names.join("\n"), || {
        let mut text = match () {
            () if args.tree => tree::tree(ctx, &topology),
            () if args.paths => table::paths(ctx, &topology),
            () => table::luns(ctx, &topology),
        };
        text.push_str(&findings::lines(ctx, &found));
        text
    })
}

/// The LUN that is meant: by identity, or by any name of it or of a part of it.
fn lun(topology: &Topology, name: &str) -> Result<Identity, CliError> {
    if let Some(lun) = topology.luns.iter().find(|lun| lun.identity.to_string() == name) {
        return Ok(lun.identity.clone());
    }
    if let Ok(identity) = name.parse::<Identity>()
        && let Some(lun) = topology.luns.iter().find(|lun| lun.ids.iter().any(|id| *id == identity.disk))
    {
        return Ok(lun.identity.clone());
    }
    let found = NameIndex::new(topology).resolve(name).map_err(|error| unresolved(&error))?;
    Ok(Identity::whole(found.identity.disk))
}

/// Leaves one LUN, its paths, and what stands on it.
fn keep(topology: &mut Topology, wanted: &Identity) {
    topology.luns.retain(|lun| lun.identity == *wanted);
    topology.paths.retain(|path| path.lun == *wanted);
    let adapters: BTreeSet<&str> = topology.paths.iter().map(|path| path.adapter.as_str()).collect();
    topology.adapters.retain(|adapter| adapters.contains(adapter.id.as_str()));
    let targets: BTreeSet<&str> = topology.paths.iter().filter_map(|path| path.target.as_deref()).collect();
    topology.targets.retain(|target| targets.contains(target.id.as_str()));
    let mut kept: BTreeSet<String> = topology.luns.iter().flat_map(|lun| lun.devices.clone()).collect();
    loop {
        let more: Vec<String> = topology
            .devices
            .iter()
            .filter(|device| {
                !kept.contains(&device.kernel) && device.on.iter().any(|below| kept.contains(below))
            })
            .map(|device| device.kernel.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        kept.extend(more);
    }
    topology.devices.retain(|device| kept.contains(&device.kernel));
}
