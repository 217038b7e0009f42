//! Programs that call the package manager by themselves: units, timers, jobs of cron, processes.
//!
//! Owns: the table of known callers and the search on a host. Promises: finds what is in the table, and every unit and job
//! of cron whose command names a package manager. Does not: stop anything; [`crate::quiesce`] does, with units alone.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::process::{Process, pids};
use crate::roots::Roots;
use crate::services::{Services, is_kind};

/// Where a caller was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerKind {
    /// A unit: service or timer.
    Unit,
    /// A job of cron.
    Cron,
    /// A process that belongs to no unit.
    Process,
}

/// Something that may call the package manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Where it was found.
    pub kind: CallerKind,
    /// Unit, file of cron, or process.
    pub name: String,
    /// Why it is taken for a caller.
    pub why: String,
    /// Whether it is stopped for a transaction.
    pub quiesced: bool,
}

/// Timers, and services that run by themselves: unit name or its beginning with `*`, and what they call.
const UNITS: &[(&str, &str)] = &[
    ("apt-daily.timer", "apt-get update"),
    ("apt-daily.service", "apt-get update"),
    ("apt-daily-upgrade.timer", "unattended-upgrade"),
    ("apt-daily-upgrade.service", "unattended-upgrade"),
    ("unattended-upgrades.service", "apt and dpkg"),
    ("dpkg-db-backup.timer", "copies the dpkg database"),
    ("packagekit.service", "apt or dnf"),
    ("packagekit-offline-update.service", "apt or dnf at boot"),
    ("dnf-automatic*.timer", "dnf"),
    ("dnf-automatic*.service", "dnf"),
    ("dnf5-automatic.timer", "dnf"),
    ("dnf5-automatic.service", "dnf"),
    ("dnf-makecache.timer", "dnf makecache"),
    ("dnf-makecache.service", "dnf makecache"),
    ("dnf-system-upgrade.service", "dnf"),
    ("yum-cron.service", "yum"),
    ("yum-updatesd.service", "yum"),
    ("insights-client*.timer", "rpm -qa and yum"),
    ("insights-client.service", "rpm -qa and yum"),
    ("rhsmcertd.service", "subscription-manager, rpm"),
    ("rhsm-facts.service", "subscription-manager, rpm"),
    ("goferd.service", "katello package upload"),
    ("cockpit.service", "PackageKit from the browser"),
    ("landscape-client.service", "apt"),
    ("puppet.service", "rpm -q, apt-cache, dnf"),
    ("salt-minion.service", "rpm, apt, dnf"),
    ("chef-client.*", "rpm, apt, dnf"),
    ("ua-timer.timer", "apt"),
    ("apt-news.service", "apt"),
    ("esm-cache.service", "apt"),
    ("fwupd-refresh.timer", "asks for the package of firmware"),
    ("packagekit-background.timer", "apt or dnf"),
    ("zabbix-agent*.service", "user parameters that run rpm or apt"),
    ("hp-health.service", "rpm"),
    ("hp-snmp-agents.service", "rpm"),
    ("hpsmhd.service", "rpm"),
    ("amsd.service", "rpm"),
    ("needrestart.service", "dpkg -S"),
    ("snapd.refresh.timer", "snaps; asks dpkg for versions"),
];

/// Names of processes that are callers; `comm` is cut at 15 characters.
const PROCESSES: &[(&str, &str)] = &[
    ("unattended-upgr", "apt and dpkg"),
    ("packagekitd", "apt or dnf"),
    ("apt", "apt"),
    ("apt-get", "apt"),
    ("aptitude", "apt"),
    ("dpkg", "dpkg"),
    ("dpkg-query", "dpkg"),
    ("rpm", "rpm"),
    ("rpmdb", "rpm"),
    ("yum", "rpm"),
    ("dnf", "rpm"),
    ("dnf5", "rpm"),
    ("dnf-automatic", "rpm"),
    ("yum-updatesd", "yum"),
    ("dcrpm", "rpm"),
    ("puppet", "rpm -q, apt-cache, dnf"),
    ("chef-client", "rpm, apt, dnf"),
    ("salt-minion", "rpm, apt, dnf"),
    ("insights-client", "rpm -qa"),
    ("rhsmcertd", "rpm"),
    ("goferd", "rpm -qa"),
    ("landscape-packa", "apt"),
    ("chroma-agent", "rpm -q"),
    ("hpasmd", "rpm"),
    ("hpasmlited", "rpm"),
    ("hpasmpld", "rpm"),
    ("cmaeventd", "rpm"),
    ("cmafcad", "rpm"),
    ("cmahealthd", "rpm"),
    ("cmahostd", "rpm"),
    ("cmaidad", "rpm"),
    ("cmaided", "rpm"),
    ("cmanicd", "rpm"),
    ("cmapeerd", "rpm"),
    ("cmaperfd", "rpm"),
    ("cmasasd", "rpm"),
    ("cmascsid", "rpm"),
    ("cmasm2d", "rpm"),
    ("cmastdeqd", "rpm"),
    ("cmathreshd", "rpm"),
    ("hpsmhd", "rpm"),
];

/// Words that make a command one of a package manager.
const WORDS: &[&str] = &[
    "rpm",
    "yum",
    "dnf",
    "dnf5",
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "dpkg-query",
    "apt-cache",
    "unattended-upgrade",
    "apt.systemd.daily",
    "dnf-automatic",
    "needs-restarting",
    "packagekitd",
];

const UNIT_FOLDERS: &[&str] =
    &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const CRON_FOLDERS: &[&str] = &[
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
];
/// Longest unit file or job that is read.
const LONGEST: u64 = 256 * 1024;

/// Everything on this host that may call the package manager, except this very program.
#[must_use]
pub fn find_callers(roots: &Roots, services: &dyn Services) -> Vec<Caller> {
    let mut found = unit_callers(roots, services);
    found.extend(cron_callers(roots));
    found.extend(process_callers(roots, &found));
    found
}

fn unit_callers(roots: &Roots, services: &dyn Services) -> Vec<Caller> {
    let manages = services.manages();
    let mut names: Vec<String> = services.units();
    let mut commands: Vec<(String, String)> = Vec::new();
    for folder in UNIT_FOLDERS {
        for entry in fs::read_dir(roots.host_path(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_kind(&name, "service") && !is_kind(&name, "timer") {
                continue;
            }
            if let Some(text) = read_short(&entry.path()) {
                let lines = text.lines().filter(|line| line.starts_with("ExecStart"));
                if let Some(word) = lines.flat_map(words_of).find(|word| WORDS.contains(word)) {
                    commands.push((name.clone(), format!("its command names {word}")));
                }
            }
            names.push(name);
        }
    }
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for name in &names {
        // Ours is never stopped by us.
        if name.starts_with("lifeboat") {
            continue;
        }
        let known =
            UNITS.iter().find(|(pattern, _)| fits(pattern, name)).map(|(_, what)| format!("runs {what}"));
        let timed = name.strip_suffix(".timer").map(|stem| format!("{stem}.service"));
        let by_command =
            |unit: &str| commands.iter().find(|(known, _)| known == unit).map(|(_, why)| why.clone());
        let why = known.or_else(|| by_command(name)).or_else(|| {
            let service = timed.as_deref()?;
            by_command(service).map(|why| format!("starts {service}: {why}"))
        });
        if let Some(why) = why {
            found.push(Caller { kind: CallerKind::Unit, name: name.clone(), why, quiesced: manages });
        }
    }
    found
}

fn cron_callers(roots: &Roots) -> Vec<Caller> {
    let mut files = vec![roots.host_path("/etc/crontab"), roots.host_path("/etc/anacrontab")];
    for folder in CRON_FOLDERS {
        let entries = fs::read_dir(roots.host_path(folder)).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    let mut found = Vec::new();
    for path in files {
        let Some(text) = read_short(&path) else { continue };
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        if let Some(word) = lines.flat_map(words_of).find(|word| WORDS.contains(word)) {
            let name = roots.as_host(&path);
            let why = format!("its job names {word}; it finds the lock held during a transaction");
            found.push(Caller { kind: CallerKind::Cron, name, why, quiesced: false });
        }
    }
    found
}

fn process_callers(roots: &Roots, units: &[Caller]) -> Vec<Caller> {
    let mut found = Vec::new();
    for pid in pids(&roots.proc) {
        let Some(process) = Process::read(&roots.proc, pid) else { continue };
        let Some((_, what)) = PROCESSES.iter().find(|(name, _)| *name == process.name) else { continue };
        let unit = process.unit.as_deref().unwrap_or_default();
        if units.iter().any(|caller| caller.name == unit) {
            continue;
        }
        let why = format!("runs {what}: {}", process.command);
        let name = format!("process {pid} ({})", process.name);
        found.push(Caller { kind: CallerKind::Process, name, why, quiesced: false });
    }
    found
}

/// Words of a command: file names without their folders.
fn words_of(line: &str) -> impl Iterator<Item = &str> {
    let cut = |c: char| c.is_whitespace() || "=;|&`()\"'@-+!:".contains(c) && c != '-';
    line.split(cut).map(|word| word.rsplit('/').next().unwrap_or(word)).filter(|word| !word.is_empty())
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
        None => pattern == name,
    }
}

fn read_short(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > LONGEST {
        return None;
    }
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_words_and_not_by_parts_of_words() {
        let hit = |line| words_of(line).any(|word| WORDS.contains(&word));
        assert!(hit("ExecStart=/usr/bin/dnf makecache"));
        assert!(hit("ExecStart=-/bin/sh -c '/usr/bin/rpm -qa > /tmp/list'"));
        assert!(hit("0 3 * * * root /usr/bin/apt-get -q update"));
        assert!(!hit("ExecStart=/usr/bin/adaptive --rpmless"));
        assert!(!hit("ExecStart=/usr/sbin/captd"));
    }

    #[test]
    fn a_pattern_fits_from_both_ends() {
        assert!(fits("dnf-automatic*.timer", "dnf-automatic-install.timer"));
        assert!(fits("dnf-automatic*.timer", "dnf-automatic.timer"));
        assert!(!fits("dnf-automatic*.timer", "dnf-automatic.service"));
    }
}
