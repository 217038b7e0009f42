//! Whether the policy means something for this pool.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{Day, HostId, Millis, OnFailure, Policy, Severity, Window, minutes_of};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Pool, mib};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "policy",
    title: "the policy means what you think, for this pool",
    pages: &[INVALID, HOST, RULE, HOOK, IN_FLIGHT, NEVER, SHORT, GOES_ON],
    run,
};

const INVALID: Page = Page {
    code: "policy-invalid",
    title: "a value of the policy has no meaning",
    severity: Severity::Blocker,
    looks_at: "every value of the policy: ranges, contradictions, commands, names",
    means: "No plan is made with such a policy.",
    remedy: "Correct the value in the policy file. `lifeboat policy show` tells every value and where it comes from.",
    undo: "",
    incidents: &[],
};

const HOST: Page = Page {
    code: "policy-names-unknown-host",
    title: "the policy names a host that is not in the pool",
    severity: Severity::Blocker,
    looks_at: "`canary` and `last`",
    means: "The name is mistyped or the host is gone. The host that you meant would have its turn like any other: \
            the machine that this controller runs on, for example, in the middle of the roll.",
    remedy: "Correct the name in the policy file; `lifeboat pool show POOL` lists the hosts.",
    undo: "",
    incidents: &[],
};

const RULE: Page = Page {
    code: "policy-rule-matches-no-guest",
    title: "a guest rule of the policy names no guest of the pool",
    severity: Severity::Warning,
    looks_at: "`guests`: whether each rule names at least one guest",
    means: "The names are mistyped, the guests are gone, or another rule before it names all of them. A guest that \
            you meant to be stopped or left alone is moved like any other.",
    remedy: "Correct the names in the policy file; the first rule that names a guest counts.",
    undo: "",
    incidents: &[],
};

const HOOK: Page = Page {
    code: "policy-hook-matches-no-host",
    title: "a hook of the policy runs for no host of the pool",
    severity: Severity::Warning,
    looks_at: "`hooks`: whether the `hosts` of each name at least one host",
    means: "The command never runs.",
    remedy: "Correct the names in the policy file, or remove the hook.",
    undo: "",
    incidents: &[],
};

const IN_FLIGHT: Page = Page {
    code: "policy-in-flight-not-reached",
    title: "fewer hosts can be out of service at once than the policy allows",
    severity: Severity::Note,
    looks_at: "`max-in-flight`, `reserve-hosts`, `reserve-percent` and `one-per-fault-domain`, against the free \
               memory and the fault domains of the pool",
    means: "The roll takes more time than `max-in-flight` lets you expect. Nothing is at risk.",
    remedy: "Free memory, lower the reserve, or allow more hosts of one fault domain, if the time matters.",
    undo: "",
    incidents: &[],
};

const NEVER: Page = Page {
    code: "policy-windows-never-long-enough",
    title: "no maintenance window is as long as its margin",
    severity: Severity::Blocker,
    looks_at: "`windows` (adjoining ones count as one) and `window-margin`",
    means: "No host would ever begin: the roll would suspend the features and wait for ever.",
    remedy: "Make a window longer, or `window-margin` shorter.",
    undo: "",
    incidents: &[],
};

const SHORT: Page = Page {
    code: "policy-windows-shorter-than-a-wave",
    title: "the longest maintenance window is shorter than one wave of the plan",
    severity: Severity::Warning,
    looks_at: "`windows`, and the estimated time of the plan divided by its waves",
    means: "A host that has begun when its window closes is brought to its end, outside of the window.",
    remedy: "Make the windows longer, set `window-margin` to the time of one host, or lower `max-in-flight`.",
    undo: "",
    incidents: &[],
};

const GOES_ON: Page = Page {
    code: "policy-goes-on-whatever-fails",
    title: "the roll would go on although every host failed",
    severity: Severity::Warning,
    looks_at: "`on-failure = { continue = N }` against the number of hosts with a turn",
    means: "A bad release reaches every host of the pool. Each falls back alone, but nobody is asked.",
    remedy: "Lower the number, or set `on-failure = \"stop\"`.",
    undo: "",
    incidents: &["I-34"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let policy = pool.ground.policy;
    for problem in policy.problems() {
        let key = problem.key().to_owned();
        found.add(&INVALID, key, problem.to_string(), "correct the value in the policy file");
    }
    named_hosts(pool, found);
    for (number, rule) in policy.guests.iter().enumerate() {
        if !pool.used_rules.contains(&number) {
            found.add(
                &RULE,
                format!("guests.{number}"),
                format!("{} ({}): no guest takes this rule", names(&rule.guests), rule.strategy),
                "correct the names, or move the rule before the one that names the same guests",
            );
        }
    }
    for hook in &policy.hooks {
        // A hook for all hosts is for some host, unless there is none.
        if !hook.hosts.is_empty() && !pool.hosts.iter().any(|host| hook.is_for(&host.view.id)) {
            let evidence =
                format!("hook {} ({}) is for {}: no such host", hook.name, hook.stage, names(&hook.hosts));
            found.add(&HOOK, &hook.name, evidence, "correct the names, or remove the hook");
        }
    }
    in_flight(pool, found);
    windows(pool, found);
    let turns = pool.hosts.iter().filter(|host| host.turn).count();
    if let OnFailure::Continue(failures) = policy.on_failure
        && turns > 0
        && usize::try_from(failures).unwrap_or(usize::MAX) >= turns
    {
        found.add(
            &GOES_ON,
            "on-failure",
            format!("it goes on until more than {failures} hosts failed, and {turns} have a turn"),
            format!("lower it below {turns}, or set on-failure = \"stop\""),
        );
    }
}

fn named_hosts(pool: &Pool<'_>, found: &mut Found) {
    let policy = pool.ground.policy;
    let canary = policy.canary.iter().map(|host| ("canary", host));
    let last = policy.last.iter().map(|host| ("last", host));
    let unknown = canary.chain(last).filter(|(_, host): &(&str, &HostId)| pool.host(host).is_none());
    for (key, host) in unknown {
        found.add(
            &HOST,
            key,
            format!("{key} names {host}, which is not in the pool"),
            format!("correct the name; lifeboat pool show {} lists the hosts", pool.name()),
        );
    }
}

fn in_flight(pool: &Pool<'_>, found: &mut Found) {
    let policy = pool.ground.policy;
    let turns: Vec<_> = pool.hosts.iter().filter(|host| host.turn && host.in_service).collect();
    let allowed = policy.in_flight_of(pool.hosts.len()).min(turns.len());
    if allowed < 2 {
        return;
    }
    let figures = pool.figures();
    let reserve = pool.reserve(&figures);
    let usable = figures.free.saturating_sub(reserve);
    let room = figures.fit_into(usable).max(1);
    if room < allowed {
        found.add(
            &IN_FLIGHT,
            "max-in-flight",
            format!(
                "{} may be out of service at once, but {} are free and {} of them are reserve: room for {room} of the \
                 largest hosts",
                count(allowed, "host"),
                mib(figures.free),
                mib(reserve)
            ),
            "free memory or lower the reserve, if the time matters",
        );
    }
    let own = turns.iter().filter(|host| host.view.fault_domain.is_none()).count();
    let domains: BTreeSet<&str> = turns.iter().filter_map(|host| host.view.fault_domain.as_deref()).collect();
    let apart = own + domains.len();
    if policy.one_per_fault_domain && apart < allowed {
        found.add(
            &IN_FLIGHT,
            "max-in-flight",
            format!(
                "{} may be out of service at once, but hosts with a turn are in {}, and one of each may be out of \
                 service",
                count(allowed, "host"),
                count(apart, "fault domain")
            ),
            "set one-per-fault-domain = false if a fault domain may lose more hosts at once",
        );
    }
}

fn windows(pool: &Pool<'_>, found: &mut Found) {
    let policy = pool.ground.policy;
    let Some(longest) = longest_window(policy) else { return };
    if longest < policy.window_margin {
        let evidence = format!("the longest window has {longest}, the margin is {}", policy.window_margin);
        found.add(&NEVER, "window-margin", evidence, "make a window longer, or window-margin shorter");
        return;
    }
    let Some(figures) = pool.ground.plan.map(|plan| &plan.figures).filter(|figures| figures.waves > 0) else {
        return;
    };
    let wave = Millis(figures.makespan.planned.0 / u64::from(figures.waves));
    if longest < wave {
        found.add(
            &SHORT,
            "windows",
            format!(
                "the longest window has {longest}; the plan takes {} for {} waves, {wave} each",
                figures.makespan.planned, figures.waves
            ),
            format!("make a window at least {wave} long, or lower max-in-flight"),
        );
    }
}

/// The longest time that windows of one zone are open without a gap; none if there are no windows, or none that have a
/// meaning. Changes of a zone's clock are left aside.
fn longest_window(policy: &Policy) -> Option<Millis> {
    let mut zones: BTreeMap<&str, Vec<&Window>> = BTreeMap::new();
    for window in &policy.windows {
        zones.entry(&window.zone).or_default().push(window);
    }
    zones
        .values()
        .filter_map(|windows| longest_of_zone(windows))
        .max()
        .map(|minutes| Millis(minutes * 60_000))
}

const DAY: usize = 24 * 60;
const WEEK: usize = 7 * DAY;

fn longest_of_zone(windows: &[&Window]) -> Option<u64> {
    // How many windows open or close at each minute of two weeks, so that one over the end of a week is whole.
    let mut steps = vec![0_i64; 2 * WEEK + 2 * DAY];
    let mut any = false;
    for window in windows {
        let (Some(from), Some(to)) = (minutes_of(&window.from), minutes_of(&window.to)) else { continue };
        let (from, to) = (usize::from(from), usize::from(to));
        let length = if to > from { to - from } else { to + DAY - from };
        let days: BTreeSet<Day> = if window.days.is_empty() {
            Day::ALL.into_iter().collect()
        } else {
            window.days.iter().copied().collect()
        };
        any = true;
        for (number, _) in Day::ALL.iter().enumerate().filter(|(_, day)| days.contains(day)) {
            for week in 0..2 {
                let opens = week * WEEK + number * DAY + from;
                for (minute, step) in [(opens, 1), (opens + length, -1)] {
                    if let Some(slot) = steps.get_mut(minute) {
                        *slot += step;
                    }
                }
            }
        }
    }
    let (mut open, mut run, mut longest) = (0_i64, 0_u64, 0_u64);
    for step in &steps {
        open += step;
        run = if open > 0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    any.then_some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        Window { days: days.to_vec(), from: from.to_owned(), to: to.to_owned(), zone: "Etc/UTC".to_owned() }
    }

    #[test]
    fn adjoining_windows_count_as_one_also_over_the_end_of_a_week() {
        let cases: [(&[Window], Option<u64>); 5] = [
            (&[], None),
            (&[window(&[], "22:00", "04:00")], Some(6 * 60)),
            (&[window(&[Day::Sun], "22:00", "24:00"), window(&[Day::Mon], "00:00", "06:00")], Some(8 * 60)),
            (&[window(&[Day::Sat, Day::Sun], "00:00", "24:00")], Some(48 * 60)),
            (&[window(&[], "25:00", "04:00")], None),
        ];
        for (windows, minutes) in cases {
            let policy = Policy { windows: windows.to_vec(), ..Policy::default() };
            assert_eq!(
                longest_window(&policy),
                minutes.map(|minutes| Millis(minutes * 60_000)),
                "{windows:?}"
            );
        }
    }
}
