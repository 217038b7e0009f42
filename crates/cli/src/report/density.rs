//! The picture of a roll of very many hosts: how many are in which activity, and how many are done, over time.

use lifeboat_model::Timestamp;

use super::Report;
use super::axis::{Axis, LEFT, RIGHT, WIDTH};
use super::facts::Activity;
use super::page::Page;
use super::rows::{bands, begin, count, marks};

const HEAD: f64 = 26.0;
const HEIGHT: f64 = 220.0;
/// Slices of time.
const SLICES: usize = 320;

/// Draws hosts in flight as a stack over time, and the share that is done as a line.
pub(crate) fn density(report: &Report) -> Page {
    let axis = Axis::new(report.began, report.last);
    let bottom = HEAD + HEIGHT;
    let slices = slices(report);
    let most = slices.iter().map(|slice| slice.iter().sum::<usize>()).max().unwrap_or(0).max(1);
    let mut page = Page::default();
    begin(&mut page, bottom + 34.0);
    bands(&mut page, report, axis, bottom);
    axis.draw(&mut page, HEAD, bottom);
    let width = (WIDTH - LEFT - RIGHT) / count(SLICES);
    for (at, activity) in Activity::ALL.into_iter().enumerate() {
        let mut path = Page::default();
        for (slice, counts) in slices.iter().enumerate() {
            let below: usize = counts.iter().take(at).sum();
            let here = counts.get(at).copied().unwrap_or(0);
            if here > 0 {
                let y = |hosts: usize| bottom - HEIGHT * count(hosts) / count(most);
                path.raw("M").at(LEFT + width * count(slice)).raw(" ").at(y(below + here)).raw("h").at(width);
                path.raw("V").at(y(below)).raw("h").at(-width).raw("z");
            }
        }
        page.raw("<g class=\"").raw(activity.class()).raw("\"><path class=\"thin\" d=\"").append(&path);
        page.raw("\"/><path class=\"fill\" d=\"").append(&path).raw("\"/></g>");
    }
    done(&mut page, report, axis, bottom);
    for (share, hosts) in [(0.0, 0), (0.5, most.div_ceil(2)), (1.0, most)] {
        page.raw("<text class=\"name\" x=\"")
            .at(LEFT - 10.0)
            .raw("\" y=\"")
            .at(bottom - HEIGHT * share + 4.0);
        page.raw("\">").int(hosts as u64).raw(if hosts == most { " in flight" } else { "" }).raw("</text>");
    }
    marks(&mut page, report, axis, bottom);
    page.raw("</svg>");
    page
}

fn slices(report: &Report) -> Vec<[usize; Activity::ALL.len()]> {
    let mut slices = vec![[0; Activity::ALL.len()]; SLICES];
    let length = report.duration.0.max(1000);
    let slice = |at: Timestamp| {
        let gone = u128::from(at.since(report.began).0) * SLICES as u128 / u128::from(length);
        usize::try_from(gone).unwrap_or(SLICES).min(SLICES - 1)
    };
    for span in report.hosts.iter().flat_map(|host| &host.spans) {
        let Some(activity) = Activity::ALL.iter().position(|activity| *activity == span.activity) else {
            continue;
        };
        // A host counts in a slice by what it does at the slice's begin; what is shorter than a slice counts once.
        let (from, to) = (slice(span.from), slice(span.to));
        for counts in slices.iter_mut().take(to.max(from + 1)).skip(from) {
            if let Some(counted) = counts.get_mut(activity) {
                *counted += 1;
            }
        }
    }
    slices
}

/// A line from nothing to all hosts.
fn done(page: &mut Page, report: &Report, axis: Axis, bottom: f64) {
    let mut ends: Vec<Timestamp> =
        report.hosts.iter().filter(|host| host.committed()).filter_map(|host| host.ended).collect();
    ends.sort_unstable();
    let all = count(report.hosts.len().max(1));
    page.raw("<path class=\"done\" d=\"M").at(LEFT).raw(" ").at(bottom);
    let every = ends.len().div_ceil(SLICES).max(1);
    let last = ends.len().saturating_sub(1);
    for (number, end) in ends.iter().enumerate().filter(|(number, _)| number % every == 0 || *number == last)
    {
        page.raw("L").at(axis.x(*end)).raw(" ").at(bottom - HEIGHT * count(number + 1) / all);
    }
    page.raw("\"/>");
    if let Some(end) = ends.last() {
        let y = bottom - HEIGHT * count(ends.len()) / all;
        page.raw("<text class=\"why end\" x=\"")
            .at(axis.x(*end) - 6.0)
            .raw("\" y=\"")
            .at(y + 14.0)
            .raw("\">");
        page.int(ends.len() as u64).raw(" done</text>");
    }
}
