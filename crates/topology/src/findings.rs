//! What a storage team should look at.
//!
//! Owns: [`check`] and its codes, all with the prefix `storage-`. Promises: one finding per fact, with the figures; a
//! source that does not tell paths gives no findings about paths. Does not: know what was meant: a LUN that has one path
//! on purpose is told all the same.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{Finding, Severity};

use crate::model::{Device, DeviceKind, Lun, LunKind, Path, PathState, Topology};

/// Everything that is odd about a topology, the gravest first.
pub fn check(topology: &Topology) -> Vec<Finding> {
    let mut findings = Vec::new();
    let disks: Vec<(&Lun, Vec<&Path>)> = topology
        .luns
        .iter()
        .filter(|lun| lun.kind == LunKind::Disk)
        .map(|lun| (lun, topology.paths_of(lun).collect()))
        .collect();
    for (lun, paths) in &disks {
        paths_of_one(lun, paths, &mut findings);
    }
    counts(&disks, &mut findings);
    numbers(topology, &mut findings);
    gaps(topology, &mut findings);
    shared_ids(topology, &mut findings);
    clones(topology, &mut findings);
    adapters(topology, &mut findings);
    for remark in &topology.remarks {
        let what = "what this file would tell is missing above; look at the device, or read as root";
        findings.push(finding("storage-unread", Severity::Note, &remark.about, remark.text.clone(), what));
    }
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (&a.code, &a.subject).cmp(&(&b.code, &b.subject)))
    });
    findings
}

fn finding(code: &str, severity: Severity, subject: &str, evidence: String, remedy: &str) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        subject: subject.to_owned(),
        evidence,
        remedy: remedy.to_owned(),
        fix: None,
        undo: None,
    }
}

/// How a path is called: device and address, or its own name.
fn named(path: &Path) -> String {
    let address = path.name.clone().or_else(|| path.hctl.map(|hctl| hctl.to_string()));
    match (&path.device, address) {
        (Some(device), Some(address)) => format!("{device} ({address}, {})", path.words),
        (Some(device), None) => format!("{device} ({})", path.words),
        (None, Some(address)) => format!("{address} ({})", path.words),
        (None, None) => path.adapter.clone(),
    }
}

fn paths_of_one(lun: &Lun, paths: &[&Path], findings: &mut Vec<Finding>) {
    let subject = lun.identity.to_string();
    let down: Vec<&&Path> = paths.iter().filter(|path| path.state == PathState::Down).collect();
    if !down.is_empty() {
        let severity = if down.len() == paths.len() { Severity::Blocker } else { Severity::Warning };
        let names: Vec<String> = down.iter().map(|path| named(path)).collect();
        let text = format!("{} of {} paths carry no data: {}", down.len(), paths.len(), names.join(", "));
        let remedy = if severity == Severity::Blocker {
            "look at the array and the fabric before anything else; nothing on this LUN can be written"
        } else {
            "mend cable, zone or portal before a host is emptied onto this one"
        };
        findings.push(finding("storage-path-down", severity, &subject, text, remedy));
    }
    let shared = paths.iter().any(|path| path.transport.is_shared())
        || lun.map.as_ref().is_some_and(|map| map.device.is_some());
    if paths.len() == 1 && shared {
        let text =
            format!("there is one path only: {}", paths.first().map(|path| named(path)).unwrap_or_default());
        let remedy = "zone a second port, or log in to a second portal";
        findings.push(finding("storage-one-path", Severity::Warning, &subject, text, remedy));
    } else if paths.len() > 1 && shared {
        let adapters: BTreeSet<&str> = paths.iter().map(|path| path.adapter.as_str()).collect();
        let targets: BTreeSet<Option<&str>> = paths.iter().map(|path| path.target.as_deref()).collect();
        let known = paths.iter().all(|path| path.target.is_some());
        if known && targets.len() == 1 && adapters.len() == 1 {
            let text = format!("all {} paths go through one adapter to one target", paths.len());
            let remedy = "give the LUN a second port on either side";
            findings.push(finding("storage-one-way", Severity::Note, &subject, text, remedy));
        }
    }
    let sizes: BTreeSet<u64> = paths.iter().filter_map(|path| path.bytes).collect();
    if sizes.len() > 1 {
        let each: Vec<String> = paths
            .iter()
            .filter_map(|path| Some(format!("{} {}", path.device.as_deref().unwrap_or("-"), path.bytes?)))
            .collect();
        let text = format!("its paths see different sizes in bytes: {}", each.join(", "));
        let remedy =
            "rescan every path after a LUN was resized; if it was not, two LUNs tell one id: change nothing";
        findings.push(finding("storage-size-differs", Severity::Blocker, &subject, text, remedy));
    }
    let serials: BTreeSet<&str> = paths.iter().filter_map(|path| path.serial.as_deref()).collect();
    if serials.len() > 1 {
        let serials: Vec<&str> = serials.into_iter().collect();
        let text = format!("its paths tell different serial numbers: {}", serials.join(", "));
        let remedy = "two LUNs tell one id, as copies of an array can: give the copy an id of its own";
        findings.push(finding("storage-same-id", Severity::Blocker, &subject, text, remedy));
    }
}

/// LUNs of one array have as many paths each.
fn counts(disks: &[(&Lun, Vec<&Path>)], findings: &mut Vec<Finding>) {
    let mut arrays: BTreeMap<BTreeSet<&str>, Vec<(&Lun, usize)>> = BTreeMap::new();
    for (lun, paths) in disks.iter().filter(|(_, paths)| paths.iter().any(|path| path.transport.is_shared()))
    {
        let key = [lun.vendor.as_deref(), lun.model.as_deref()].into_iter().flatten().collect();
        arrays.entry(key).or_default().push((lun, paths.len()));
    }
    for (array, luns) in arrays {
        let most = luns.iter().map(|(_, count)| *count).max().unwrap_or(0);
        for (lun, count) in luns.iter().filter(|(_, count)| *count < most) {
            let array: Vec<&str> = array.iter().copied().collect();
            let text = format!("{count} paths, where other LUNs of {} have {most}", array.join(" "));
            let remedy = "compare zones, portals and LUN masks of the array, then rescan";
            let subject = lun.identity.to_string();
            findings.push(finding("storage-fewer-paths", Severity::Warning, &subject, text, remedy));
        }
    }
}

/// One number at one target is one LUN, through every adapter.
fn numbers(topology: &Topology, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(&str, u64), BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for path in topology.paths.iter().filter(|path| path.transport.is_shared()) {
        if let (Some(target), Some(number)) = (&path.target, path.number) {
            let luns = seen.entry((target, number)).or_default();
            luns.entry(path.lun.to_string()).or_default().push(&path.adapter);
        }
    }
    for ((target, number), luns) in seen.into_iter().filter(|(_, luns)| luns.len() > 1) {
        let each: Vec<String> =
            luns.iter().map(|(lun, via)| format!("{lun} through {}", via.join(", "))).collect();
        let text = format!("LUN {number} is not the same on every adapter: {}", each.join("; "));
        let remedy =
            "the array maps another LUN to each port of the host: make the mapping the same for all of them";
        findings.push(finding("storage-number-differs", Severity::Warning, target, text, remedy));
    }
}

/// Numbers that are missing between those that are there.
fn gaps(topology: &Topology, findings: &mut Vec<Finding>) {
    let mut targets: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for path in topology.paths.iter().filter(|path| path.transport.is_shared()) {
        if let (Some(target), Some(number)) = (&path.target, path.number) {
            targets.entry(target).or_default().insert(number);
        }
    }
    for (target, numbers) in targets {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { continue };
        // Number 0 is often the array's own controller, which shows no disk.
        let missing: Vec<String> = ((*first).max(1)..*last)
            .take(1 << 16)
            .filter(|number| !numbers.contains(number))
            .map(|number| number.to_string())
            .take(16)
            .collect();
        if !missing.is_empty() {
            let text = format!("of LUN {first} to {last} there is no {}", missing.join(", "));
            let remedy = "nothing is wrong with a gap by itself; if a LUN is missed, look for it here";
            findings.push(finding("storage-number-gap", Severity::Note, target, text, remedy));
        }
    }
}

/// Ids that several LUNs share.
fn shared_ids(topology: &Topology, findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for lun in &topology.luns {
        for id in lun.ids.iter().filter(|id| id.kind().is_durable()) {
            let name = lun.devices.first().cloned().unwrap_or_else(|| lun.identity.to_string());
            owners.entry(id.to_string()).or_default().insert(name);
        }
    }
    for (id, owners) in owners.into_iter().filter(|(_, owners)| owners.len() > 1) {
        let owners: Vec<String> = owners.into_iter().collect();
        let text = format!("several LUNs tell it: {}", owners.join(", "));
        let remedy = "no name made of it can be trusted: give each disk a serial of its own";
        findings.push(finding("storage-same-id", Severity::Warning, &id, text, remedy));
    }
}

/// Contents that stand on several LUNs: copies and snapshots of an array.
fn clones(topology: &Topology, findings: &mut Vec<Finding>) {
    let mut contents: BTreeMap<String, BTreeMap<String, &str>> = BTreeMap::new();
    let below: BTreeSet<&str> = topology
        .devices
        .iter()
        .filter(|device| matches!(device.kind, DeviceKind::Multipath | DeviceKind::Md))
        .flat_map(|device| device.on.iter().map(String::as_str))
        .collect();
    let real = |device: &&Device| {
        let disk = matches!(device.kind, DeviceKind::Disk | DeviceKind::Partition | DeviceKind::Multipath);
        disk && device.identity.disk.kind() != crate::IdKind::Kernel
    };
    for device in topology.devices.iter().filter(real) {
        let member = |kind: &str| kind.ends_with("_member") && kind != "LVM2_member";
        let written = device
            .content
            .as_ref()
            .filter(|content| !member(&content.kind) && !below.contains(&*device.kernel));
        let uuid = written.and_then(|content| Some((&content.kind, content.uuid.as_ref()?)));
        let mut keys: Vec<String> = uuid.map(|(kind, uuid)| format!("{kind} {uuid}")).into_iter().collect();
        keys.extend(device.table_uuid.as_ref().map(|uuid| format!("partition table {uuid}")));
        for key in keys {
            contents
                .entry(key)
                .or_default()
                .entry(device.identity.disk.to_string())
                .or_insert(&device.kernel);
        }
    }
    for (content, disks) in contents.into_iter().filter(|(_, disks)| disks.len() > 1) {
        let each: Vec<String> = disks.iter().map(|(id, device)| format!("{device} ({id})")).collect();
        let text = format!("it stands on several LUNs, as on a copy or snapshot: {}", each.join(", "));
        let remedy =
            "mount and restore by the LUN's identity, never by UUID or label; hide the copy from this host";
        findings.push(finding("storage-copy", Severity::Warning, &content, text, remedy));
    }
}

/// Ports and sessions that are not up.
fn adapters(topology: &Topology, findings: &mut Vec<Finding>) {
    for adapter in &topology.adapters {
        let dead =
            adapter.state.as_deref().is_some_and(|state| matches!(state, "Offline" | "Linkdown" | "dead"));
        if dead {
            let text = format!("its state is {}", adapter.state.as_deref().unwrap_or_default());
            let remedy = "look at the cable and the switch port";
            findings.push(finding("storage-adapter-down", Severity::Warning, &adapter.id, text, remedy));
        }
        for session in &adapter.sessions {
            if session.state.as_deref().is_some_and(|state| state != "LOGGED_IN") {
                let portal = session.portal.as_deref().unwrap_or("an unknown portal");
                let text = format!(
                    "{} at {portal} is {}",
                    session.target,
                    session.state.as_deref().unwrap_or_default()
                );
                let remedy = "see whether the portal answers: iscsiadm -m session -P 1";
                findings.push(finding("storage-session-down", Severity::Warning, &session.id, text, remedy));
            }
        }
    }
}
