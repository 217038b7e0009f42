//! The whole reading, in order.
//!
//! Owns: [`read_linux`]. Promises: what is not there is absent in the result; a file that is odd becomes a remark; only a
//! tree without block devices, and one that would never end, are errors.

use thiserror::Error;

use super::{adapters, assemble, block, links, mounts, nvme, scsi};
use crate::model::{SourceKind, Topology};
use crate::tree::{Tree, View};

/// Why there is no topology.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// No block devices at all.
    #[error("there is no sys/block and no sys/class/block under this root: not the files of a Linux host")]
    NoSysfs,
    /// More than any host has.
    #[error("reading the tree took more than four million looks; it is no tree of a real host")]
    Endless,
}

/// Reads a host.
pub fn read_linux(tree: &dyn Tree) -> Result<Topology, TopologyError> {
    let view = View::new(tree);
    if !view.there("sys/block") && !view.there("sys/class/block") {
        return Err(TopologyError::NoSysfs);
    }
    let mut blocks = block::read(&view);
    links::read(&view, &mut blocks);
    mounts::read(&view, &mut blocks);
    let scsi = scsi::read(&view, &blocks);
    let nvme = nvme::read(&view, &blocks);
    let adapters = adapters::read(&view, &scsi, &nvme, &blocks);
    let mut topology = Topology::new(SourceKind::Linux);
    topology.adapters = adapters;
    assemble::assemble(&view, &mut topology, &blocks, &scsi, &nvme);
    if view.exhausted() {
        return Err(TopologyError::Endless);
    }
    topology.source.forms.push("sysfs".to_owned());
    topology.remarks = view.into_remarks();
    topology.sort();
    Ok(topology)
}
