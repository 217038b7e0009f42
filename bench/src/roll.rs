//! `bench roll`: the real executor, its journal on SQLite, and the simulated pool, from the plan to the end of the roll.
//!
//! Owns: which pools, and a process for each, so that the memory told is that of one roll. Promises: a roll that does
//! not come to its end within the limit is told as such, with how far it came. Does not: compare; no peer can be run
//! here at such sizes.

mod clocked;
mod one;

use std::process::{Command, Stdio};

use serde_json::Value;

pub(crate) use one::child;

use crate::report::Report;
use crate::{Failure, Options};

const BENCH: &str = "roll";

/// Hosts, GiB of each, hosts in flight: those of `bench plan`.
const POOLS: [(usize, u64, u32); 3] = [(100, 1024, 10), (1_000, 1024, 50), (10_000, 1024, 300)];

/// Measures, and adds to the report.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    for (hosts, gib, in_flight) in POOLS {
        if options.only_hosts.is_some_and(|only| only != hosts) {
            continue;
        }
        let mut child = Command::new(std::env::current_exe()?);
        child.arg("roll-one").args([hosts.to_string(), gib.to_string(), in_flight.to_string()]);
        child.arg(options.limit.as_secs().to_string()).arg(&options.dir);
        let done = child.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !done.status.success() {
            return Err(format!("the roll of {hosts} hosts ended with {}", done.status).into());
        }
        add(report, hosts, in_flight, &serde_json::from_slice(&done.stdout)?);
    }
    Ok(())
}

fn add(report: &mut Report, hosts: usize, in_flight: u32, told: &Value) {
    let number = |key: &str| told.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut row = |name: &str, value: f64, unit: &'static str, note: String| {
        report.add(BENCH, format!("{hosts}: {name}"), value, unit, note);
    };
    let size =
        format!("{} guests, {} moves, {in_flight} in flight at most", number("guests"), number("moves"));
    row("wall time of the roll", number("seconds"), "s", format!("{}; {size}", text("end")));
    row("hosts upgraded", number("committed"), "", format!("simulated: {:.1} h", number("sim_hours")));
    row("events", number("events"), "", format!("{} appends", number("appends")));
    row("events per second", number("events") / number("seconds"), "events/s", String::new());
    for (key, what) in [
        ("plan_s", "before: plan"),
        ("start_s", "before: start of the roll"),
        ("append_s", "  fold and append (SQLite)"),
        ("observe_s", "  driver: look at the whole pool"),
        ("look_s", "  driver: look at some hosts"),
        ("order_s", "  driver: start"),
        ("poll_s", "  driver: poll"),
        ("rest_s", "  decide and the loop"),
    ] {
        let calls = number(&key.replace("_s", "_calls"));
        let note = if calls.is_nan() { String::new() } else { format!("{calls} calls") };
        row(what, number(key), "s", note);
    }
    row("journal on disk", number("disk_mib"), "MiB", text("files"));
    row("peak RSS", number("rss_mib"), "MiB", format!("{:.0} MiB before the roll", number("rss_before_mib")));
}
