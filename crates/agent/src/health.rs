//! Health checks: what a boot on trial has to pass.
//!
//! Owns: running every executable of a folder in the order of its name. Promises: a check that takes longer than
//! its time is killed and has failed; the end of a check's output is its reason. Does not: decide what a failure
//! leads to.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{HealthConfig, Machine, Places};

/// Longest output of a check that is kept, in bytes.
const OUTPUT_LIMIT: u64 = 4096;

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Name of the file.
    pub name: String,
    /// Why it failed; none if it passed.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Runs every executable file of `folder`, by name, each for at most `limit`. `alive` is called while one runs. A
/// folder that is not there holds no checks; one that cannot be read is a failed check.
pub fn run_checks(folder: &Path, limit: Duration, alive: &mut dyn FnMut()) -> Vec<CheckResult> {
    let mut files = match list(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let failure = Some(format!("the folder {} cannot be read: {error}", folder.display()));
            return vec![CheckResult { name: "health.d".to_owned(), failure, took: Duration::ZERO }];
        }
    };
    files.sort();
    files.iter().map(|file| run_check(file, limit, alive)).collect()
}

/// How long checks of `health.toml` that fail are tried again after a boot.
pub fn health_patience(machine: &Machine) -> Duration {
    HealthConfig::read(&health_file(machine)).unwrap_or_default().patience()
}

/// Runs the checks of `health.toml`, those that fail again for `patience`, then once every program of `health.d`. The
/// results are kept for the host's status.
pub fn check_machine(machine: &Machine, patience: Duration, alive: &mut dyn FnMut()) -> Vec<CheckResult> {
    let limit = Duration::from_secs(machine.config.check_secs);
    let mut results = match HealthConfig::read(&health_file(machine)) {
        Ok(config) => run_patiently(machine, &config, limit, patience, alive),
        Err(error) => {
            let failure = Some(lifeboat_model::chain(&error));
            vec![CheckResult { name: "health.toml".to_owned(), failure, took: Duration::ZERO }]
        }
    };
    results.extend(run_checks(&machine.paths.etc.join("health.d"), limit, alive));
    machine.keep_health(&results);
    results
}

fn health_file(machine: &Machine) -> PathBuf {
    machine.paths.etc.join("health.toml")
}

/// A boot is long over for the kernel when services are still starting.
fn run_patiently(
    machine: &Machine,
    config: &HealthConfig,
    limit: Duration,
    patience: Duration,
    alive: &mut dyn FnMut(),
) -> Vec<CheckResult> {
    let begin = Instant::now();
    let places = Places { proc: &machine.paths.proc, sys: &machine.paths.sys };
    loop {
        let results = config.run(&places, limit, alive);
        if results.iter().all(|result| result.failure.is_none()) || begin.elapsed() >= patience {
            return results;
        }
        alive();
        thread::sleep(Duration::from_secs(1));
    }
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::metadata(&path)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            files.push(path);
        }
    }
    Ok(files)
}

fn run_check(file: &Path, limit: Duration, alive: &mut dyn FnMut()) -> CheckResult {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let begin = Instant::now();
    let failure = run_limited(&mut Command::new(file), limit, alive).err();
    CheckResult { name, failure, took: begin.elapsed() }
}

/// Runs a program for at most `limit`; why it failed, with the end of its output. `alive` is called while it runs.
pub(crate) fn run_limited(
    command: &mut Command,
    limit: Duration,
    alive: &mut dyn FnMut(),
) -> Result<(), String> {
    let begin = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    match spawned {
        Ok(child) => wait(child, begin, limit, alive),
        Err(error) => Err(format!("could not be started: {error}")),
    }
}

fn wait(mut child: Child, begin: Instant, limit: Duration, alive: &mut dyn FnMut()) -> Result<(), String> {
    let pipe = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = pipe {
            // What lies behind the limit is lost; the check may get a broken pipe, which is its own affair.
            drop(pipe.take(OUTPUT_LIMIT).read_to_end(&mut text));
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let status = loop {
        alive();
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if begin.elapsed() >= limit => {
                // The reader is left behind: a grandchild may keep the pipe open for ever.
                drop(child.kill());
                drop(child.wait());
                return Err(format!("did not end within {} s", limit.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(50)),
            Err(error) => break Err(error),
        }
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let text = reader.join().unwrap_or_default();
            Err(if text.is_empty() { status.to_string() } else { format!("{status}: {text}") })
        }
        Err(error) => Err(format!("could not be waited for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn check(folder: &Path, name: &str, mode: u32, text: &str) {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn checks_run_in_the_order_of_their_names_and_tell_why_they_failed() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), "20-bad", 0o755, "echo disk is gone; exit 3");
        check(folder.path(), "10-good", 0o755, "exit 0");
        check(folder.path(), "30-slow", 0o755, "exec sleep 600");
        check(folder.path(), "README", 0o644, "exit 1");
        let mut lives = 0;
        let results = run_checks(folder.path(), Duration::from_millis(300), &mut || lives += 1);
        let told: Vec<_> =
            results.iter().map(|result| (result.name.as_str(), result.failure.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("10-good", None),
                ("20-bad", Some("exit status: 3: disk is gone")),
                ("30-slow", Some("did not end within 0 s")),
            ]
        );
        assert!(lives >= 3);
    }

    #[test]
    fn no_folder_means_no_checks() {
        assert_eq!(run_checks(Path::new("/nonexistent/health.d"), Duration::from_secs(1), &mut || ()), []);
    }
}
