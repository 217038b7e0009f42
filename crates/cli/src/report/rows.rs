//! The picture of a roll with a row for every host.
//!
//! Promises: colour is never the only sign: activities have letters and patterns, ends have shapes and words. Above
//! [`NAMED`] hosts the rows get thin and lose letters and moves; above [`DRAWN`] `density` draws instead.

use lifeboat_model::Timestamp;

use super::Report;
use super::axis::{Axis, LEFT, RIGHT, WIDTH, format};
use super::facts::{Activity, HostFacts};
use super::page::Page;

/// Most hosts whose rows have names, letters and moves.
pub(crate) const NAMED: usize = 60;
/// Most hosts that get a row at all.
pub(crate) const DRAWN: usize = 600;
/// Most marks that get a line in the picture.
pub(crate) const MARKS: usize = 40;
/// Room above the rows for the numbers of marks.
const HEAD: f64 = 26.0;

/// Draws the rows.
pub(crate) fn rows(report: &Report) -> Page {
    let named = report.hosts.len() <= NAMED;
    let row = if named {
        20.0
    } else if report.hosts.len() <= 240 {
        6.0
    } else {
        3.0
    };
    let axis = Axis::new(report.began, report.last);
    let bottom = HEAD + row * count(report.hosts.len());
    let mut page = Page::default();
    begin(&mut page, bottom + 34.0);
    bands(&mut page, report, axis, bottom);
    axis.draw(&mut page, HEAD, bottom);
    if named {
        for (at, host) in report.hosts.iter().enumerate() {
            named_row(&mut page, axis, host, HEAD + row * count(at), row, report.last);
        }
        waves(&mut page, report, row);
    } else {
        thin_rows(&mut page, report, axis, row);
    }
    marks(&mut page, report, axis, bottom);
    page.raw("</svg>");
    page
}

/// Head of a picture, with the patterns.
pub(crate) fn begin(page: &mut Page, height: f64) {
    page.raw("<svg class=\"timeline\" role=\"img\" aria-label=\"Timeline of the roll\" viewBox=\"0 0 ");
    page.at(WIDTH).raw(" ").at(height).raw("\"><defs>");
    page.raw(
        "<pattern id=\"p1\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"pat\" d=\"M0 6L6 0\"/></pattern>\
         <pattern id=\"p3\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\"><circle class=\"dot\" cx=\"2.5\" cy=\"2.5\" r=\"1\"/></pattern>\
         <pattern id=\"p4\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"pat\" d=\"M0 0L6 6M0 6L6 0\"/></pattern>\
         <pattern id=\"p5\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\"><path class=\"pat\" d=\"M2.5 0V5\"/></pattern>\
         <pattern id=\"pb\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\"><path class=\"pat\" d=\"M0 8L8 0\"/></pattern>\
         </defs>",
    );
}

/// Times in which nothing began.
pub(crate) fn bands(page: &mut Page, report: &Report, axis: Axis, bottom: f64) {
    for band in report.bands.iter().take(MARKS) {
        let (from, to) = (axis.x(band.from), axis.x(band.to));
        page.raw("<g><title>").text(band.why).raw(", ").text(&clock(band.from)).raw(" to ");
        page.text(&clock(band.to)).raw("</title><rect class=\"band\" x=\"").at(from).raw("\" y=\"").at(HEAD);
        page.raw("\" width=\"").at((to - from).max(1.0)).raw("\" height=\"").at(bottom - HEAD);
        page.raw("\"/><rect fill=\"url(#pb)\" x=\"").at(from).raw("\" y=\"").at(HEAD).raw("\" width=\"");
        page.at((to - from).max(1.0)).raw("\" height=\"").at(bottom - HEAD).raw("\"/>");
        if to - from > 60.0 {
            page.raw("<text class=\"why\" x=\"").at(from + 4.0).raw("\" y=\"").at(bottom - 5.0).raw("\">");
            page.text(band.why).raw("</text>");
        }
        page.raw("</g>");
    }
}

fn named_row(page: &mut Page, axis: Axis, host: &HostFacts, top: f64, row: f64, last: Timestamp) {
    let middle = top + row / 2.0 + 4.0;
    page.raw("<text class=\"name\" x=\"").at(LEFT - 10.0).raw("\" y=\"").at(middle).raw("\">");
    if host.coordinator {
        page.raw("\u{2605} ");
    }
    page.text(&short(&host.host, 15)).raw("</text>");
    if host.spans.is_empty() {
        page.raw("<text class=\"idle\" x=\"").at(LEFT + 6.0).raw("\" y=\"").at(middle).raw("\">");
        page.text(&format!("{}: its turn did not come", host.phase)).raw("</text>");
        return;
    }
    for span in &host.spans {
        let (from, to) = (axis.x(span.from), axis.x(span.to));
        let width = (to - from).max(0.8);
        page.raw("<g class=\"").raw(span.activity.class()).raw("\"><title>").text(&host.host).raw(": ");
        page.raw(span.activity.word()).raw(", ").text(&clock(span.from)).raw(" to ").text(&clock(span.to));
        page.raw(" (").text(&span.to.since(span.from).to_string()).raw(")</title>");
        page.raw("<rect class=\"bar\" x=\"")
            .at(from)
            .raw("\" y=\"")
            .at(top + 3.0)
            .raw("\" width=\"")
            .at(width);
        page.raw("\" height=\"").at(row - 6.0).raw("\"/><rect class=\"fill\" x=\"").at(from).raw("\" y=\"");
        page.at(top + 3.0).raw("\" width=\"").at(width).raw("\" height=\"").at(row - 6.0).raw("\"/>");
        if width > 14.0 {
            page.raw("<text class=\"letter\" x=\"").at(from + width / 2.0).raw("\" y=\"").at(middle - 0.5);
            page.raw("\">").raw(span.activity.letter()).raw("</text>");
        }
        page.raw("</g>");
    }
    if !host.moves.is_empty() {
        page.raw("<path class=\"moves\" d=\"");
        for moved in &host.moves {
            page.raw("M").at(axis.x(moved.at)).raw(" ").at(top + row - 6.5).raw("v5");
        }
        page.raw("\"/>");
    }
    end(page, host, axis.x(host.ended.unwrap_or(last)) + 9.0, top + row / 2.0);
}

/// The sign of how it ended: a shape and, beside it, a word if it is not the good end.
fn end(page: &mut Page, host: &HostFacts, x: f64, y: f64) {
    let (class, shape) = match host.phase.as_str() {
        "committed" => ("good", "\u{2713}"),
        "rolled back" => ("bad", "\u{21a9}"),
        "failed" | "needs you" => ("bad", "\u{2717}"),
        "skipped" | "pending" => ("dim", "\u{2013}"),
        _ => ("busy", "\u{2026}"),
    };
    page.raw("<text class=\"end-sign ").raw(class).raw("\" x=\"").at(x).raw("\" y=\"").at(y + 4.5).raw("\">");
    page.raw(shape);
    if class == "bad" || class == "busy" {
        page.raw(" ").text(&host.phase);
    }
    page.raw("</text>");
}

fn waves(page: &mut Page, report: &Report, row: f64) {
    let mut before = None;
    for (at, host) in report.hosts.iter().enumerate() {
        if before.is_some_and(|wave| wave != host.wave) {
            page.raw("<path class=\"wave\" d=\"M8 ").at(HEAD + row * count(at)).raw("H").at(WIDTH - RIGHT);
            page.raw("\"/>");
        }
        if before != Some(host.wave) {
            page.raw("<text class=\"waveno\" x=\"8\" y=\"").at(HEAD + row * count(at) + row / 2.0 + 4.0);
            page.raw("\">").int(u64::from(host.wave)).raw("</text>");
        }
        before = Some(host.wave);
    }
    page.raw("<text class=\"waveno\" x=\"8\" y=\"").at(HEAD - 10.0).raw("\">wave</text>");
}

/// One path per activity holds the bars of all hosts.
fn thin_rows(page: &mut Page, report: &Report, axis: Axis, row: f64) {
    let height = (row - 1.0).max(2.0);
    for activity in Activity::ALL {
        let mut path = Page::default();
        for (at, host) in report.hosts.iter().enumerate() {
            for span in host.spans.iter().filter(|span| span.activity == activity) {
                let (from, to) = (axis.x(span.from), axis.x(span.to));
                path.raw("M")
                    .at(from)
                    .raw(" ")
                    .at(HEAD + row * count(at) + 0.5)
                    .raw("h")
                    .at((to - from).max(0.4));
                path.raw("v").at(height).raw("H").at(from).raw("z");
            }
        }
        page.raw("<g class=\"").raw(activity.class()).raw("\"><path class=\"thin\" d=\"").append(&path);
        page.raw("\"/><path class=\"fill\" d=\"").append(&path).raw("\"/></g>");
    }
    for (at, host) in report.hosts.iter().enumerate() {
        let y = HEAD + row * count(at) + row / 2.0;
        if at % 10 == 0 || (row * count(at % 10) > 9.0 && is_bad(host)) {
            page.raw("<text class=\"name small\" x=\"").at(LEFT - 10.0).raw("\" y=\"").at(y + 3.0).raw("\">");
            page.text(&short(&host.host, 17)).raw("</text>");
        }
        if is_bad(host) {
            end(page, host, axis.x(host.ended.unwrap_or(report.last)) + 9.0, y);
        }
    }
}

fn is_bad(host: &HostFacts) -> bool {
    matches!(host.phase.as_str(), "rolled back" | "failed" | "needs you")
}

/// Numbered lines for what happened to the roll as a whole; the numbers are explained below the picture.
pub(crate) fn marks(page: &mut Page, report: &Report, axis: Axis, bottom: f64) {
    let mut taken: f64 = -100.0;
    for (number, mark) in (1_u64..).zip(report.marks.iter().take(MARKS)) {
        let x = axis.x(mark.at);
        // Numbers that would cover each other stand side by side.
        let place = if x < taken + 17.0 { taken + 17.0 } else { x };
        taken = place;
        page.raw("<g class=\"mark\"><title>")
            .text(&mark.text)
            .raw("</title><path d=\"M")
            .at(place)
            .raw(" 17L");
        page.at(x).raw(" ").at(HEAD).raw("V").at(bottom).raw("\"/><circle cx=\"").at(place);
        page.raw("\" cy=\"9\" r=\"8\"/><text x=\"").at(place).raw("\" y=\"12.5\">").int(number);
        page.raw("</text></g>");
    }
}

fn clock(at: Timestamp) -> String {
    format(at.0, "%H:%M:%S")
}

fn short(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['\u{2026}']).collect()
}

/// A small number as a place in a picture.
pub(crate) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}
