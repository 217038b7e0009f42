//! The page.

use lifeboat_model::{Mib, Millis};

use super::Report;
use super::density::density;
use super::facts::Activity;
use super::page::Page;
use super::rows::{DRAWN, MARKS, NAMED, rows};
use super::tables::{features, hosts, mark_table, orders, warnings, when};

const STYLE: &str = include_str!("style.css");

/// One page that needs nothing but itself.
pub(crate) fn html(report: &Report) -> String {
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    page.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    page.raw("<title>Roll of pool ").text(&report.pool).raw(" to ").text(&report.release).raw(" ");
    page.text(&report.version).raw("</title>\n<style>").raw(STYLE).raw("</style></head><body><main>\n");
    head(&mut page, report);
    attention(&mut page, report);
    figures(&mut page, report);
    timeline(&mut page, report);
    compared(&mut page, report);
    hosts(&mut page, report);
    features(&mut page, report);
    orders(&mut page, report);
    warnings(&mut page, report);
    chain(&mut page, report);
    page.raw("</main></body></html>\n");
    page.finish()
}

fn head(page: &mut Page, report: &Report) {
    let class = match report.state.as_str() {
        "completed" => "good",
        "running" | "paused" => "busy",
        "completed-with-exceptions" | "aborted" => "warn",
        _ => "bad",
    };
    page.raw("<header><p class=\"over\">Roll report \u{b7} ").text(&report.roll).raw("</p><h1>Pool ");
    page.text(&report.pool).raw(" to ").text(&report.release).raw(" ").text(&report.version);
    page.raw(" <span class=\"badge ").raw(class).raw("\">").text(&report.state.replace('-', " "));
    page.raw("</span></h1><p class=\"lead\">").text(&report.state_text).raw("</p><dl>");
    let mut pair = |name: &'static str, value: &str| {
        page.raw("<div><dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd></div>");
    };
    pair("From", report.before.as_deref().unwrap_or("not in this journal"));
    pair("To", &format!("{} {} (serial {})", report.release, report.version, report.serial));
    pair("Began", &format!("{} UTC", when(report.began)));
    pair(if report.ended { "Ended" } else { "Last event" }, &format!("{} UTC", when(report.last)));
    pair(if report.ended { "Took" } else { "So far" }, &report.duration.to_string());
    let first = report.controllers.first().map_or("nobody yet", |controller| controller.holder.as_str());
    pair("Approved and carried out by", first);
    if report.controllers.len() > 1 {
        pair("Taken up again", &format!("{} times", report.controllers.len() - 1));
    }
    for (name, hash) in
        [("Plan (approved by this hash)", &report.plan), ("Release (SHA-256)", &report.digest)]
    {
        page.raw("<div class=\"wide\"><dt>").raw(name).raw("</dt><dd>").text(hash).raw("</dd></div>");
    }
    page.raw("</dl></header>\n");
}

/// What a person must know first.
fn attention(page: &mut Page, report: &Report) {
    let mut list = Page::default();
    for feature in report.left_off() {
        list.raw("<li><b>").text(&feature.feature).raw("</b> is off since ").text(&when(feature.since));
        list.raw(if report.ended {
            "; it had the value <code>"
        } else {
            "; at the end it gets back its value <code>"
        });
        list.text(&feature.original).raw("</code></li>");
    }
    let bad = |phase: &str| matches!(phase, "rolled back" | "failed" | "needs you");
    for host in report.hosts.iter().filter(|host| bad(&host.phase)).take(20) {
        list.raw("<li><b>").text(&host.host).raw("</b> ").text(&host.phase).raw(": ");
        list.text(host.reason.as_deref().unwrap_or("no reason is written")).raw("</li>");
    }
    for host in report.hosts.iter().filter(|host| !host.still_stopped.is_empty()).take(20) {
        list.raw("<li>guests of <b>").text(&host.host).raw("</b> were not started again: ");
        list.text(&crate::state::shorten(&host.still_stopped)).raw("</li>");
    }
    if list.is_empty() {
        return;
    }
    page.raw("<section class=\"attention\"><h2>");
    page.raw(if report.ended { "Needs attention" } else { "Not as it was, so far" })
        .raw("</h2><ul>")
        .append(&list);
    page.raw("</ul></section>\n");
}

fn figures(page: &mut Page, report: &Report) {
    let compared = &report.compared;
    page.raw("<section class=\"tiles\">");
    let mut tile = |value: String, name: &'static str, more: String| {
        page.raw("<div class=\"tile\"><b>").text(&value).raw("</b><span>").raw(name).raw("</span><small>");
        page.text(&more).raw("</small></div>");
    };
    let others: Vec<String> = report
        .phases
        .iter()
        .filter(|(phase, _)| phase != "committed")
        .map(|(phase, hosts)| format!("{hosts} {phase}"))
        .collect();
    let others = if others.is_empty() { "all of the plan".to_owned() } else { others.join(", ") };
    tile(format!("{} / {}", compared.hosts_upgraded, compared.hosts_planned), "hosts upgraded", others);
    let failed = match compared.moves_failed {
        0 => "none failed".to_owned(),
        failed => format!("{failed} failed tries"),
    };
    tile(compared.moves_done.to_string(), "guests moved", failed);
    tile(compared.memory_moved.to_string(), "memory moved", format!("planned {}", compared.memory_planned));
    let starts = format!("{} started again", report.guest_starts);
    tile(report.guest_stops.to_string(), "guests shut down", starts);
    tile(report.reboots.to_string(), "hosts rebooted", format!("at most {} out at once", compared.peak_real));
    tile(report.retries.to_string(), "retries", format!("{} steps failed", report.failures));
    let off = report.left_off().count();
    let restored = match off {
        0 => "all restored or kept".to_owned(),
        off if report.ended => format!("{off} not restored"),
        off => format!("{off} restored at the end"),
    };
    tile(report.features.len().to_string(), "features switched off", restored);
    page.raw("</section>\n");
}

fn timeline(page: &mut Page, report: &Report) {
    page.raw("<section><h2>Timeline</h2><div class=\"picture\">");
    let many = report.hosts.len() > DRAWN;
    let picture = if many { density(report) } else { rows(report) };
    page.append(&picture).raw("</div><p class=\"legend\">");
    for activity in Activity::ALL {
        page.raw("<span><svg width=\"26\" height=\"14\" aria-hidden=\"true\"><g class=\"")
            .raw(activity.class());
        page.raw("\"><rect class=\"bar\" width=\"26\" height=\"14\"/><rect class=\"fill\" width=\"26\" height=\"14\"/>");
        page.raw("<text class=\"letter\" x=\"13\" y=\"10.5\">")
            .raw(activity.letter())
            .raw("</text></g></svg> ");
        page.raw(activity.word()).raw("</span>");
    }
    page.raw(match report.hosts.len() {
        0..=NAMED => {
            "<span>\u{2758} a guest has left</span><span>\u{2713} serves with the release</span>\
             <span>\u{21a9} back in its old bank</span><span>\u{2717} failed</span><span>\u{2605} coordinator</span>"
        }
        hosts if hosts <= DRAWN => "<span>one row per host, in the order of the plan</span>",
        _ => "<span>height: hosts in that activity; the line: share of hosts done</span>",
    });
    page.raw("</p>");
    if !report.marks.is_empty() {
        page.raw("<h3>Marks</h3>");
        if report.marks.len() > MARKS {
            page.raw("<p class=\"dim\">The first ").int(MARKS as u64).raw(" stand in the picture.</p>");
        }
        mark_table(page, &report.marks, true);
    }
    page.raw("</section>\n");
}

fn compared(page: &mut Page, report: &Report) {
    let c = &report.compared;
    page.raw("<section><h2>Plan and reality</h2><table class=\"narrow\"><thead><tr><th>");
    page.raw("<th class=n>Planned<th class=n>Real<th class=n>Difference</tr></thead><tbody>\n");
    let mut row = |name: &'static str, planned: String, real: String, difference: String| {
        page.raw("<tr><td>").raw(name).raw("<td class=n>").text(&planned).raw("<td class=n>").text(&real);
        page.raw("<td class=n>").text(&difference).raw("\n");
    };
    let less = |planned: u64, real: u64| match real.cmp(&planned) {
        std::cmp::Ordering::Equal => "as planned".to_owned(),
        std::cmp::Ordering::Less => format!("\u{2212}{}", planned - real),
        std::cmp::Ordering::Greater => format!("+{}", real - planned),
    };
    row(
        "Hosts upgraded",
        c.hosts_planned.to_string(),
        c.hosts_upgraded.to_string(),
        less(c.hosts_planned, c.hosts_upgraded),
    );
    row(
        "Moves of guests",
        c.moves_planned.to_string(),
        c.moves_done.to_string(),
        less(c.moves_planned, c.moves_done),
    );
    let memory = match less(c.memory_planned.0, c.memory_moved.0).as_str() {
        "as planned" => "as planned".to_owned(),
        _ if c.memory_moved < c.memory_planned => {
            format!("\u{2212}{}", Mib(c.memory_planned.0 - c.memory_moved.0))
        }
        _ => format!("+{}", Mib(c.memory_moved.0 - c.memory_planned.0)),
    };
    row("Memory moved", c.memory_planned.to_string(), c.memory_moved.to_string(), memory);
    let time = if c.makespan_real < c.makespan_planned {
        format!("\u{2212}{}", Millis(c.makespan_planned.0 - c.makespan_real.0))
    } else {
        format!("+{}", Millis(c.makespan_real.0 - c.makespan_planned.0))
    };
    row("First to last host", c.makespan_planned.to_string(), c.makespan_real.to_string(), time);
    row(
        "Most hosts out at once",
        c.peak_planned.to_string(),
        c.peak_real.to_string(),
        less(u64::from(c.peak_planned), u64::from(c.peak_real)),
    );
    page.raw("</tbody></table></section>\n");
}

fn chain(page: &mut Page, report: &Report) {
    page.raw("<section class=\"chain\"><h2>Proof</h2><p>This page was made from ").int(report.events);
    page.raw(" events, each of which holds the hash of the one before; the first holds the plan's. The last has the hash");
    page.raw("</p><p><code>").text(&report.tail).raw("</code></p><p>Check the journal, and compare: <code>");
    page.text(&report.verify)
        .raw("</code></p><p class=\"dim\">The chain finds damage and careless editing. It is not ");
    page.raw("signed: keep the last hash where nobody rewrites it.</p></section>\n");
}
