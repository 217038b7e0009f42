//! Keeping the machine up while its system is being changed.
//!
//! Owns: a lock of systemd-logind (`systemd-inhibit`, mode block) for as long as a change is under way. Promises: the
//! lock ends with this value, and also when the agent dies: the holder waits for the end of a pipe. Does not: fail; a
//! machine without logind has nobody who could be asked, and that is logged.

use std::io;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Log;

/// A lock that is held.
#[derive(Debug)]
pub struct Inhibitor {
    holder: Option<(Child, ChildStdin)>,
}

impl Inhibitor {
    /// Takes the lock: nobody shuts down, reboots or suspends this machine without being told `why` first.
    pub fn hold(log: &Log, why: &str) -> Self {
        match Self::start(why) {
            Ok(holder) => Self { holder: Some(holder) },
            Err(error) => {
                log.line(&format!("no inhibitor keeps this host from being rebooted: {error}"));
                Self { holder: None }
            }
        }
    }

    fn start(why: &str) -> io::Result<(Child, ChildStdin)> {
        // `cat` ends when its standard input does, and with it the lock.
        let mut child = Command::new("systemd-inhibit")
            .args(["--what=shutdown:sleep", "--mode=block", "--who=lifeboat-agent"])
            .arg(format!("--why={why}"))
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().ok_or_else(|| io::Error::other("it has no standard input"))?;
        Ok((child, input))
    }
}

impl Drop for Inhibitor {
    fn drop(&mut self) {
        if let Some((mut child, input)) = self.holder.take() {
            drop(input);
            // It ended by itself, or the pipe's end ended it.
            drop(child.wait());
        }
    }
}
