//! Adapters: SCSI hosts, NVMe controllers, virtio and others.
//!
//! Promises: a host without any device is there too, for a port whose cable is out has none. Does not: tell what a host
//! is by lists of drivers; what its devices and its classes say decides.

use std::collections::BTreeMap;

use super::block::Block;
use super::nvme::Nvme;
use super::place::Place;
use super::scsi::{ScsiDevice, address, portals};
use crate::model::{Adapter, Session, Transport};
use crate::tree::View;

pub(super) fn read(view: &View<'_>, scsi: &[ScsiDevice], nvme: &Nvme, blocks: &[Block]) -> Vec<Adapter> {
    let mut found: BTreeMap<String, Adapter> = BTreeMap::new();
    for name in view.list("sys/class/scsi_host") {
        let Some(dir) = view.resolve(&format!("sys/class/scsi_host/{name}")) else { continue };
        found.insert(name.clone(), host(view, &name, &Place::of(&dir)));
    }
    for device in scsi {
        let Some(name) = &device.place.host else { continue };
        let adapter = found.entry(name.clone()).or_insert_with(|| host(view, name, &device.place));
        if adapter.transport == Transport::Scsi {
            adapter.transport = device.transport;
        }
    }
    for controller in &nvme.controllers {
        let mut adapter = Adapter::new(controller.name.clone(), controller.transport);
        let pci = controller.place.pci.clone();
        adapter.driver = driver(view, &controller.place);
        adapter.address = pci.or_else(|| controller.address.clone());
        adapter.model.clone_from(&controller.model);
        adapter.state.clone_from(&controller.state);
        found.insert(controller.name.clone(), adapter);
    }
    for block in blocks.iter().filter(|block| block.is_hardware()) {
        if block.place.hctl.is_some() || block.kernel.starts_with("nvme") {
            continue;
        }
        let (name, transport) = other(block);
        found.entry(name.clone()).or_insert_with(|| {
            let mut adapter = Adapter::new(name, transport);
            adapter.address.clone_from(&block.place.pci);
            adapter.driver = driver(view, &block.place).or_else(|| {
                view.target_name(&format!(
                    "{}/driver",
                    block.dir.rsplit_once("/block/").map_or("", |(dir, _)| dir)
                ))
            });
            adapter.model = pci_model(view, &block.place);
            adapter
        });
    }
    found.into_values().collect()
}

/// Adapter of a disk that is neither SCSI nor NVMe.
pub(super) fn other(block: &Block) -> (String, Transport) {
    let place = &block.place;
    if let Some(virtio) = &place.virtio {
        return (virtio.clone(), Transport::Virtio);
    }
    if let Some(mmc) = &place.mmc {
        return (mmc.clone(), Transport::Mmc);
    }
    if let Some(vbd) = &place.vbd {
        return (vbd.clone(), Transport::Xen);
    }
    let above = block.dir.rsplit_once("/block/").map_or("", |(above, _)| above);
    let name = above.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown");
    // `cciss0/c0d0`: the controller stands above.
    if block.kernel.starts_with("cciss!") {
        let controller = above.rsplit('/').nth(1).filter(|name| name.starts_with("cciss"));
        return (controller.unwrap_or(name).to_owned(), Transport::Scsi);
    }
    (name.to_owned(), Transport::Other)
}

fn host(view: &View<'_>, name: &str, place: &Place) -> Adapter {
    let scsi = |file: &str| view.text(&format!("sys/class/scsi_host/{name}/{file}"));
    let fc = |file: &str| view.text(&format!("sys/class/fc_host/{name}/{file}"));
    let iscsi = |file: &str| view.text(&format!("sys/class/iscsi_host/{name}/{file}"));
    let mut adapter = Adapter::new(name, Transport::Scsi);
    adapter.address.clone_from(&place.pci);
    adapter.driver = driver(view, place).or_else(|| scsi("proc_name"));
    adapter.model = pci_model(view, place);
    adapter.state = scsi("state");
    adapter.transport = match () {
        () if place.ata => Transport::Ata,
        () if place.usb => Transport::Usb,
        () if place.virtio.is_some() => Transport::Virtio,
        () => Transport::Scsi,
    };
    if view.there(&format!("sys/class/fc_host/{name}")) {
        let ethernet = scsi("proc_name").is_some_and(|driver| driver.contains("fcoe"));
        adapter.transport = if ethernet { Transport::Fcoe } else { Transport::Fc };
        adapter.wwnn = fc("node_name").and_then(|name| address(&name));
        adapter.wwpn = fc("port_name").and_then(|name| address(&name));
        adapter.speed = fc("speed");
        adapter.state = fc("port_state").or(adapter.state);
        adapter.model = fc("symbolic_name").or_else(|| scsi("model_name")).or(adapter.model);
    } else if view.there(&format!("sys/class/iscsi_host/{name}")) {
        adapter.transport = Transport::Iscsi;
        adapter.iqn = iscsi("initiatorname").filter(|name| name != "<NULL>" && name != "(null)");
        adapter.address =
            adapter.address.or_else(|| iscsi("ipaddress").filter(|address| address != "<NULL>"));
    } else if view.there(&format!("sys/class/sas_host/{name}")) {
        adapter.transport = Transport::Sas;
    }
    adapter.sas_address = scsi("host_sas_address").and_then(|text| address(&text));
    for session in view.list("sys/class/iscsi_session") {
        let Some(dir) = view.resolve(&format!("sys/class/iscsi_session/{session}")) else { continue };
        if Place::of(&dir).host.as_deref() != Some(name) {
            continue;
        }
        let at = |file: &str| view.text(&format!("sys/class/iscsi_session/{session}/{file}"));
        if adapter.iqn.is_none() {
            adapter.iqn = at("initiatorname");
        }
        adapter.transport = Transport::Iscsi;
        adapter.sessions.push(Session {
            target: at("targetname").unwrap_or_default(),
            portal: portals(view, &session).into_iter().next(),
            state: at("state"),
            id: session,
        });
    }
    adapter
}

fn driver(view: &View<'_>, place: &Place) -> Option<String> {
    view.target_name(&format!("{}/driver", place.pci_dir.as_deref()?))
}

/// Numbers of vendor and device: `pci 1af4:1001`.
fn pci_model(view: &View<'_>, place: &Place) -> Option<String> {
    let dir = place.pci_dir.as_deref()?;
    let number = |file: &str| Some(view.text(&format!("{dir}/{file}"))?.trim_start_matches("0x").to_owned());
    Some(format!("pci {}:{}", number("vendor")?, number("device")?))
}
