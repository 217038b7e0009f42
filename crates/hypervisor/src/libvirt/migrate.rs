//! Moving one running guest.
//!
//! Owns: one migration from looking where the guest is to looking where it ended. Promises: the hosts do it among
//! themselves, so it goes on when this program dies; done twice, it is done once; a guest that cannot be moved stays
//! where it is, with the reason; what libvirt leaves behind (start with the host, checkpoints) follows. Does not: choose
//! the target, or repeat.

use std::time::{Duration, Instant};

use lifeboat_libvirt::{
    CheckpointFlags, CheckpointXmlFlags, Connection, Domain, Error, ErrorCode, JobKind, JobStats,
    JobStatsFlags, MigrateFlags, MigrateParams, Migration, MigrationCall, Uuid,
};
use lifeboat_model::{HostId, Outcome, Progress, chain};

use super::read::{DomainRead, read_domain};
use super::settings::{LocalDisks, MigrationSettings};

/// Pause between looks at a migration under way.
const LOOK: Duration = Duration::from_millis(250);
/// A guest that has not ended after so long is helped: its pause may be longer, step by step.
const STEP: Duration = Duration::from_secs(15);
/// A guest that seems to run on two hosts is looked at so often before that is believed.
const LOOKS_AT_TWO: u32 = 8;
/// Longest wait for a migration that was called off to be over.
const CALL_OFF: Duration = Duration::from_secs(60);

/// One migration.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) uuid: Uuid,
    pub(super) name: String,
    pub(super) from: HostId,
    pub(super) to: HostId,
    /// How the source reaches the target's libvirt.
    pub(super) peer: String,
    pub(super) migrate_uri: Option<String>,
    /// Whether it started with its host before a roll switched that off.
    pub(super) autostart: bool,
    /// Disks that only its host has, by their names in the guest.
    pub(super) local_disks: Vec<String>,
    /// Whether a shared folder is trusted although libvirt cannot tell.
    pub(super) settings: MigrationSettings,
}

/// Connections for one migration: one of its own at the source, since the call lasts as long as the migration.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) call: Connection,
    pub(super) source: Connection,
    pub(super) target: Connection,
}

/// How a guest was seen at both ends afterwards.
pub(super) type Seen = Vec<(HostId, Uuid, Option<Box<DomainRead>>)>;

/// Why a migration did not come to its end.
struct Failure {
    reason: String,
    retriable: bool,
}

impl Failure {
    fn firm(reason: String) -> Self {
        Self { reason, retriable: false }
    }

    fn for_now(reason: String) -> Self {
        Self { reason, retriable: true }
    }
}

/// Moves a guest and says how that ended.
pub(super) fn run(job: &Move, ends: &Ends, progress: &mut dyn FnMut(Progress)) -> (Outcome, Seen) {
    let outcome = match carry(job, ends, progress) {
        Ok(detail) => Outcome::Done { detail: Some(detail) },
        Err(failure) => Outcome::Failed { reason: failure.reason, retriable: failure.retriable },
    };
    let look = |host: &HostId, conn: &Connection| {
        let domain = conn.domain_by_uuid(&job.uuid);
        let read = match domain {
            Ok(domain) => read_domain(conn, domain).ok()?,
            Err(error) if error.is_no_domain() => None,
            Err(_) => return None,
        };
        Some((host.clone(), job.uuid, read.map(Box::new)))
    };
    let seen = [look(&job.to, &ends.target), look(&job.from, &ends.source)];
    (outcome, seen.into_iter().flatten().collect())
}

/// Where the guest is.
enum Whereabouts {
    Source(Domain),
    Target(Domain),
}

/// Looks at both hosts. They are looked at one after the other: a guest that goes over between the two looks seems to
/// run on both, so what seems so is looked at again before it is believed.
fn whereabouts(job: &Move, ends: &Ends) -> Result<Whereabouts, Failure> {
    for _ in 0..LOOKS_AT_TWO {
        if let Some(place) = look_at_both(job, ends)? {
            return Ok(place);
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::firm(format!(
        "{} runs on {} and on {} at the same time; shut one of them down before its disks are damaged",
        job.name, job.from, job.to
    )))
}

/// Where the guest is; nothing if it seems to run on both hosts.
fn look_at_both(job: &Move, ends: &Ends) -> Result<Option<Whereabouts>, Failure> {
    let look = |conn: &Connection, host: &HostId| match conn.domain_by_uuid(&job.uuid) {
        Ok(domain) => read_domain(conn, domain).map_err(|error| silent(host, &error)),
        Err(error) if error.is_no_domain() => Ok(None),
        Err(error) => Err(silent(host, &error)),
    };
    let source = look(&ends.source, &job.from)?;
    let target = look(&ends.target, &job.to)?;
    let runs = |read: &Option<DomainRead>| read.as_ref().is_some_and(|read| read.runs() && !read.arrives());
    match (runs(&source), runs(&target), source, target) {
        (true, true, _, _) => Ok(None),
        (true, false, Some(source), _) => Ok(Some(Whereabouts::Source(source.domain))),
        (false, true, _, Some(target)) => Ok(Some(Whereabouts::Target(target.domain))),
        // On its way over there is a moment in which neither end says that it runs.
        (false, false, Some(source), _) if source.arrives() => Ok(Some(Whereabouts::Source(source.domain))),
        _ => Err(Failure::firm(format!("{} runs neither on {} nor on {}", job.name, job.from, job.to))),
    }
}

fn silent(host: &HostId, error: &Error) -> Failure {
    Failure::for_now(format!("{host} gives no answer: {}", chain(error)))
}

fn carry(job: &Move, ends: &Ends, progress: &mut dyn FnMut(Progress)) -> Result<String, Failure> {
    let domain = match whereabouts(job, ends)? {
        Whereabouts::Target(domain) => {
            settle(job, ends, &domain, &[])?;
            return Ok(format!("{} is on {}", job.name, job.to));
        }
        Whereabouts::Source(domain) => domain,
    };
    let begin = Instant::now();
    let checkpoints = checkpoints(ends, &domain);
    // A controller before this one may have begun it: then it is only waited for.
    let under_way = ends.source.job_stats(&domain, JobStatsFlags::NONE).is_ok_and(|stats| at_work(&stats));
    let ended = if under_way {
        watch(job, ends, &domain, None, progress)
    } else {
        let migration = order(job);
        let call = ends.call.begin_migration(&domain, &migration).map_err(|error| refused(job, &error))?;
        watch(job, ends, &domain, Some(&call), progress)
    };
    match (ended, whereabouts(job, ends)) {
        (_, Ok(Whereabouts::Target(domain))) => {
            let pause = settle(job, ends, &domain, &checkpoints)?;
            let took = begin.elapsed().as_secs_f64();
            let pause =
                pause.map_or_else(String::new, |pause| format!(", it paused for {} ms", pause.as_millis()));
            Ok(format!("{} went to {} in {took:.1} s{pause}", job.name, job.to))
        }
        (Ok(()), Ok(Whereabouts::Source(_))) => Err(Failure::for_now(format!(
            "{} stayed on {}: the migration ended without a reason",
            job.name, job.from
        ))),
        (Err(failure), _) | (Ok(()), Err(failure)) => Err(failure),
    }
}

fn at_work(stats: &JobStats) -> bool {
    matches!(stats.kind, JobKind::Bounded | JobKind::Unbounded)
}

/// What is asked of libvirt.
fn order(job: &Move) -> Migration {
    let settings = &job.settings;
    let mut migration = Migration::to(&job.peer);
    let mut flags = migration.flags
        | MigrateFlags::PERSIST_DEST
        | MigrateFlags::UNDEFINE_SOURCE
        | MigrateFlags::ABORT_ON_ERROR
        | MigrateFlags::CHANGE_PROTECTION;
    let wanted = [
        (settings.auto_converge, MigrateFlags::AUTO_CONVERGE),
        (settings.post_copy_after_secs > 0, MigrateFlags::POSTCOPY),
        (settings.parallel > 0, MigrateFlags::PARALLEL),
        (settings.tunnelled, MigrateFlags::TUNNELLED),
        (settings.tls, MigrateFlags::TLS),
        (settings.trust_shared_folders, MigrateFlags::UNSAFE),
        (!job.local_disks.is_empty(), MigrateFlags::NON_SHARED_DISK),
    ];
    for (_, flag) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        flags |= flag;
    }
    let bandwidth = (settings.bandwidth_mib > 0).then_some(settings.bandwidth_mib);
    migration.flags = flags;
    migration.params = MigrateParams {
        migrate_uri: job.migrate_uri.clone().filter(|_| !settings.tunnelled),
        bandwidth_mib: bandwidth,
        migrate_disks: if settings.local_disks == LocalDisks::Copy {
            job.local_disks.clone()
        } else {
            Vec::new()
        },
        parallel_connections: i32::try_from(settings.parallel).ok().filter(|number| *number > 0),
        ..MigrateParams::default()
    };
    migration
}

/// Looks at a migration until it is over; one that somebody else began has no call.
fn watch(
    job: &Move,
    ends: &Ends,
    domain: &Domain,
    call: Option<&MigrationCall>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Failure> {
    let begin = Instant::now();
    let settings = &job.settings;
    let mut pause = Duration::from_millis(settings.downtime_ms);
    let (mut asked, mut helped, mut post_copy) = (false, begin, false);
    let mut last: Option<JobStats> = None;
    loop {
        match call.and_then(|call| call.wait(LOOK)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) if error.is_lost() || error.is_timeout() => {
                // The hosts go on among themselves; from here on it is looked at only.
                return outlast(job, ends, domain, begin);
            }
            Some(Err(error)) => return Err(refused(job, &error)),
            None => {}
        }
        match ends.source.job_stats(domain, JobStatsFlags::NONE) {
            Ok(stats) if at_work(&stats) => {
                if let (Some(done), Some(total)) = (stats.data_processed(), stats.data_total()) {
                    progress(Progress { done: done.min(total), total });
                }
                last = Some(stats);
            }
            Ok(_) if call.is_none() => return Ok(()),
            Err(error) if error.is_lost() && call.is_none() => return outlast(job, ends, domain, begin),
            // The guest is gone from here: it has gone over.
            Err(error) if error.is_no_domain() && call.is_none() => return Ok(()),
            // It has not begun yet, or has ended and its call will say so.
            Ok(_) | Err(_) => {}
        }
        if call.is_none() {
            std::thread::sleep(LOOK);
        }
        if last.is_some() && !asked {
            // Only a migration under way can be told; if it does not take it, libvirt's own value is as good.
            asked = ends.source.set_max_downtime(domain, pause).is_ok();
        }
        let elapsed = begin.elapsed();
        let limit = Duration::from_millis(settings.downtime_limit_ms);
        if last.is_some() && helped.elapsed() > STEP && pause < limit {
            helped = Instant::now();
            pause = (pause * 2).min(limit);
            let _ = ends.source.set_max_downtime(domain, pause);
        }
        let after = Duration::from_secs(settings.post_copy_after_secs);
        if !after.is_zero() && elapsed > after && !post_copy {
            post_copy = ends.source.start_post_copy(domain).is_ok();
        }
        if elapsed > Duration::from_secs(settings.give_up_after_secs) && !post_copy {
            return Err(call_off(job, ends, domain, call, last.as_ref(), pause));
        }
    }
}

/// The connection is lost and the migration may go on: it is looked at until it is over.
fn outlast(job: &Move, ends: &Ends, domain: &Domain, begin: Instant) -> Result<(), Failure> {
    let limit = Duration::from_secs(job.settings.give_up_after_secs);
    loop {
        match ends.source.job_stats(domain, JobStatsFlags::NONE) {
            Ok(stats) if at_work(&stats) => {}
            Ok(_) => return Ok(()),
            Err(error) if error.is_no_domain() => return Ok(()),
            Err(error) => {
                return Err(Failure::for_now(format!(
                    "the connection to {} was lost while {} moved: {}",
                    job.from,
                    job.name,
                    chain(&error)
                )));
            }
        }
        if begin.elapsed() > limit {
            return Err(Failure::for_now(format!("{} moves for more than {} s", job.name, limit.as_secs())));
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends a migration that does not come to an end by itself.
fn call_off(
    job: &Move,
    ends: &Ends,
    domain: &Domain,
    call: Option<&MigrationCall>,
    last: Option<&JobStats>,
    pause: Duration,
) -> Failure {
    let aborted = ends.source.abort_job(domain);
    let until = Instant::now() + CALL_OFF;
    while Instant::now() < until {
        if call.is_some_and(|call| call.wait(LOOK).is_some()) {
            break;
        }
        let over = ends.source.job_stats(domain, JobStatsFlags::NONE).is_ok_and(|stats| !at_work(&stats));
        if over {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let rates = last.map_or_else(String::new, |stats| {
        let dirty = stats.memory_dirty_rate().zip(stats.memory_page_size().or(Some(4096)));
        let dirty = dirty.map(|(pages, size)| pages.saturating_mul(size) >> 20);
        let sent = stats.memory_bps().map(|bytes| bytes >> 20);
        match (dirty, sent) {
            (Some(dirty), Some(sent)) => format!("; it writes {dirty} MiB/s, {sent} MiB/s are sent"),
            _ => String::new(),
        }
    });
    let told = match aborted {
        Ok(()) => "it was called off and stays".to_owned(),
        Err(error) => format!("it could not be called off: {}", chain(&error)),
    };
    Failure::for_now(format!(
        "{} did not come to an end in {} s although it may pause for {} ms{rates}; {told} on {}; allow more bandwidth, a \
         longer pause (downtime-limit-ms) or post-copy, or shut it down with its host",
        job.name,
        job.settings.give_up_after_secs,
        pause.as_millis(),
        job.from
    ))
}

/// Libvirt said no.
fn refused(job: &Move, error: &Error) -> Failure {
    let said = chain(error);
    let (name, to) = (&job.name, &job.to);
    match error.code() {
        Some(ErrorCode::MIGRATE_UNSAFE) => Failure::firm(format!(
            "libvirt cannot tell that the folder of {name}'s disk is the same on {to} ({said}); put the disk on a storage \
             pool that both have, or say trust-shared-folders = true in the pool's file if it is one coherent file system"
        )),
        Some(ErrorCode::CPU_INCOMPATIBLE) => {
            Failure::firm(format!("{name} needs a processor that {to} has not: {said}"))
        }
        Some(ErrorCode::CONFIG_UNSUPPORTED | ErrorCode::ARGUMENT_UNSUPPORTED | ErrorCode::XML_ERROR) => {
            Failure::firm(format!("{to} cannot run {name} as it is: {said}"))
        }
        Some(ErrorCode::DOM_EXIST) => {
            Failure::firm(format!("{to} has another guest that is called {name}: {said}"))
        }
        _ => Failure::for_now(format!("{name} stays on {}: {said}", job.from)),
    }
}

/// Descriptions of the guest's checkpoints, parents first: libvirt moves their bitmaps and forgets the descriptions.
fn checkpoints(ends: &Ends, domain: &Domain) -> Vec<String> {
    let Ok(all) = ends.source.checkpoints(domain) else { return Vec::new() };
    all.iter()
        .filter_map(|checkpoint| ends.source.checkpoint_xml(checkpoint, CheckpointXmlFlags::NONE).ok())
        .collect()
}

/// What libvirt leaves behind follows the guest. Gives the pause that it had.
fn settle(
    job: &Move,
    ends: &Ends,
    domain: &Domain,
    checkpoints: &[String],
) -> Result<Option<Duration>, Failure> {
    let failed = |what: &str, error: &Error| {
        Failure::for_now(format!("{} is on {}, but {what}: {}", job.name, job.to, chain(error)))
    };
    if job.autostart {
        ends.target
            .set_autostart(domain, true)
            .map_err(|error| failed("it cannot be made to start with its host", &error))?;
    }
    for text in checkpoints {
        let flags = CheckpointFlags::REDEFINE | CheckpointFlags::REDEFINE_VALIDATE;
        ends.target.create_checkpoint(domain, text, flags).map_err(|error| {
            failed("a checkpoint did not follow it, so its next backup must be a full one", &error)
        })?;
    }
    // A source that still has a description of it would start it a second time.
    if let Ok(left) = ends.source.domain_by_uuid(&job.uuid)
        && !ends.source.is_active(&left).unwrap_or(true)
    {
        let _ = ends.source.set_autostart(&left, false);
    }
    let stats = ends.target.job_stats(domain, JobStatsFlags::COMPLETED | JobStatsFlags::KEEP_COMPLETED).ok();
    Ok(stats.and_then(|stats| stats.downtime()))
}
