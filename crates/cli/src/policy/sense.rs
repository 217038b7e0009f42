//! What values mean together, and whether what they name is there.
//!
//! Promises: says nothing about a value that reading refused. Does not: run programs.

use std::path::Path;

use lifeboat_model::{Day, Policy, PolicyError, Window, minutes_of};

use super::duration;
use super::keys::{Shape, find};
use super::read::Reading;

/// Adds everything that is wrong with the values.
pub(super) fn judge(reading: &mut Reading<'_>) {
    let policy = reading.policy.clone();
    for problem in policy.problems() {
        let key = problem.key().to_owned();
        let (reason, remedy) = match &problem {
            PolicyError::OutOfRange { allowed, .. } => {
                let length = find(&key).is_some_and(|key| matches!(key.shape, Shape::Duration));
                let remedy = if length {
                    "write a longer time: no wait is endless or empty"
                } else {
                    "write a number in that range"
                };
                (format!("it is outside {allowed}"), remedy.to_owned())
            }
            PolicyError::Wrong { reason, .. } => {
                let what = "it cannot be used as it is".to_owned();
                let (reason, remedy) = split(reason, &what);
                (reason, remedy)
            }
        };
        reading.wrong(&key, &reason, &remedy);
    }
    programs(reading, &policy);
    windows(reading, &policy);
    names(reading, &policy);
}

/// The model's texts are "reason; remedy", "reason: remedy" or a remedy alone.
fn split(text: &str, otherwise: &str) -> (String, String) {
    if let Some((reason, remedy)) = text.split_once("; ").or_else(|| text.split_once(": ")) {
        return (reason.to_owned(), remedy.to_owned());
    }
    let orders = ["write ", "name "].iter().any(|word| text.starts_with(word));
    if orders { (otherwise.to_owned(), text.to_owned()) } else { (text.to_owned(), "change it".to_owned()) }
}

fn programs(reading: &mut Reading<'_>, policy: &Policy) {
    let hooks = policy.hooks.iter().enumerate().map(|(at, hook)| ("hooks", at, &hook.command));
    let gates = policy.gates.iter().enumerate().map(|(at, gate)| ("gates", at, &gate.command));
    for (list, at, command) in hooks.chain(gates) {
        let Some(program) = command.first().filter(|program| program.starts_with('/')) else { continue };
        if let Some((reason, remedy)) = not_runnable(Path::new(program)) {
            reading.wrong(&format!("{list}.{at}.command"), &reason, &remedy);
        }
    }
    for (at, hook) in policy.hooks.iter().enumerate() {
        if hook.warn_after.is_some_and(|after| after >= hook.timeout) {
            let reason = format!("the hook is ended before, after {}", duration::show(hook.timeout.0));
            reading.wrong(&format!("hooks.{at}.warn-after"), &reason, "make it shorter than timeout");
        }
    }
}

/// Why a program cannot be run here, and what to do.
fn not_runnable(program: &Path) -> Option<(String, String)> {
    let shown = program.display();
    match std::fs::metadata(program) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some((format!("there is no program {shown}"), "install it, or correct the path".to_owned()))
        }
        Err(error) => Some((format!("{shown} cannot be looked at: {error}"), "mend its rights".to_owned())),
        Ok(found) if !found.is_file() => {
            Some((format!("{shown} is not a file"), "name the program itself".to_owned()))
        }
        Ok(_) => rustix::fs::access(program, rustix::fs::Access::EXEC_OK)
            .is_err()
            .then(|| (format!("{shown} is not executable for this user"), format!("chmod +x {shown}"))),
    }
}

fn windows(reading: &mut Reading<'_>, policy: &Policy) {
    for (at, window) in policy.windows.iter().enumerate() {
        if let Err(error) = jiff::tz::TimeZone::get(&window.zone) {
            // Without a database every name is unknown; that is another mistake.
            let (reason, remedy) = if jiff::tz::TimeZone::get("Europe/Vienna").is_err() {
                (format!("this machine has no time zones: {error}"), "install the package tzdata")
            } else {
                (
                    "this time zone is not known".to_owned(),
                    "write a name of the IANA database, such as Europe/Vienna or UTC",
                )
            };
            reading.wrong(&format!("windows.{at}.zone"), &reason, remedy);
        }
        let mut seen = std::collections::BTreeSet::new();
        for (place, day) in window.days.iter().enumerate() {
            if !seen.insert(day) {
                reading.wrong(
                    &format!("windows.{at}.days.{place}"),
                    "the day is named twice",
                    "name it once",
                );
            }
        }
    }
    if let Some(longest) = longest(&policy.windows)
        && policy.window_margin.0 >= longest
    {
        let reason = format!(
            "no window is so long, the longest is {}: no host could ever begin",
            duration::show(longest)
        );
        reading.wrong("window-margin", &reason, "make it shorter, or a window longer");
    }
}

const WEEK: usize = 7 * 1440;

/// Milliseconds of the longest time in which windows are open without a break; none if there is no end to it, or if
/// they are of different time zones. Adjoining windows count as one.
fn longest(windows: &[Window]) -> Option<u64> {
    let zone = &windows.first()?.zone;
    if windows.iter().any(|window| window.zone != *zone) {
        return None;
    }
    let mut open = vec![false; WEEK];
    for window in windows {
        let (from, to) = (usize::from(minutes_of(&window.from)?), usize::from(minutes_of(&window.to)?));
        let to = if to <= from { to + 1440 } else { to };
        for (number, day) in Day::ALL.iter().enumerate() {
            if window.days.is_empty() || window.days.contains(day) {
                for minute in from..to {
                    if let Some(place) = open.get_mut((number * 1440 + minute) % WEEK) {
                        *place = true;
                    }
                }
            }
        }
    }
    // From a minute that is closed, once around the week.
    let start = open.iter().position(|open| !open)?;
    let (mut run, mut best) = (0_u64, 0_u64);
    for is_open in open.iter().cycle().skip(start).take(WEEK) {
        run = if *is_open { run + 1 } else { 0 };
        best = best.max(run);
    }
    Some(best * 60_000)
}

fn names(reading: &mut Reading<'_>, policy: &Policy) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, host) in policy.last.iter().enumerate() {
        if !seen.insert(host) {
            reading.wrong(&format!("last.{at}"), "the host is named twice", "name it once");
        }
    }
    let all = policy.guests.iter().position(|rule| rule.guests.iter().any(|name| name == "*"));
    if let Some(all) = all {
        for at in all + 1..policy.guests.len() {
            let reason = format!("it is never used: rule {all} before it is for all guests");
            reading.wrong(&format!("guests.{at}.guests"), &reason, "put it before the rule for \"*\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        let (from, to, zone) = (from.to_owned(), to.to_owned(), "UTC".to_owned());
        Window { days: days.to_vec(), from, to, zone }
    }

    #[test]
    fn adjoining_windows_count_as_one_also_over_the_end_of_the_week() {
        const HOUR: u64 = 3_600_000;
        let every = |from, to| window(&[], from, to);
        for (windows, expected) in [
            (vec![every("22:00", "05:00")], Some(7 * HOUR)),
            (vec![every("22:00", "24:00"), every("00:00", "04:00")], Some(6 * HOUR)),
            (
                vec![window(&[Day::Sun], "22:00", "24:00"), window(&[Day::Mon], "00:00", "01:00")],
                Some(3 * HOUR),
            ),
            (vec![every("00:00", "24:00")], None),
            (vec![window(&[Day::Sat], "00:00", "24:00")], Some(24 * HOUR)),
            (vec![], None),
        ] {
            assert_eq!(longest(&windows), expected, "{windows:?}");
        }
    }
}
