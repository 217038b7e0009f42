//! One controller per pool: a lock on a file beside the journal, which the kernel gives up with the process.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lifeboat_model::PoolName;
use rustix::fs::{FlockOperation, flock};

use crate::StoreError;

/// Who holds a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Machine, program and process.
    pub name: String,
    /// Since when, for people.
    pub since: String,
}

/// The right to act on a pool, as long as this value lives.
#[derive(Debug)]
pub struct Lease {
    _file: File,
    /// Number that grew with this lease; older controllers have smaller ones.
    pub fence: u64,
    /// Who holds it.
    pub holder: Holder,
}

impl Lease {
    pub(crate) fn take(
        journal: &Path,
        pool: &PoolName,
        holder: Holder,
        next_fence: impl FnOnce() -> Result<u64, StoreError>,
    ) -> Result<Self, StoreError> {
        let path = path(journal, pool);
        let failed = |doing| {
            let path = path.clone();
            move |source| StoreError::File { doing, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open lease"))?;
        if let Err(errno) = lock(&file) {
            if errno == rustix::io::Errno::WOULDBLOCK {
                let other = read(&mut file);
                return Err(StoreError::Held { pool: pool.clone(), holder: other.name, since: other.since });
            }
            return Err(failed("lock lease")(errno.into()));
        }
        let fence = next_fence()?;
        let text = format!("{}\n{}\n", holder.name, holder.since);
        file.set_len(0).map_err(failed("write lease"))?;
        file.seek(SeekFrom::Start(0)).map_err(failed("write lease"))?;
        file.write_all(text.as_bytes()).map_err(failed("write lease"))?;
        Ok(Self { _file: file, fence, holder })
    }

    /// Who holds a pool now; `None` if nobody does.
    pub(crate) fn look(journal: &Path, pool: &PoolName) -> Option<Holder> {
        let mut file = File::open(path(journal, pool)).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => Some(read(&mut file)),
        }
    }
}

/// A lock may look held for a moment: while somebody looks who has it, and while a process is being started. So it is
/// tried for half a second.
fn lock(file: &File) -> rustix::io::Result<()> {
    for _ in 0..20 {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(std::time::Duration::from_millis(25)),
            other => return other,
        }
    }
    flock(file, FlockOperation::NonBlockingLockExclusive)
}

fn path(journal: &Path, pool: &PoolName) -> PathBuf {
    journal.with_extension(format!("{pool}.lock"))
}

fn read(file: &mut File) -> Holder {
    let mut text = String::new();
    // A holder that is just writing its name is still a holder.
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(4096).read_to_string(&mut text));
    let mut lines = text.lines().map(str::to_owned);
    let name = lines.next().filter(|name| !name.is_empty()).unwrap_or_else(|| "another process".to_owned());
    Holder { name, since: lines.next().unwrap_or_else(|| "a moment ago".to_owned()) }
}
