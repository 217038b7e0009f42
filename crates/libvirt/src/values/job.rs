//! Jobs of a domain: migrations, saves, backups, and how far they are.

use std::time::Duration;

use super::params::TypedParams;
use crate::xdr::{Decoder, XdrError};

/// Most figures of a job that are read.
pub(crate) const JOB_STATS_LIMIT: usize = 64;

wire_enum! {
    /// What is known of a job's end.
    JobKind {
        /// No job runs (or, for the last one, ever ran).
        None = 0, "none";
        /// Runs, with a time in which it should end.
        Bounded = 1, "bounded";
        /// Runs; when it ends cannot be told.
        Unbounded = 2, "unbounded";
        /// Ended well.
        Completed = 3, "completed";
        /// Failed.
        Failed = 4, "failed";
        /// Was aborted.
        Cancelled = 5, "cancelled";
    }
    /// What a job does.
    JobOperation {
        /// Not told.
        Unknown = 0, "unknown";
        /// Starts the domain.
        Start = 1, "start";
        /// Saves its memory.
        Save = 2, "save";
        /// Restores its memory.
        Restore = 3, "restore";
        /// Receives it from another host.
        MigrationIn = 4, "incoming migration";
        /// Sends it to another host.
        MigrationOut = 5, "outgoing migration";
        /// Takes a snapshot.
        Snapshot = 6, "snapshot";
        /// Goes back to a snapshot.
        SnapshotRevert = 7, "snapshot revert";
        /// Dumps its memory.
        Dump = 8, "dump";
        /// Backs up disks.
        Backup = 9, "backup";
        /// Deletes a snapshot.
        SnapshotDelete = 10, "snapshot delete";
    }
}

/// Figures of a job. Each may be missing: it depends on the job, its phase and the release of libvirt.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStats {
    /// Whether one runs, or how it ended.
    pub kind: JobKind,
    /// All figures as the daemon sent them.
    pub params: TypedParams,
}

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident = $field:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Option<u64> {
            self.params.unsigned($field)
        }
    )*};
}

macro_rules! times {
    ($($(#[$doc:meta])* $name:ident = $field:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Option<Duration> {
            self.params.unsigned($field).map(Duration::from_millis)
        }
    )*};
}

impl JobStats {
    /// Of an event, which tells success instead of a kind.
    pub(crate) fn of_event(params: TypedParams) -> Self {
        let kind = match params.flag("success") {
            Some(false) => JobKind::Failed,
            Some(true) | None => JobKind::Completed,
        };
        Self { kind, params }
    }

    /// What the job does.
    pub fn operation(&self) -> Option<JobOperation> {
        let number = self.params.signed("operation")?;
        i32::try_from(number).ok().map(JobOperation::from_number)
    }

    /// Whether the job that ended did so well. libvirt 9.0 tells it of backups, not of migrations, whose figures come only
    /// when they went well.
    pub fn success(&self) -> Option<bool> {
        self.params.flag("success")
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&str> {
        self.params.text("errmsg")
    }

    times! {
        /// Since it began.
        elapsed = "time_elapsed";
        /// Until it should end.
        remaining = "time_remaining";
        /// For how long the guest stands (or stood) still; an estimate while it runs.
        downtime = "downtime";
        /// The same without the difference of the hosts' clocks.
        downtime_net = "downtime_net";
        /// Getting ready.
        setup_time = "setup_time";
    }

    figures! {
        /// Bytes in all.
        data_total = "data_total";
        /// Bytes done.
        data_processed = "data_processed";
        /// Bytes to do.
        data_remaining = "data_remaining";
        /// Bytes of memory in all.
        memory_total = "memory_total";
        /// Bytes of memory done; more than the total when pages are sent again.
        memory_processed = "memory_processed";
        /// Bytes of memory to do.
        memory_remaining = "memory_remaining";
        /// Pages of one repeated byte.
        memory_constant = "memory_constant";
        /// Other pages.
        memory_normal = "memory_normal";
        /// Their bytes.
        memory_normal_bytes = "memory_normal_bytes";
        /// Bytes of memory per second.
        memory_bps = "memory_bps";
        /// Pages per second that the guest writes.
        memory_dirty_rate = "memory_dirty_rate";
        /// Bytes of a page.
        memory_page_size = "memory_page_size";
        /// How often it went over the memory.
        memory_iteration = "memory_iteration";
        /// Pages that the target asked for in post-copy.
        postcopy_requests = "memory_postcopy_requests";
        /// Bytes of disks in all.
        disk_total = "disk_total";
        /// Bytes of disks done.
        disk_processed = "disk_processed";
        /// Bytes of disks to do.
        disk_remaining = "disk_remaining";
        /// Bytes of disks per second.
        disk_bps = "disk_bps";
        /// Percent by which the guest is slowed.
        auto_converge_throttle = "auto_converge_throttle";
    }
}

/// The fixed figures that every release has; [`JobStats`] tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobInfo {
    /// Whether one runs.
    pub kind: JobKind,
    /// Since it began, in milliseconds.
    pub elapsed_ms: u64,
    /// Until it should end, in milliseconds.
    pub remaining_ms: u64,
    /// Bytes in all, done, to do.
    pub data: [u64; 3],
    /// Bytes of memory in all, done, to do.
    pub memory: [u64; 3],
    /// Bytes of files in all, done, to do.
    pub file: [u64; 3],
}

impl JobInfo {
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let kind = JobKind::from_number(from.int()?);
        let (elapsed_ms, remaining_ms) = (from.unsigned_hyper()?, from.unsigned_hyper()?);
        let mut three = || Ok([from.unsigned_hyper()?, from.unsigned_hyper()?, from.unsigned_hyper()?]);
        Ok(Self { kind, elapsed_ms, remaining_ms, data: three()?, memory: three()?, file: three()? })
    }
}
