//! Who has the package database open, mapped or locked, and what it waits in.
//!
//! Owns: the scan of `/proc`. Promises: a holder is named with its process, its unit, its lock, since when it runs and
//! what it sleeps in; lock files are never opened, because closing one would drop a POSIX lock of this very process.
//! Does not: judge; [`crate::Guard::check`] does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::proc_locks::{FileLock, LockMode, parse_locks};
use crate::process::{Process, RunState, pids};
use crate::roots::Roots;

/// How a process touches a file of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum How {
    /// It has it open.
    Open,
    /// It has it in its memory.
    Mapped,
    /// It holds a lock on it.
    Locked {
        /// The lock.
        lock: FileLock,
    },
    /// It waits for a lock on it.
    Awaits {
        /// The lock.
        lock: FileLock,
    },
    /// It left its number in it, as dnf and yum do.
    PidFile,
}

/// One file that a process touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touch {
    /// The file, as the host names it.
    pub path: String,
    /// How.
    pub how: How,
}

/// What a process sleeps in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "in")]
pub enum Waiting {
    /// A futex; in a file of the database that is a dead lock unless somebody else wakes it.
    Futex {
        /// Its address.
        address: u64,
        /// The mapped file that the address lies in.
        file: Option<String>,
    },
    /// A lock of a file, through fcntl(2) or flock(2).
    FileLock,
    /// Something else in the kernel.
    Kernel {
        /// Its symbol, from `wchan`, or the number of the system call.
        place: String,
    },
}

/// A process with a hand on the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// What it touches.
    pub touches: Vec<Touch>,
    /// What it sleeps in.
    pub waiting: Option<Waiting>,
}

impl Holder {
    /// Whether it keeps others out: a write lock, or a pid file.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.touches.iter().any(|touch| match &touch.how {
            How::Locked { lock } => lock.mode == LockMode::Write,
            How::PidFile => true,
            How::Open | How::Mapped | How::Awaits { .. } => false,
        })
    }

    /// Why it cannot go on by itself, if that can be seen at one glance.
    #[must_use]
    pub fn cannot_go_on(&self) -> Option<String> {
        match self.process.state {
            RunState::Stopped | RunState::Traced => return Some(self.process.state.words().to_owned()),
            RunState::Running
            | RunState::Sleeping
            | RunState::Uninterruptible
            | RunState::Zombie
            | RunState::Other => {}
        }
        match &self.waiting {
            // Any other futex is an ordinary wait of threads for each other.
            Some(Waiting::Futex { address, file: Some(file) }) if is_rpm_file(Path::new(file)) => {
                Some(format!("it waits in a futex at {address:#x} inside {file}"))
            }
            _ => None,
        }
    }

    /// One line for people.
    #[must_use]
    pub fn words(&self, now: u64) -> String {
        let process = &self.process;
        let unit = process.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default();
        let mut parts = vec![
            format!("process {} ({}){unit}", process.pid, process.name),
            process.state.words().to_owned(),
            format!("since {} s", process.age(now).as_secs()),
        ];
        parts.extend(self.touches.iter().filter_map(|touch| match &touch.how {
            How::Locked { lock } => Some(format!("holds {}", lock_words(lock, &touch.path))),
            How::Awaits { lock } => Some(format!("waits for {}", lock_words(lock, &touch.path))),
            How::PidFile => Some(format!("named in {}", touch.path)),
            How::Open | How::Mapped => None,
        }));
        if let Some(Waiting::Futex { address, file }) = &self.waiting {
            let file = file.as_deref().unwrap_or("its own memory");
            parts.push(format!("sleeps in a futex at {address:#x} in {file}"));
        }
        parts.join(", ")
    }
}

fn lock_words(lock: &FileLock, path: &str) -> String {
    let kind = match lock.kind {
        crate::LockKind::Posix => "fcntl",
        crate::LockKind::Ofd => "OFD",
        crate::LockKind::Flock => "flock",
        crate::LockKind::Lease => "lease",
    };
    let mode = match lock.mode {
        LockMode::Read => "read",
        LockMode::Write => "write",
    };
    format!("the {kind} {mode} lock on {path}")
}

/// Files that belong to package databases, and their locks.
const FILES: &[&str] = &[
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/triggers/Lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/rpm/.dbenv.lock",
];

/// Folders of which every file counts that fits [`is_rpm_file`].
const RPM_FOLDERS: &[&str] = &["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/root/.rpmdb"];

/// Files whose content is the number of their holder.
const PID_FILES: &[&str] = &[
    "/run/yum.pid",
    "/var/run/yum.pid",
    "/var/lib/dnf/rpmdb_lock.pid",
    "/var/cache/dnf/metadata_lock.pid",
    "/var/cache/dnf/download_lock.pid",
    "/var/log/log_lock.pid",
];

/// A file that is watched.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    name: String,
    device: u64,
    inode: u64,
}

/// Everybody who touches the database of this host.
#[must_use]
pub fn find_holders(roots: &Roots) -> Vec<Holder> {
    let watched = watched(roots);
    let locks = parse_locks(&fs::read_to_string(roots.proc.join("locks")).unwrap_or_default());
    let mut found = Vec::new();
    for pid in pids(&roots.proc) {
        let mut touches = touches_of(roots, pid, &watched, &locks);
        touches.extend(pid_files_of(roots, pid));
        if touches.is_empty() {
            continue;
        }
        let Some(process) = Process::read(&roots.proc, pid) else { continue };
        let waiting = waiting_of(&roots.proc, pid);
        found.push(Holder { process, touches, waiting });
    }
    found
}

fn watched(roots: &Roots) -> Vec<Watched> {
    let mut paths: Vec<PathBuf> = FILES.iter().map(|path| roots.host_path(path)).collect();
    for folder in RPM_FOLDERS {
        let entries = fs::read_dir(roots.host_path(folder)).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()).filter(|path| is_rpm_file(path)));
    }
    let mut watched: Vec<Watched> = Vec::new();
    for path in paths {
        let Ok(meta) = fs::metadata(&path) else { continue };
        let known = watched.iter().any(|file| file.inode == meta.ino() && file.device == meta.dev());
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if !known {
            watched.push(Watched { name, device: meta.dev(), inode: meta.ino(), path });
        }
    }
    watched
}

fn is_rpm_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name == ".rpm.lock"
        || name == "Packages"
        || name == "Packages.db"
        || name.starts_with("__db.")
        || name.starts_with("rpmdb.sqlite")
}

fn touches_of(roots: &Roots, pid: u32, watched: &[Watched], locks: &[FileLock]) -> Vec<Touch> {
    let folder = roots.proc.join(pid.to_string());
    let mut touches: Vec<Touch> = Vec::new();
    let mut add = |file: &Watched, how: How| {
        let touch = Touch { path: roots.as_host(&file.path), how };
        if !touches.contains(&touch) {
            touches.push(touch);
        }
    };
    for entry in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
        let link = entry.path();
        let Ok(target) = fs::read_link(&link) else { continue };
        // Asking a file system that hangs about its file would hang too: only names that fit are followed.
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
        if !watched.iter().any(|file| file.name == name) {
            continue;
        }
        let Ok(meta) = fs::metadata(&link) else { continue };
        let same = |file: &&Watched| file.inode == meta.ino() && file.device == meta.dev();
        let Some(file) = watched.iter().find(same) else { continue };
        add(file, How::Open);
        let info = fs::read_to_string(folder.join("fdinfo").join(entry.file_name())).unwrap_or_default();
        for lock in parse_locks(&info).into_iter().filter(|lock| lock.inode == file.inode && !lock.waits) {
            add(file, How::Locked { lock });
        }
        let waits = |lock: &&FileLock| lock.waits && lock.inode == file.inode && lock.pid == Some(pid);
        for lock in locks.iter().filter(waits) {
            add(file, How::Awaits { lock: lock.clone() });
        }
    }
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    for line in maps.lines() {
        let Some((_, inode, path)) = parse_map(line) else { continue };
        let same = |file: &&Watched| file.inode == inode && path.ends_with(file.name.as_str());
        if let Some(file) = watched.iter().find(same) {
            add(file, How::Mapped);
        }
    }
    touches
}

/// Range, inode and path of a line of `/proc/PID/maps`.
fn parse_map(line: &str) -> Option<((u64, u64), u64, &str)> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let range = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let inode = words.nth(3)?.parse().ok()?;
    Some((range, inode, words.next().unwrap_or_default().trim()))
}

fn pid_files_of(roots: &Roots, pid: u32) -> Vec<Touch> {
    let holds = |path: &&&str| {
        let text = fs::read_to_string(roots.host_path(path)).unwrap_or_default();
        text.trim().parse() == Ok(pid)
    };
    PID_FILES.iter().filter(holds).map(|path| Touch { path: (*path).to_owned(), how: How::PidFile }).collect()
}

/// System calls that wait for a futex or a lock of a file.
#[cfg(target_arch = "aarch64")]
const CALLS: (&str, [&str; 2]) = ("98", ["25", "32"]);
#[cfg(not(target_arch = "aarch64"))]
const CALLS: (&str, [&str; 2]) = ("202", ["72", "73"]);

/// What a process sleeps in: of its threads the one that says most.
pub(crate) fn waiting_of(proc: &Path, pid: u32) -> Option<Waiting> {
    let folder = proc.join(pid.to_string());
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    let mut answer = None;
    for task in fs::read_dir(folder.join("task")).into_iter().flatten().flatten() {
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let mut words = call.split_whitespace();
        let number = words.next().unwrap_or_default();
        if number == CALLS.0 {
            let word = words.next().and_then(|word| word.strip_prefix("0x"));
            let Some(address) = word.and_then(|word| u64::from_str_radix(word, 16).ok()) else { continue };
            let within = |line: &str| {
                let ((start, end), _, path) = parse_map(line)?;
                ((start..end).contains(&address) && path.starts_with('/')).then(|| path.to_owned())
            };
            let file = maps.lines().find_map(within);
            if file.is_some() || answer.is_none() {
                answer = Some(Waiting::Futex { address, file });
            }
        } else if CALLS.1.contains(&number) {
            answer = Some(Waiting::FileLock);
        }
    }
    answer.or_else(|| {
        let wchan = fs::read_to_string(folder.join("wchan")).ok()?;
        let place = wchan.trim();
        (!place.is_empty() && place != "0").then(|| Waiting::Kernel { place: place.to_owned() })
    })
}
