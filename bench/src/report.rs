//! Figures, as a table or as JSON.
//!
//! Owns: the form of the output. Promises: every figure has its unit and its note; the machine's load average before
//! and after stands beside them. Does not: round away what was measured.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Form of the JSON.
const SCHEMA: &str = "lifeboat.bench/1";

struct Row {
    bench: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    note: String,
}

/// What was measured.
pub(crate) struct Report {
    rows: Vec<Row>,
    load_before: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), load_before: load_average() }
    }

    pub(crate) fn add(
        &mut self,
        bench: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        note: impl Into<String>,
    ) {
        self.rows.push(Row { bench, name: name.into(), value, unit, note: note.into() });
    }

    pub(crate) fn print(&self, as_json: bool) {
        let load_after = load_average();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if as_json {
            let rows: Vec<Value> = self
                .rows
                .iter()
                .map(|row| {
                    json!({"bench": row.bench, "name": row.name, "value": row.value, "unit": row.unit,
                           "note": row.note})
                })
                .collect();
            let whole = json!({
                "schema": SCHEMA,
                "unix_time": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                "processors": processors,
                "load_average": {"before": self.load_before, "after": load_after},
                "figures": rows,
            });
            println!("{whole:#}");
            return;
        }
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        for row in &self.rows {
            let Row { bench, name, value, unit, note } = row;
            println!("{:<8} {:<width$} {:>12} {:<9} {}", bench, name, number(*value), unit, note);
        }
        println!("\n{processors} processors; load average {} before, {load_after} after", self.load_before);
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// Numbers of runnable tasks over 1, 5 and 15 minutes (proc(5)).
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Most memory that this process had in RAM, in MiB (`VmHWM`, proc(5)).
pub(crate) fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    f64::from(kib.unwrap_or(0)) / 1024.0
}

/// The value below which this share (0 to 1) of the values lies.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a small list")]
    let at = (float(values.len().saturating_sub(1)) * share).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// A count as a number for division.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}
