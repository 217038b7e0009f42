//! What a topology is made of.

mod device;
mod parts;
mod topology;

pub use device::{Device, DeviceKind, FileSystem, Partition};
pub use parts::{Adapter, Hctl, Lun, LunKind, Map, Path, PathState, Session, Target, Transport};
pub use topology::{Remark, Source, SourceKind, Topology};
