//! The lines of `/proc/locks` and of the `lock:` fields in `/proc/PID/fdinfo`.
//!
//! Owns: their text form. Promises: a line that does not fit is skipped, never guessed at. Does not: read a file.

use serde::Serialize;

/// Which kind of lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// fcntl(2), owned by a process.
    Posix,
    /// fcntl(2), owned by an open file description.
    Ofd,
    /// flock(2).
    Flock,
    /// A lease or a delegation.
    Lease,
}

/// What it shuts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// Others may read.
    Read,
    /// Nobody else.
    Write,
}

/// One lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLock {
    /// Its kind.
    pub kind: LockKind,
    /// Its mode.
    pub mode: LockMode,
    /// The owner; none for locks of open file descriptions and of other process namespaces.
    pub pid: Option<u32>,
    /// Whether it is not held but waited for.
    pub waits: bool,
    /// Inode of the file.
    pub inode: u64,
    /// First byte.
    pub start: u64,
    /// Last byte; none is the end of the file.
    pub end: Option<u64>,
}

/// Parses `/proc/locks`, or the `lock:` fields of `/proc/PID/fdinfo/FD`.
#[must_use]
pub fn parse_locks(text: &str) -> Vec<FileLock> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<FileLock> {
    let line = line.strip_prefix("lock:").unwrap_or(line).trim();
    let mut words = line.split_whitespace();
    words.next()?.strip_suffix(':')?.parse::<u64>().ok()?;
    let mut kind = words.next()?;
    let waits = kind == "->";
    if waits {
        kind = words.next()?;
    }
    let kind = match kind {
        "POSIX" | "ACCESS" => LockKind::Posix,
        "OFDLCK" => LockKind::Ofd,
        "FLOCK" => LockKind::Flock,
        "LEASE" | "DELEG" => LockKind::Lease,
        _ => return None,
    };
    // ADVISORY, MANDATORY, or the state of a lease.
    words.next()?;
    let mode = match words.next()? {
        "READ" => LockMode::Read,
        "WRITE" | "RW" => LockMode::Write,
        _ => return None,
    };
    let pid = words.next()?.parse::<i64>().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let end = match words.next()? {
        "EOF" => None,
        number => Some(number.parse().ok()?),
    };
    let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0);
    Some(FileLock { kind, mode, pid, waits, inode, start, end })
}
