//! The devices of a machine, as `lifeboat-topology` knows them.

use lifeboat_topology::{Identity, NameIndex, ResolveError, Resolved, Topology};

use super::{Device, DeviceError, Devices};

/// Most devices that are named to a person.
const CANDIDATES: usize = 12;

/// The devices of a machine.
#[derive(Debug)]
pub struct MachineDevices {
    index: NameIndex,
    candidates: Vec<String>,
}

impl MachineDevices {
    /// Gathers the names of a machine.
    pub fn new(topology: &Topology) -> Self {
        let index = NameIndex::new(topology);
        let lasting = topology.devices.iter().filter(|device| device.identity.is_durable());
        let candidates =
            lasting.take(CANDIDATES).map(|device| format!("/dev/{} ({})", device.kernel, device.identity));
        Self { candidates: candidates.collect(), index }
    }
}

impl Devices for MachineDevices {
    fn resolve(&self, name: &str) -> Result<Device, DeviceError> {
        self.index.resolve(name).map(device).map_err(error)
    }

    fn find(&self, identity: &str) -> Result<Device, DeviceError> {
        let identity: Identity = identity.parse().map_err(|_| DeviceError::Unknown)?;
        self.index.find(&identity).map(device).map_err(error)
    }

    fn names_of(&self, identity: &str) -> Vec<String> {
        let Ok(identity) = identity.parse::<Identity>() else { return Vec::new() };
        let present = self.index.names_of(&identity).into_iter().filter(|alias| alias.present);
        let mut names: Vec<String> = present.map(|alias| alias.name).collect();
        // An id before a place, and the form that says most before the others.
        let rank = |name: &String| {
            let order = [
                "/dev/disk/by-id/wwn-",
                "/dev/disk/by-id/nvme-",
                "/dev/disk/by-id/",
                "/dev/mapper/",
                "/dev/disk/by-",
            ];
            order.iter().position(|start| name.starts_with(start)).unwrap_or(order.len())
        };
        names.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
        names.dedup();
        names
    }

    fn candidates(&self) -> Vec<String> {
        self.candidates.clone()
    }
}

fn device(found: Resolved) -> Device {
    Device {
        durable: found.identity.is_durable(),
        identity: found.identity.to_string(),
        node: found.node,
        why: found.why,
    }
}

fn error(error: ResolveError) -> DeviceError {
    match error {
        ResolveError::Ambiguous { candidates, .. } => DeviceError::Ambiguous { candidates },
        ResolveError::NoPartition { disk, .. } => DeviceError::NoPartition { disk },
        _ => DeviceError::Unknown,
    }
}
