//! What calls take and give: names of things, states, figures.
//!
//! All are plain values; none holds a connection.

/// A number of libvirt as an enum: known values have names, others are kept as they are.
macro_rules! wire_enum {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal, $words:literal;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A number that this client has no name for.
            Other(i32),
        }

        impl $name {
            /// From libvirt's number.
            #[must_use]
            pub fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// In words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                    Self::Other(_) => "unknown",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::Other(number) => write!(to, "unknown ({number})"),
                    known => to.write_str(known.words()),
                }
            }
        }
    )*};
}
pub(crate) use wire_enum;

mod job;
mod names;
mod node;
mod params;
pub mod reason;
mod state;
mod storage;

pub(crate) use job::JOB_STATS_LIMIT;
pub use job::{JobInfo, JobKind, JobOperation, JobStats};
pub(crate) use names::Travels;
pub use names::{
    Checkpoint, Domain, Interface, Network, NodeDevice, StoragePool, StorageVolume, Uuid, UuidError,
};
pub use node::{CpuComparison, NodeInfo, Version};
pub use params::{TypedParams, TypedValue};
pub use state::{BlockInfo, DomainInfo, DomainState, StateAndReason};
pub use storage::{PoolInfo, PoolState, VolumeInfo, VolumeKind};
