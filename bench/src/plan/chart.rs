//! The chart: moves per guest and time of each way, beside the bounds.
//!
//! Owns: one SVG file with a panel for each of four pools on common axes. Promises: it reads on light and dark grounds,
//! every mark has its name beside it and a shape of its own kind, so that colour is never the only sign. Does not:
//! show seeds; the table has the worst ones.

mod labels;

use std::fmt::Write as _;
use std::path::Path;

use super::sample::Way;
use super::table::{Block, Figures, Table};
use crate::Failure;
use crate::pools::{Mix, Rule};
use labels::{Label, place};

/// Pools that are shown, with their load.
pub(crate) const PANELS: [(usize, u64); 4] = [(3, 60), (32, 60), (1_000, 70), (10_000, 70)];
const WIDTH: f64 = 980.0;
const PANEL: (f64, f64) = (410.0, 270.0);
const LEFT: f64 = 64.0;
const TOP: f64 = 128.0;
const GAP: (f64, f64) = (62.0, 96.0);
/// Time as a multiple of its bound, on a logarithmic axis.
const TIMES: (f64, f64) = (0.2, 900.0);
const TICKS: [(f64, &str); 7] =
    [(0.25, "¼"), (1.0, "1"), (3.0, "3"), (10.0, "10"), (30.0, "30"), (100.0, "100"), (500.0, "500")];
const MOVES: (f64, f64) = (0.9, 2.3);

const STYLE: &str = "
  .ground { fill: #ffffff } .panel { fill: #f6f8fa; stroke: #d0d7de }
  text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2328 }
  .title { font-size: 18px; font-weight: 600 } .head { font-size: 13px; font-weight: 600 }
  .dim { fill: #59636e } .small { font-size: 11px } .own { font-weight: 700; fill: #0a5bd0 }
  .grid { stroke: #d8dee4; stroke-width: 1 } .lead { stroke: #8c959f; stroke-width: .8 }
  .bound { stroke: #b35900; stroke-width: 1.6; stroke-dasharray: 6 4 } .boundtext { fill: #954a00; font-size: 11px }
  .no { fill: #b35900; opacity: .07 }
  .other { fill: #ffffff; stroke: #57606a; stroke-width: 1.7 } .real { fill: #57606a; stroke: #57606a }
  .ours { fill: #0a5bd0; stroke: #ffffff; stroke-width: 1.2 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .panel { fill: #151b23; stroke: #3d444d }
    text { fill: #e6edf3 } .dim { fill: #9da7b3 } .own { fill: #6cb0ff }
    .grid { stroke: #2a313a } .lead { stroke: #6e7681 }
    .bound { stroke: #f0a04b } .boundtext { fill: #f0a04b } .no { fill: #f0a04b; opacity: .08 }
    .other { fill: #151b23; stroke: #b1bac4 } .real { fill: #b1bac4; stroke: #b1bac4 }
    .ours { fill: #6cb0ff; stroke: #0d1117 }
  }";

/// Writes the chart, if any of its pools was measured.
pub(crate) fn write(folder: &Path, table: &Table) -> Result<(), Failure> {
    let panels: Vec<&Block> = PANELS
        .iter()
        .filter_map(|&(hosts, load)| {
            table.blocks.iter().find(|block| {
                let case = &block.case;
                (case.hosts, case.percent) == (hosts, load)
                    && case.rule == Rule::None
                    && case.mix == Mix::Azure
            })
        })
        .collect();
    if panels.is_empty() {
        return Ok(());
    }
    let folder = folder.join("images");
    let path = folder.join("bench-plan.svg");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, svg(&panels)?))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

fn svg(panels: &[&Block]) -> std::io::Result<String> {
    let rows = f64::from(u32::try_from(panels.len().div_ceil(2)).unwrap_or(1));
    let height = TOP + rows * (PANEL.1 + GAP.1) + 18.0;
    let mut out = String::new();
    draw(&mut out, panels, height).map_err(std::io::Error::other)?;
    Ok(out)
}

fn draw(out: &mut String, panels: &[&Block], height: f64) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">Moves per guest and time of a roll, \
         by way of rolling</title>\n<desc id=\"d\">Lifeboat's ramp lies on the lower bound of moves; ways that bring \
         guests back need two moves per guest or more.</desc>\n<style>{STYLE}\n</style>\n<rect class=\"ground\" \
         width=\"{WIDTH}\" height=\"{height}\"/>"
    )?;
    text(out, LEFT, 34.0, "title", "Fewest moves: what each way of rolling a pool costs")?;
    let sub = "Left is faster, lower is gentler. Medians over the seeds; time by the stated formula, as a multiple of its bound.";
    text(out, LEFT, 56.0, "dim", sub)?;
    let mut x = LEFT + 7.0;
    for (way, name) in [
        (Way::Ramp, "Lifeboat (small: spill K)"),
        (Way::Serial, "one host at a time *"),
        (Way::Waves, "K hosts at a time *"),
        (Way::XoNew, "guests brought back *"),
        (Way::Hroller, "hroller, real program"),
    ] {
        mark(out, way, x, 80.0)?;
        text(out, x + 12.0, 84.0, if way.ours() { "own" } else { "" }, name)?;
        x += 12.0 + 6.9 * f64::from(u32::try_from(name.len()).unwrap_or(0)) + 22.0;
    }
    let note = "* re-implementation · dashed: the bounds; nothing that keeps guests where the roll puts them, with at most K hosts in flight, is beyond them";
    text(out, LEFT, 106.0, "dim small", note)?;
    for (index, block) in (0_u32..).zip(panels) {
        let (column, row) = (f64::from(index % 2), f64::from(index / 2));
        panel(out, block, LEFT + column * (PANEL.0 + GAP.0), TOP + 26.0 + row * (PANEL.1 + GAP.1))?;
    }
    writeln!(out, "</svg>")
}

fn across(time: f64) -> f64 {
    (time.clamp(TIMES.0, TIMES.1) / TIMES.0).ln() / (TIMES.1 / TIMES.0).ln() * PANEL.0
}

fn down(moves: f64) -> f64 {
    (1.0 - (moves.clamp(MOVES.0, MOVES.1) - MOVES.0) / (MOVES.1 - MOVES.0)) * PANEL.1
}

fn panel(out: &mut String, block: &Block, left: f64, top: f64) -> std::fmt::Result {
    let case = &block.case;
    let head = format!(
        "{} hosts × {} GiB, load .{}, K {}",
        thousands(case.hosts),
        case.gib,
        case.percent,
        case.in_flight
    );
    text(out, left, top - 24.0, "head", &head)?;
    let bound = format!("bound: {:.3} moves per guest, {:.1} h", block.bound_moves, block.bound_hours);
    text(out, left, top - 8.0, "dim small", &bound)?;
    writeln!(out, "<g transform=\"translate({left} {top})\">")?;
    let (wide, high) = PANEL;
    writeln!(out, "<rect class=\"panel\" width=\"{wide}\" height=\"{high}\"/>")?;
    for (time, word) in TICKS {
        let x = across(time);
        writeln!(out, "<path class=\"grid\" d=\"M{x:.1} 0V{high}\"/>")?;
        anchored(out, x, high + 15.0, "dim small", "middle", word)?;
    }
    for moves in [1.0, 1.25, 1.5, 1.75, 2.0, 2.25] {
        let y = down(moves);
        writeln!(out, "<path class=\"grid\" d=\"M0 {y:.1}H{wide}\"/>")?;
        anchored(out, -7.0, y + 4.0, "dim small", "end", &format!("{moves}"))?;
    }
    anchored(out, wide / 2.0, high + 32.0, "dim small", "middle", "time ÷ its bound (logarithmic)")?;
    writeln!(out, "<g transform=\"translate(-42 {}) rotate(-90)\">", high / 2.0)?;
    anchored(out, 0.0, 0.0, "dim small", "middle", "moves per guest")?;
    writeln!(out, "</g>")?;
    let (x, y) = (across(1.0), down(block.bound_moves));
    writeln!(out, "<path class=\"no\" d=\"M0 {y:.1}H{wide}V{high}H0Z\"/>")?;
    writeln!(out, "<path class=\"bound\" d=\"M{x:.1} 0V{high}M0 {y:.1}H{wide}\"/>")?;
    anchored(out, wide - 6.0, y + 14.0, "boundtext", "end", "bound of moves")?;
    anchored(out, x - 5.0, high - 7.0, "boundtext", "end", "bound of time")?;
    marks(out, block, (x, y))?;
    writeln!(out, "</g>")
}

fn marks(out: &mut String, block: &Block, bound: (f64, f64)) -> std::fmt::Result {
    let mut points: Vec<(Way, f64, f64, String)> = Vec::new();
    for row in &block.rows {
        let Ok(figures) = &row.figures else { continue };
        let (x, y) = (across(figures.hours_ratio), down(figures.moves));
        let name = name(row.way, figures);
        // Ways that come to the same stand as one mark.
        let same = points.iter_mut().find(|(way, a, b, _)| !way.ours() && (*a - x).hypot(*b - y) < 5.0);
        match same.filter(|_| !row.way.ours()) {
            Some((_, _, _, names)) => *names = format!("{names}, {name}"),
            None => points.push((row.way, x, y, name)),
        }
    }
    // Ours get their places first.
    points.sort_by_key(|(way, ..)| !way.ours());
    let wanted: Vec<(f64, f64, usize)> =
        points.iter().map(|(_, x, y, name)| (*x, *y, name.chars().count())).collect();
    // The lines of the bounds and their words.
    let (x, y) = bound;
    let kept = [
        (0.0, y - 2.0, PANEL.0, y + 2.0),
        (x - 1.0, 0.0, x + 1.0, PANEL.1),
        (PANEL.0 - 100.0, y, PANEL.0, y + 18.0),
        (0.0, PANEL.1 - 20.0, x, PANEL.1),
    ];
    for ((way, x, y, name), label) in points.iter().zip(place(&wanted, PANEL, &kept)) {
        let Label { at, right, lead } = label;
        if let Some((a, b)) = lead {
            writeln!(out, "<path class=\"lead\" d=\"M{x:.1} {y:.1}L{a:.1} {b:.1}\"/>")?;
        }
        let class = if way.ours() { "own" } else { "" };
        anchored(out, at.0, at.1 + 4.0, class, if right { "start" } else { "end" }, name)?;
    }
    // Ours last, so that nothing covers them.
    let (ours, others): (Vec<_>, Vec<_>) = points.iter().partition(|(way, ..)| way.ours());
    others.into_iter().chain(ours).try_for_each(|(way, x, y, _)| mark(out, *way, *x, *y))
}

fn name(way: Way, figures: &Figures) -> String {
    let word = match way {
        Way::Ramp => "Lifeboat",
        Way::RampSpill => "Lifeboat, spill K",
        Way::Random => "random",
        Way::Serial => "least loaded",
        Way::Waves => "waves",
        Way::Window => "window",
        Way::StarlingX => "StarlingX",
        Way::XoOld => "xapi old",
        Way::XoNew => "xapi new",
        Way::Hroller => "hroller",
    };
    if figures.not_returned > 0.0 && way == Way::XoOld {
        return format!("{word} ({} not back)", thousands_of(figures.not_returned));
    }
    if way == Way::Hroller && figures.peak_down > 1.0 {
        format!("{word} ({} down)", figures.peak_down)
    } else {
        word.to_owned()
    }
}

fn mark(out: &mut String, way: Way, x: f64, y: f64) -> std::fmt::Result {
    let shape = match way {
        Way::Ramp => "M0-8L8 0L0 8L-8 0Z",
        Way::RampSpill => "M0-6L6 0L0 6L-6 0Z",
        Way::Random | Way::Serial => "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0",
        Way::Waves | Way::Window | Way::StarlingX => "M-4.2-4.2H4.2V4.2H-4.2Z",
        Way::XoOld | Way::XoNew => "M0-5.5L5.2 4.2H-5.2Z",
        Way::Hroller => "M0 5.5L5.2-4.2H-5.2Z",
    };
    let class = match way {
        Way::Ramp | Way::RampSpill => "ours",
        Way::Hroller => "real",
        Way::Random | Way::Serial | Way::Waves | Way::Window | Way::StarlingX | Way::XoOld | Way::XoNew => {
            "other"
        }
    };
    writeln!(out, "<path class=\"{class}\" transform=\"translate({x:.1} {y:.1})\" d=\"{shape}\"/>")
}

fn text(out: &mut String, x: f64, y: f64, class: &str, words: &str) -> std::fmt::Result {
    anchored(out, x, y, class, "start", words)
}

fn anchored(out: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) -> std::fmt::Result {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>")
}

fn thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of guests")]
fn thousands_of(number: f64) -> String {
    thousands(number as usize)
}
