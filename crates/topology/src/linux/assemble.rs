//! From what was read to LUNs, paths and targets.
//!
//! Owns: what stands in each path and LUN. Does not: decide which paths are one LUN (that is `group`), nor what stands
//! upon disks (that is `upon`).

use super::adapters::other;
use super::block::{Block, Sort};
use super::group::{Groups, maps, nobody, place_id};
use super::nvme::{self, Nvme};
use super::scsi::ScsiDevice;
use super::upon::devices;
use crate::ident::{DeviceIds, DiskId, IdKind};
use crate::model::{Lun, LunKind, Path, PathState, Topology, Transport};
use crate::tree::View;

pub(super) fn assemble(
    view: &View<'_>,
    topology: &mut Topology,
    blocks: &[Block],
    scsi: &[ScsiDevice],
    nvme: &Nvme,
) {
    let maps = maps(blocks);
    let mut groups = Groups::default();
    for device in scsi {
        let block = device.block.as_deref().and_then(|name| blocks.iter().find(|block| block.kernel == name));
        let mut ids = device.ids.clone();
        if let Some(block) = block {
            block.add_ids(&mut ids);
        }
        let fallback =
            place_id(block).or_else(|| DiskId::new(IdKind::Place, &format!("scsi-{}", device.hctl)).ok());
        let lun = Lun {
            vendor: device.vendor.clone(),
            model: device.model.clone(),
            revision: device.revision.clone(),
            serial: device.serial.clone(),
            kind: device.kind,
            ..lun_of(block)
        };
        if !topology.targets.iter().any(|target| target.id == device.target.id) {
            topology.targets.push(device.target.clone());
        }
        let path = Path {
            adapter: device.place.host.clone().unwrap_or_default(),
            target: Some(device.target.id.clone()),
            hctl: Some(device.hctl),
            number: Some(device.hctl.lun),
            state: device.state,
            words: device.words.clone(),
            transport: device.transport,
            serial: device.serial.clone(),
            ..path_of(block)
        };
        groups.add(block, &maps, ids, fallback, lun, vec![path]);
    }
    for block in blocks.iter().filter(|block| block.is_hardware() && block.place.hctl.is_none()) {
        let mut ids = DeviceIds::default();
        block.add_ids(&mut ids);
        let text = |name: &str| view.text(&format!("{}/{name}", block.dir));
        let mut lun = lun_of(Some(block));
        let mut paths = Vec::new();
        if block.kernel.starts_with("nvme") {
            let mine = nvme.paths.iter().filter(|path| path.block == block.kernel);
            for one in mine {
                let controller = nvme.controllers.iter().find(|known| known.name == one.controller);
                nvme::ids(view, block, controller, &mut ids);
                let (Some(controller), false) = (controller, lun.model.is_some()) else {
                    paths.push(nvme_path(block, one, controller));
                    continue;
                };
                lun.model.clone_from(&controller.model);
                lun.serial.clone_from(&controller.serial);
                lun.revision.clone_from(&controller.firmware);
                subsystem(topology, controller);
                paths.push(nvme_path(block, one, Some(controller)));
            }
        } else {
            let serial = text("serial").or_else(|| text("device/serial")).or_else(|| {
                block.prop("ID_SERIAL_SHORT").or_else(|| block.prop("ID_SERIAL")).map(str::to_owned)
            });
            if let (Some(serial), true) = (&serial, block.place.virtio.is_some()) {
                ids.take(IdKind::Virtio, serial);
            }
            let unique = text("device/unique_id");
            ids.extend_one(unique.as_deref().and_then(DiskId::of_hex));
            lun.serial = serial;
            lun.vendor = text("device/vendor").filter(|vendor| !vendor.starts_with("0x"));
            lun.model = text("device/model").or_else(|| text("device/name"));
            let (adapter, transport) = other(block);
            paths.push(Path { adapter, transport, state: PathState::Up, ..path_of(Some(block)) });
        }
        groups.add(Some(block), &maps, ids, place_id(Some(block)), lun, paths);
    }
    groups.finish(topology, &maps);
    devices(topology, blocks);
}

fn nvme_path(block: &Block, one: &nvme::NvmePath, controller: Option<&nvme::Controller>) -> Path {
    Path {
        adapter: one.controller.clone(),
        target: controller.and_then(|controller| controller.nqn.clone()),
        number: one.number,
        state: one.state,
        words: one.words.clone(),
        transport: controller.map_or(Transport::Nvme, |controller| controller.transport),
        ..path_of(Some(block))
    }
}

fn subsystem(topology: &mut Topology, controller: &nvme::Controller) {
    let Some(nqn) = &controller.nqn else { return };
    let known = topology.targets.iter().position(|target| target.id == *nqn);
    let at = known.unwrap_or_else(|| {
        let mut target = crate::model::Target::new(nqn.clone(), controller.transport);
        target.nqn = Some(nqn.clone());
        topology.targets.push(target);
        topology.targets.len() - 1
    });
    if let (Some(target), Some(address)) = (topology.targets.get_mut(at), &controller.address)
        && controller.transport == Transport::NvmeFabrics
        && !target.portals.contains(address)
    {
        target.portals.push(address.clone());
    }
}

fn lun_of(block: Option<&Block>) -> Lun {
    Lun {
        identity: nobody(),
        kind: if block.is_some_and(|block| block.sort == Sort::Rom) { LunKind::Rom } else { LunKind::Disk },
        bytes: block.and_then(|block| block.bytes),
        vendor: None,
        model: None,
        revision: None,
        serial: None,
        ids: DeviceIds::default(),
        map: None,
        devices: block.iter().map(|block| block.kernel.clone()).collect(),
    }
}

fn path_of(block: Option<&Block>) -> Path {
    Path {
        lun: nobody(),
        adapter: String::new(),
        target: None,
        hctl: None,
        number: None,
        device: block.map(|block| block.kernel.clone()),
        name: None,
        state: PathState::Unknown,
        words: String::new(),
        transport: Transport::Other,
        bytes: block.and_then(|block| block.bytes),
        serial: None,
    }
}
