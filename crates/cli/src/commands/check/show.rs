//! Findings for people: grouped, aligned, wrapped; nothing is cut.

use lifeboat_model::{Finding, Fix, Severity};
use lifeboat_plan::check::explain;

use super::report::{Report, Told};
use crate::output::{Out, Paint, fill};
use crate::run::Ctx;

/// Most columns that text is set in: longer lines are hard to read.
const WIDEST: usize = 100;

fn width() -> usize {
    Out::width().unwrap_or(WIDEST).min(WIDEST)
}

/// The whole report.
pub(super) fn report(ctx: &Ctx, pool: &str, report: &Report) -> String {
    let told: Vec<&Told> = report.findings.iter().collect();
    let mut text = groups(ctx, &told);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(ctx, pool, report));
    text
}

/// Findings under each other, as they stand below a plan.
pub(crate) fn findings(ctx: &Ctx, findings: &[Finding]) -> String {
    let told: Vec<Told> =
        findings.iter().map(|finding| Told { finding: finding.clone(), ignored: None }).collect();
    groups(ctx, &told.iter().collect::<Vec<_>>())
}

/// One block for each code.
fn groups(ctx: &Ctx, findings: &[&Told]) -> String {
    let width = width();
    let mut text = String::new();
    let mut rest = findings;
    while let Some(first) = rest.first() {
        let same = |told: &&&Told| told.finding.code == first.finding.code && told.ignored == first.ignored;
        let count = rest.iter().take_while(same).count();
        let (group, after) = rest.split_at(count.max(1));
        rest = after;
        if !text.is_empty() {
            text.push('\n');
        }
        head(ctx, &mut text, first, width);
        let subjects =
            group.iter().map(|told| told.finding.subject.chars().count()).max().unwrap_or(0).min(16);
        for told in group {
            subject(ctx, &mut text, &told.finding, subjects, width);
        }
        ending(ctx, &mut text, group, width);
    }
    text
}

fn head(ctx: &Ctx, text: &mut String, told: &Told, width: usize) {
    let finding = &told.finding;
    let paint = match finding.severity {
        Severity::Blocker => Paint::Bad,
        Severity::Warning => Paint::Warn,
        Severity::Note => Paint::Dim,
    };
    let word = if told.ignored.is_some() { "ignored".to_owned() } else { finding.severity.to_string() };
    let title = explain(&finding.code).map_or("", |page| page.title);
    text.push_str(&format!(
        "{}  {}\n",
        ctx.out.paint(&format!("{word:<7}"), paint),
        ctx.out.paint(&finding.code, Paint::Strong)
    ));
    for line in fill(title, width.saturating_sub(9)) {
        text.push_str(&format!("         {line}\n"));
    }
}

/// Subject and evidence, side by side if the subject is short.
fn subject(ctx: &Ctx, text: &mut String, finding: &Finding, subjects: usize, width: usize) {
    let evidence = fill(&finding.evidence, width.saturating_sub(11 + subjects + 2));
    let length = finding.subject.chars().count();
    let mut lines = evidence.iter();
    let name = ctx.out.paint(&finding.subject, Paint::Strong);
    if length > subjects {
        text.push_str(&format!("         - {name}\n"));
    } else {
        let gap = " ".repeat(subjects - length);
        let first = lines.next().map_or("", String::as_str);
        text.push_str(&format!("         - {name}{gap}  {first}\n"));
    }
    let indent = " ".repeat(11 + subjects + 2);
    for line in lines {
        text.push_str(&format!("{indent}{line}\n"));
    }
}

/// The remedies of a group; one that all share is told once.
fn ending(ctx: &Ctx, text: &mut String, group: &[&Told], width: usize) {
    let first = group.first().map_or("", |told| told.finding.remedy.as_str());
    let shared = group.iter().all(|told| told.finding.remedy == first);
    let mut line = |word: &str, paint: Paint, what: &str| {
        let indent = 9 + word.chars().count() + 1;
        let mut lines = fill(what, width.saturating_sub(indent)).into_iter();
        let begin = lines.next().unwrap_or_default();
        text.push_str(&format!("         {} {begin}\n", ctx.out.paint(word, paint)));
        for more in lines {
            text.push_str(&format!("{}{more}\n", " ".repeat(indent)));
        }
    };
    if shared {
        line("remedy:", Paint::Good, first);
    } else {
        for told in group {
            line("remedy:", Paint::Good, &format!("{}: {}", told.finding.subject, told.finding.remedy));
        }
    }
    for told in group {
        if let Some(fix) = &told.finding.fix {
            line("--fix:", Paint::Good, &format!("{fix}{}", undo_of(fix)));
        }
    }
    if let Some(reason) = group.first().and_then(|told| told.ignored.as_ref()) {
        line("ignored:", Paint::Dim, reason);
    }
}

/// What takes a remedy back, behind its own text.
pub(super) fn undo_of(fix: &Fix) -> &'static str {
    match (fix.can_be_undone(), fix.ends_with_roll()) {
        (_, true) => " (taken back when the roll has ended)",
        (true, false) => " (can be taken back: check undo)",
        (false, false) => " (cannot be taken back)",
    }
}

/// How many checks looked and which could not.
fn summary(ctx: &Ctx, pool: &str, report: &Report) -> String {
    let counts = report.counts;
    let count = |number: usize, word: &str, paint: Paint| {
        let s = if number == 1 { "" } else { "s" };
        let text = format!("{number} {word}{s}");
        if number > 0 { ctx.out.paint(&text, paint) } else { text }
    };
    let mut text = format!(
        "pool {pool}: {}, {}, {}",
        count(counts.blockers, "blocker", Paint::Bad),
        count(counts.warnings, "warning", Paint::Warn),
        count(counts.notes, "note", Paint::Strong)
    );
    if counts.ignored > 0 {
        text.push_str(&format!(", {} ignored", counts.ignored));
    }
    let looked = report.checks - report.unknown.len();
    text.push_str(&format!("\n{looked} of {} checks looked at everything", report.checks));
    if report.unknown.is_empty() {
        text.push('\n');
        return text;
    }
    text.push_str(". No finding of these does not mean good:\n");
    let names = report.unknown.iter().map(|blind| blind.check.chars().count()).max().unwrap_or(0);
    for blind in &report.unknown {
        let mut lines = fill(&blind.why, width().saturating_sub(names + 12)).into_iter();
        let first = lines.next().unwrap_or_default();
        let word = ctx.out.paint("unknown", Paint::Warn);
        text.push_str(&format!("  {word} {:<names$}  {first}\n", blind.check));
        for line in lines {
            text.push_str(&format!("{}{line}\n", " ".repeat(names + 12)));
        }
    }
    text
}
