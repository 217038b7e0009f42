//! Every block device, with what it is known by and what it stands on.
//!
//! Promises: a partition is known by its disk and number, a partition of a multipath map by the LUN and number; what
//! stands on nothing known is known by its own UUID, and in the end by its name of today.

use std::collections::BTreeMap;

use super::block::{Block, Sort};
use crate::ident::{DiskId, IdKind, Identity};
use crate::model::{Device, DeviceKind, FileSystem, Partition, Topology};
use crate::names::{by_id, wwid};

pub(super) fn devices(topology: &mut Topology, blocks: &[Block]) {
    let mut known: BTreeMap<String, Identity> = BTreeMap::new();
    for lun in &topology.luns {
        known.extend(lun.devices.iter().map(|device| (device.clone(), lun.identity.clone())));
    }
    // Parts come after what they are parts of: first all that are none, then partitions, then those of maps.
    for block in blocks.iter().filter(|block| !known.contains_key(&block.kernel)).collect::<Vec<_>>() {
        if block.partition.is_none() && block.dm_part().is_none() {
            known.insert(block.kernel.clone(), Identity::whole(own_id(block)));
        }
    }
    for block in blocks {
        let (disk, number) = match (&block.partition, block.dm_part()) {
            (Some((disk, number, _)), _) => (Some(disk), *number),
            (None, Some(number)) => (block.slaves.first(), number),
            (None, None) => continue,
        };
        let identity = match disk.and_then(|disk| known.get(disk)) {
            Some(Identity { disk, part: None }) => Identity::part(disk.clone(), number),
            Some(_) | None => Identity::whole(own_id(block)),
        };
        known.insert(block.kernel.clone(), identity);
    }
    topology.devices =
        blocks.iter().filter(|block| block.sort != Sort::Hidden).map(|block| device(block, &known)).collect();
}

fn own_id(block: &Block) -> DiskId {
    let named = || {
        if let Some((_, uuid)) = block.dm.as_ref().filter(|(_, uuid)| !uuid.is_empty()) {
            let map = uuid.strip_prefix("mpath-").and_then(wwid);
            return map.or_else(|| DiskId::new(IdKind::Dm, uuid).ok());
        }
        if block.md.is_some() {
            let link = || block.names.iter().find_map(|name| by_id(name.strip_prefix("/dev/disk/by-id/")?));
            return block.prop("MD_UUID").and_then(|uuid| DiskId::new(IdKind::Md, uuid).ok()).or_else(link);
        }
        DiskId::new(IdKind::File, block.file.as_deref()?).ok()
    };
    named().unwrap_or_else(|| DiskId::kernel(&block.kernel))
}

fn device(block: &Block, known: &BTreeMap<String, Identity>) -> Device {
    let identity = known.get(&block.kernel).cloned();
    let mut on = block.slaves.clone();
    on.extend(block.partition.iter().map(|(disk, ..)| disk.clone()));
    let mut names: Vec<String> = block.names.iter().cloned().collect();
    names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let number = block.partition.as_ref().map(|(_, number, _)| *number).or_else(|| block.dm_part());
    let offset = || block.prop("ID_PART_ENTRY_OFFSET")?.parse::<u64>().ok()?.checked_mul(512);
    let partition = number.map(|number| Partition {
        number,
        start: block.partition.as_ref().and_then(|(.., start)| *start).or_else(offset),
        uuid: block.prop("ID_PART_ENTRY_UUID").map(str::to_owned),
        label: block.prop("ID_PART_ENTRY_NAME").map(str::to_owned),
    });
    let kind = block.prop("ID_FS_TYPE").map(str::to_owned).or_else(|| block.mounted.clone());
    Device {
        kernel: block.kernel.clone(),
        kind: kind_of(block),
        identity: identity.unwrap_or_else(|| Identity::whole(own_id(block))),
        number: block.number,
        bytes: block.bytes,
        read_only: block.read_only,
        on,
        names,
        dm: block.dm.clone(),
        partition,
        content: kind.map(|kind| FileSystem {
            kind,
            uuid: block.prop("ID_FS_UUID").map(str::to_owned),
            label: block.words("ID_FS_LABEL"),
        }),
        table_uuid: block.prop("ID_PART_TABLE_UUID").filter(|_| block.partition.is_none()).map(str::to_owned),
        mounts: block.mounts.clone(),
        detail: block.file.clone().or_else(|| block.md.clone().filter(|level| !level.is_empty())),
    }
}

fn kind_of(block: &Block) -> DeviceKind {
    if let Some((_, uuid)) = &block.dm {
        return match uuid.split('-').next() {
            Some("mpath") => DeviceKind::Multipath,
            Some("LVM") => DeviceKind::Lvm,
            Some("CRYPT") => DeviceKind::Crypt,
            Some(_) if block.dm_part().is_some() => DeviceKind::Partition,
            _ => DeviceKind::Dm,
        };
    }
    match () {
        () if block.partition.is_some() => DeviceKind::Partition,
        () if block.md.is_some() => DeviceKind::Md,
        () if block.sort == Sort::Bcache => DeviceKind::Bcache,
        () if block.kernel.starts_with("loop") => DeviceKind::Loop,
        () if block.sort == Sort::Rom => DeviceKind::Rom,
        () if block.is_hardware() => DeviceKind::Disk,
        () => DeviceKind::Other,
    }
}
