//! State and figures of a domain.

use super::reason;
use crate::xdr::{Decoder, XdrError};

wire_enum! {
    /// State of a domain.
    DomainState {
        /// None.
        NoState = 0, "no state";
        /// Running.
        Running = 1, "running";
        /// Waiting for a resource.
        Blocked = 2, "blocked";
        /// Paused.
        Paused = 3, "paused";
        /// Shutting down.
        Shutdown = 4, "shutting down";
        /// Off.
        Shutoff = 5, "shut off";
        /// Crashed.
        Crashed = 6, "crashed";
        /// Asleep by power management.
        PmSuspended = 7, "suspended by power management";
    }
}

/// A domain's state and how it came into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateAndReason {
    /// The state.
    pub state: DomainState,
    /// A number whose meaning depends on the state; the ones that matter are in [`reason`].
    pub reason: i32,
}

impl StateAndReason {
    /// The reason in words, as `virsh domstate --reason` has it.
    pub fn reason_words(self) -> &'static str {
        reason::words(self.state, self.reason)
    }
}

/// Figures of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainInfo {
    /// Its state.
    pub state: DomainState,
    /// The most memory that it may have, in KiB.
    pub max_memory_kib: u64,
    /// What it has, in KiB.
    pub memory_kib: u64,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// CPU time used, in nanoseconds.
    pub cpu_time_ns: u64,
}

impl DomainInfo {
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self {
            state: DomainState::from_number(from.int()?),
            max_memory_kib: from.unsigned_hyper()?,
            memory_kib: from.unsigned_hyper()?,
            vcpus: from.unsigned()?,
            cpu_time_ns: from.unsigned_hyper()?,
        })
    }
}

/// Sizes of a domain's disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockInfo {
    /// Bytes that are written somewhere.
    pub allocation: u64,
    /// Bytes that the guest sees.
    pub capacity: u64,
    /// Size of the container on the host.
    pub physical: u64,
}
