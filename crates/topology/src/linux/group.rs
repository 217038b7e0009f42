//! Which paths are one LUN, and what it is known by.
//!
//! Promises: paths under one multipath map, and paths with one unique id, are one LUN; an id that two LUNs share
//! identifies neither of them: the next one does, and in the end the place.

use std::collections::BTreeMap;

use super::block::Block;
use crate::ident::{DeviceIds, DiskId, IdKind, Identity};
use crate::model::{Lun, Map, Path, Topology};
use crate::names::wwid;

/// One LUN in the making.
#[derive(Debug)]
struct Group {
    lun: Lun,
    ids: DeviceIds,
    fallback: Option<DiskId>,
    paths: Vec<Path>,
}

/// The LUNs in the making.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    known: BTreeMap<String, usize>,
}

/// Kernel name of each path of a multipath map, with the map's own.
pub(super) fn maps(blocks: &[Block]) -> BTreeMap<&str, &Block> {
    let is_map = |block: &&Block| block.dm.as_ref().is_some_and(|(_, uuid)| uuid.starts_with("mpath-"));
    blocks
        .iter()
        .filter(is_map)
        .flat_map(|map| map.slaves.iter().map(move |slave| (slave.as_str(), map)))
        .collect()
}

/// An identity that is replaced before anybody sees it.
pub(super) fn nobody() -> Identity {
    Identity::whole(DiskId::kernel("unnamed"))
}

/// Where a disk without any id is: what udev would call it by-path.
pub(super) fn place_id(block: Option<&Block>) -> Option<DiskId> {
    let block = block?;
    let links = || block.names.iter().filter_map(|name| name.strip_prefix("/dev/disk/by-path/"));
    let link = links().find(|name| name.starts_with("pci-")).or_else(|| links().next());
    let own = || Some(format!("pci-{}", block.place.virtio.as_ref().and(block.place.pci.as_ref())?));
    let text = link.map(str::to_owned).or_else(own)?;
    DiskId::new(IdKind::Place, &text).ok()
}

impl Groups {
    pub(super) fn add(
        &mut self,
        block: Option<&Block>,
        maps: &BTreeMap<&str, &Block>,
        mut ids: DeviceIds,
        fallback: Option<DiskId>,
        lun: Lun,
        paths: Vec<Path>,
    ) {
        let map = block.and_then(|block| maps.get(block.kernel.as_str()));
        let mut keys = Vec::new();
        if let Some(map) = map {
            keys.push(format!("map {}", map.kernel));
            let uuid = map.dm.as_ref().and_then(|(_, uuid)| uuid.strip_prefix("mpath-"));
            ids.extend_one(uuid.and_then(wwid));
        }
        // Only the most telling id counts: two LUNs of one array can share a weaker one.
        keys.extend(ids.best().filter(|id| id.kind().is_unique()).map(|id| format!("id {id}")));
        let at = keys.iter().find_map(|key| self.known.get(key)).copied().unwrap_or(self.all.len());
        for key in keys {
            self.known.entry(key).or_insert(at);
        }
        match self.all.get_mut(at) {
            Some(group) => {
                ids.iter().for_each(|id| group.ids.add(id.clone()));
                group.paths.extend(paths);
                group.lun.devices.extend(lun.devices);
            }
            None => self.all.push(Group { lun, ids, fallback, paths }),
        }
    }

    /// Gives every LUN its identity and its map, and puts them into the topology.
    pub(super) fn finish(self, topology: &mut Topology, maps: &BTreeMap<&str, &Block>) {
        let mut counts: BTreeMap<DiskId, usize> = BTreeMap::new();
        for id in self.all.iter().flat_map(|group| group.ids.iter().chain(&group.fallback)) {
            *counts.entry(id.clone()).or_default() += 1;
        }
        for mut group in self.all {
            let own = |id: &&DiskId| counts.get(*id) == Some(&1);
            let kernel = || DiskId::kernel(group.lun.devices.first().map_or("unnamed", String::as_str));
            let id = group.ids.iter().find(own).or_else(|| group.fallback.iter().find(own)).cloned();
            let identity = Identity::whole(id.unwrap_or_else(kernel));
            let map = group.lun.devices.iter().find_map(|device| maps.get(device.as_str()));
            if let Some(map) = map {
                let (name, uuid) = map.dm.clone().unwrap_or_default();
                group.lun.map = Some(Map {
                    name,
                    device: Some(map.kernel.clone()),
                    wwid: uuid.strip_prefix("mpath-").map(str::to_owned),
                    ..Map::default()
                });
                group.lun.devices.push(map.kernel.clone());
                group.lun.bytes = map.bytes.or(group.lun.bytes);
            }
            for mut path in group.paths {
                path.lun = identity.clone();
                topology.paths.push(path);
            }
            group.lun.identity = identity;
            group.lun.ids = group.ids;
            topology.luns.push(group.lun);
        }
    }
}
