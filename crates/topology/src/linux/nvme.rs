//! NVMe: controllers, subsystems, namespaces.
//!
//! Promises: a namespace of the kernel's own multipath has one path per controller that holds it, with its ANA state.

use std::collections::BTreeSet;

use super::block::Block;
use super::place::{Place, is_controller};
use crate::ident::{DeviceIds, DiskId, IdKind};
use crate::model::{PathState, Transport};
use crate::names::nvme;
use crate::tree::View;

/// A controller.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) state: Option<String>,
    pub(super) address: Option<String>,
    pub(super) transport: Transport,
    pub(super) nqn: Option<String>,
}

/// One way to a namespace.
#[derive(Debug)]
pub(super) struct NvmePath {
    pub(super) block: String,
    pub(super) controller: String,
    pub(super) number: Option<u64>,
    pub(super) state: PathState,
    pub(super) words: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Nvme {
    pub(super) controllers: Vec<Controller>,
    pub(super) paths: Vec<NvmePath>,
}

pub(super) fn read(view: &View<'_>, blocks: &[Block]) -> Nvme {
    let mut dirs = BTreeSet::new();
    for name in view.list("sys/class/nvme").into_iter().filter(|name| is_controller(name)) {
        dirs.extend(view.resolve(&format!("sys/class/nvme/{name}")).map(|dir| (name, dir)));
    }
    for block in blocks {
        if let Some(name) = &block.place.nvme
            && let Some((head, _)) = block.dir.split_once(&format!("/{name}/"))
        {
            dirs.insert((name.clone(), format!("{head}/{name}")));
        }
    }
    let mut result = Nvme::default();
    for (name, dir) in &dirs {
        result.controllers.push(controller(view, name, dir));
    }
    for block in blocks.iter().filter(|block| block.kernel.starts_with("nvme") && block.is_hardware()) {
        let number = view.number(&format!("{}/nsid", block.dir));
        let path = |controller: &Controller, access: Option<String>| {
            let mut words: Vec<String> = controller.state.iter().cloned().collect();
            words.extend(access.iter().cloned());
            let state = match (controller.state.as_deref(), access.as_deref()) {
                (Some("live"), None | Some("optimized" | "non-optimized")) => PathState::Up,
                (Some("live"), Some("inaccessible")) => PathState::Standby,
                (None, _) => PathState::Unknown,
                _ => PathState::Down,
            };
            let (block, controller) = (block.kernel.clone(), controller.name.clone());
            NvmePath { block, controller, number, state, words: words.join(", ") }
        };
        let direct = |name: &str| result.controllers.iter().find(|controller| controller.name == name);
        if let Some(controller) = block.place.nvme.as_deref().and_then(direct) {
            result.paths.push(path(controller, None));
            continue;
        }
        let Some(subsystem) = &block.place.subsystem else { continue };
        let root = format!("sys/class/nvme-subsystem/{subsystem}");
        for name in view.list(&root).into_iter().filter(|name| is_controller(name)) {
            let Some(controller) = direct(&name) else { continue };
            let hidden = hidden_name(&block.kernel, &name);
            let Some((_, dir)) = dirs.iter().find(|(known, _)| *known == name) else { continue };
            let there = hidden.filter(|hidden| view.there(&format!("{dir}/{hidden}")));
            if let Some(hidden) = there {
                result.paths.push(path(controller, view.text(&format!("{dir}/{hidden}/ana_state"))));
            }
        }
    }
    result
}

/// `nvme0n1` through controller `nvme1` is `nvme0c1n1`.
fn hidden_name(block: &str, controller: &str) -> Option<String> {
    let (subsystem, namespace) = block.strip_prefix("nvme")?.split_once('n')?;
    Some(format!("nvme{subsystem}c{}n{namespace}", controller.strip_prefix("nvme")?))
}

fn controller(view: &View<'_>, name: &str, dir: &str) -> Controller {
    let at = |file: &str| view.text(&format!("{dir}/{file}"));
    let transport = match at("transport").as_deref() {
        Some("pcie") | None => Transport::Nvme,
        Some(_) => Transport::NvmeFabrics,
    };
    Controller {
        name: name.to_owned(),
        place: Place::of(dir),
        model: at("model"),
        serial: at("serial"),
        firmware: at("firmware_rev"),
        state: at("state"),
        address: at("address"),
        transport,
        nqn: at("subsysnqn"),
    }
}

/// The ids of a namespace.
pub(super) fn ids(view: &View<'_>, block: &Block, controller: Option<&Controller>, ids: &mut DeviceIds) {
    let at = |file: &str| view.text(&format!("{}/{file}", block.dir));
    let wwid = at("wwid").or_else(|| at("device/wwid"));
    wwid.as_deref().and_then(nvme).into_iter().for_each(|id| ids.add(id));
    let zero = |text: &str| text.bytes().all(|b| matches!(b, b'0' | b' ' | b'-'));
    for (file, kind) in [("eui", IdKind::Eui), ("nguid", IdKind::Eui), ("uuid", IdKind::Uuid)] {
        if let Some(text) = at(file).filter(|text| !zero(text)) {
            let text = if kind == IdKind::Eui { text.replace([' ', '-'], "") } else { text };
            ids.extend_one(DiskId::new(kind, &text).ok());
        }
    }
    if let Some(controller) = controller
        && let (Some(model), Some(serial)) = (&controller.model, &controller.serial)
    {
        let base = format!("{model} {serial}");
        ids.take(IdKind::NvmeSerial, &base);
        if let Some(number) = view.number(&format!("{}/nsid", block.dir)) {
            ids.take(IdKind::NvmeSerial, &format!("{base} {number}"));
        }
    }
}
