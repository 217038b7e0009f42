//! Processes by identity.
//!
//! Owns: the pair of process id and start time. Promises: a process is ended only if it is still the one that was
//! written down; ids are used again by the kernel, pairs are not within one run of the machine. Does not: start any.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process of this machine that cannot be taken for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// Ticks from the start of the machine to its start: field 22 of `/proc/PID/stat`.
    pub start: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self { pid, start: stat.start })
    }

    /// Whether it still runs. One that has ended and was not waited for does not.
    pub fn runs(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start == self.start && !stat.ended)
    }

    /// Ends it at once. Nothing is done if it is gone.
    pub fn kill(self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        // From here on the handle is the process that had the number; now it must be the right one.
        if Self::of(self.pid) == Some(self) {
            // It may end by itself in this moment.
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
    }
}

/// The number of the first child of `parent`, as this process sees both.
pub(crate) fn child_of(parent: i32) -> Option<i32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    list.split_whitespace().next()?.parse().ok()
}

struct Stat {
    start: u64,
    ended: bool,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; the fields after its last bracket are numbered from 3.
        let (_, fields) = text.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let ended = matches!(fields.next()?, "Z" | "X");
        Some(Self { start: fields.nth(18)?.parse().ok()?, ended })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_ended_only_if_it_is_the_one_that_was_written_down() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let id = ProcessId::of(pid).unwrap();
        let another = ProcessId { start: id.start - 1, ..id };
        another.kill();
        assert!(!another.runs() && id.runs());
        id.kill();
        assert!(!child.wait().unwrap().success());
        assert!(!id.runs());
    }
}
