//! `lifeboat policy show`

use lifeboat_model::{EventKind, OperatorVerb, Policy, Timestamp};
use serde::Serialize;

use crate::args::{RollRef, ShowPolicyArgs};
use crate::commands::roll::{find, open_store, store_error};
use crate::error::CliError;
use crate::output::{Cell, Paint, Table};
use crate::policy::{Line, Origin, Origins, PolicySource, lines_of, load, to_toml};
use crate::run::Ctx;
use crate::state::PlanSource;

#[derive(Serialize)]
struct Shown<'l> {
    of: &'l str,
    values: &'l [Line],
}

pub(super) fn show(ctx: &Ctx, args: &ShowPolicyArgs) -> Result<(), CliError> {
    let (of, lines) = lines(ctx, args)?;
    if args.toml {
        return ctx.out.text(&format!("# {of}\n{}", to_toml(&lines)));
    }
    ctx.out.object("policy", &Shown { of: &of, values: &lines }, &of, || people(ctx, &of, &lines))
}

fn lines(ctx: &Ctx, args: &ShowPolicyArgs) -> Result<(String, Vec<Line>), CliError> {
    if let Some(path) = &args.file {
        let loaded = load(path)?;
        let lines = lines_of(&loaded.policy, &loaded.origins, &Origin::Default)?;
        return Ok((format!("policy {}", path.display()), lines));
    }
    if let Some(plan) = &args.plan {
        let stored = ctx.state.plan(plan, true)?;
        // A plan from a file has nothing beside it.
        let origins =
            ctx.state.plan_source(&stored.hash).ok().map(|source| origins_of(source.policy.as_ref()));
        let lines = lines_of(&stored.plan.policy, &origins.unwrap_or_default(), &Origin::Plan)?;
        return Ok((format!("policy of plan {}", stored.hash.short()), lines));
    }
    if let Some(roll) = &args.roll {
        return of_roll(ctx, roll);
    }
    let lines = lines_of(&Policy::default(), &Origins::new(), &Origin::Default)?;
    Ok(("the default policy".to_owned(), lines))
}

fn origins_of(source: Option<&PolicySource>) -> Origins {
    source.map(PolicySource::origins).unwrap_or_default()
}

/// The plan's policy, and every change that the journal holds.
fn of_roll(ctx: &Ctx, roll: &str) -> Result<(String, Vec<Line>), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, &RollRef { roll: Some(roll.to_owned()) })?;
    let source: Option<PlanSource> = serde_json::from_str(&row.context).ok();
    let mut origins = origins_of(source.and_then(|source| source.policy).as_ref());
    let mut policy = row.plan.policy.clone();
    let mut lines = lines_of(&policy, &origins, &Origin::Plan)?;
    for link in store.events(&row, 0).map_err(store_error)? {
        let EventKind::Operator { verb: OperatorVerb::SetPolicy { policy: new }, who } = &link.event.what
        else {
            continue;
        };
        let changed = Origin::Changed { who: who.clone(), at: time(link.event.at) };
        let before = lines;
        policy.clone_from(new);
        let after = lines_of(&policy, &Origins::new(), &changed)?;
        for line in &after {
            let same = before.iter().any(|old| old.key == line.key && old.value == line.value);
            if !same {
                origins.insert(line.key.clone(), changed.clone());
            }
        }
        lines = lines_of(&policy, &origins, &Origin::Plan)?;
    }
    Ok((format!("policy of roll {}", row.id), lines))
}

fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(
        || format!("{} ms after 1970", at.0),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

fn people(ctx: &Ctx, of: &str, lines: &[Line]) -> String {
    let mut table = Table::new().column("KEY").flexible("VALUE").flexible("FROM");
    if ctx.verbose > 0 {
        table = table.flexible("MEANING");
    }
    for line in lines {
        let paint = match &line.origin {
            Origin::Default => Paint::Dim,
            Origin::File { .. } | Origin::Plan => Paint::Strong,
            Origin::Changed { .. } => Paint::Warn,
        };
        table.row([
            Cell::from(line.key.clone()),
            Cell::from(line.value.clone()),
            Cell::painted(line.origin.to_string(), paint),
            Cell::from(line.meaning),
        ]);
    }
    let more = if ctx.verbose > 0 { "" } else { "what each key means: add -v\n" };
    format!("{of}\n\n{}{more}", ctx.out.wrap(&table))
}
