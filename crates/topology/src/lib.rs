//! Storage of a host: adapters, targets, LUNs, paths, and every name of a device.
//!
//! Owns: reading all of it from a tree of files as Linux shows it ([`read_linux`]; the live machine, a dump, or a host
//! read through an agent, by [`Tree`]), from documents and outputs that were saved ([`read_saved`]), and telling that
//! two spellings are one device ([`NameIndex`]). Promises: work and memory are bounded whatever the tree holds; a
//! device is known by what it says of itself, never by one spelling; two candidates are an error, never a guess. Does
//! not: open a device, start a program, or change anything.

mod findings;
mod ident;
mod linux;
mod model;
mod names;
mod nodedev;
mod probe;
mod saved;
mod text;
mod tree;

pub use findings::check;
pub use ident::{
    Association, Designator, DesignatorKind, DeviceIds, DiskId, IdKind, Identity, IdentityError, VpdError,
    decode_page_80, decode_page_83,
};
pub use linux::{TopologyError, read_linux};
pub use model::{
    Adapter, Device, DeviceKind, FileSystem, Hctl, Lun, LunKind, Map, Partition, Path, PathState, Remark,
    Session, Source, SourceKind, Target, Topology, Transport,
};
pub use names::{Alias, Form, How, NameIndex, ParsedName, Reading, ResolveError, Resolved, parse_name};
pub use nodedev::{NodedevError, read_nodedev};
pub use probe::{ProbeError, probe_tree};
pub use saved::{SavedError, read_saved};
pub use text::{TextError, read_text};
pub use tree::{MemTree, RealTree, Tree, TreeError};
