//! SSH: a child `ssh` that runs libvirt's helper on the host; frames travel over its standard input and output.
//!
//! Promises: never asks a question; what `ssh` says at the end is told; the child is gone when the stream is.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::stream::Stream;
use crate::error::ConnectError;
use crate::uri::{SshProxy, SshTransport};

/// What is kept of the child's messages.
const WORDS: usize = 2048;
/// How long the child may take to end by itself after its pipes are closed.
const GRACE: Duration = Duration::from_secs(1);
/// The socket on a host without `virt-ssh-helper`.
const SOCKET: &str = "/var/run/libvirt/libvirt-sock";

/// A child whose input and output are one end of a socket pair.
pub(crate) struct SshStream {
    socket: UnixStream,
    child: Child,
    words: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl SshStream {
    /// Starts `ssh`; whether it gets through shows when the first frame comes.
    pub(crate) fn open(
        parts: &SshTransport,
        name: &str,
        patience: Duration,
        read_only: bool,
    ) -> Result<Self, ConnectError> {
        let local = |doing| move |source| ConnectError::Local { doing, source };
        let (ours, theirs) = UnixStream::pair().map_err(local("make a pair of sockets"))?;
        ours.set_nonblocking(true).map_err(local("make a socket not wait"))?;
        let input: OwnedFd = theirs.try_clone().map_err(local("copy a socket"))?.into();
        let output: OwnedFd = theirs.into();
        let mut child = Command::new(&parts.command)
            .args(arguments(parts, name, patience, read_only))
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(output))
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ConnectError::Command { command: parts.command.clone(), source })?;
        let words = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take();
        let mut stream = Self { socket: ours, child, words, reader: None };
        if let Some(stderr) = stderr {
            let words = Arc::clone(&stream.words);
            let builder = thread::Builder::new().name("libvirt-ssh".to_owned());
            let reader = builder.spawn(move || keep_last(stderr, &words));
            stream.reader = Some(reader.map_err(local("start a thread"))?);
        }
        Ok(stream)
    }
}

/// Arguments of `ssh`. The URI let no character through that a shell would take for more than a word.
pub(crate) fn arguments(
    parts: &SshTransport,
    name: &str,
    patience: Duration,
    read_only: bool,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut option = |flag: &str, value: String| all.extend([flag.to_owned(), value]);
    if let Some(port) = parts.port {
        option("-p", port.to_string());
    }
    if let Some(user) = &parts.user {
        option("-l", user.clone());
    }
    if let Some(keyfile) = &parts.keyfile {
        option("-i", keyfile.clone());
    }
    option("-e", "none".to_owned());
    option("-o", "BatchMode=yes".to_owned());
    option("-o", format!("ConnectTimeout={}", patience.as_secs().max(1)));
    if let Some(known_hosts) = &parts.known_hosts {
        option("-o", format!("UserKnownHostsFile={known_hosts}"));
    }
    if !parts.verify {
        option("-o", "StrictHostKeyChecking=no".to_owned());
    }
    all.extend(["-T".to_owned(), "--".to_owned(), parts.host.clone(), remote(parts, name, read_only)]);
    all
}

/// What runs on the host, by any shell.
fn remote(parts: &SshTransport, name: &str, read_only: bool) -> String {
    let (flag, suffix) = if read_only { (" -r", "-ro") } else { ("", "") };
    let helper = format!("exec virt-ssh-helper{flag} \"{name}\"");
    let socket = parts.socket.clone().unwrap_or_else(|| format!("{SOCKET}{suffix}"));
    let nc = &parts.netcat;
    // OpenBSD's nc stays after the end of its input unless told with -q; others do not know the option.
    let netcat = format!(
        "if \"{nc}\" -q 2>&1 | grep -q \"requires an argument\"; then exec \"{nc}\" -q0 -U \"{socket}\"; \
         else exec \"{nc}\" -U \"{socket}\"; fi"
    );
    let script = match parts.proxy {
        SshProxy::Native => helper,
        SshProxy::Netcat => netcat,
        SshProxy::Auto => {
            format!("if command -v virt-ssh-helper >/dev/null 2>&1; then {helper}; fi; {netcat}")
        }
    };
    format!("sh -c '{script}'")
}

fn keep_last(mut from: ChildStderr, words: &Mutex<Vec<u8>>) {
    let mut piece = [0; 512];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(piece.iter().take(len));
        let surplus = words.len().saturating_sub(WORDS);
        words.drain(..surplus);
    }
}

impl fmt::Debug for SshStream {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("SshStream").field("child", &self.child.id()).finish_non_exhaustive()
    }
}

impl Stream for SshStream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.socket, to)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut self.socket, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wants_write(&self) -> bool {
        false
    }

    fn end(&mut self) -> String {
        self.socket.shutdown(std::net::Shutdown::Both).ok();
        let deadline = Instant::now() + GRACE;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => break None,
            }
        };
        if status.is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
        // A master of shared connections may hold the pipe open, so the reader's end is not waited for long.
        let deadline = Instant::now() + GRACE / 4;
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&words);
        let words = words.trim().replace("\r\n", "\n").replace('\n', "; ");
        match status {
            Some(status) if !status.success() || !words.is_empty() => {
                format!("; ssh ended with {status}: {words}").trim_end_matches(": ").to_owned()
            }
            _ => String::new(),
        }
    }
}

impl Drop for SshStream {
    fn drop(&mut self) {
        // After `end` the child is reaped and neither does anything.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
