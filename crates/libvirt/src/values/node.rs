//! Figures of a host.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::xdr::{Decoder, XdrError};

/// A version as libvirt counts: major × 1,000,000 + minor × 1,000 + micro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl Version {
    /// First number.
    pub const fn major(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Second number.
    pub const fn minor(self) -> u64 {
        self.0 / 1_000 % 1_000
    }

    /// Third number.
    pub const fn micro(self) -> u64 {
        self.0 % 1_000
    }
}

impl fmt::Display for Version {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}.{}.{}", self.major(), self.minor(), self.micro())
    }
}

/// A host's processor and memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Architecture of the processor, as `x86_64`.
    pub cpu_model: String,
    /// Memory in KiB.
    pub memory_kib: u64,
    /// Active processors.
    pub cpus: u32,
    /// Clock in MHz; 0 when unknown.
    pub mhz: u32,
    /// NUMA cells; 1 for a uniform or unusual machine.
    pub numa_nodes: u32,
    /// Sockets per cell.
    pub sockets: u32,
    /// Cores per socket.
    pub cores: u32,
    /// Threads per core.
    pub threads: u32,
}

impl NodeInfo {
    /// XDR sends each character of the fixed array `model[32]` as a word.
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let mut model = Vec::with_capacity(32);
        for _ in 0..32 {
            model.extend(u8::try_from(from.int()? & 0xff));
        }
        let end = model.iter().position(|byte| *byte == 0).unwrap_or(model.len());
        model.truncate(end);
        let memory_kib = from.unsigned_hyper()?;
        let mut number = || Ok(u32::try_from(from.int()?).unwrap_or(0));
        Ok(Self {
            cpu_model: String::from_utf8_lossy(&model).into_owned(),
            memory_kib,
            cpus: number()?,
            mhz: number()?,
            numa_nodes: number()?,
            sockets: number()?,
            cores: number()?,
            threads: number()?,
        })
    }
}

wire_enum! {
    /// How a host's CPU compares with a wanted one.
    CpuComparison {
        /// It lacks something.
        Incompatible = 0, "incompatible";
        /// The same.
        Identical = 1, "identical";
        /// It has all and more.
        Superset = 2, "superset";
    }
}
