//! Events that a daemon sends of its own accord.
//!
//! Owns: their numbers and forms. Promises: an unknown detail is kept as its number.

use crate::error::CloseReason;
use crate::procedure::event as number;
use crate::values::{Domain, JobStats, TypedParams, wire_enum};
use crate::values::{JOB_STATS_LIMIT, Travels};
use crate::xdr::{Decoder, XdrError};

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Domains that are defined, started, stopped and so on.
    Lifecycle,
    /// Jobs that ended, with their figures.
    JobCompleted,
    /// Migrations that go over the memory once more.
    MigrationIteration,
    /// Block jobs that changed.
    BlockJob,
}

impl EventKind {
    /// All.
    pub const ALL: [Self; 4] =
        [Self::Lifecycle, Self::JobCompleted, Self::MigrationIteration, Self::BlockJob];

    /// The number that registers it (`virDomainEventID`).
    pub(crate) fn id(self) -> i32 {
        match self {
            Self::Lifecycle => 0,
            Self::BlockJob => 16,
            Self::MigrationIteration => 20,
            Self::JobCompleted => 21,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A domain changed.
    Lifecycle {
        /// Which.
        domain: Domain,
        /// How.
        change: Lifecycle,
    },
    /// A job ended.
    JobCompleted {
        /// Whose.
        domain: Domain,
        /// Its figures; also whether it went well.
        stats: JobStats,
    },
    /// A migration goes over the memory once more.
    MigrationIteration {
        /// Whose.
        domain: Domain,
        /// For which time.
        iteration: i32,
    },
    /// A block job changed.
    BlockJob {
        /// Whose.
        domain: Domain,
        /// Target name of the disk.
        disk: String,
        /// What it does.
        job: BlockJobKind,
        /// What became of it.
        status: BlockJobStatus,
    },
    /// So many events were dropped, because the listener was slow: everything must be read anew.
    Missed(u64),
    /// The connection has ended; nothing comes after.
    Closed(CloseReason),
}

/// How a domain changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifecycle {
    /// Its definition was added or changed.
    Defined(DefinedHow),
    /// Its definition is gone; the number tells why.
    Undefined(i32),
    /// It runs.
    Started(StartedHow),
    /// It is paused.
    Suspended(SuspendedWhy),
    /// It runs again.
    Resumed(ResumedWhy),
    /// It no longer runs here.
    Stopped(StoppedWhy),
    /// It shut down within, and its process is still there; the number tells who asked.
    Shutdown(i32),
    /// It sleeps by power management; the number tells how deep.
    PmSuspended(i32),
    /// It crashed; the number tells how.
    Crashed(i32),
    /// Something that this client has no name for.
    Other {
        /// Number of the event.
        event: i32,
        /// Number of its detail.
        detail: i32,
    },
}

wire_enum! {
    /// How a definition came.
    DefinedHow {
        /// New.
        Added = 0, "added";
        /// Changed.
        Updated = 1, "updated";
        /// With another name.
        Renamed = 2, "renamed";
        /// From a snapshot.
        FromSnapshot = 3, "from snapshot";
    }
    /// How a domain was started.
    StartedHow {
        /// Afresh.
        Booted = 0, "booted";
        /// Came from another host.
        Migrated = 1, "migrated";
        /// From a saved image.
        Restored = 2, "restored";
        /// From a snapshot.
        FromSnapshot = 3, "from snapshot";
        /// Woke up.
        Wakeup = 4, "wakeup";
    }
    /// Why a domain is paused.
    SuspendedWhy {
        /// Someone asked.
        Paused = 0, "paused";
        /// It moves to another host.
        Migrated = 1, "migrated";
        /// A disk failed.
        IoError = 2, "I/O error";
        /// Its watchdog.
        Watchdog = 3, "watchdog";
        /// Restored paused.
        Restored = 4, "restored";
        /// From a snapshot.
        FromSnapshot = 5, "from snapshot";
        /// A call of libvirt failed in its middle.
        ApiError = 6, "API error";
        /// Its memory is being fetched.
        PostCopy = 7, "post-copy";
        /// Fetching its memory failed.
        PostCopyFailed = 8, "post-copy failed";
    }
    /// Why a domain runs again.
    ResumedWhy {
        /// Someone asked.
        Unpaused = 0, "unpaused";
        /// It came from another host.
        Migrated = 1, "migrated";
        /// From a snapshot.
        FromSnapshot = 2, "from snapshot";
        /// While its memory is being fetched.
        PostCopy = 3, "post-copy";
        /// Although fetching its memory failed.
        PostCopyFailed = 4, "post-copy failed";
    }
    /// Why a domain no longer runs.
    StoppedWhy {
        /// It shut down.
        Shutdown = 0, "shutdown";
        /// Someone ended it.
        Destroyed = 1, "destroyed";
        /// It crashed.
        Crashed = 2, "crashed";
        /// It moved to another host.
        Migrated = 3, "migrated";
        /// Its memory was saved.
        Saved = 4, "saved";
        /// It could not run.
        Failed = 5, "failed";
        /// A snapshot of a stopped domain.
        FromSnapshot = 6, "from snapshot";
    }
    /// What a block job does.
    BlockJobKind {
        /// Not told.
        Unknown = 0, "unknown";
        /// Takes in a backing file.
        Pull = 1, "pull";
        /// Copies a disk.
        Copy = 2, "copy";
        /// Merges into a backing file.
        Commit = 3, "commit";
        /// Merges the active layer.
        ActiveCommit = 4, "active commit";
        /// Backs up.
        Backup = 5, "backup";
    }
    /// What became of a block job.
    BlockJobStatus {
        /// Ended well.
        Completed = 0, "completed";
        /// Failed.
        Failed = 1, "failed";
        /// Was aborted.
        Cancelled = 2, "cancelled";
        /// In step with the disk, waits for its end.
        Ready = 3, "ready";
    }
}

impl Lifecycle {
    fn from_numbers(event: i32, detail: i32) -> Self {
        match event {
            0 => Self::Defined(DefinedHow::from_number(detail)),
            1 => Self::Undefined(detail),
            2 => Self::Started(StartedHow::from_number(detail)),
            3 => Self::Suspended(SuspendedWhy::from_number(detail)),
            4 => Self::Resumed(ResumedWhy::from_number(detail)),
            5 => Self::Stopped(StoppedWhy::from_number(detail)),
            6 => Self::Shutdown(detail),
            7 => Self::PmSuspended(detail),
            8 => Self::Crashed(detail),
            _ => Self::Other { event, detail },
        }
    }
}

/// Reads an event; nothing if its number is not one of these. Each begins with the number of its registration.
pub(crate) fn decode(procedure: i32, payload: &[u8]) -> Result<Option<(EventKind, Event)>, XdrError> {
    let mut from = Decoder::new(payload);
    let (kind, event) = match procedure {
        number::LIFECYCLE => {
            from.int()?;
            let domain = Domain::decode(&mut from)?;
            let change = Lifecycle::from_numbers(from.int()?, from.int()?);
            (EventKind::Lifecycle, Event::Lifecycle { domain, change })
        }
        number::JOB_COMPLETED => {
            from.int()?;
            let domain = Domain::decode(&mut from)?;
            let stats = JobStats::of_event(TypedParams::decode(&mut from, JOB_STATS_LIMIT)?);
            (EventKind::JobCompleted, Event::JobCompleted { domain, stats })
        }
        number::MIGRATION_ITERATION => {
            from.int()?;
            let domain = Domain::decode(&mut from)?;
            (EventKind::MigrationIteration, Event::MigrationIteration { domain, iteration: from.int()? })
        }
        number::BLOCK_JOB_2 => {
            from.int()?;
            let (domain, disk) = (Domain::decode(&mut from)?, from.string()?);
            let job = BlockJobKind::from_number(from.int()?);
            let status = BlockJobStatus::from_number(from.int()?);
            (EventKind::BlockJob, Event::BlockJob { domain, disk, job, status })
        }
        _ => return Ok(None),
    };
    from.finish()?;
    Ok(Some((kind, event)))
}
