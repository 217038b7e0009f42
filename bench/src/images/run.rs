//! One measured run.
//!
//! Owns: time, processor time and memory of a command. Promises: each is run by a small process of its own, so that
//! the figures are those of this command and of what it started. Does not: add up the memory of processes that run
//! at the same time; the largest counts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};

use crate::Failure;

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of processors, user and system.
    pub(super) cpu: f64,
    /// Most memory of one process.
    pub(super) rss_mib: f64,
}

/// Names of folders as a command sees them.
pub(super) type Names<'a> = [(&'a str, &'a Path)];

fn shell(script: &str, names: &Names<'_>) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).stdin(Stdio::null());
    for (name, value) in names {
        command.env(name, value);
    }
    command.env("LC_ALL", "C");
    command
}

/// Runs a script that is not measured, and gives what it printed.
pub(super) fn quiet(script: &str, names: &Names<'_>) -> Result<String, Failure> {
    let done = shell(script, names).output()?;
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr);
        let last: Vec<&str> = told.lines().rev().take(3).collect();
        return Err(format!("{}: {}", done.status, last.join("; ")).into());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a script by a child that measures it.
pub(super) fn measured(script: &str, names: &Names<'_>) -> Result<Sample, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("images-run").arg(script).stdin(Stdio::null());
    for (name, value) in names {
        command.env(name, value);
    }
    let done = command.output()?;
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr);
        let last: Vec<&str> = told.lines().rev().take(3).collect();
        return Err(last.join("; ").into());
    }
    let told = String::from_utf8_lossy(&done.stdout);
    // The last line is ours.
    let value: Value = serde_json::from_str(told.lines().last().unwrap_or_default())?;
    let number = |key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    Ok(Sample { wall: number("wall"), cpu: number("cpu"), rss_mib: number("rss_mib") })
}

/// `images-run SCRIPT`: runs it, and tells what it took as one line of JSON.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [script] = args else { return Err("images-run needs a script".into()) };
    let mut command = shell(script, &[]);
    command.stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status()?;
    let wall = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("the command ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (seconds(usage.user_time()) + seconds(usage.system_time())).as_secs_f64();
    // Linux counts in KiB.
    let rss_mib = f64::from(u32::try_from(usage.max_rss())?) / 1024.0;
    println!("{}", json!({"wall": wall, "cpu": cpu, "rss_mib": rss_mib}));
    Ok(())
}

fn seconds(time: TimeVal) -> Duration {
    let whole = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::from_secs(whole) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}
