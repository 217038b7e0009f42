//! Jobs of a domain: how far they are, ending and steering them.

use std::time::Duration;

use crate::connection::Connection;
use crate::error::Error;
use crate::flags::{AbortFlags, JobStatsFlags};
use crate::procedure::Procedure;
use crate::values::{Domain, JOB_STATS_LIMIT, JobInfo, JobKind, JobStats, Travels, TypedParams};
use crate::xdr::Encoder;

/// Of `set_max_speed`: the limit of the post-copy phase.
const SPEED_POSTCOPY: u32 = 1;

impl Connection {
    /// Figures of the job that runs, or of the one that ended last.
    pub fn job_stats(&self, domain: &Domain, flags: JobStatsFlags) -> Result<JobStats, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.unsigned(flags.bits());
        };
        self.call(Procedure::DOMAIN_GET_JOB_STATS, arguments, |from| {
            let kind = JobKind::from_number(from.int()?);
            Ok(JobStats { kind, params: TypedParams::decode(from, JOB_STATS_LIMIT)? })
        })
    }

    /// The fixed figures of the job that runs.
    pub fn job_info(&self, domain: &Domain) -> Result<JobInfo, Error> {
        self.call(Procedure::DOMAIN_GET_JOB_INFO, |to| domain.encode(to), JobInfo::decode)
    }

    /// Aborts the job that runs. A migration that is not in post-copy leaves the guest where it was.
    pub fn abort_job(&self, domain: &Domain) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_ABORT_JOB, |to| domain.encode(to))
    }

    /// Aborts with flags; needs libvirt 8.5.
    pub fn abort_job_with(&self, domain: &Domain, flags: AbortFlags) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_ABORT_JOB_FLAGS, |to| {
            domain.encode(to);
            to.unsigned(flags.bits());
        })
    }

    /// For how long a migrating guest may stand still at the end; counts in whole milliseconds.
    pub fn set_max_downtime(&self, domain: &Domain, downtime: Duration) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_MIGRATE_SET_MAX_DOWNTIME, |to| {
            domain.encode(to);
            to.unsigned_hyper(u64::try_from(downtime.as_millis()).unwrap_or(u64::MAX));
            to.unsigned(0);
        })
    }

    /// For how long a migrating guest may stand still at the end.
    pub fn max_downtime(&self, domain: &Domain) -> Result<Duration, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.unsigned(0);
        };
        let millis = self.value::<u64>(Procedure::DOMAIN_MIGRATE_GET_MAX_DOWNTIME, arguments)?;
        Ok(Duration::from_millis(millis))
    }

    /// Limits migrations of this domain, in MiB per second; also one that runs.
    pub fn set_max_speed(&self, domain: &Domain, mib: u64, postcopy: bool) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_MIGRATE_SET_MAX_SPEED, |to| {
            domain.encode(to);
            to.unsigned_hyper(mib);
            to.unsigned(if postcopy { SPEED_POSTCOPY } else { 0 });
        })
    }

    /// The limit of migrations of this domain, in MiB per second.
    pub fn max_speed(&self, domain: &Domain, postcopy: bool) -> Result<u64, Error> {
        let arguments = |to: &mut Encoder| {
            domain.encode(to);
            to.unsigned(if postcopy { SPEED_POSTCOPY } else { 0 });
        };
        self.value::<u64>(Procedure::DOMAIN_MIGRATE_GET_MAX_SPEED, arguments)
    }

    /// Switches a migration that was begun with `POSTCOPY`: the guest runs on the target at once, its memory follows.
    /// It can no longer be undone.
    pub fn start_post_copy(&self, domain: &Domain) -> Result<(), Error> {
        self.order(Procedure::DOMAIN_MIGRATE_START_POST_COPY, |to| {
            domain.encode(to);
            to.unsigned(0);
        })
    }
}
