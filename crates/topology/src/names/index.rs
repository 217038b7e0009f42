//! Finding the device that a name means on a host.
//!
//! Owns: [`NameIndex`], made once from a topology. Promises: a name that the host has is taken as it is; else the ids in
//! it decide, through whatever driver, bus or folder it was written; else the target and LUN behind it. Two devices that
//! fit are an error. A path of a multipath map answers with the map. Does not: choose by order, size or likeness.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::alias::{Alias, with_part};
use super::error::ResolveError;
use super::parse::{Reading, parse_name, tag_key};
use crate::ident::{DeviceIds, DiskId, Identity};
use crate::model::{DeviceKind, Topology};

/// How a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The host has this very name.
    Exact,
    /// By the id in the name; the host spells it differently.
    Identity,
    /// By target and LUN number, through another portal or adapter.
    Target,
}

/// A device that answers to a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// What it is known by.
    pub identity: Identity,
    /// Kernel name: `sda1`, `dm-1`.
    pub device: String,
    /// `/dev/sda1`.
    pub node: String,
    /// How it was found.
    pub how: How,
    /// One sentence for people.
    pub why: String,
}

#[derive(Debug)]
struct Known {
    kernel: String,
    identity: Identity,
    names: Vec<String>,
    ids: DeviceIds,
    bytes: Option<u64>,
    /// Index of the disk or map below a partition, and the number.
    part_of: Option<(usize, u32)>,
    /// Index of the map that stands for this path.
    map: Option<usize>,
    partitions: BTreeMap<u32, usize>,
}

/// The names of one host.
#[derive(Debug)]
pub struct NameIndex {
    known: Vec<Known>,
    exact: BTreeMap<String, BTreeSet<usize>>,
    keys: BTreeMap<String, BTreeSet<usize>>,
}

impl NameIndex {
    /// Gathers the names of a host.
    pub fn new(topology: &Topology) -> Self {
        let number: BTreeMap<&str, usize> =
            topology.devices.iter().enumerate().map(|(at, device)| (device.kernel.as_str(), at)).collect();
        let mut ids: BTreeMap<&str, &DeviceIds> = BTreeMap::new();
        for lun in &topology.luns {
            ids.extend(lun.devices.iter().map(|device| (device.as_str(), &lun.ids)));
        }
        let mut known: Vec<Known> = topology
            .devices
            .iter()
            .map(|device| Known {
                kernel: device.kernel.clone(),
                identity: device.identity.clone(),
                names: device.names.clone(),
                ids: ids.get(device.kernel.as_str()).map(|ids| (*ids).clone()).unwrap_or_default(),
                bytes: device.bytes,
                part_of: None,
                map: None,
                partitions: BTreeMap::new(),
            })
            .collect();
        let mut parts = Vec::new();
        for (at, device) in topology.devices.iter().enumerate() {
            let below = || device.on.iter().filter_map(|name| number.get(name.as_str()).copied());
            if device.kind == DeviceKind::Multipath {
                for path in below() {
                    known.get_mut(path).into_iter().for_each(|path| path.map = Some(at));
                }
            }
            if let (Some(partition), Some(disk)) = (&device.partition, below().next()) {
                parts.push((at, disk, partition.number));
            }
        }
        for (at, disk, number) in parts {
            known.get_mut(at).into_iter().for_each(|part| part.part_of = Some((disk, number)));
            if let Some(disk) = known.get_mut(disk) {
                disk.partitions.insert(number, at);
            }
        }
        let mut index = Self { known, exact: BTreeMap::new(), keys: BTreeMap::new() };
        index.fill(topology, &number);
        index
    }

    fn fill(&mut self, topology: &Topology, number: &BTreeMap<&str, usize>) {
        for (at, device) in topology.devices.iter().enumerate() {
            for name in &device.names {
                self.exact.entry(name.clone()).or_default().insert(at);
            }
            let mut keys: Vec<String> = Vec::new();
            if device.partition.is_none() {
                keys.push(format!("kernel {}", device.kernel));
                keys.extend(device.identity.disk.keys());
                let ids = self.known.get(at).map(|known| known.ids.clone()).unwrap_or_default();
                keys.extend(ids.iter().flat_map(DiskId::keys));
            }
            keys.extend(device.number.map(|(major, minor)| format!("number {major}:{minor}")));
            keys.extend(device.dm.iter().map(|(name, _)| format!("map {name}")));
            let content = device.content.as_ref();
            keys.extend(content.and_then(|fs| fs.uuid.as_ref()).map(|uuid| tag_key("by-uuid", uuid)));
            keys.extend(content.and_then(|fs| fs.label.as_ref()).map(|label| tag_key("by-label", label)));
            let partition = device.partition.as_ref();
            keys.extend(partition.and_then(|p| p.uuid.as_ref()).map(|uuid| tag_key("by-partuuid", uuid)));
            keys.extend(partition.and_then(|p| p.label.as_ref()).map(|label| tag_key("by-partlabel", label)));
            for name in device.names.iter().filter_map(|name| name.strip_prefix("/dev/md/")) {
                keys.push(format!("md-name {name}"));
            }
            for name in device.names.iter().filter_map(|name| name.strip_prefix("/dev/disk/by-path/")) {
                if partition.is_none() {
                    keys.push(format!("place {name}"));
                }
            }
            for key in keys {
                self.keys.entry(key).or_default().insert(at);
            }
        }
        for path in &topology.paths {
            let Some(&at) = path.device.as_deref().and_then(|device| number.get(device)) else { continue };
            let mut add = |key: String| {
                self.keys.entry(key).or_default().insert(at);
            };
            path.hctl.iter().for_each(|hctl| add(format!("hctl {hctl}")));
            path.name.iter().for_each(|name| add(format!("esx {name}")));
            let target = path.target.as_deref().and_then(|id| topology.targets.iter().find(|t| t.id == id));
            if let (Some(target), Some(lun)) = (target, path.number) {
                target.iqn.iter().for_each(|iqn| add(format!("iscsi {}#{lun}", iqn.to_lowercase())));
                target.wwpn.iter().for_each(|wwpn| add(format!("fc {wwpn}#{lun}")));
                target.sas_address.iter().for_each(|address| add(format!("sas {address}#{lun}")));
            }
        }
    }

    /// The device that a name means.
    pub fn resolve(&self, name: &str) -> Result<Resolved, ResolveError> {
        let parsed = parse_name(name)?;
        let mut exact = BTreeSet::new();
        for path in &parsed.paths {
            exact.extend(self.exact.get(path).into_iter().flatten().map(|at| self.top(*at)));
            // A name that stands alone is the first of its folders that has it.
            if !exact.is_empty() {
                break;
            }
        }
        if !exact.is_empty() {
            return self.one(name, exact, How::Exact, "the host has this name");
        }
        for how in [How::Identity, How::Target] {
            let mut found = BTreeSet::new();
            let mut missing = None;
            for reading in &parsed.readings {
                for disk in self.disks(reading, how) {
                    match reading.part {
                        None => found.extend([disk]),
                        Some(number) => match self.partition(disk, number) {
                            Some(part) => found.extend([part]),
                            None => missing = Some((disk, number)),
                        },
                    }
                }
            }
            if !found.is_empty() {
                let why = match how {
                    How::Target => "it is the same LUN of the same target, reached another way",
                    How::Exact | How::Identity => "its id is the same, the host spells it differently",
                };
                return self.one(name, found, how, why);
            }
            if let Some((disk, number)) = missing {
                let known = self.known.get(disk);
                return Err(ResolveError::NoPartition {
                    name: name.to_owned(),
                    disk: known.map(|known| known.kernel.clone()).unwrap_or_default(),
                    number,
                    parts: known.map(|known| self.parts(known)).unwrap_or_default(),
                });
            }
        }
        let ids: BTreeSet<String> =
            parsed.readings.iter().flat_map(|reading| &reading.ids).map(ToString::to_string).collect();
        Err(ResolveError::Unknown { name: name.to_owned(), ids: ids.into_iter().collect() })
    }

    /// The device with an identity, as it was kept in a backup.
    pub fn find(&self, identity: &Identity) -> Result<Resolved, ResolveError> {
        let name = identity.to_string();
        let reading = Reading {
            base: identity.disk.to_string(),
            part: identity.part,
            keys: identity.disk.keys(),
            ids: vec![identity.disk.clone()],
        };
        let disks = self.disks(&reading, How::Identity);
        let mut found = BTreeSet::new();
        for &disk in &disks {
            match identity.part {
                None => found.extend([disk]),
                Some(number) => found.extend(self.partition(disk, number)),
            }
        }
        match (disks.iter().next(), identity.part) {
            (Some(&disk), Some(number)) if found.is_empty() => {
                let known = self.known.get(disk);
                Err(ResolveError::NoPartition {
                    name,
                    disk: known.map(|known| known.kernel.clone()).unwrap_or_default(),
                    number,
                    parts: known.map(|known| self.parts(known)).unwrap_or_default(),
                })
            }
            (None, _) => Err(ResolveError::Unknown { ids: vec![name.clone()], name }),
            _ => self.one(&name, found, How::Identity, "its id is the same"),
        }
    }

    /// Every spelling of a device: those of this host first, then those that others would use.
    pub fn names_of(&self, identity: &Identity) -> Vec<Alias> {
        let Ok(found) = self.find(identity) else {
            return spelled(std::iter::once(&identity.disk), identity.part);
        };
        let Some(at) = self.known.iter().position(|known| known.kernel == found.device) else {
            return Vec::new();
        };
        let mut names: Vec<String> = Vec::new();
        let mut ids = DeviceIds::default();
        ids.add(identity.disk.clone());
        // The device itself, and every path below it.
        for (other, known) in self.known.iter().enumerate() {
            if self.top(other) == at {
                names.extend(known.names.iter().cloned());
                let disk = known.part_of.map_or(other, |(disk, _)| disk);
                let disk_ids = self.known.get(disk).map(|disk| disk.ids.clone()).unwrap_or_default();
                disk_ids.iter().for_each(|id| ids.add(id.clone()));
            }
        }
        names.sort();
        names.dedup();
        let mut aliases: Vec<Alias> = names.into_iter().map(|name| Alias::of(name, true)).collect();
        for alias in spelled(ids.iter(), identity.part) {
            if !aliases.iter().any(|known| known.name == alias.name) {
                aliases.push(alias);
            }
        }
        aliases.sort_by(|a, b| (!a.present, a.form, &a.name).cmp(&(!b.present, b.form, &b.name)));
        aliases
    }

    /// Every name that this host has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }

    /// The device that stands for this one: the map for a path, the partition of the map for one of a path.
    fn top(&self, at: usize) -> usize {
        let Some(known) = self.known.get(at) else { return at };
        if let Some(map) = known.map {
            return map;
        }
        if let Some((disk, number)) = known.part_of
            && let Some(map) = self.known.get(disk).and_then(|disk| disk.map)
            && let Some(&part) = self.known.get(map).and_then(|map| map.partitions.get(&number))
        {
            return part;
        }
        at
    }

    /// A partition of a disk; of one of its paths where the map has none.
    fn partition(&self, disk: usize, number: u32) -> Option<usize> {
        if let Some(&part) = self.known.get(disk)?.partitions.get(&number) {
            return Some(part);
        }
        self.known
            .iter()
            .filter(|known| known.map == Some(disk))
            .find_map(|path| path.partitions.get(&number))
            .copied()
    }

    fn parts(&self, disk: &Known) -> Vec<u32> {
        let mut parts: BTreeSet<u32> = disk.partitions.keys().copied().collect();
        let at = self.known.iter().position(|known| known.kernel == disk.kernel);
        for path in self.known.iter().filter(|known| at.is_some() && known.map == at) {
            parts.extend(path.partitions.keys());
        }
        parts.into_iter().collect()
    }

    fn disks(&self, reading: &Reading, how: How) -> BTreeSet<usize> {
        let is_target = |key: &&String| ["iscsi ", "fc ", "sas "].iter().any(|bus| key.starts_with(bus));
        let wanted = reading.keys.iter().filter(|key| is_target(key) == (how == How::Target));
        wanted.filter_map(|key| self.keys.get(key)).flatten().map(|at| self.top(*at)).collect()
    }

    fn one(&self, name: &str, found: BTreeSet<usize>, how: How, why: &str) -> Result<Resolved, ResolveError> {
        let mut devices: Vec<&Known> = found.into_iter().filter_map(|at| self.known.get(at)).collect();
        // One LUN on several paths without a map is one device, and its first path stands for it; not so if they differ
        // in size, for then an id lies.
        let mut seen = BTreeSet::new();
        devices.retain(|device| {
            let unique = device.identity.disk.kind().is_unique();
            !unique || seen.insert((&device.identity, device.bytes))
        });
        match devices.as_slice() {
            [device] => Ok(Resolved {
                identity: device.identity.clone(),
                device: device.kernel.clone(),
                node: format!("/dev/{}", device.kernel.replace('!', "/")),
                how,
                why: why.to_owned(),
            }),
            [] => Err(ResolveError::Unknown { name: name.to_owned(), ids: Vec::new() }),
            several => Err(ResolveError::Ambiguous {
                name: name.to_owned(),
                candidates: several.iter().map(|d| format!("{} ({})", d.kernel, d.identity)).collect(),
            }),
        }
    }
}

/// Spellings that follow from ids by rule.
fn spelled<'a>(ids: impl Iterator<Item = &'a DiskId>, part: Option<u32>) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = Vec::new();
    for id in ids.filter(|id| id.kind().is_durable()) {
        for name in id.spellings() {
            let names = part.map_or_else(|| vec![name.clone()], |number| with_part(&name, number));
            for name in names {
                if !aliases.iter().any(|alias| alias.name == name) {
                    aliases.push(Alias::of(name, false));
                }
            }
        }
    }
    aliases
}
