//! Running a package manager.
//!
//! Owns: starting it so that it outlives this program, and watching it. Promises: its output goes into a file, so that a
//! dead Lifeboat does not break it by a closed pipe; it is never ended unless the policy says so, and then only the
//! process that was started here. Does not: choose arguments.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{PackageError, at};
use crate::guard::OnStuck;
use crate::watch::Watch;

/// Bytes of output that are kept in the journal.
const TAIL: u64 = 2048;

/// A process that makes no progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stuck {
    /// The process.
    pub pid: u32,
    /// Its command line or name.
    pub name: String,
    /// What it does instead.
    pub what: String,
    /// For how long nothing moved.
    pub waited_secs: u64,
    /// When the process started, seconds after 1970.
    pub since: u64,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name, what, waited_secs, .. } = self;
        write!(f, "process {pid} ({name}) moved nothing for {waited_secs} s: {what}")
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Whether it did its work.
    pub good: bool,
    /// Exit code or signal, for people.
    pub status: String,
    /// The end of what it said.
    pub tail: String,
}

/// How a program is watched.
pub(crate) struct Watching<'a> {
    /// The host.
    pub(crate) roots: &'a crate::Roots,
    /// For how long nothing may move.
    pub(crate) limit: Duration,
    /// What is done then.
    pub(crate) on_stuck: OnStuck,
    /// Who is told.
    pub(crate) stuck: &'a mut dyn FnMut(&Stuck),
}

/// Runs `command` with its output appended to `log`; `started` is called with the number of the child.
pub(crate) fn run_watched(
    mut command: Command,
    log: &Path,
    watching: &mut Watching<'_>,
    started: &mut dyn FnMut(u32) -> Result<(), PackageError>,
) -> Result<Ran, PackageError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = OpenOptions::new().create(true).append(true).open(log).map_err(at("opening", log))?;
    let before = output.metadata().map_err(at("measuring", log))?.len();
    let errors = output.try_clone().map_err(at("opening", log))?;
    // A group of its own: the key that ends this program on a terminal does not end a package manager half way.
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let mut child =
        command.spawn().map_err(|source| PackageError::Start { program: program.clone(), source })?;
    started(child.id())?;
    let status = wait(&mut child, log, watching)?;
    Ok(Ran { good: status.success(), status: words(status), tail: tail(log, before) })
}

fn wait(child: &mut Child, log: &Path, watching: &mut Watching<'_>) -> Result<ExitStatus, PackageError> {
    let mut watch = Watch::new(watching.roots, child.id(), watching.limit);
    let mut looked = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait().map_err(at("waiting for the program that writes", log))? {
            return Ok(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
        // A look at all processes is not free.
        if looked.elapsed() < Duration::from_millis(500) {
            continue;
        }
        looked = Instant::now();
        let Some(stuck) = watch.look() else { continue };
        (watching.stuck)(&stuck);
        match watching.on_stuck {
            OnStuck::Wait => {}
            OnStuck::Fail => return Err(PackageError::Stuck(stuck)),
            OnStuck::KillOurs => {
                child.kill().map_err(at("ending the program that writes", log))?;
            }
        }
    }
}

/// Exit code or signal, for people.
pub(crate) fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

fn tail(log: &Path, before: u64) -> String {
    let Ok(mut file) = File::open(log) else { return String::new() };
    let end = file.metadata().map_or(0, |meta| meta.len());
    let mut text = Vec::new();
    if file.seek(SeekFrom::Start(end.saturating_sub(TAIL).max(before))).is_ok() {
        // What cannot be read is not worth an error: the file itself is kept.
        let _ = file.take(TAIL).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Runs a program that only looks, and hands back what it said.
pub(crate) fn ask(command: &mut Command) -> Result<String, PackageError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| PackageError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // Some say why on one stream, some on the other.
    let text = [output.stdout, output.stderr]
        .map(|part| String::from_utf8_lossy(&part).trim().to_owned())
        .join("\n");
    let tail: String = text.chars().rev().take(1200).collect::<Vec<_>>().into_iter().rev().collect();
    let arguments: Vec<_> =
        command.get_args().take(3).map(|word| word.to_string_lossy().into_owned()).collect();
    Err(PackageError::Program {
        program: format!("{program} {}", arguments.join(" ")),
        status: words(output.status),
        tail,
    })
}
