//! `lifeboat host diff`

use lifeboat_hoststate::{Change, ChangeKind, DiffError, Differences, diff as compare, diff_with_root};

use super::backup::{Place, backup_error, form_error, open};
use crate::args::HostDiffArgs;
use crate::error::CliError;
use crate::output::Paint;
use crate::run::Ctx;

pub(super) fn diff(ctx: &Ctx, args: &HostDiffArgs) -> Result<(), CliError> {
    let old = open(&args.file)?;
    let failed = |error| match error {
        DiffError::Form(error) => form_error(error),
        DiffError::Backup(error) => backup_error(error, &args.file),
    };
    let found = if let Some(other) = &args.other {
        compare(&old, &open(other)?, args.show_secrets).map_err(failed)?
    } else {
        let place = Place::open(ctx, &args.place)?;
        diff_with_root(&old, &place.root, &place.request(), args.show_secrets).map_err(failed)?
    };
    let names: Vec<String> = found.changes.iter().map(|change| change.path.to_string()).collect();
    ctx.out.object("host-diff", &found, &names.join("\n"), || people(ctx, &found))
}

fn people(ctx: &Ctx, found: &Differences) -> String {
    let mut text = format!("from {}\nto   {}\n", found.old, found.new);
    if found.is_empty() {
        text.push_str("no difference\n");
        return text;
    }
    for line in &found.general {
        text.push_str(&format!("{line}\n"));
    }
    let mut section = None;
    for change in &found.changes {
        if section != Some(change.section) {
            text.push_str(&format!("\n{}\n", change.section));
            section = Some(change.section);
        }
        text.push_str(&line(ctx, change));
    }
    let mut last = "";
    for (section, words) in &found.facts {
        if *section != last {
            text.push_str(&format!("\n{section}, as found on the machine\n"));
            last = section;
        }
        text.push_str(&format!("  {words}\n"));
    }
    text
}

fn line(ctx: &Ctx, change: &Change) -> String {
    let (sign, paint) = match change.kind {
        ChangeKind::Added => ("+", Paint::Good),
        ChangeKind::Removed => ("-", Paint::Bad),
        ChangeKind::Changed => ("~", Paint::Warn),
    };
    let mut text = format!("  {} {}", ctx.out.paint(sign, paint), change.path);
    if change.kind == ChangeKind::Changed {
        text.push_str(&format!(": {}", change.differs.join(", ")));
    } else {
        text.push_str(&format!(" ({})", change.what));
    }
    if let Some(why) = change.not_shown {
        text.push_str(&format!(" (lines are not shown: {why})"));
    }
    text.push('\n');
    for shown in change.text.iter().flat_map(|text| text.lines()) {
        text.push_str(&format!("      {shown}\n"));
    }
    text
}
