//! `lifeboat check list|explain`

use lifeboat_plan::check::{Page, catalogue, explain as page_of};
use serde::Serialize;

use super::codes::unknown;
use crate::error::CliError;
use crate::output::{Cell, Out, Paint, Table, fill};
use crate::run::Ctx;

#[derive(Serialize)]
struct Shown {
    code: &'static str,
    severity: String,
    title: &'static str,
    looks_at: &'static str,
    means: &'static str,
    remedy: &'static str,
    undo: &'static str,
    incidents: &'static [&'static str],
}

impl Shown {
    fn of(page: &Page) -> Self {
        Self {
            code: page.code,
            severity: page.severity.to_string(),
            title: page.title,
            looks_at: page.looks_at,
            means: page.means,
            remedy: page.remedy,
            undo: page.undo,
            incidents: page.incidents,
        }
    }
}

pub(super) fn list(ctx: &Ctx) -> Result<(), CliError> {
    let pages: Vec<Shown> = catalogue().iter().map(Shown::of).collect();
    ctx.out.list(
        "check-page",
        &pages,
        |page| page.code.to_owned(),
        || {
            let mut table = Table::new().column("CODE").column("SEVERITY").flexible("WHAT");
            for page in &pages {
                let paint = match page.severity.as_str() {
                    "blocker" => Paint::Bad,
                    "warning" => Paint::Warn,
                    _ => Paint::Dim,
                };
                table.row([
                    Cell::from(page.code),
                    Cell::painted(page.severity.clone(), paint),
                    Cell::from(page.title),
                ]);
            }
            ctx.out.wrap(&table) + "about one of them: lifeboat check explain CODE\n"
        },
    )
}

pub(super) fn explain(ctx: &Ctx, code: &str) -> Result<(), CliError> {
    let page = page_of(code).ok_or_else(|| unknown(code))?;
    ctx.out.object("check-page", &Shown::of(&page), page.code, || {
        let width = Out::width().unwrap_or(100).min(100);
        let mut text =
            format!("{}  {}\n{}\n", ctx.out.paint(page.code, Paint::Strong), page.severity, page.title);
        let incidents = page.incidents.join(", ");
        let parts = [
            ("looks at", page.looks_at),
            ("means", page.means),
            ("remedy", page.remedy),
            ("undo", page.undo),
            ("incidents", incidents.as_str()),
        ];
        for (name, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
            text.push('\n');
            for (at, line) in fill(part, width.saturating_sub(11)).into_iter().enumerate() {
                let name = if at == 0 { name } else { "" };
                text.push_str(&format!("{}  {line}\n", ctx.out.paint(&format!("{name:<9}"), Paint::Dim)));
            }
        }
        text
    })
}
