//! A topology put together from lines.
//!
//! Promises: a LUN, path, target or adapter that is told twice stands once; later lines add to earlier ones.

use std::collections::BTreeMap;

use crate::ident::{DeviceIds, DiskId, Identity};
use crate::model::{
    Adapter, Device, DeviceKind, Hctl, Lun, LunKind, Path, PathState, SourceKind, Target, Topology, Transport,
};

#[derive(Debug)]
pub(super) struct Builder {
    topology: Topology,
    luns: BTreeMap<DiskId, usize>,
    paths: BTreeMap<(DiskId, String), usize>,
    adapters: BTreeMap<String, usize>,
    targets: BTreeMap<String, usize>,
    devices: BTreeMap<String, usize>,
}

/// What a line tells of a path; the rest is added by hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) adapter: String,
    pub(super) target: Option<String>,
    pub(super) hctl: Option<Hctl>,
    pub(super) number: Option<u64>,
    pub(super) device: Option<String>,
    pub(super) name: Option<String>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            topology: Topology::new(SourceKind::Outputs),
            luns: BTreeMap::new(),
            paths: BTreeMap::new(),
            adapters: BTreeMap::new(),
            targets: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// Notes what was understood.
    pub(super) fn form(&mut self, form: &str) {
        if !self.topology.source.forms.iter().any(|known| known == form) {
            self.topology.source.forms.push(form.to_owned());
        }
    }

    pub(super) fn adapter(&mut self, id: &str, transport: Transport, change: impl FnOnce(&mut Adapter)) {
        let at = *self.adapters.entry(id.to_owned()).or_insert_with(|| {
            self.topology.adapters.push(Adapter::new(id, transport));
            self.topology.adapters.len() - 1
        });
        if let Some(adapter) = self.topology.adapters.get_mut(at) {
            if adapter.transport == Transport::Other {
                adapter.transport = transport;
            }
            change(adapter);
        }
    }

    pub(super) fn target(&mut self, id: &str, transport: Transport, change: impl FnOnce(&mut Target)) {
        let at = *self.targets.entry(id.to_owned()).or_insert_with(|| {
            self.topology.targets.push(Target::new(id, transport));
            self.topology.targets.len() - 1
        });
        if let Some(target) = self.topology.targets.get_mut(at) {
            change(target);
        }
    }

    pub(super) fn lun(&mut self, id: &DiskId, change: impl FnOnce(&mut Lun)) {
        let at = *self.luns.entry(id.clone()).or_insert_with(|| {
            let mut ids = DeviceIds::default();
            ids.add(id.clone());
            self.topology.luns.push(Lun {
                identity: Identity::whole(id.clone()),
                kind: LunKind::Disk,
                bytes: None,
                vendor: None,
                model: None,
                revision: None,
                serial: None,
                ids,
                map: None,
                devices: Vec::new(),
            });
            self.topology.luns.len() - 1
        });
        if let Some(lun) = self.topology.luns.get_mut(at) {
            change(lun);
        }
    }

    pub(super) fn path(
        &mut self,
        id: &DiskId,
        seen: Seen,
        transport: Transport,
        change: impl FnOnce(&mut Path),
    ) {
        self.lun(id, |_| ());
        if !seen.adapter.is_empty() {
            self.adapter(&seen.adapter, transport, |_| ());
        }
        if let Some(target) = &seen.target {
            self.target(target, transport, |_| ());
        }
        let key = seen.name.clone().or_else(|| seen.hctl.map(|hctl| hctl.to_string())).unwrap_or_default();
        let at = *self.paths.entry((id.clone(), key)).or_insert_with(|| {
            self.topology.paths.push(Path {
                lun: Identity::whole(id.clone()),
                adapter: seen.adapter,
                target: seen.target.clone(),
                hctl: seen.hctl,
                number: seen.number,
                device: seen.device,
                name: seen.name,
                state: PathState::Unknown,
                words: String::new(),
                transport,
                bytes: None,
                serial: None,
            });
            self.topology.paths.len() - 1
        });
        if let Some(path) = self.topology.paths.get_mut(at) {
            if path.target.is_none() {
                path.target = seen.target;
            }
            if path.transport == Transport::Other {
                path.transport = transport;
            }
            change(path);
        }
    }

    /// A block device; the first line that names it decides what it is.
    pub(super) fn device(
        &mut self,
        kernel: &str,
        kind: DeviceKind,
        identity: &Identity,
        more: impl FnOnce(&mut Device),
    ) {
        let at = *self.devices.entry(kernel.to_owned()).or_insert_with(|| {
            self.topology.devices.push(Device {
                kernel: kernel.to_owned(),
                kind,
                identity: identity.clone(),
                number: None,
                bytes: None,
                read_only: false,
                on: Vec::new(),
                names: vec![format!("/dev/{kernel}")],
                dm: None,
                partition: None,
                content: None,
                table_uuid: None,
                mounts: Vec::new(),
                detail: None,
            });
            self.topology.devices.len() - 1
        });
        if let Some(device) = self.topology.devices.get_mut(at).filter(|device| device.identity == *identity)
        {
            more(device);
        }
        let number = self.luns.get(&identity.disk).filter(|_| identity.part.is_none());
        if let Some(lun) = number.and_then(|at| self.topology.luns.get_mut(*at))
            && !lun.devices.iter().any(|known| known == kernel)
        {
            lun.devices.push(kernel.to_owned());
        }
    }

    pub(super) fn finish(mut self) -> Option<Topology> {
        if self.topology.source.forms.is_empty() {
            return None;
        }
        self.topology.sort();
        Some(self.topology)
    }
}

/// `54T`, `2.0G`, `69376MB`: bytes, rounded as the program did.
pub(super) fn rough_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let shift = match unit.trim().chars().next()?.to_ascii_uppercase() {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        'P' => 50,
        _ => return None,
    };
    let bytes = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    let tenths = part.chars().next().and_then(|c| c.to_digit(10)).unwrap_or(0);
    bytes.checked_add((u64::from(tenths) << shift) / 10)
}
