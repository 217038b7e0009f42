//! What is odd about storage, for people.

use lifeboat_model::{Finding, Severity};

use crate::output::{Out, Paint, fill};
use crate::run::Ctx;

/// The findings, the gravest first. Notes are counted, and shown with -v.
pub(super) fn lines(ctx: &Ctx, findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = Out::width().unwrap_or(110).saturating_sub(2);
    for finding in findings.iter().filter(|finding| ctx.verbose > 0 || finding.severity > Severity::Note) {
        let paint = match finding.severity {
            Severity::Blocker => Paint::Bad,
            Severity::Warning => Paint::Warn,
            Severity::Note => Paint::Dim,
        };
        let word = ctx.out.paint(&finding.severity.to_string(), paint);
        text.push_str(&format!("\n{word} [{}] {}\n", finding.code, clean(&finding.subject)));
        for line in [finding.evidence.clone(), format!("remedy: {}", finding.remedy)] {
            for part in fill(&clean(&line), width) {
                text.push_str(&format!("  {part}\n"));
            }
        }
    }
    let notes = findings.iter().filter(|finding| finding.severity == Severity::Note).count();
    if notes > 0 && ctx.verbose == 0 {
        let several = if notes == 1 { "1 note".to_owned() } else { format!("{notes} notes") };
        text.push_str(&ctx.out.paint(&format!("\n{several}; see with -v\n"), Paint::Dim));
    }
    text
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
