//! Findings of depots for people.

use lifeboat_model::{Finding, Severity};

use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

/// How many weigh what.
pub(super) fn count(findings: &[Finding], weight: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == weight).count()
}

/// The findings, the gravest first. Notes are counted, and shown with -v.
pub(super) fn table(ctx: &Ctx, findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.code.cmp(&b.code)));
    let shown: Vec<&Finding> =
        sorted.into_iter().filter(|finding| ctx.verbose > 0 || finding.severity > Severity::Note).collect();
    let mut text = String::new();
    if !shown.is_empty() {
        let mut table = Table::new()
            .column("WEIGHT")
            .column("CODE")
            .flexible("ABOUT")
            .flexible("WHAT")
            .flexible("WHAT TO DO");
        for finding in &shown {
            let paint = match finding.severity {
                Severity::Blocker => Paint::Bad,
                Severity::Warning => Paint::Warn,
                Severity::Note => Paint::Dim,
            };
            table.row([
                Cell::painted(finding.severity.to_string(), paint),
                Cell::from(finding.code.clone()),
                Cell::from(finding.subject.clone()),
                Cell::from(finding.evidence.clone()),
                Cell::from(finding.remedy.clone()),
            ]);
        }
        text.push('\n');
        text.push_str(&ctx.out.wrap(&table));
    }
    let notes = count(findings, Severity::Note);
    if notes > 0 && ctx.verbose == 0 {
        text.push_str(
            &ctx.out.paint(&format!("\n{}; see them with -v\n", several(notes, "note")), Paint::Dim),
        );
    }
    text
}

/// `1 note`, `2 notes`.
pub(super) fn several(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
