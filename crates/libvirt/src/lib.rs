//! A client of libvirt's RPC protocol: hosts, domains, migration, storage, networks, events.
//!
//! Owns: the protocol's bytes, the transports (local socket, TCP, TLS, SSH), a connection with its own thread, typed
//! calls, and reading the facts that matter out of libvirt's XML. Promises: no C library; bytes of a daemon are
//! bounded before memory is taken for them; every call ends within its time or with the connection. Does not: decide
//! anything, open a connection anew, or write XML. Why it is a client of our own: `docs/design/libvirt-client.md`.
//!
//! ```no_run
//! use lifeboat_libvirt::{Connection, DomainFilter, Uri};
//!
//! let connection = Connection::open(&Uri::parse("qemu+ssh://root@host1/system")?)?;
//! for domain in connection.domains(DomainFilter::ACTIVE)? {
//!     println!("{} is {}", domain.name, connection.domain_state(&domain)?.state);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod connection;
mod error;
mod event;
mod flags;
pub mod frame;
mod link;
mod mailbox;
mod procedure;
mod remote_error;
mod transport;
mod uri;
mod values;
pub mod xdr;
pub mod xml;

pub use calls::{DomainCapabilitiesQuery, MetadataKind, MigrateParams, Migration, MigrationCall};
pub use connection::{ConnectOptions, Connection};
pub use error::{CloseReason, ConnectError, Error};
pub use event::{
    BlockJobKind, BlockJobStatus, DefinedHow, Event, EventKind, Lifecycle, ResumedWhy, StartedHow,
    StoppedWhy, SuspendedWhy,
};
pub use flags::{
    AbortFlags, Affect, BackupFlags, BaselineFlags, CheckpointDeleteFlags, CheckpointFlags,
    CheckpointXmlFlags, CompareFlags, DefineFlags, DestroyFlags, DomainFilter, InterfaceFilter,
    JobStatsFlags, MigrateFlags, NetworkFilter, NodeDeviceFilter, PoolFilter, SaveFlags, ShutdownFlags,
    StartFlags, UndefineFlags, VolumeCreateFlags, XmlFlags,
};
pub use link::Keepalive;
pub use procedure::Procedure;
pub use remote_error::{ErrorCode, RemoteError};
pub use transport::PkiError;
pub use uri::{SshProxy, SshTransport, Transport, Uri, UriError};
pub use values::reason;
pub use values::{
    BlockInfo, Checkpoint, CpuComparison, Domain, DomainInfo, DomainState, Interface, JobInfo, JobKind,
    JobOperation, JobStats, Network, NodeDevice, NodeInfo, PoolInfo, PoolState, StateAndReason, StoragePool,
    StorageVolume, TypedParams, TypedValue, Uuid, UuidError, Version, VolumeInfo, VolumeKind,
};
