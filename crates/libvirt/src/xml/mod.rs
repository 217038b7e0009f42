//! Facts out of libvirt's XML.
//!
//! Owns: a bounded reader, and for each kind of document the facts that callers decide by. Promises: bytes, elements
//! and depth are bounded; no entity of a document is expanded, and one that declares any is refused; what is not known
//! is passed over, because every release adds elements. Does not: write XML.

mod capabilities;
mod devices;
mod domain;
mod domain_capabilities;
mod storage;
mod tree;

pub use capabilities::{GuestArch, HostFacts, MachineType, capabilities};
pub use devices::{
    DiskFacts, DiskSource, FilesystemFacts, GraphicsFacts, HostDeviceFacts, InterfaceFacts, TpmFacts,
};
pub use domain::{CpuFacts, CpuFeature, DomainFacts, Firmware, SecurityLabel, domain};
pub use domain_capabilities::{CpuModelFacts, DomainCapabilityFacts, domain_capabilities};
pub use storage::{NetworkFacts, PoolFacts, PoolSource, VolumeFacts, network, storage_pool, volume};
pub use tree::{Element, XmlError, parse};
