//! Locks on files, taken with a little patience.
//!
//! Owns: [`lock_patiently`]. Promises: a lock that is held for real is told within half a second. Does not: wait for
//! its holder.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::Duration;

/// Tries, and the pause between two of them.
const TRIES: (u32, Duration) = (20, Duration::from_millis(25));

/// Locks `file` for this process alone.
///
/// A lock that was given up a moment ago may still look held: a process that is just being started by another thread
/// has a copy of every open file until it runs its program. So a held lock is tried again for half a second.
///
/// # Errors
/// [`TryLockError::WouldBlock`] if somebody else holds it.
pub fn lock_patiently(file: &File) -> Result<(), TryLockError> {
    let mut left = TRIES.0;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if left > 0 => {
                left -= 1;
                thread::sleep(TRIES.1);
            }
            other => return other,
        }
    }
}
