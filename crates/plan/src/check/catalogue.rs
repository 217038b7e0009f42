//! The catalogue: one page for every code.
//!
//! Owns: the form of a page, and the document that is made from all of them. Promises: codes are unique and in the
//! order of the checks. Does not: hold pages; each stands beside the check that uses it.

use std::fmt::Write as _;

use lifeboat_model::Severity;

use super::run::CHECKS;

/// What there is to know about one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The code of the findings.
    pub code: &'static str,
    /// The finding in one line.
    pub title: &'static str,
    /// How much its findings weigh.
    pub severity: Severity,
    /// What the check looks at.
    pub looks_at: &'static str,
    /// What it means if nothing is done.
    pub means: &'static str,
    /// What a person can do.
    pub remedy: &'static str,
    /// What takes the remedy back, and when; empty if there is nothing to take back.
    pub undo: &'static str,
    /// Incidents of the field that it would have prevented, for example `I-03`.
    pub incidents: &'static [&'static str],
}

/// All pages in the order of the checks.
#[must_use]
pub fn catalogue() -> Vec<Page> {
    CHECKS.iter().flat_map(|check| check.pages).copied().collect()
}

/// The page of exactly this code.
#[must_use]
pub fn explain(code: &str) -> Option<Page> {
    CHECKS.iter().flat_map(|check| check.pages).find(|page| page.code == code).copied()
}

const INTRODUCTION: &str = "\
# Checks

<!-- Made from the code by: cargo test -p lifeboat-plan --test it -- --ignored write_the_catalogue -->

`lifeboat check run POOL` looks at everything on this page and tells all findings at once; nothing is changed.
`--fix` carries out the remedies that are marked *a program can do it*, each after it was written to the journal.
`lifeboat check explain CODE` prints one of these pages.

* A **blocker** must be mended before a roll is started.
* A **warning** lets the roll go on; something will be worse than it need be.
* A **note** is worth knowing.

What a driver cannot tell is listed as *unknown*, and is never counted as good. Most checks look only at hosts with a
turn: those that do not run the release yet and that the plan does not leave out.
";

/// The whole catalogue as a document; `docs/ops/checks.md` is exactly this.
#[must_use]
pub fn catalogue_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n| code | severity | |\n|---|---|---|\n");
    for page in catalogue() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", page.code, page.severity, page.title);
    }
    for check in &CHECKS {
        let _ = write!(text, "\n## Check `{}`: {}\n", check.name, check.title);
        for page in check.pages {
            write_page(&mut text, page);
        }
    }
    text
}

fn write_page(text: &mut String, page: &Page) {
    let _ = write!(text, "\n### {}\n{}: {}.\n\n", page.code, page.severity, page.title);
    let _ = writeln!(text, "* **looks at** {}", page.looks_at);
    let _ = writeln!(text, "* **means** {}", page.means);
    let _ = writeln!(text, "* **remedy** {}", page.remedy);
    if !page.undo.is_empty() {
        let _ = writeln!(text, "* **undo** {}", page.undo);
    }
    if !page.incidents.is_empty() {
        let _ = writeln!(text, "* **incidents** {}", page.incidents.join(", "));
    }
}
