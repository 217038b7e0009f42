//! One process as `/proc` tells it.
//!
//! Owns: reading name, command line, unit, state, age and what it waits in. Promises: a process that vanishes meanwhile is
//! none, not an error; nothing is opened but files of `/proc`. Does not: signal anything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// Ticks per second in `/proc/PID/stat`: USER_HZ, which is 100 on every architecture that Lifeboat is built for.
const TICKS: u64 = 100;

/// The state letter of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// R: it computes.
    Running,
    /// S: it sleeps and can be woken.
    Sleeping,
    /// D: it sleeps in the kernel and cannot be signalled.
    Uninterruptible,
    /// T: somebody stopped it.
    Stopped,
    /// t: a debugger stopped it.
    Traced,
    /// Z: it ended and nobody asked how.
    Zombie,
    /// Another letter.
    Other,
}

impl RunState {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Uninterruptible => "uninterruptible (D)",
            Self::Stopped => "stopped (T)",
            Self::Traced => "stopped by a debugger (t)",
            Self::Zombie => "ended, not reaped (Z)",
            Self::Other => "in an unknown state",
        }
    }

    fn of(letter: &str) -> Self {
        match letter {
            "R" => Self::Running,
            "S" | "I" => Self::Sleeping,
            "D" => Self::Uninterruptible,
            "T" => Self::Stopped,
            "t" => Self::Traced,
            "Z" | "X" => Self::Zombie,
            _ => Self::Other,
        }
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its name, at most 15 characters.
    pub name: String,
    /// Its command line, blanks between the arguments; at most 4,096 bytes are read.
    pub command: String,
    /// The unit of its control group, if it has one.
    pub unit: Option<String>,
    /// Its state.
    pub state: RunState,
    /// When it started: ticks after the boot; with `pid` this names a process for good.
    pub start_ticks: u64,
    /// When it started: seconds after 1970.
    pub since: u64,
    /// Processor time, in ticks.
    pub cpu_ticks: u64,
}

impl Process {
    /// Reads process `pid`; none when there is none.
    #[must_use]
    pub fn read(proc: &Path, pid: u32) -> Option<Self> {
        let folder = proc.join(pid.to_string());
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let (name, parent, state, cpu_ticks, start_ticks) = parse_stat(&stat)?;
        let command = fs::read(folder.join("cmdline")).unwrap_or_default();
        let command: Vec<u8> =
            command.into_iter().take(4096).map(|byte| if byte == 0 { b' ' } else { byte }).collect();
        let unit = fs::read_to_string(folder.join("cgroup")).ok().and_then(|text| unit_of(&text));
        Some(Self {
            pid,
            parent,
            name,
            command: String::from_utf8_lossy(&command).trim_end().to_owned(),
            unit,
            state,
            start_ticks,
            since: boot_time(proc).saturating_add(start_ticks / TICKS),
            cpu_ticks,
        })
    }

    /// How long it has been there at `now`, seconds after 1970.
    #[must_use]
    pub fn age(&self, now: u64) -> Duration {
        Duration::from_secs(now.saturating_sub(self.since))
    }
}

/// Name, parent, state, processor time and start of a line of `/proc/PID/stat`.
fn parse_stat(stat: &str) -> Option<(String, u32, RunState, u64, u64)> {
    // The name may hold blanks and parentheses.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    let cpu = number(11)?.saturating_add(number(12)?);
    Some((name, words.get(1)?.parse().ok()?, RunState::of(words.first()?), cpu, number(19)?))
}

/// The innermost unit of a control group file, of either version.
fn unit_of(cgroup: &str) -> Option<String> {
    let units =
        cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).flat_map(|path| path.rsplit('/'));
    let is_unit = |name: &&str| [".service", ".scope", ".timer"].iter().any(|end| name.ends_with(end));
    units.into_iter().find(is_unit).map(str::to_owned)
}

/// When the machine booted, in seconds after 1970; 0 when it cannot be told.
fn boot_time(proc: &Path) -> u64 {
    let text = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// The numbers of all processes.
pub(crate) fn pids(proc: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// `root` and everything that descends from it.
pub(crate) fn family(proc: &Path, root: u32) -> Vec<Process> {
    let all: Vec<Process> = pids(proc).into_iter().filter_map(|pid| Process::read(proc, pid)).collect();
    let mut known = vec![root];
    let mut at = 0;
    while let Some(parent) = known.get(at).copied() {
        known.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        at += 1;
    }
    all.into_iter().filter(|process| known.contains(&process.pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_is_read_whole() {
        let stat = "7 (a) b (c)) T 3 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1 0 777 8 9";
        let read = parse_stat(stat);
        assert_eq!(read, Some(("a) b (c)".to_owned(), 3, RunState::Stopped, 121, 777)));
    }

    #[test]
    fn a_stat_line_cut_anywhere_is_none_or_read() {
        let stat = "7 (rpm) S 3 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1 0 777 8 9";
        for cut in 0..stat.len() {
            let read = parse_stat(&stat[..cut]);
            assert!(read.is_none() || cut > stat.find(" 777").unwrap_or(0));
        }
    }

    #[test]
    fn the_unit_is_the_innermost_of_either_hierarchy() {
        let two = "0::/system.slice/apt-daily.service\n";
        let one = "4:memory:/x\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n0::/\n";
        assert_eq!(unit_of(two).as_deref(), Some("apt-daily.service"));
        assert_eq!(unit_of(one).as_deref(), Some("session-3.scope"));
        assert_eq!(unit_of("0::/\n"), None);
    }
}
