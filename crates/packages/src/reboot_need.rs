//! Whether what is installed also runs.
//!
//! Owns: the signs: the distribution's own mark, kernels, replaced files that are still in use. Promises: tells what wants
//! a reboot from what wants a restart of services only. Does not: restart anything.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use crate::process::{Process, pids};
use crate::roots::Roots;

/// What does not run yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RebootNeed {
    /// Why the host wants a reboot; empty when it does not.
    pub reasons: Vec<String>,
    /// Services (or processes) that run from replaced files, with these files.
    pub outdated: BTreeMap<String, Vec<String>>,
    /// Running guests whose emulator was replaced: they keep the old one until they move or restart.
    pub guests: Vec<u32>,
}

impl RebootNeed {
    /// Whether the host wants a reboot.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Files that everything uses: replaced, they want a reboot.
const CORE: &[&str] = &[
    "libc.so",
    "libc-",
    "ld-linux",
    "ld-2.",
    "libsystemd",
    "libcrypto.so",
    "libssl.so",
    "libdbus-1.so",
    "libgnutls.so",
];

/// Looks for all signs.
pub(crate) fn find_need(roots: &Roots) -> RebootNeed {
    let mut need = RebootNeed::default();
    for mark in ["reboot-required", "reboot-needed"] {
        if roots.run.join(mark).exists() {
            let packages = fs::read_to_string(roots.run.join(format!("{mark}.pkgs"))).unwrap_or_default();
            let names: Vec<&str> = packages.lines().take(50).collect();
            need.reasons.push(format!(
                "/run/{mark} is there, set by {}",
                if names.is_empty() { "a package".to_owned() } else { names.join(", ") }
            ));
        }
    }
    // A folder that is no running host has no kernel and no processes of its own.
    if roots.is_host() || roots.proc != std::path::Path::new("/proc") {
        kernel_need(roots, &mut need);
        process_need(roots, &mut need);
    }
    need
}

fn kernel_need(roots: &Roots, need: &mut RebootNeed) {
    let running = fs::read_to_string(roots.proc.join("sys/kernel/osrelease")).unwrap_or_default();
    let running = running.trim();
    let entries = fs::read_dir(roots.host_path("/boot")).into_iter().flatten().flatten();
    let kernels = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_prefix("vmlinuz-").map(str::to_owned)
    });
    let flavour = flavour_of(running);
    // Another flavour (cloud, rt, debug) and a rescue image are no update of this one.
    let newest = kernels
        .filter(|kernel| flavour_of(kernel) == flavour && !kernel.contains("rescue"))
        .max_by(|left, right| compare_versions(left, right));
    if let Some(newest) =
        newest.filter(|newest| !running.is_empty() && compare_versions(newest, running).is_gt())
    {
        need.reasons.push(format!("kernel {running} runs, {newest} is installed"));
    }
}

/// The letters at the end of a kernel's name.
fn flavour_of(kernel: &str) -> &str {
    let end = kernel.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
    kernel.get(end..).unwrap_or_default()
}

fn process_need(roots: &Roots, need: &mut RebootNeed) {
    for pid in pids(&roots.proc) {
        let folder = roots.proc.join(pid.to_string());
        let Ok(maps) = fs::read_to_string(folder.join("maps")) else { continue };
        let mut files: Vec<String> = Vec::new();
        for line in maps.lines().filter(|line| line.ends_with(" (deleted)")) {
            let mut words = line.splitn(6, ' ');
            let mode = words.nth(1).unwrap_or_default();
            let path = words.nth(3).unwrap_or_default().trim().trim_end_matches(" (deleted)");
            let of_package =
                ["/usr/", "/lib", "/bin/", "/sbin/", "/opt/"].iter().any(|head| path.starts_with(head));
            if mode.contains('x') && of_package && !files.iter().any(|known| known == path) {
                files.push(path.to_owned());
            }
        }
        if files.is_empty() {
            continue;
        }
        let Some(process) = Process::read(&roots.proc, pid) else { continue };
        if process.name.starts_with("qemu") || process.name.starts_with("kvm") {
            need.guests.push(pid);
            continue;
        }
        let core = files.iter().find(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            CORE.iter().any(|core| name.starts_with(core))
        });
        // The first process cannot be restarted, though it can be told to take its new program.
        if let (Some(core), 1) = (core, pid) {
            need.reasons.push(format!("the first process still uses the replaced {core}"));
        }
        let who = process.unit.unwrap_or_else(|| format!("process {pid} ({})", process.name));
        let known = need.outdated.entry(who).or_default();
        known.extend(files);
        known.sort();
        known.dedup();
    }
    let core =
        |file: &String| CORE.iter().any(|core| file.rsplit('/').next().unwrap_or(file).starts_with(core));
    let users = need.outdated.values().filter(|files| files.iter().any(core)).count();
    // needrestart and dnf say the same: when many use the old libc, one reboot is safer than many restarts.
    if users >= 5 {
        need.reasons.push(format!("{users} services still use replaced core libraries"));
    }
}

/// Compares two versions as rpm does: runs of digits as numbers, runs of letters as text, `~` before everything, `^`
/// after; the epoch before all, the release last.
#[must_use]
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let epoch = |version: &str| -> (u64, String) {
        match version.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => {
                (epoch.parse().unwrap_or(u64::MAX), rest.to_owned())
            }
            _ => (0, version.to_owned()),
        }
    };
    let ((left_epoch, left), (right_epoch, right)) = (epoch(left), epoch(right));
    left_epoch.cmp(&right_epoch).then_with(|| {
        let split = |text: &str| {
            text.rsplit_once('-')
                .map_or((text.to_owned(), String::new()), |(v, r)| (v.to_owned(), r.to_owned()))
        };
        let ((left, left_release), (right, right_release)) = (split(&left), split(&right));
        compare_parts(&left, &right).then_with(|| compare_parts(&left_release, &right_release))
    })
}

/// rpmvercmp of one part.
fn compare_parts(left: &str, right: &str) -> Ordering {
    let is_rest = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    let (mut left, mut right) = (left, right);
    loop {
        left = left.trim_start_matches(is_rest);
        right = right.trim_start_matches(is_rest);
        match (left.starts_with('~'), right.starts_with('~')) {
            (true, true) => {
                (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (left.starts_with('^'), right.starts_with('^')) {
            (true, true) => {
                (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
                continue;
            }
            (true, false) => return if right.is_empty() { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if left.is_empty() { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        let digits = left.starts_with(|c: char| c.is_ascii_digit());
        let run = |text: &str| {
            let same = |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
            text.find(|c| !same(c)).unwrap_or(text.len())
        };
        let (left_run, left_rest) = left.split_at(run(left));
        let (right_run, right_rest) = right.split_at(run(right));
        if right_run.is_empty() {
            // Digits are newer than letters.
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let order = if digits {
            let (left, right) = (left_run.trim_start_matches('0'), right_run.trim_start_matches('0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            left_run.cmp(right_run)
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        let lower = [
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0a", "1.0.1"),
            ("2-1", "1:1-1"),
            ("5.14.0-70.el9", "5.14.0-162.el9"),
            ("1.0", "1.0.1"),
            ("01.2", "1.3"),
        ];
        for (left, right) in lower {
            assert_eq!(compare_versions(left, right), Ordering::Less, "{left} {right}");
            assert_eq!(compare_versions(right, left), Ordering::Greater, "{right} {left}");
        }
        assert_eq!(compare_versions("1.0", "1.00"), Ordering::Equal);
    }

    #[test]
    fn a_kernel_of_another_flavour_is_no_update() {
        assert_eq!(flavour_of("6.1.0-18-cloud-amd64"), "");
        assert_eq!(flavour_of("5.14.0-70.el9.x86_64"), "");
        assert_eq!(flavour_of("5.14.0-70.el9.x86_64+debug"), "+debug");
    }
}
