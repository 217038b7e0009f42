//! Watching whether work on the package database makes progress.
//!
//! Owns: the measure of progress: processor time and bytes of a family of processes, and the age of the database's files.
//! Promises: what makes none for the given time is named, with what it sleeps in and since when. Does not: end anything.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use lifeboat_model::Finding;

use crate::codes::finding;
use crate::command::Stuck;
use crate::guard::Guard;
use crate::holders::{Holder, waiting_of};
use crate::process::family;
use crate::roots::Roots;
use crate::{RunState, Waiting};

/// Files whose change is progress.
const SIGNS: &[&str] = &[
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/updates",
    "/var/lib/dpkg/info",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
];

/// Looks at one process and its children again and again.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    roots: &'a Roots,
    pid: u32,
    limit: Duration,
    last: u64,
    since: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(roots: &'a Roots, pid: u32, limit: Duration) -> Self {
        Self { roots, pid, limit, last: 0, since: Instant::now() }
    }

    /// Looks; something when there was no progress for the limit. Asked again, it waits for another limit.
    pub(crate) fn look(&mut self) -> Option<Stuck> {
        let now = measure(self.roots, self.pid);
        if now != self.last {
            self.last = now;
            self.since = Instant::now();
            return None;
        }
        let waited = self.since.elapsed();
        if waited < self.limit {
            return None;
        }
        self.since = Instant::now();
        Some(describe(self.roots, self.pid, waited))
    }
}

/// Looks at everybody who holds the database, again and again.
#[derive(Debug, Default)]
pub struct DatabaseWatch {
    seen: BTreeMap<(u32, u64), (u64, Instant)>,
}

impl DatabaseWatch {
    /// Holders that made no progress for `limit`, and those that cannot make any, as findings.
    pub fn look(&mut self, guard: &Guard, limit: Duration) -> Vec<Finding> {
        let holders = guard.holders();
        let mut findings: Vec<Finding> = guard.holder_findings(&holders);
        let own = std::process::id();
        let held = |holder: &&Holder| {
            holder.excludes() && holder.cannot_go_on().is_none() && holder.process.pid != own
        };
        let mut seen = BTreeMap::new();
        for holder in holders.iter().filter(held) {
            let key = (holder.process.pid, holder.process.start_ticks);
            let now = measure(&guard.roots, holder.process.pid);
            let (last, since) = self.seen.get(&key).copied().unwrap_or((now, Instant::now()));
            let since = if last == now { since } else { Instant::now() };
            seen.insert(key, (now, since));
            if since.elapsed() >= limit {
                let stuck = describe(&guard.roots, holder.process.pid, since.elapsed());
                let subject = format!("process {} ({})", holder.process.pid, holder.process.name);
                findings.retain(|finding| finding.subject != subject);
                findings.push(finding("package-db-stuck", subject, stuck.to_string()));
            }
        }
        self.seen = seen;
        findings
    }
}

fn measure(roots: &Roots, pid: u32) -> u64 {
    let mut sum = 0_u64;
    for process in family(&roots.proc, pid) {
        sum = sum.wrapping_mul(31).wrapping_add(u64::from(process.pid)).wrapping_add(process.cpu_ticks);
        let path = roots.proc.join(process.pid.to_string()).join("io");
        let io = fs::read_to_string(path).unwrap_or_default();
        for line in io.lines().filter(|line| line.starts_with("rchar") || line.starts_with("wchar")) {
            let number = line.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
            sum = sum.wrapping_mul(31).wrapping_add(number.unwrap_or(0));
        }
    }
    for path in SIGNS {
        if let Ok(meta) = fs::metadata(roots.host_path(path)) {
            sum = sum.wrapping_mul(31).wrapping_add(meta.size());
            sum = sum.wrapping_add(u64::try_from(meta.mtime_nsec()).unwrap_or(0));
        }
    }
    sum
}

/// Names the process that says most: a stopped one, else the youngest of the family.
fn describe(roots: &Roots, pid: u32, waited: Duration) -> Stuck {
    let mut members = family(&roots.proc, pid);
    members.sort_by_key(|process| (process.start_ticks, process.pid));
    let stopped = |process: &&crate::Process| {
        matches!(process.state, RunState::Stopped | RunState::Traced | RunState::Uninterruptible)
    };
    let Some(process) = members.iter().find(stopped).or_else(|| members.last()) else {
        return Stuck { pid, name: String::new(), what: "it ended".to_owned(), waited_secs: 0, since: 0 };
    };
    let what = match waiting_of(&roots.proc, process.pid) {
        Some(Waiting::Futex { address, file }) => {
            let file = file.unwrap_or_else(|| "its own memory".to_owned());
            format!("{}, in a futex at {address:#x} in {file}", process.state.words())
        }
        Some(Waiting::FileLock) => format!("{}, waits for a lock of a file", process.state.words()),
        Some(Waiting::Kernel { place }) => format!("{}, in {place}", process.state.words()),
        None => process.state.words().to_owned(),
    };
    Stuck {
        pid: process.pid,
        name: if process.command.is_empty() { process.name.clone() } else { process.command.clone() },
        what,
        waited_secs: waited.as_secs(),
        since: process.since,
    }
}
