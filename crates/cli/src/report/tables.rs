//! The tables of the page.

use lifeboat_model::Timestamp;

use super::Report;
use super::axis::format;
use super::facts::{HostFacts, Mark};
use super::page::Page;

/// Most rows of hosts that came to the good end; the others are always listed.
const GOOD: usize = 12_000;
/// Above so many hosts, rows of good hosts are folded away.
const FOLDED: usize = 60;
/// Most rows of the other tables.
const ROWS: usize = 2_000;

/// Date and time.
pub(crate) fn when(at: Timestamp) -> String {
    format(at.0, "%Y-%m-%d %H:%M:%S")
}

/// Hosts: those that did not come to the good end first.
pub(crate) fn hosts(page: &mut Page, report: &Report) {
    let (good, others): (Vec<&HostFacts>, Vec<&HostFacts>) =
        report.hosts.iter().partition(|host| host.committed());
    page.raw("<section><h2>Hosts</h2>");
    if report.hosts.len() <= FOLDED {
        host_table(page, report.hosts.iter());
    } else {
        if !others.is_empty() {
            page.raw("<h3>").int(others.len() as u64).raw(" that do not run the release</h3>");
            host_table(page, others.iter().copied());
        }
        page.raw("<details><summary>")
            .int(good.len() as u64)
            .raw(" that run the release and serve</summary>");
        host_table(page, good.iter().copied().take(GOOD));
        page.raw("</details>");
        if good.len() > GOOD {
            page.raw("<p class=\"dim\">").int((good.len() - GOOD) as u64);
            page.raw(" more are in the JSON form of this report.</p>");
        }
    }
    for (names, what) in [
        (&report.unchanged, " ran the release before and were left as they are: "),
        (&report.excluded, " were left out when the plan was made: "),
    ] {
        if !names.is_empty() {
            page.raw("<p class=\"dim\">").int(names.len() as u64).raw(what);
            page.text(&crate::state::shorten(names)).raw("</p>");
        }
    }
    page.raw("</section>");
}

/// End tags that HTML lets out are let out: ten thousand hosts are ten thousand rows.
fn host_table<'h>(page: &mut Page, hosts: impl Iterator<Item = &'h HostFacts>) {
    page.raw(
        "<table class=\"hosts\"><thead><tr><th class=\"n\">Wave<th>Host<th>End<th>Began<th class=\"n\">Waited<th class=\"n\">Took\
         <th>Longest<th class=\"n\">Moved<th class=\"n\">Retries<th class=\"n\">Failures<th>Why</tr></thead><tbody>\n",
    );
    for host in hosts {
        page.raw("<tr><td class=n>").int(u64::from(host.wave)).raw("<td>");
        page.text(&host.host);
        if host.coordinator {
            page.raw(" <span class=tag>coordinator</span>");
        }
        page.raw("<td>").raw(sign(&host.phase)).text(&host.phase).raw("<td>");
        page.text(&host.begun.map_or_else(|| "\u{2013}".to_owned(), |at| format(at.0, "%H:%M:%S")));
        page.raw("<td class=n>").text(&host.waited.map_or_else(String::new, |waited| waited.to_string()));
        page.raw("<td class=n>");
        if host.took.0 > 0 {
            page.text(&host.took.to_string());
        }
        page.raw("<td>");
        if let Some((activity, took)) = host.longest() {
            page.raw(activity.word()).raw(" ").text(&took.to_string());
        }
        page.raw("<td class=n>").int(host.moves.len() as u64).raw("<td class=n>");
        page.int(u64::from(host.retries)).raw("<td class=n>").int(u64::from(host.failures)).raw("<td>");
        if host.turns > 1 {
            page.int(u64::from(host.turns)).raw(" turns. ");
        }
        if host.stops > 0 {
            page.int(u64::from(host.stops)).raw(" guests shut down");
            if !host.still_stopped.is_empty() {
                page.raw(", not started again: ").text(&crate::state::shorten(&host.still_stopped));
            }
            page.raw(". ");
        }
        page.text(host.reason.as_deref().unwrap_or_default()).raw("\n");
    }
    page.raw("</tbody></table>");
}

fn sign(phase: &str) -> &'static str {
    match phase {
        "committed" => "<b class=good>\u{2713}</b> ",
        "rolled back" => "<b class=bad>\u{21a9}</b> ",
        "failed" | "needs you" => "<b class=bad>\u{2717}</b> ",
        "skipped" | "pending" => "<b class=dim>\u{2013}</b> ",
        _ => "<b class=busy>\u{2026}</b> ",
    }
}

/// Features with their values.
pub(crate) fn features(page: &mut Page, report: &Report) {
    page.raw("<section><h2>Features that were switched off</h2>");
    if report.features.is_empty() {
        page.raw("<p class=\"dim\">None.</p></section>");
        return;
    }
    page.raw("<table><thead><tr><th>Feature<th>Value before<th>Off since<th>Restored<th>Remark</tr></thead><tbody>\n");
    for feature in &report.features {
        page.raw("<tr><td>").text(&feature.feature).raw("<td><code>").text(&feature.original);
        page.raw("</code><td>").text(&when(feature.since)).raw("<td>");
        match (feature.restored, &feature.kept) {
            (Some(at), _) => page.raw("<b class=good>\u{2713}</b> ").text(&when(at)).raw("<td>after "),
            (None, Some(_)) => page.raw("kept another value<td>"),
            (None, None) => page.raw("<b class=bad>\u{2717} not restored</b><td>"),
        };
        if let Some(at) = feature.restored {
            page.text(&at.since(feature.since).to_string());
        }
        if let Some(kept) = &feature.kept {
            page.raw("somebody set it to <code>").text(kept).raw("</code>");
        }
        if let Some(from) = &feature.adopted_from {
            page.raw(" taken over from roll ").text(from);
        }
        page.raw("\n");
    }
    page.raw("</tbody></table></section>");
}

/// Every order of a person.
pub(crate) fn orders(page: &mut Page, report: &Report) {
    page.raw("<section><h2>Orders of people</h2>");
    if report.orders.is_empty() {
        page.raw("<p class=\"dim\">None after the plan was approved.</p></section>");
        return;
    }
    page.raw("<table><thead><tr><th class=n>Event<th>When<th>Who<th>Order</tr></thead><tbody>\n");
    for order in report.orders.iter().take(ROWS) {
        page.raw("<tr><td class=n>").int(order.seq).raw("<td>").text(&when(order.at)).raw("<td>");
        page.text(&order.who).raw("<td>").text(&order.order).raw("\n");
    }
    page.raw("</tbody></table>");
    more(page, report.orders.len());
    page.raw("</section>");
}

/// What went other than planned.
pub(crate) fn warnings(page: &mut Page, report: &Report) {
    if report.warnings.is_empty() && report.notes.is_empty() {
        return;
    }
    page.raw("<section><h2>Warnings and notes</h2>");
    if !report.notes.is_empty() {
        page.raw("<p>The plan said:</p><ul>");
        for note in &report.notes {
            page.raw("<li>").text(note).raw("</li>");
        }
        page.raw("</ul>");
    }
    if !report.warnings.is_empty() {
        mark_table(page, &report.warnings, false);
    }
    page.raw("</section>");
}

/// A table of marks; numbered as in the picture if asked to.
pub(crate) fn mark_table(page: &mut Page, marks: &[Mark], numbered: bool) {
    page.raw("<table class=\"marks\"><thead><tr>").raw(if numbered { "<th>" } else { "" });
    page.raw("<th class=n>Event<th>When<th>What</tr></thead><tbody>\n");
    for (number, mark) in (1_u64..).zip(marks.iter().take(ROWS)) {
        page.raw("<tr>");
        if numbered {
            page.raw("<td><span class=no>").int(number).raw("</span>");
        }
        page.raw("<td class=n>").int(mark.seq).raw("<td>").text(&when(mark.at)).raw("<td>").text(&mark.text);
        page.raw("\n");
    }
    page.raw("</tbody></table>");
    more(page, marks.len());
}

fn more(page: &mut Page, rows: usize) {
    if rows > ROWS {
        page.raw("<p class=\"dim\">").int((rows - ROWS) as u64).raw(" more are in the JSON form.</p>");
    }
}
