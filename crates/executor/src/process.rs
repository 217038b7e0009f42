//! One running program of a policy: started without a shell, watched, and ended with everything it began.
//!
//! Promises: nothing here waits longer than it was told to; output is kept bounded; when a program is over, no process
//! of its group is left. Does not: know what an exit code means to a roll.
//!
//! A program whose controller was killed goes on until it ends by itself: asking the kernel to end it then would need
//! unsafe code between fork and exec.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

/// Kept of what a program writes: its last bytes.
const KEPT: usize = 4096;
/// Read at once, and at most so often in one go: a program that floods its output must not hold up the loop.
const CHUNK: usize = 16 * 1024;
const CHUNKS: usize = 64;
/// From the polite signal to the one that cannot be refused.
const GRACE: Duration = Duration::from_secs(5);
/// The same when the controller itself leaves.
const LEAVING: Duration = Duration::from_millis(500);
/// Longest line that is told.
const LINE: usize = 200;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code or signal; none if it cannot be ended: the kernel is waiting for something on its behalf.
    pub(crate) status: Option<ExitStatus>,
    /// It was ended because its time was over.
    pub(crate) too_long: bool,
    /// The last line that it wrote, if it wrote any.
    pub(crate) last_line: Option<String>,
}

/// A program at work.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pid: Pid,
    /// Becomes readable when the program ends; none where the kernel has no such thing.
    pidfd: Option<OwnedFd>,
    /// Standard output and standard error; none when nobody writes there any more.
    pipe: Option<PipeReader>,
    kept: Vec<u8>,
    began: Instant,
    limit: Duration,
    /// When it was told to end.
    told: Option<Instant>,
    over: bool,
}

impl Program {
    /// Starts a program with its arguments, and nothing of this process's environment but what is given.
    ///
    /// # Errors
    /// The system's, if there is no such program or it cannot be run.
    pub(crate) fn start(
        command: &[String],
        environment: &[(&'static str, OsString)],
        limit: Duration,
    ) -> io::Result<Self> {
        let (name, arguments) =
            command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no program"))?;
        let (pipe, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let mut order = Command::new(name);
        order
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let child = order.spawn()?;
        // Our own ends of the pipe must be gone, or its end would never be seen.
        drop(order);
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        let (kept, began) = (Vec::new(), Instant::now());
        Ok(Self { child, pid, pidfd, pipe: Some(pipe), kept, began, limit, told: None, over: false })
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// What to wait for: its output, and its end.
    pub(crate) fn handles(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pipe = self.pipe.as_ref().map(PipeReader::as_fd);
        let end = self.pidfd.as_ref().map(|end| end.as_fd());
        pipe.into_iter().chain(end)
    }

    /// Whether its end can be waited for; otherwise it has to be looked at now and then.
    pub(crate) fn tells_its_end(&self) -> bool {
        self.pidfd.is_some()
    }

    /// How long until it must be looked at even if nothing is heard of it.
    pub(crate) fn due(&self) -> Duration {
        match self.told {
            None => self.limit.saturating_sub(self.age()),
            Some(told) => GRACE.saturating_sub(told.elapsed()),
        }
    }

    /// Takes its output, sees that it keeps to its time, and says how it ended, if it has.
    ///
    /// # Errors
    /// The system's, if it cannot be waited for.
    pub(crate) fn look(&mut self) -> io::Result<Option<Ended>> {
        self.read();
        let Some(status) = self.ended()? else {
            match self.told {
                None if self.age() >= self.limit => {
                    self.signal(Signal::TERM);
                    self.told = Some(Instant::now());
                }
                Some(told) if told.elapsed() >= GRACE * 2 => return Ok(Some(self.how_it_ended(None))),
                Some(told) if told.elapsed() >= GRACE => self.signal(Signal::KILL),
                None | Some(_) => {}
            }
            return Ok(None);
        };
        // What it wrote at last.
        self.read();
        Ok(Some(self.how_it_ended(Some(status))))
    }

    fn how_it_ended(&self, status: Option<ExitStatus>) -> Ended {
        Ended { status, too_long: self.told.is_some(), last_line: last_line(&self.kept) }
    }

    /// Ends it now, politely at first.
    fn end(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let told = Instant::now();
            self.signal(signal);
            while !self.over && told.elapsed() < LEAVING {
                if !matches!(self.ended(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Whether it has ended. Its group is ended before its number is given back: after that it could be another's.
    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.pid), how)?.is_none() {
            return Ok(None);
        }
        self.signal(Signal::KILL);
        let status = self.child.wait()?;
        self.over = true;
        Ok(Some(status))
    }

    fn signal(&self, signal: Signal) {
        if !self.over {
            // A group that is gone is what was wanted.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    fn read(&mut self) {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..CHUNKS {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    self.kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    let surplus = self.kept.len().saturating_sub(KEPT);
                    self.kept.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a program ended, in words.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}

/// The last line that is not empty, without what a terminal or a page could take for orders.
fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let plain = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    Some(plain.take(LINE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_short_and_plain() {
        assert_eq!(last_line(b""), None);
        assert_eq!(last_line(b"\n \n"), None);
        assert_eq!(last_line(b"one\ntwo\n\n").as_deref(), Some("two"));
        assert_eq!(last_line(b"a\x1b[31mred").as_deref(), Some("a [31mred"));
        assert_eq!(last_line(&[b'x'; 5000]).map(|line| line.len()), Some(LINE));
        assert_eq!(last_line(b"\xff\xfe").as_deref(), Some("\u{fffd}\u{fffd}"));
    }
}
