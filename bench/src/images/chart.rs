//! The chart: time of a full install, time from v1, bytes from v1.
//!
//! Owns: one SVG file with three panels of bars. Promises: it reads on light and dark grounds, every bar has its name
//! and figure beside it, and ours differs by more than its colour. Does not: show rounds; the page has the spread.

use std::fmt::Write as _;
use std::path::Path;

use super::ways::Kind;
use super::{Figures, Measured, of_kind, page};
use crate::Failure;

const WIDTH: f64 = 940.0;
const NAMES: f64 = 250.0;
const BARS: f64 = 520.0;
const ROW: f64 = 24.0;
const HEAD: f64 = 76.0;

const STYLE: &str = "
  .ground { fill: #ffffff } text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2328 }
  .title { font-size: 18px; font-weight: 600 } .head { font-size: 14px; font-weight: 600 }
  .dim { fill: #59636e; font-size: 12px } .own { font-weight: 700; fill: #0a5bd0 }
  .axis { stroke: #8c959f } .other { fill: #afb8c1 } .ours { fill: #0a5bd0 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .dim { fill: #9da7b3 } .own { fill: #6cb0ff }
    .axis { stroke: #6e7681 } .other { fill: #57606a } .ours { fill: #6cb0ff }
  }";

struct Bar<'a> {
    name: &'a str,
    ours: bool,
    value: f64,
    told: String,
}

/// Writes the chart.
pub(super) fn write(path: &Path, measured: &Measured) -> Result<(), Failure> {
    let time = |kind| -> Vec<Bar<'_>> {
        of_kind(measured, kind)
            .into_iter()
            .map(|(way, figures)| Bar {
                name: way.name,
                ours: way.ours,
                value: figures.wall(),
                told: format!("{:.2} s, {:.0} MiB", figures.wall(), figures.rss()),
            })
            .collect()
    };
    let mut bytes: Vec<Bar<'_>> = of_kind(measured, Kind::Delta)
        .into_iter()
        .filter_map(|(way, figures): (_, &Figures)| {
            let value = page::in_mb(figures.bytes?);
            Some(Bar { name: way.name, ours: way.ours, value, told: format!("{value:.0} MB") })
        })
        .collect();
    bytes.sort_by(|a, b| a.value.total_cmp(&b.value));
    let panels = [
        ("Full install: seconds, and peak memory", time(Kind::Full)),
        ("From the release before: seconds, and peak memory", time(Kind::Delta)),
        ("From the release before: bytes to fetch", bytes),
    ];
    let mut out = String::new();
    draw(&mut out, measured, &panels)?;
    std::fs::write(path, out).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

fn draw(out: &mut String, measured: &Measured, panels: &[(&str, Vec<Bar<'_>>)]) -> std::fmt::Result {
    let rows: u32 = panels.iter().map(|(_, bars)| u32::try_from(bars.len()).unwrap_or(0)).sum();
    let height = HEAD + f64::from(rows) * ROW + 3.0 * 52.0;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">Installing a host image, by tool</title>\n\
         <desc id=\"d\">Bars of seconds and of bytes for Lifeboat and other tools; the figures stand beside the bars.</desc>\n\
         <style>{STYLE}\n</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>"
    )?;
    text(out, (24.0, 34.0), "title", "start", "An 800 MiB host image onto a host")?;
    let sub = format!(
        "Shorter is better. Medians of {} rounds side by side; load average {}. Lifeboat alone reads back everything it wrote.",
        measured.rounds,
        measured.load.1.split(' ').next().unwrap_or_default()
    );
    text(out, (24.0, 56.0), "dim", "start", &sub)?;
    let mut top = HEAD;
    for (title, bars) in panels {
        let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        text(out, (24.0, top + 22.0), "head", "start", title)?;
        top += 34.0;
        let high = f64::from(u32::try_from(bars.len()).unwrap_or(0)) * ROW;
        for bar in bars {
            let wide = (bar.value / most * BARS).max(1.0);
            let (class, word) = if bar.ours { ("ours", "own") } else { ("other", "") };
            text(out, (24.0 + NAMES, top + 16.0), word, "end", bar.name)?;
            // Ours fills its row, so that colour is not the only sign.
            let (inset, thick) = if bar.ours { (2.0, ROW - 4.0) } else { (5.0, ROW - 10.0) };
            let (x, y) = (34.0 + NAMES, top + inset);
            writeln!(
                out,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{wide:.1}\" height=\"{thick}\"/>"
            )?;
            text(out, (x + wide + 7.0, top + 16.0), word, "start", &bar.told)?;
            top += ROW;
        }
        writeln!(out, "<path class=\"axis\" d=\"M{} {}v{high}\"/>", 34.0 + NAMES, top - high)?;
        top += 18.0;
    }
    writeln!(out, "</svg>")
}

fn text(out: &mut String, at: (f64, f64), class: &str, anchor: &str, words: &str) -> std::fmt::Result {
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>",
        at.0, at.1
    )
}
