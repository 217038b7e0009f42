//! Taking the lock of the package database, and holding it.
//!
//! Owns: dpkg's frontend lock, rpm's transaction lock, the pid files that keep dnf and yum out. Promises: between two
//! steps nobody else writes the database. Does not: end a holder. What each lock really shuts out stands in
//! `docs/design/package-guard.md`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FlockOperation;
use rustix::io::FdFlags;

use crate::error::{PackageError, at};
use crate::guard::{OnStuck, Policy};
use crate::holders::{Holder, find_holders};
use crate::manager::ManagerKind;
use crate::roots::Roots;
use crate::{How, parse_locks};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct DatabaseLock {
    path: PathBuf,
    file: Option<File>,
    pid_files: Vec<PathBuf>,
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        for path in &self.pid_files {
            // A file that stays names a dead process, which dnf and yum take for nobody.
            let _ = fs::remove_file(path);
        }
    }
}

/// Pid files that dnf and yum heed, and the folder that must be there for either to be in use.
const PID_FILES: &[(&str, &str)] =
    &[("/var/lib/dnf/rpmdb_lock.pid", "/var/lib/dnf"), ("/run/yum.pid", "/var/lib/yum")];

impl DatabaseLock {
    /// Takes the lock, waiting as long as the policy allows; `say` hears who holds it.
    pub(crate) fn take(
        roots: &Roots,
        kind: ManagerKind,
        database: &Path,
        policy: &Policy,
        say: &mut dyn FnMut(String),
    ) -> Result<Self, PackageError> {
        let path = match kind {
            ManagerKind::Dpkg => roots.host_path("/var/lib/dpkg/lock-frontend"),
            ManagerKind::Rpm => database.join(".rpm.lock"),
        };
        let begin = Instant::now();
        let mut lock = Self { path, file: None, pid_files: Vec::new() };
        let mut told = String::new();
        loop {
            if lock.file.is_none() {
                lock.file = try_lock(&lock.path)?;
            }
            let others = in_the_way(roots, &lock);
            if lock.file.is_some() && others.is_empty() {
                break;
            }
            let words = describe(&others, &lock.path);
            if words != told {
                say(format!("waiting for the package database: {words}"));
                told.clone_from(&words);
            }
            let hopeless = others.iter().any(|holder| holder.cannot_go_on().is_some());
            if begin.elapsed() > policy.lock_wait || (hopeless && policy.on_stuck == OnStuck::Fail) {
                return Err(PackageError::Held { waited_secs: begin.elapsed().as_secs(), holders: words });
            }
            thread::sleep(Duration::from_millis(100));
        }
        if kind == ManagerKind::Rpm {
            lock.write_pid_files(roots)?;
        }
        Ok(lock)
    }

    fn write_pid_files(&mut self, roots: &Roots) -> Result<(), PackageError> {
        for (path, folder) in PID_FILES {
            if !roots.host_path(folder).is_dir() {
                continue;
            }
            let path = roots.host_path(path);
            // Whoever is named in it was looked for: it names nobody that lives.
            let mut file = File::create(&path).map_err(at("creating", &path))?;
            file.write_all(std::process::id().to_string().as_bytes()).map_err(at("writing", &path))?;
            self.pid_files.push(path);
        }
        Ok(())
    }

    /// Lets go of rpm's lock, which rpm takes itself; pid files stay. The child `heir` inherits the lock if it waits for
    /// it already.
    pub(crate) fn hand_over(&mut self, roots: &Roots, heir: Option<u32>) {
        if let Some(pid) = heir {
            let begin = Instant::now();
            let waits = || {
                let text = fs::read_to_string(roots.proc.join("locks")).unwrap_or_default();
                parse_locks(&text).iter().any(|lock| lock.waits && lock.pid == Some(pid))
            };
            while !waits() && begin.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(2));
            }
        }
        self.file = None;
    }

    /// Takes rpm's lock again after [`DatabaseLock::hand_over`].
    pub(crate) fn take_back(&mut self, limit: Duration) -> Result<(), PackageError> {
        let begin = Instant::now();
        while self.file.is_none() {
            self.file = try_lock(&self.path)?;
            if self.file.is_none() && begin.elapsed() > limit {
                return Err(PackageError::Held {
                    waited_secs: limit.as_secs(),
                    holders: format!("somebody took {} between two steps", self.path.display()),
                });
            }
            if self.file.is_none() {
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// The lock, if nobody has it.
fn try_lock(path: &Path) -> Result<Option<File>, PackageError> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(at("opening", path))?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(None),
        Err(error) => Err(at("locking", path)(error.into())),
    }
}

/// Others that must be gone before a step: whoever holds a lock of the database or a pid file.
fn in_the_way(roots: &Roots, lock: &DatabaseLock) -> Vec<Holder> {
    let own = std::process::id();
    let path = roots.as_host(&lock.path);
    let matters = |holder: &Holder| {
        holder.touches.iter().any(|touch| match &touch.how {
            // Readers of SQLite come and go, and disturb nobody.
            How::Locked { lock } => {
                lock.mode == crate::LockMode::Write
                    && (touch.path == path || touch.path.starts_with("/var/lib/dpkg/lock"))
            }
            How::PidFile => true,
            How::Open | How::Mapped | How::Awaits { .. } => false,
        })
    };
    let stuck_reader = |holder: &Holder| holder.cannot_go_on().is_some_and(|why| why.contains("__db."));
    find_holders(roots)
        .into_iter()
        .filter(|holder| holder.process.pid != own && (matters(holder) || stuck_reader(holder)))
        .collect()
}

fn describe(holders: &[Holder], path: &Path) -> String {
    if holders.is_empty() {
        return format!("{} is locked by a process that cannot be seen from here", path.display());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let words = holders.iter().map(|holder| match holder.cannot_go_on() {
        Some(why) => format!("{} and cannot go on: {why}", holder.process_words(now)),
        None => holder.process_words(now),
    });
    words.collect::<Vec<_>>().join("; ")
}

impl Holder {
    /// As [`Holder::words`] without the seconds, so that the same state gives the same words.
    fn process_words(&self, now: u64) -> String {
        let text = self.words(now);
        let age = format!(", since {} s", self.process.age(now).as_secs());
        text.replace(&age, &format!(", started at {} (seconds after 1970)", self.process.since))
    }
}

/// Becomes `command` with the lock of `path` held: a POSIX lock belongs to the process and survives execve(2), and rpm
/// takes the same lock again without noticing. Waits for the lock. Returns only what went wrong.
pub fn exec_locked(path: &Path, command: &[OsString]) -> PackageError {
    match lock_for_exec(path) {
        Ok(file) => {
            let Some((program, arguments)) = command.split_first() else {
                return PackageError::Unreadable {
                    what: "the command".to_owned(),
                    why: "it is empty".to_owned(),
                };
            };
            let source = Command::new(program).args(arguments).exec();
            drop(file);
            PackageError::Start { program: program.to_string_lossy().into_owned(), source }
        }
        Err(error) => error,
    }
}

fn lock_for_exec(path: &Path) -> Result<File, PackageError> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(at("opening", path))?;
    rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive)
        .map_err(|error| at("locking", path)(error.into()))?;
    // Closing any descriptor of the file drops the lock: this one must stay open in the next program.
    rustix::io::fcntl_setfd(&file, FdFlags::empty())
        .map_err(|error| at("keeping open", path)(error.into()))?;
    Ok(file)
}
